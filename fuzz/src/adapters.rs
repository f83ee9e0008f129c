//! The adapters and lookups that the targets use, made in one place. The person is fictional.

use identity_gateway::{
    domain::{
        curp::{Curp, CurpRule},
        lookup::{CurpLookup, Document},
        redaction::Secret,
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
    Verifik::new(&Secret::new("token"), "/v2/persons".to_owned()).expect("a token")
}

pub fn youverify() -> Youverify {
    let id_types = IdTypes {
        national_id: "national-id".to_owned(),
        passport: "passport".to_owned(),
        service_id: "service-id".to_owned(),
        alien_id: "alien-registration".to_owned(),
    };
    Youverify::new(&Secret::new("token"), id_types).expect("a token")
}

pub fn accuauth() -> Accuauth {
    let (id, secret) = (Secret::new("id"), Secret::new("secret"));
    Accuauth::new(&id, &secret, BodyEncoding::Json).expect("credentials")
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
