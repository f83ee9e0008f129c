//! What Verifik's lookups have in common: the envelope around the card, and the 404 that is an answer.

use serde::Deserialize;

use super::{
    PROVIDER,
    errors::{self, Endpoint},
};
use crate::{
    domain::{
        failure::Failure,
        verification::{Billing, Drift, Outcome, Verified},
    },
    proto::identity::v1::VerifikSignature,
    provider::{
        error_body::{self, ErrorBody, malformed},
        lenient,
    },
    transport::Answer,
};

#[derive(Deserialize)]
#[serde(default, bound = "T: Deserialize<'de>")]
struct Envelope<T> {
    #[serde(deserialize_with = "lenient::object")]
    data: Option<T>,
    #[serde(deserialize_with = "lenient::object")]
    signature: Option<Signature>,
    #[serde(deserialize_with = "lenient::trimmed")]
    id: Option<String>,
}

impl<T> Default for Envelope<T> {
    fn default() -> Self {
        Self {
            data: None,
            signature: None,
            id: None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Signature {
    #[serde(deserialize_with = "lenient::text")]
    date_time: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message: Option<String>,
}

/// A card as the document writes it.
pub trait Card: for<'de> Deserialize<'de> {
    /// The record of the contract.
    type Record;

    /// Names of the request's fields: theirs, ours.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// Whether it says whose card it is: one that does not is no answer.
    fn is_there(&self) -> bool;

    /// The record.
    fn record(self, signature: Option<VerifikSignature>) -> Self::Record;

    /// Whether an enumerated field holds a value that the document does not list.
    fn has_unlisted(_: &Self::Record) -> bool {
        false
    }
}

/// Reads the answer to a lookup. A 404 in Verifik's own words is an answer: not found.
///
/// # Errors
///
/// The provider's fault, or a malformed answer.
pub fn read<C: Card>(answer: &Answer) -> Result<Verified<C::Record>, Failure> {
    if answer.status == 404 {
        let body = ErrorBody::read(&answer.body);
        if errors::is_not_found(&body) {
            return Ok(not_found(answer, body));
        }
    }
    if answer.status >= 400 {
        return Err(errors::error(Endpoint::Lookup(C::FIELDS), answer));
    }
    if answer.status != 200 {
        return Err(malformed(PROVIDER, answer));
    }
    let (envelope, drift): (Envelope<C>, _) =
        error_body::parse_watched(PROVIDER, answer, &answer.body)?;
    let card = envelope.data.filter(C::is_there);
    let card = card.ok_or_else(|| Failure {
        drift,
        ..malformed(PROVIDER, answer)
    })?;
    let signature = envelope.signature.map(|signature| VerifikSignature {
        message: signature.message,
        signed_at_text: signature.date_time,
    });
    let record = card.record(signature);
    Ok(Verified {
        outcome: Outcome::Found,
        reference: envelope.id,
        code: None,
        message: None,
        // The document does not say what a result costs.
        billing: Billing::Unknown,
        drift: Drift {
            value: C::has_unlisted(&record),
            ..drift
        },
        record: Some(Box::new(record)),
    })
}

fn not_found<R>(answer: &Answer, body: ErrorBody) -> Verified<R> {
    let envelope: Envelope<serde::de::IgnoredAny> =
        serde_json::from_slice(&answer.body).unwrap_or_default();
    Verified {
        outcome: Outcome::NotFound,
        reference: envelope.id,
        message: body.message().map(str::to_owned),
        code: body.code,
        billing: Billing::Unknown,
        record: None,
        drift: Drift::default(),
    }
}
