//! The adapters: what to send to each provider and how to read its answer, as pure functions.
//!
//! They are lenient in what they read (a missing, null or odd value makes the field absent) and
//! strict in what they promise (an answer without what its document always has is malformed).

pub mod accuauth;
mod base64;
mod country;
pub mod error_body;
mod gender;
mod lenient;
pub mod verifik;
mod watched;
pub mod youverify;

use std::fmt;

use crate::{
    domain::{
        failure::Failure,
        verification::{Provider, Verified},
    },
    transport::{Answer, Request},
};

/// One company. No credential inside: the upstream adds the headers as it sends.
pub trait Company: fmt::Debug + Send + Sync + 'static {
    /// Which.
    const PROVIDER: Provider;
}

/// How a company answers a lookup. Pure: no socket, no metric, no credential, no gRPC type but the record.
pub trait Supplies<L>: fmt::Debug + Send + Sync {
    /// What the registry holds.
    type Record;

    /// What to send.
    fn request(&self, lookup: &L) -> Request;

    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// The provider's fault, or an answer that is not what its document describes.
    fn read(&self, lookup: &L, answer: &Answer) -> Result<Verified<Self::Record>, Failure>;
}
