//! How AccuAuth answers `CheckCurp` (`POST /verify/id_check`).

use http::Method;
use serde::{Deserialize, Serialize};

use super::{Accuauth, BodyEncoding, PROVIDER, document, error, known_error, record};
use crate::{
    domain::{
        failure::{Failure, Kind},
        lookup::CurpLookup,
        provider_code::ProviderCode,
        verification::{Billing, Drift, Outcome, Verified},
    },
    proto::identity::v1::{CurpRecord, CurpStatus, Gender},
    provider::{
        Supplies,
        error_body::{self, malformed},
        lenient,
    },
    transport::{Answer, Request},
};

const PATH: &str = "/verify/id_check";

#[derive(Serialize)]
struct Check<'a> {
    id_number: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(deserialize_with = "lenient::trimmed")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::trimmed")]
    result_code: Option<String>,
    #[serde(deserialize_with = "lenient::trimmed")]
    result_message: Option<String>,
    #[serde(borrow, deserialize_with = "lenient::object")]
    result: Option<record::Registration<'a>>,
    #[serde(deserialize_with = "lenient::trimmed")]
    request_id: Option<String>,
}

impl Supplies<CurpLookup> for Accuauth {
    type Record = CurpRecord;

    fn request(&self, lookup: &CurpLookup) -> Request {
        let request = Request::new(Method::POST, PATH);
        let id_number = lookup.curp.reveal();
        match self.encoding {
            BodyEncoding::Json => request.json(&Check { id_number }),
            BodyEncoding::Form => request.form(&[("id_number", id_number)]),
        }
    }

    fn read(&self, lookup: &CurpLookup, answer: &Answer) -> Result<Verified<CurpRecord>, Failure> {
        if answer.status != 200 {
            return Err(error(answer));
        }
        let (body, document) = document::apart(&answer.body);
        let (envelope, drift): (Envelope<'_>, _) =
            error_body::parse_watched(PROVIDER, answer, &body)?;
        let drifted = |failure| Failure { drift, ..failure };
        if let Some(status) = &envelope.status
            && !status.eq_ignore_ascii_case("OK")
        {
            if known_error(status).is_some() {
                return Err(drifted(error(answer)));
            }
            // A status that the document does not list is no fault that could be named.
            return Ok(inconclusive(envelope, drift));
        }
        let code = envelope.result_code;
        let code = code.ok_or_else(|| drifted(malformed(PROVIDER, answer)))?;
        // Section 3.1: codes 0 to 3 are billable, 5 is not.
        let (outcome, billing) = match code.as_str() {
            "0" => (Outcome::Found, Billing::Billed),
            "1" => (Outcome::NotFound, Billing::Billed),
            "2" | "3" => (Outcome::InvalidIdentifier, Billing::Billed),
            "5" => return Err(drifted(data_error(answer, &code))),
            _ => (Outcome::Inconclusive, Billing::Unknown),
        };
        let message = envelope
            .result_message
            .or_else(|| envelope.result.as_ref()?.mensaje.clone());
        let record = match (outcome, envelope.result) {
            (Outcome::Found, Some(result)) if result.curp.is_some() => {
                Some(Box::new(result.into_record(lookup, document)))
            }
            (Outcome::Found, _) => return Err(drifted(malformed(PROVIDER, answer))),
            _ => None,
        };
        Ok(Verified {
            outcome,
            reference: envelope.request_id,
            code: Some(code),
            message,
            billing,
            drift: Drift {
                code: outcome == Outcome::Inconclusive,
                value: record.as_deref().is_some_and(has_unlisted),
                ..drift
            },
            record,
        })
    }
}

/// Result code 5: the document says in so many words that it is free.
fn data_error(answer: &Answer, code: &str) -> Failure {
    Failure {
        provider_code: ProviderCode::new(code),
        http_status: Some(answer.status),
        ..Failure::before_sending(Kind::DataError, PROVIDER)
    }
}

fn inconclusive(envelope: Envelope<'_>, drift: Drift) -> Verified<CurpRecord> {
    Verified {
        outcome: Outcome::Inconclusive,
        reference: envelope.request_id,
        code: envelope.status,
        message: None,
        billing: Billing::Unknown,
        record: None,
        drift: Drift {
            code: true,
            ..drift
        },
    }
}

/// Whether an enumerated field holds a value that the document does not list.
fn has_unlisted(record: &CurpRecord) -> bool {
    let status = record.status_raw.is_some() && record.status() == CurpStatus::Unspecified;
    let gender = record.gender_raw.is_some() && record.gender() == Gender::Unspecified;
    status || gender
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_means_nothing_known_is_not_listed() {
        use CurpStatus::An;
        use Gender::Female;
        // What its words mean, where there are words.
        for (status, gender, is_listed) in [
            (None, None, true),
            (Some(An), Some(Female), true),
            (Some(CurpStatus::Unspecified), Some(Female), false),
            (Some(An), Some(Gender::Unspecified), false),
        ] {
            let curp = CurpRecord {
                status_raw: status.map(|_| "a word".to_owned()),
                status: status.unwrap_or_default().into(),
                gender_raw: gender.map(|_| "a word".to_owned()),
                gender: gender.unwrap_or_default().into(),
                ..CurpRecord::default()
            };
            assert_eq!(!has_unlisted(&curp), is_listed, "{status:?} {gender:?}");
        }
    }
}
