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
pub mod settings;
pub mod verifik;
pub mod youverify;

use std::{fmt, path::PathBuf};

use http::{HeaderMap, header::InvalidHeaderValue};

use crate::{
    domain::{
        failure::Failure,
        redaction::Secret,
        verification::{Provider, Verified},
    },
    transport::{Answer, Request},
};

/// One company. No credential inside: the upstream adds the headers as it sends.
pub trait Company: fmt::Debug + Send + Sync + 'static {
    /// Which.
    const PROVIDER: Provider;
    /// The key of the files of its credential, where a change of them is told.
    const FILE_KEY: &'static str;
    /// The key of the file of its CAs.
    const CA_FILE_KEY: &'static str;

    /// Its settings.
    type Settings;

    /// The adapter.
    fn new(settings: &Self::Settings) -> Self;

    /// The parts of its credential; none if one of them is missing.
    fn credential(settings: &Self::Settings) -> Vec<CredentialPart>;

    /// The headers that carry the parts, in the same order.
    ///
    /// # Errors
    ///
    /// If one cannot stand in an HTTP header.
    fn headers(parts: &[Secret]) -> Result<HeaderMap, InvalidHeaderValue>;
}

/// A part of a credential, such as a token.
#[derive(Debug)]
pub struct CredentialPart {
    /// What it is now.
    pub secret: Secret,
    /// The file that it is read from, if it is.
    pub file: Option<PathBuf>,
}

impl CredentialPart {
    /// The part, if it is there.
    #[must_use]
    pub fn of(secret: Option<&Secret>, file: Option<&PathBuf>) -> Option<Self> {
        Some(Self {
            secret: secret?.clone(),
            file: file.cloned(),
        })
    }
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
