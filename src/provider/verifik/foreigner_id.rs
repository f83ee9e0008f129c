//! The Peruvian foreigner's card (`GET /v2/pe/foreigner-id/ce`).

use http::{Method, header};
use serde::Deserialize;

use super::{
    JSON, PROVIDER, Verifik,
    errors::{self, Endpoint},
};
use crate::{
    domain::{
        failure::Failure,
        lookup::ForeignerLookup,
        verification::{Billing, Drift, Outcome, Verified},
    },
    proto::identity::v1::{PeForeignerIdRecord, VerifikSignature},
    provider::{
        Supplies, country,
        error_body::{self, ErrorBody, malformed},
        lenient,
    },
    transport::{Answer, Request},
};

const PATH: &str = "/v2/pe/foreigner-id/ce";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    #[serde(deserialize_with = "lenient::object")]
    data: Option<Card>,
    #[serde(deserialize_with = "lenient::object")]
    signature: Option<Signature>,
    #[serde(deserialize_with = "lenient::trimmed")]
    id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Card {
    #[serde(deserialize_with = "lenient::texts")]
    array_name: Vec<String>,
    #[serde(deserialize_with = "lenient::date")]
    date_of_birth: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    document_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    first_name: Option<String>,
    #[serde(deserialize_with = "lenient::date")]
    foreigner_id_expiration: Option<String>,
    #[serde(deserialize_with = "lenient::date")]
    foreigner_id_last_issuance: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    full_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    immigration_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    nationality: Option<String>,
    #[serde(deserialize_with = "lenient::date")]
    residence_expiration: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Signature {
    #[serde(deserialize_with = "lenient::text")]
    date_time: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message: Option<String>,
}

impl Supplies<ForeignerLookup> for Verifik {
    type Record = PeForeignerIdRecord;

    fn request(&self, lookup: &ForeignerLookup) -> Request {
        Request::new(Method::GET, PATH)
            // The same number with another date is the same number.
            .about([PATH, lookup.document_number.reveal()])
            // The document lists it, also for this GET.
            .header(header::CONTENT_TYPE, JSON)
            .query("documentNumber", lookup.document_number.reveal())
            .query("dateOfBirth", &lookup.birthdate.day_month_year())
    }

    /// A 404 in Verifik's own words is an answer: not found.
    fn read(
        &self,
        _: &ForeignerLookup,
        answer: &Answer,
    ) -> Result<Verified<PeForeignerIdRecord>, Failure> {
        if answer.status == 404 {
            let body = ErrorBody::read(&answer.body);
            if errors::is_not_found(&body) {
                return Ok(not_found(answer, body));
            }
        }
        if answer.status >= 400 {
            return Err(errors::error(Endpoint::ForeignerId, answer));
        }
        if answer.status != 200 {
            return Err(malformed(PROVIDER, answer));
        }
        let (envelope, drift): (Envelope, _) =
            error_body::parse_watched(PROVIDER, answer, &answer.body)?;
        let card = envelope
            .data
            .filter(|card| card.document_number.is_some() || card.full_name.is_some())
            .ok_or_else(|| Failure {
                drift,
                ..malformed(PROVIDER, answer)
            })?;
        Ok(Verified {
            outcome: Outcome::Found,
            reference: envelope.id,
            code: None,
            message: None,
            // The document does not say what a result costs.
            billing: Billing::Unknown,
            record: Some(Box::new(record(card, envelope.signature))),
            drift,
        })
    }
}

fn not_found(answer: &Answer, body: ErrorBody) -> Verified<PeForeignerIdRecord> {
    let envelope: Envelope = serde_json::from_slice(&answer.body).unwrap_or_default();
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

fn record(card: Card, signature: Option<Signature>) -> PeForeignerIdRecord {
    PeForeignerIdRecord {
        document_number: card.document_number,
        name: card.full_name,
        given_name: card.first_name,
        family_name: card.last_name,
        name_parts: card.array_name,
        birthdate: card.date_of_birth,
        nationality_code: card.nationality.as_deref().and_then(country::alpha2),
        nationality: card.nationality,
        immigration_status: card.immigration_status,
        card_issued_on: card.foreigner_id_last_issuance,
        card_expires_on: card.foreigner_id_expiration,
        residence_expires_on: card.residence_expiration,
        signature: signature.map(|signature| VerifikSignature {
            message: signature.message,
            signed_at_text: signature.date_time,
        }),
    }
}
