//! How YouVerify answers `ScrubKenyaId` (`POST /v2/api/identity/ke/id-scrub`).

use http::Method;
use serde::{Deserialize, Serialize};

use super::{PROVIDER, Youverify, error, record};
use crate::{
    domain::{
        failure::Failure,
        lookup::KenyaLookup,
        verification::{Billing, Drift, Outcome, Verified},
    },
    proto::identity::v1::{Gender, KenyaIdRecord},
    provider::{
        Supplies,
        error_body::{self, malformed},
        lenient,
    },
    transport::{Answer, Request},
};

const PATH: &str = "/v2/api/identity/ke/id-scrub";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scrub<'a> {
    id: &'a str,
    id_type: &'a str,
    is_subject_consent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    #[serde(deserialize_with = "lenient::flag")]
    success: Option<bool>,
    #[serde(rename = "statusCode", deserialize_with = "lenient::integer")]
    status_code: Option<i32>,
    #[serde(deserialize_with = "lenient::trimmed")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    data: Option<Box<record::Data>>,
    links: Option<serde_json::Value>,
}

impl Supplies<KenyaLookup> for Youverify {
    type Record = KenyaIdRecord;

    fn request(&self, lookup: &KenyaLookup) -> Request {
        let id_type = self.id_types.word(lookup.id.kind());
        Request::new(Method::POST, PATH)
            // The same number with other metadata is the same number.
            .about([id_type, lookup.id.reveal()])
            .json(&Scrub {
                id: lookup.id.reveal(),
                id_type,
                // The lookup holds the consent: it cannot exist without.
                is_subject_consent: true,
                metadata: lookup.metadata.as_ref().map(|metadata| metadata.reveal()),
            })
    }

    /// Only `data.status` decides the outcome.
    fn read(&self, _: &KenyaLookup, answer: &Answer) -> Result<Verified<KenyaIdRecord>, Failure> {
        if !(200..300).contains(&answer.status) {
            return Err(error(answer));
        }
        let (envelope, drift): (Envelope, _) =
            error_body::parse_watched(PROVIDER, answer, &answer.body)?;
        let drifted = |failure| Failure { drift, ..failure };
        let failed = envelope.success == Some(false);
        if failed || envelope.status_code.is_some_and(|status| status >= 400) {
            return Err(drifted(error(answer)));
        }
        let data = envelope
            .data
            .ok_or_else(|| drifted(malformed(PROVIDER, answer)))?;
        let status = data.status.clone();
        let status = status.ok_or_else(|| drifted(malformed(PROVIDER, answer)))?;
        let outcome = match status.trim() {
            "found" => Outcome::Found,
            "not_found" => Outcome::NotFound,
            _ => Outcome::Inconclusive,
        };
        let reference = data.id.clone();
        let reason = data
            .reason
            .as_deref()
            .map(|reason| reason.trim().to_owned());
        let message = match outcome {
            Outcome::Found => reason.or(envelope.message),
            // "success" beside a number that was not found would mislead.
            _ => reason,
        };
        let record = (outcome == Outcome::Found)
            .then(|| Box::new(data.into_record(&self.id_types, envelope.links)));
        Ok(Verified {
            outcome,
            reference,
            code: Some(status.trim().to_owned()),
            message,
            // The document does not say what a result costs.
            billing: Billing::Unknown,
            drift: Drift {
                code: outcome == Outcome::Inconclusive,
                value: record.as_deref().is_some_and(has_unlisted),
                ..drift
            },
            record,
        })
    }
}

/// Whether an enumerated field holds a value that the document does not list.
fn has_unlisted(record: &KenyaIdRecord) -> bool {
    record.gender_raw.is_some() && record.gender() == Gender::Unspecified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_means_nothing_known_is_not_listed() {
        for (gender, is_listed) in [
            (None, true),
            (Some(Gender::Female), true),
            (Some(Gender::Unspecified), false),
        ] {
            let kenya = KenyaIdRecord {
                gender_raw: gender.map(|_| "a word".to_owned()),
                gender: gender.unwrap_or_default().into(),
                ..KenyaIdRecord::default()
            };
            assert_eq!(!has_unlisted(&kenya), is_listed, "{gender:?}");
        }
    }
}
