//! What the requests of all lookups have in common; the build writes an implementation for each of them.

use prost_types::{Duration, FieldMask};

/// A request that looks somebody up.
pub trait LookupRequest: Send {
    /// How old an answer may be that is not asked for anew.
    fn max_age(&self) -> Option<Duration>;

    /// The fields that the caller wants.
    fn read_mask(&self) -> Option<&FieldMask>;

    /// What makes a repeat of the call known as one; empty if the caller gave none.
    fn request_id(&self) -> &str;

    /// Whether the person concerned has consented; none if the RPC does not ask.
    fn subject_consent(&self) -> Option<bool> {
        None
    }
}
