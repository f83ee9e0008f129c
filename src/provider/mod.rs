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

use crate::proto::identity::v1::{
    CurpRecord, CurpStatus, Gender, KenyaIdRecord, PeForeignerIdRecord,
};

/// A record that may hold a value which the provider's document does not list.
pub trait Listed {
    /// Whether all its enumerated values are listed.
    fn is_listed(&self) -> bool {
        true
    }
}

impl Listed for PeForeignerIdRecord {}

impl Listed for KenyaIdRecord {
    fn is_listed(&self) -> bool {
        self.gender_raw.is_none() || self.gender() != Gender::Unspecified
    }
}

impl Listed for CurpRecord {
    fn is_listed(&self) -> bool {
        let status = self.status_raw.is_none() || self.status() != CurpStatus::Unspecified;
        let gender = self.gender_raw.is_none() || self.gender() != Gender::Unspecified;
        status && gender
    }
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
            assert_eq!(curp.is_listed(), is_listed, "{status:?} {gender:?}");
        }
        for (gender, is_listed) in [
            (None, true),
            (Some(Female), true),
            (Some(Gender::Unspecified), false),
        ] {
            let kenya = KenyaIdRecord {
                gender_raw: gender.map(|_| "a word".to_owned()),
                gender: gender.unwrap_or_default().into(),
                ..KenyaIdRecord::default()
            };
            assert_eq!(kenya.is_listed(), is_listed, "{gender:?}");
        }
    }
}
