//! The adapters and lookups that the targets use, made in one place. The person is fictional.

use identity_gateway::{
    domain::{
        consent::SubjectConsent,
        curp::{Curp, CurpRule},
        date::Birthdate,
        foreigner_id::ForeignerId,
        kenya_id::{KenyaId, KenyaIdKind},
        lookup::{CurpLookup, Document, ForeignerLookup, KenyaLookup},
    },
    provider::{
        accuauth::{Accuauth, BodyEncoding},
        verifik::Verifik,
        youverify::{IdTypes, Youverify},
    },
    transport::Answer,
};
use jiff::civil::Date;

/// The day on which all of it happens: an input must mean the same tomorrow.
pub const TODAY: Date = jiff::civil::date(2026, 11, 21);

const CURP: &str = "AAPR630321HDFLRC09";

pub fn verifik() -> Verifik {
    Verifik::new("/v2/persons".to_owned())
}

pub fn youverify() -> Youverify {
    let id_types = IdTypes {
        national_id: "national-id".to_owned(),
        passport: "passport".to_owned(),
        service_id: "service-id".to_owned(),
        alien_id: "alien-registration".to_owned(),
    };
    Youverify::new(id_types)
}

pub fn accuauth() -> Accuauth {
    Accuauth::new(BodyEncoding::Json)
}

pub fn foreigner_lookup() -> ForeignerLookup {
    ForeignerLookup {
        document_number: ForeignerId::parse("005015372").expect("a number"),
        birthdate: Birthdate::parse("1993-08-16", TODAY).expect("a date"),
    }
}

pub fn kenya_lookup() -> KenyaLookup {
    KenyaLookup {
        id: KenyaId::parse(KenyaIdKind::NationalId, "1234567").expect("a number"),
        consent: SubjectConsent::given(true).expect("a consent"),
        metadata: None,
    }
}

pub fn curp_lookup(document: Document) -> CurpLookup {
    let curp = Curp::parse(CURP, CurpRule::Strict, TODAY).expect("a CURP");
    CurpLookup { curp, document }
}

pub fn answer(status: u16, body: &[u8]) -> Answer {
    Answer {
        status,
        retry_after: None,
        body: bytes::Bytes::copy_from_slice(body),
    }
}
