//! YouVerify's `data` object, field by field.

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{gender, lenient},
    IdTypes,
};
use crate::{
    domain::kenya_id::KenyaIdKind,
    proto::{
        identity::v1::{
            ContractSummary, Gender, Inquiries, KenyaAddress, KenyaIdRecord, KenyaIdType,
            YouverifyEnvelope, YouverifyUser,
        },
        well_known,
    },
};

/// `data`, as the document names its fields.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Data {
    #[serde(deserialize_with = "lenient::trimmed")]
    pub id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    parent_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub reason: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    data_validation: Option<bool>,
    #[serde(deserialize_with = "lenient::flag")]
    selfie_validation: Option<bool>,
    #[serde(deserialize_with = "lenient::nairobi_date")]
    date_of_birth: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    identity_type: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    is_consent: Option<bool>,
    #[serde(deserialize_with = "lenient::text")]
    id_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    business_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    first_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    middle_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    full_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    gender: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    marital_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    email: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    home_telephone_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    mobile_telephone_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    work_telephone_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    employment_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_employment: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    main_address: Option<Address>,
    #[serde(deserialize_with = "lenient::object")]
    secondary_address: Option<Address>,
    #[serde(deserialize_with = "lenient::object")]
    contract_summary: Option<Contracts>,
    #[serde(deserialize_with = "lenient::object")]
    inquiries: Option<Counts>,
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    check: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    all_validation_passed: Option<bool>,
    #[serde(deserialize_with = "lenient::instant")]
    requested_at: Option<prost_types::Timestamp>,
    #[serde(deserialize_with = "lenient::text")]
    requested_by_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    country: Option<String>,
    #[serde(deserialize_with = "lenient::instant")]
    created_at: Option<prost_types::Timestamp>,
    #[serde(deserialize_with = "lenient::instant")]
    last_modified_at: Option<prost_types::Timestamp>,
    #[serde(deserialize_with = "lenient::object")]
    requested_by: Option<User>,
    /// Not read: the caller has its own. It is listed, or it would count as drift.
    metadata: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Address {
    #[serde(deserialize_with = "lenient::text")]
    address: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    town: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    postal_code: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    country: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Contracts {
    #[serde(deserialize_with = "lenient::count")]
    open_contracts: Option<i32>,
    #[serde(deserialize_with = "lenient::count")]
    closed_contracts: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(
        rename = "numberOfInquiriesLast1Month",
        deserialize_with = "lenient::count"
    )]
    last_1: Option<i32>,
    #[serde(
        rename = "numberOfInquiriesLast3Months",
        deserialize_with = "lenient::count"
    )]
    last_3: Option<i32>,
    #[serde(
        rename = "numberOfInquiriesLast6Months",
        deserialize_with = "lenient::count"
    )]
    last_6: Option<i32>,
    #[serde(
        rename = "numberOfInquiriesLast12Months",
        deserialize_with = "lenient::count"
    )]
    last_12: Option<i32>,
    #[serde(
        rename = "numberOfInquiriesLast24Months",
        deserialize_with = "lenient::count"
    )]
    last_24: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct User {
    #[serde(deserialize_with = "lenient::text")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    first_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    middle_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_name: Option<String>,
}

impl Data {
    /// The record of the contract.
    pub fn into_record(self, id_types: &IdTypes, links: Option<Value>) -> KenyaIdRecord {
        let id_type = self.identity_type.as_deref();
        let id_type = match id_type.and_then(|word| id_types.kind(word.trim())) {
            None => KenyaIdType::Unspecified,
            Some(KenyaIdKind::NationalId) => KenyaIdType::NationalId,
            Some(KenyaIdKind::Passport) => KenyaIdType::Passport,
            Some(KenyaIdKind::ServiceId) => KenyaIdType::ServiceId,
            Some(KenyaIdKind::AlienId) => KenyaIdType::AlienId,
        };
        let gender = self.gender.as_deref();
        let gender = gender.map_or(Gender::Unspecified, |word| gender::read(word, Gender::Male));
        let links = match links {
            Some(Value::Array(links)) => links,
            Some(Value::Null) | None => Vec::new(),
            Some(other) => vec![other],
        };
        KenyaIdRecord {
            id_number: self.id_number,
            id_type: id_type.into(),
            id_type_raw: self.identity_type,
            given_name: self.first_name,
            middle_name: self.middle_name,
            family_name: self.last_name,
            name: self.full_name,
            gender: gender.into(),
            gender_raw: self.gender,
            marital_status: self.marital_status,
            birthdate: self.date_of_birth,
            email: self.email,
            home_phone_number: self.home_telephone_number,
            mobile_phone_number: self.mobile_telephone_number,
            work_phone_number: self.work_telephone_number,
            employment_name: self.employment_name,
            last_employment: self.last_employment,
            main_address: self.main_address.map(Into::into),
            secondary_address: self.secondary_address.map(Into::into),
            contract_summary: self.contract_summary.map(|contracts| ContractSummary {
                open: contracts.open_contracts,
                closed: contracts.closed_contracts,
            }),
            inquiries: self.inquiries.map(|counts| Inquiries {
                last1_month: counts.last_1,
                last3_months: counts.last_3,
                last6_months: counts.last_6,
                last12_months: counts.last_12,
                last24_months: counts.last_24,
            }),
            envelope: Some(YouverifyEnvelope {
                parent_id: self.parent_id,
                status: self.status,
                reason: self.reason,
                data_validation: self.data_validation,
                selfie_validation: self.selfie_validation,
                all_validation_passed: self.all_validation_passed,
                is_consent: self.is_consent,
                business_id: self.business_id,
                r#type: self.check,
                country: self.country,
                requested_at: self.requested_at,
                requested_by: self.requested_by.map(|user| YouverifyUser {
                    id: user.id,
                    given_name: user.first_name,
                    middle_name: user.middle_name,
                    family_name: user.last_name,
                }),
                requested_by_id: self.requested_by_id,
                created_at: self.created_at,
                last_modified_at: self.last_modified_at,
                links: links.into_iter().map(well_known::value).collect(),
            }),
        }
    }
}

impl From<Address> for KenyaAddress {
    fn from(address: Address) -> Self {
        Self {
            address: address.address,
            town: address.town,
            postal_code: address.postal_code,
            country: address.country,
        }
    }
}
