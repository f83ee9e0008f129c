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
    transport::{Answer, Credentials},
};
use jiff::civil::Date;

/// The day on which all of it happens: an input must mean the same tomorrow.
pub const TODAY: Date = jiff::civil::date(2026, 11, 21);

const CURP: &str = "AAPR630321HDFLRC09";

pub fn verifik() -> Verifik {
    let headers = Verifik::headers(&Secret::new("token")).expect("a token");
    Verifik::new(Credentials::new(headers), "/v2/persons".to_owned())
}

pub fn youverify() -> Youverify {
    let id_types = IdTypes {
        national_id: "national-id".to_owned(),
        passport: "passport".to_owned(),
        service_id: "service-id".to_owned(),
        alien_id: "alien-registration".to_owned(),
    };
    let headers = Youverify::headers(&Secret::new("token")).expect("a token");
    Youverify::new(Credentials::new(headers), id_types)
}

pub fn accuauth() -> Accuauth {
    let (id, secret) = (Secret::new("id"), Secret::new("secret"));
    let headers = Accuauth::headers(&id, &secret).expect("credentials");
    Accuauth::new(Credentials::new(headers), BodyEncoding::Json)
}

pub fn curp_lookup(document: Document) -> CurpLookup {
    let curp = Curp::parse(CURP, CurpRule::Strict, TODAY).expect("a CURP");
    CurpLookup { curp, document }
}

pub fn answer(status: u16, body: &[u8]) -> Answer {
    Answer {
        status,
        retry_after: None,
        was_read: false,
        body: bytes::Bytes::copy_from_slice(body),
    }
}
