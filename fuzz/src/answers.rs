//! The providers' answers: whatever bytes arrive, what is made of them is sound, and a fault tells nothing.

use identity_gateway::{
    domain::{
        failure::Failure,
        lookup::Document,
        person::{FieldValue, PersonField, PersonId, View},
        redaction::Pii,
        verification::{Billing, Outcome, Verified},
    },
    proto::person::v1::Person,
    provider::Supplies as _,
};
use prost::{Message, Name};
use serde_json::{Value, value::RawValue};

use super::{adapters, adapters::answer, failures, records};

/// Verifik's foreigner's card: 200, and 404 in Verifik's own words.
pub fn verifik_foreigner(data: &[u8]) {
    let adapter = adapters::verifik();
    for status in [200, 404] {
        let read = |body: &[u8]| adapter.read(&adapters::foreigner_lookup(), &answer(status, body));
        let verified = read(data);
        holds(&verified);
        depends_on_the_meaning_only(data, &verified, read);
        if let Ok(verified) = verified {
            let expected = if status == 200 {
                Outcome::Found
            } else {
                Outcome::NotFound
            };
            assert_eq!(
                (verified.outcome, verified.billing),
                (expected, Billing::Unknown)
            );
        }
    }
}

/// Verifik's identity card.
pub fn verifik_dni(data: &[u8]) {
    let adapter = adapters::verifik();
    for status in [200, 404] {
        let read = |body: &[u8]| adapter.read(&adapters::dni_lookup(), &answer(status, body));
        let verified = read(data);
        holds(&verified);
        depends_on_the_meaning_only(data, &verified, read);
        if let Ok(verified) = verified {
            let expected = match status {
                200 => Outcome::Found,
                _ => Outcome::NotFound,
            };
            assert_eq!(verified.outcome, expected);
        }
    }
}

/// YouVerify's envelope: only `data.status` decides.
pub fn youverify(data: &[u8]) {
    let adapter = adapters::youverify();
    let read = |body: &[u8]| adapter.read(&adapters::kenya_lookup(), &answer(200, body));
    let verified = read(data);
    holds(&verified);
    depends_on_the_meaning_only(data, &verified, read);
    if let Ok(verified) = verified {
        let says_found = verified.code.as_deref() == Some("found");
        assert_eq!(verified.outcome == Outcome::Found, says_found);
        assert_eq!(verified.billing, Billing::Unknown);
    }
}

/// AccuAuth's envelope, with and without the PDF.
pub fn accuauth(data: &[u8]) {
    let adapter = adapters::accuauth();
    let reader = |document| {
        let (adapter, lookup) = (&adapter, adapters::curp_lookup(document));
        move |body: &[u8]| adapter.read(&lookup, &answer(200, body))
    };
    let (read, read_with_document) = (reader(Document::Omit), reader(Document::Include));
    let verified = read(data);
    holds(&verified);
    depends_on_the_meaning_only(data, &verified, &read);
    depends_on_the_meaning_only(data, &read_with_document(data), &read_with_document);
    if let Ok(verified) = &verified {
        let document = verified
            .record
            .as_ref()
            .and_then(|record| record.document.as_ref());
        assert!(document.is_none(), "a document that nobody asked for");
        // Section 3.1: whatever is an answer of the registry is billed.
        let billing = match verified.outcome {
            Outcome::Inconclusive => Billing::Unknown,
            _ => Billing::Billed,
        };
        assert_eq!(verified.billing, billing);
    }
    let with_document = read_with_document(data).map(|mut verified| {
        if let Some(record) = &mut verified.record {
            let bytes = record.document.take();
            assert!(bytes.is_none_or(|bytes| !bytes.is_empty()));
        }
        verified
    });
    same(&verified, &with_document);
}

/// Verifik's persons: one, one to be written back, and lists.
pub fn verifik_persons(data: &[u8]) {
    let adapter = adapters::verifik();
    let read = |body: &[u8], view| adapter.read_person(&answer(200, body), view, None);
    match (read(data, View::Basic), read(data, View::Full)) {
        (Ok(basic), Ok(mut full)) => {
            records::is_sound(&full);
            is_written_back_whole(data, &full);
            if let Some(biometric) = &mut full.biometric_data {
                (biometric.face_image, biometric.fingerprint) = (None, None);
            }
            full.biometric_data = full
                .biometric_data
                .filter(|data| *data != Default::default());
            assert!(basic == full, "the views differ in more than the images");
            if let Some(body) = rewritten(data) {
                assert!(read(&body, View::Basic).is_ok_and(|again| again == basic));
            }
        }
        (Err(basic), Err(full)) => {
            failures::is_honest(&basic);
            assert_eq!(basic, full);
        }
        _ => panic!("one view can be read and the other cannot"),
    }
    pages(data);
}

/// What is read to be changed and written back loses nothing but what Verifik owns, and a change changes
/// only its field.
fn is_written_back_whole(data: &[u8], person: &Person) {
    let adapter = adapters::verifik();
    let Ok(id) = PersonId::parse(&person.id) else {
        return;
    };
    let written = |changes: &[_]| {
        let stored = adapter.read_stored(&answer(200, data), &id).ok()?;
        let (object, before) = stored.changed(changes);
        let request = adapter.update_request(&id, &object);
        // Inside `data`, or a `data` of its own would be taken for the person.
        let body = [b"{\"data\":".as_slice(), &request.body?, b"}"].concat();
        let after = adapter.read_changed(&answer(200, &body), &id).ok()?;
        assert!(
            before.becomes(&after, changes),
            "what was written is not shown"
        );
        let mut person = adapter
            .read_person(&answer(200, &body), View::Full, Some(&id))
            .ok()?;
        person.verification_status = 0;
        Some(person)
    };
    let mut expected = Person {
        verification_status: 0,
        create_time: None,
        update_time: None,
        ..person.clone()
    };
    if let Some(data) = &mut expected.biometric_data {
        data.liveness_score = None;
    }
    expected.biometric_data = expected
        .biometric_data
        .filter(|data| *data != Default::default());
    let same = written(&[]).expect("what was read can be written");
    assert!(same == expected, "a person changed on the way back");
    let email = FieldValue::Text(Pii::new("ada@example.com".to_owned()));
    let changed = written(&[(PersonField::Email, Some(email))]).expect("the same with a change");
    assert_eq!(changed.email.as_deref(), Some("ada@example.com"));
    let email = expected.email.clone();
    assert!(
        Person { email, ..changed } == expected,
        "a change changed another field"
    );
}

/// A list: the views differ in the images only, and what is read has ids.
fn pages(data: &[u8]) {
    let adapter = adapters::verifik();
    match adapter.read_page(&answer(200, data), View::Basic) {
        Ok(page) => assert!(page.persons.iter().all(|person| !person.id.is_empty())),
        Err(failure) => failures::is_honest(&failure),
    }
}

/// Error answers: the first byte picks the status, the rest is the body.
pub fn error_bodies(data: &[u8]) {
    const STATUSES: [u16; 24] = [
        300, 301, 304, 400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413, 422, 429, 431, 451,
        499, 500, 502, 503, 512, 513,
    ];
    let Some((pick, body)) = data.split_first() else {
        return;
    };
    let status = STATUSES[usize::from(*pick) % STATUSES.len()];
    let faults = |body: &[u8]| {
        let answer = answer(status, body);
        let lookup = adapters::curp_lookup(Document::Omit);
        let verifik = adapters::verifik();
        let foreigner = verifik.read(&adapters::foreigner_lookup(), &answer);
        if let Ok(verified) = &foreigner {
            assert_eq!((status, verified.outcome), (404, Outcome::NotFound));
        }
        [
            foreigner.err(),
            verifik.read_person(&answer, View::Full, None).err(),
            verifik.read_deleted(&answer).err(),
            adapters::youverify()
                .read(&adapters::kenya_lookup(), &answer)
                .err(),
            adapters::accuauth().read(&lookup, &answer).err(),
        ]
    };
    let read = faults(body);
    for (place, failure) in read.iter().enumerate() {
        match failure {
            Some(failure) => {
                failures::is_honest(failure);
                assert_eq!(failure.http_status, Some(status));
            }
            None => assert_eq!(place, 0, "an error answer was taken for a success"),
        }
    }
    if let Some(body) = rewritten(body) {
        assert_eq!(faults(&body), read);
    }
}

fn holds<R: Message + Name + Default + PartialEq>(read: &Result<Verified<R>, Failure>) {
    match read {
        Ok(verified) => {
            let found = verified.outcome == Outcome::Found;
            assert_eq!(
                verified.record.is_some(),
                found,
                "FOUND and a record go together"
            );
            let texts = [&verified.reference, &verified.code, &verified.message];
            for text in texts.into_iter().flatten() {
                assert!(!text.is_empty() && text.trim() == text);
            }
            if let Some(record) = &verified.record {
                records::is_sound(record.as_ref());
            }
        }
        Err(failure) => failures::is_honest(failure),
    }
}

/// The same JSON, written another way, is read the same.
fn depends_on_the_meaning_only<R: PartialEq>(
    data: &[u8],
    read: &Result<Verified<R>, Failure>,
    reader: impl Fn(&[u8]) -> Result<Verified<R>, Failure>,
) {
    if read.is_ok()
        && let Some(body) = rewritten(data)
    {
        same(read, &reader(&body));
    }
}

fn same<R: PartialEq>(one: &Result<Verified<R>, Failure>, other: &Result<Verified<R>, Failure>) {
    let parts = |verified: &Verified<R>| {
        let Verified {
            outcome,
            reference,
            code,
            message,
            billing,
            ..
        } = verified;
        (
            *outcome,
            reference.clone(),
            code.clone(),
            message.clone(),
            *billing,
        )
    };
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert!(
                parts(one) == parts(other) && one.record == other.record,
                "read otherwise"
            );
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        _ => panic!("one can be read and the other cannot"),
    }
}

/// The same JSON with other white space, escapes and order of keys. None if it is no JSON, says a thing twice,
/// or has a number that is not the same when it is written and read once more.
fn rewritten(data: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(data).ok()?;
    let text = serde_json::to_string_pretty(&value).ok()?;
    let stays = serde_json::from_str::<Value>(&text).is_ok_and(|again| again == value);
    (stays && !says_twice(data)).then(|| text.into_bytes())
}

/// Whether an object may have a key twice: then what it means is for each reader to choose. Keys are counted
/// roughly, as colons outside of strings: there is one for each.
fn says_twice(data: &[u8]) -> bool {
    let colons = |text: &str| {
        let (mut colons, mut inside, mut escaped) = (0, false, false);
        for byte in text.bytes() {
            match (byte, inside) {
                _ if escaped => escaped = false,
                (b'\\', true) => escaped = true,
                (b'"', _) => inside = !inside,
                (b':', false) => colons += 1,
                _ => {}
            }
        }
        colons
    };
    let written: Result<&RawValue, _> = serde_json::from_slice(data);
    let value: Result<Value, _> = serde_json::from_slice(data);
    match (written, value) {
        (Ok(written), Ok(value)) => colons(written.get()) != colons(&value.to_string()),
        _ => true,
    }
}
