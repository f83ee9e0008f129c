//! The Peruvian foreigner's card (`GET /v2/pe/foreigner-id/ce`).

use http::{Method, header};
use serde::Deserialize;

use super::{JSON, Verifik, lookup};
use crate::{
    domain::{failure::Failure, lookup::ForeignerLookup, verification::Verified},
    proto::identity::v1::{PeForeignerIdRecord, VerifikSignature},
    provider::{Supplies, country, lenient},
    transport::{Answer, Request},
};

const PATH: &str = "/v2/pe/foreigner-id/ce";

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

    fn read(
        &self,
        _: &ForeignerLookup,
        answer: &Answer,
    ) -> Result<Verified<PeForeignerIdRecord>, Failure> {
        lookup::read::<Card>(answer)
    }
}

impl lookup::Card for Card {
    type Record = PeForeignerIdRecord;

    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("documentNumber", "document_number"),
        ("dateOfBirth", "birthdate"),
    ];

    fn is_there(&self) -> bool {
        self.document_number.is_some() || self.full_name.is_some()
    }

    fn record(self, signature: Option<VerifikSignature>) -> PeForeignerIdRecord {
        PeForeignerIdRecord {
            document_number: self.document_number,
            name: self.full_name,
            given_name: self.first_name,
            family_name: self.last_name,
            name_parts: self.array_name,
            birthdate: self.date_of_birth,
            nationality_code: self.nationality.as_deref().and_then(country::alpha2),
            nationality: self.nationality,
            immigration_status: self.immigration_status,
            card_issued_on: self.foreigner_id_last_issuance,
            card_expires_on: self.foreigner_id_expiration,
            residence_expires_on: self.residence_expiration,
            signature,
        }
    }
}
