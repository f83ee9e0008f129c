//! The Peruvian identity card (`GET /v3/pe/cedula`).
//!
//! Source: verifik-pe-dni.md. Dates are `DD-MM-YYYY`; `arrayName` begins with the given names; `sex` is `M` for
//! *masculino*.

use http::{Method, header};
use serde::Deserialize;

use super::{JSON, Verifik, lookup};
use crate::{
    domain::{dni::DniLookup, failure::Failure, verification::Verified},
    proto::identity::v1::{Gender, PeDniRecord, VerifikSignature},
    provider::{Supplies, gender, lenient},
    transport::{Answer, Request},
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Card {
    #[serde(deserialize_with = "lenient::text")]
    address: Option<String>,
    #[serde(deserialize_with = "lenient::texts")]
    array_name: Vec<String>,
    #[serde(deserialize_with = "lenient::text")]
    civil_status: Option<String>,
    #[serde(deserialize_with = "lenient::date")]
    date_of_birth: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    document_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    document_type: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    first_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    full_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    sex: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    ubigeo_reniec: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    verification_digit: Option<String>,
}

impl Supplies<DniLookup> for Verifik {
    type Record = PeDniRecord;

    fn request(&self, lookup: &DniLookup) -> Request {
        Request::new(Method::GET, self.dni_path.as_str())
            .header(header::CONTENT_TYPE, JSON)
            .query("documentType", "DNI")
            .query("documentNumber", lookup.document_number.reveal())
    }

    fn read(&self, _: &DniLookup, answer: &Answer) -> Result<Verified<PeDniRecord>, Failure> {
        lookup::read::<Card>(answer)
    }
}

impl lookup::Card for Card {
    type Record = PeDniRecord;

    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("documentNumber", "document_number")];

    fn is_there(&self) -> bool {
        self.document_number.is_some() || self.full_name.is_some()
    }

    fn record(self, signature: Option<VerifikSignature>) -> PeDniRecord {
        let gender = self.sex.as_deref();
        let gender = gender.map_or(Gender::Unspecified, |word| gender::read(word, Gender::Male));
        PeDniRecord {
            document_number: self.document_number,
            document_type: self.document_type,
            verification_digit: self.verification_digit,
            name: self.full_name,
            given_name: self.first_name,
            family_name: self.last_name,
            name_parts: self.array_name,
            birthdate: self.date_of_birth,
            gender: gender.into(),
            gender_raw: self.sex,
            marital_status: self.civil_status,
            address: self.address,
            ubigeo: self.ubigeo_reniec,
            signature,
        }
    }

    fn has_unlisted(record: &PeDniRecord) -> bool {
        record.gender_raw.is_some() && record.gender() == Gender::Unspecified
    }
}
