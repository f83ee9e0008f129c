//! What a protocol between replicas needs of the store that they share.

use std::time::Duration;

use super::remote::NoAnswer;

/// A store of values with an end, which may be slow, silent or gone. Each operation is one step there,
/// and has its time; one without an answer may have been done all the same, or may be done later.
pub trait Store: Clone + Send + Sync + 'static {
    /// Sets a value where there is none; whether it did.
    fn set_if_absent(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> impl Future<Output = Result<bool, NoAnswer>> + Send;

    /// Sets a value whatever is there; whether that was the value it is to replace, or itself.
    fn replace(
        &self,
        key: &str,
        old: &[u8],
        new: &[u8],
        lifetime: Duration,
    ) -> impl Future<Output = Result<bool, NoAnswer>> + Send;

    /// The value under a key, and for how long it will still be there.
    fn get(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<(Vec<u8>, Duration)>, NoAnswer>> + Send;

    /// Deletes a key if this is its value.
    fn delete(&self, key: &str, value: &[u8]) -> impl Future<Output = Result<(), NoAnswer>> + Send;

    /// Does something for which no caller waits.
    fn later(&self, work: impl Future<Output = ()> + Send + 'static);
}
