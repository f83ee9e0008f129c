//! What people are known by, and dates: what is let through is what was written, and nothing else is.

use identity_gateway::domain::{
    consent::SubjectConsent,
    curp::{Curp, CurpRule},
    date::{self, Birthdate},
    foreigner_id::ForeignerId,
    kenya_id::{KenyaId, KenyaIdKind},
    lookup::{ForeignerLookup, KenyaLookup},
    person::PersonId,
    provider_code::ProviderCode,
};
use identity_gateway::provider::Supplies as _;

use super::adapters::{self, TODAY};

/// CURPs: the strict rule is the stricter one, and no other check digit passes.
pub fn curp(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parse = |text: &str, rule| Curp::parse(text, rule, TODAY);
    let (strict, shape) = (parse(text, CurpRule::Strict), parse(text, CurpRule::Shape));
    let Ok(curp) = &shape else {
        assert!(strict.is_err(), "strict is laxer than the shape alone");
        return;
    };
    assert_eq!(curp.reveal(), text);
    assert_eq!(format!("{curp:?}"), "Curp([redacted])");
    for other in [text.to_lowercase(), format!(" {text}"), format!("{text}\n")] {
        assert!(parse(&other, CurpRule::Shape).is_err());
    }
    let body = text.get(..17).expect("a CURP has 18 characters");
    let passes = |digit: &u8| parse(&format!("{body}{digit}"), CurpRule::Strict).is_ok();
    let good = (0..10).filter(passes).count();
    assert!(
        good <= 1 && (strict.is_err() || good == 1),
        "{good} check digits are good"
    );
}

/// Dates: what was read is read again as the same, and every reader is of the same mind.
pub fn dates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(birthdate) = Birthdate::parse(text, TODAY) {
        let iso = birthdate.iso();
        assert_eq!(iso, text);
        let read = [&iso, &birthdate.day_month_year()].map(|text| date::lenient_date(text));
        assert!(read[0].is_some_and(|date| date.to_string() == iso && date <= TODAY));
        assert_eq!(read[0], read[1]);
        assert_eq!(format!("{birthdate:?}"), "Birthdate([redacted])");
    }
    let (lenient, nairobi) = (date::lenient_date(text), date::nairobi_date(text));
    for date in [lenient, nairobi].into_iter().flatten() {
        assert!((1..2200).contains(&date.year()), "{}", date.year());
        let written = date.to_string();
        assert_eq!(date::lenient_date(&written), Some(date));
        assert_eq!(date::nairobi_date(&written), Some(date));
        let (day, month, year) = (date.day(), date.month(), date.year());
        for written in [
            format!("{day}/{month}/{year:04}"),
            format!("{day:02}-{month:02}-{year:04}"),
        ] {
            assert_eq!(date::lenient_date(&written), Some(date));
        }
    }
    if let Some(instant) = date::instant(text) {
        let again = date::instant(&instant.to_string());
        assert_eq!(again, Some(instant));
    }
}

/// Numbers of documents and persons: they reach the provider as they were written, and leave their place in
/// a path, a query or a body as little as in a message.
pub fn ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    kenya(text);
    foreigner(text);
    person(text);
    if let Some(code) = ProviderCode::new(text) {
        assert_eq!(ProviderCode::new(code.as_str()), Some(code));
        assert!(code.as_str().eq_ignore_ascii_case(text.trim()));
    }
}

fn kenya(text: &str) {
    use KenyaIdKind::{AlienId, NationalId, Passport, ServiceId};
    let parsed = [AlienId, NationalId, Passport, ServiceId].map(|kind| KenyaId::parse(kind, text));
    // An alien id is a longer national id, and both are of a passport's or service id's letters.
    let [alien, national, passport, service] = parsed.each_ref().map(Result::is_ok);
    assert!(!alien || (national && passport));
    assert!(!(national || passport) || service);
    for id in parsed.into_iter().flatten() {
        assert_eq!(id.reveal(), text);
        let consent = SubjectConsent::given(true).expect("consent");
        let lookup = KenyaLookup {
            id,
            consent,
            metadata: None,
        };
        assert!(!format!("{lookup:?}").contains(&format!("{text:?}")));
        let body = adapters::youverify().request(&lookup).body.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["id"], text);
    }
}

fn foreigner(text: &str) {
    let Ok(document_number) = ForeignerId::parse(text) else {
        return;
    };
    let birthdate = Birthdate::parse("1993-08-16", TODAY).expect("a date");
    let lookup = ForeignerLookup {
        document_number,
        birthdate,
    };
    let request = adapters::verifik().request(&lookup);
    let pairs: Vec<_> = url::form_urlencoded::parse(request.query.as_bytes()).collect();
    let expected = [("documentNumber", text), ("dateOfBirth", "16/08/1993")];
    assert_eq!(
        pairs,
        expected.map(|(name, value)| (name.into(), value.into()))
    );
}

fn person(text: &str) {
    let Ok(id) = PersonId::parse(text) else {
        return;
    };
    let request = adapters::verifik().get_request(&id);
    assert_eq!(request.path, format!("/v2/persons/{text}"));
    assert_eq!(request.template, "/v2/persons/{id}");
    let base = url::Url::parse("https://provider.example/").expect("a URL");
    let url = base.join(&request.path).expect("a URL");
    assert_eq!((url.path(), url.query()), (request.path.as_str(), None));
    assert_eq!(url.host_str(), Some("provider.example"));
    assert_eq!(
        adapters::verifik().list_request(1, 50).query,
        "page=1&limit=50"
    );
}
