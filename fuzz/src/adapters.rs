//! The adapters and lookups that the targets use, made in one place. The person is fictional.

use identity_gateway::{
    domain::{
        consent::SubjectConsent,
        curp::{Curp, CurpRule},
        date::Birthdate,
        dni::{Dni, DniLookup},
        foreigner_id::ForeignerId,
        kenya_id::{KenyaId, KenyaIdKind},
        lookup::{CurpLookup, Document, ForeignerLookup, KenyaLookup},
    },
    provider::{Company as _, accuauth::Accuauth, verifik::Verifik, youverify::Youverify},
    transport::Answer,
};
use jiff::civil::Date;

/// The day on which all of it happens: an input must mean the same tomorrow.
pub const TODAY: Date = jiff::civil::date(2026, 11, 21);

const CURP: &str = "AAPR630321HDFLRC09";

pub fn verifik() -> Verifik {
    Verifik::new(&Default::default())
}

pub fn youverify() -> Youverify {
    Youverify::new(&Default::default())
}

pub fn accuauth() -> Accuauth {
    Accuauth::new(&Default::default())
}

pub fn foreigner_lookup() -> ForeignerLookup {
    ForeignerLookup {
        document_number: ForeignerId::parse("005015372").expect("a number"),
        birthdate: Birthdate::parse("1993-08-16", TODAY).expect("a date"),
    }
}

pub fn dni_lookup() -> DniLookup {
    DniLookup {
        document_number: Dni::parse("71640001").expect("a number"),
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
        is_sampled: true,
    }
}
