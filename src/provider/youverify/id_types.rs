//! The kinds of Kenyan number in YouVerify's words.

use super::settings::IdTypes;
use crate::domain::kenya_id::KenyaIdKind;

impl IdTypes {
    /// The word for a kind.
    pub(super) fn word(&self, kind: KenyaIdKind) -> &str {
        match kind {
            KenyaIdKind::NationalId => &self.national_id,
            KenyaIdKind::Passport => &self.passport,
            KenyaIdKind::ServiceId => &self.service_id,
            KenyaIdKind::AlienId => &self.alien_id,
        }
    }

    /// The kind that a word of theirs means.
    pub(super) fn kind(&self, word: &str) -> Option<KenyaIdKind> {
        use KenyaIdKind::{AlienId, NationalId, Passport, ServiceId};
        let configured = [NationalId, Passport, ServiceId, AlienId]
            .into_iter()
            .find(|kind| self.word(*kind).eq_ignore_ascii_case(word));
        // The pages of YouVerify have several words for one kind, and answers mix them.
        let letters = word.chars().filter(char::is_ascii_alphanumeric);
        let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
        configured.or(match plain.as_str() {
            "nationalid"
            | "nationalidcard"
            | "nationalidentity"
            | "nationalidentitycard"
            | "nationalidentification"
            | "nationalidnumber"
            | "idcard" => Some(NationalId),
            "passport" | "passportnumber" | "passportno" => Some(Passport),
            "serviceid" | "servicecard" | "serviceidcard" | "serviceidnumber" => Some(ServiceId),
            "alienid"
            | "aliencard"
            | "alienidcard"
            | "alienidnumber"
            | "alienregistration"
            | "alienregistrationnumber"
            | "alienregistrationcard"
            | "foreignerid"
            | "foreignid"
            | "foreignercertificate" => Some(AlienId),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_number_is_known_by_each_of_its_words() {
        let id_types = IdTypes {
            national_id: "nin".to_owned(),
            passport: "passport".to_owned(),
            service_id: "service-id".to_owned(),
            alien_id: "alien-registration".to_owned(),
        };
        use KenyaIdKind::{AlienId, NationalId, Passport, ServiceId};
        for (words, kind) in [
            (
                &[
                    "NIN",
                    "national-id",
                    "NATIONAL_ID",
                    "nationalId",
                    "National ID",
                ][..],
                Some(NationalId),
            ),
            (&["passport", "PASSPORT", "passport-number"], Some(Passport)),
            (&["service-id", "serviceId", "Service Id"], Some(ServiceId)),
            (
                &[
                    "alien-id",
                    "ALIEN_ID",
                    "alienId",
                    "Alien Card",
                    "alien-registration",
                ],
                Some(AlienId),
            ),
            (&["", "id", "drivers-license", "nationalité"], None),
        ] {
            for word in words {
                assert_eq!(id_types.kind(word), kind, "{word}");
            }
        }
    }
}
