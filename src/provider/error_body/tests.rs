//! What is read of bodies of every shape.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn sentences_of(body: &[u8]) -> Vec<String> {
    let body = ErrorBody::read(body);
    body.sentences().map(str::to_owned).collect()
}

#[test]
fn sentences_are_found_in_every_shape_of_a_message() {
    for (body, said) in [
        (json!({"message": " one\n"}), &["one"][..]),
        (json!({"message": ["one", "two", 3, null]}), &["one", "two"]),
        (json!({"message": {"message": ["one"]}}), &["one"]),
        (
            json!({"errors": [{"msg": "one", "value": "Jane"}]}),
            &["one"],
        ),
        (
            json!({"message": "one", "details": ["two"]}),
            &["one", "two"],
        ),
        (json!({"message": null}), &[]),
        (json!("one"), &["one"]),
        (json!(["one"]), &["one"]),
        (json!(7), &[]),
    ] {
        let read = sentences_of(body.to_string().as_bytes());
        assert_eq!(read, said, "{body}");
    }
    assert_eq!(sentences_of(b"Insufficient fund"), ["Insufficient fund"]);
    let none: [&[u8]; 4] = [b"", b"<h1>no</h1>", &[0xff, 0xfe], &[b'x'; 600]];
    for body in none {
        assert!(sentences_of(body).is_empty());
    }
}

#[test]
fn only_an_object_is_one() {
    for (body, is_object) in [
        (r#" {"code": "NotFound"} "#, true),
        (r#"["NotFound"]"#, false),
        (r#""NotFound""#, false),
        ("NotFound", false),
        ("{", false),
        ("", false),
    ] {
        assert_eq!(ErrorBody::read(body.as_bytes()).is_object, is_object);
    }
}

#[test]
fn what_is_read_is_bounded() {
    let many = json!({"message": vec!["one"; 1000]});
    assert_eq!(sentences_of(many.to_string().as_bytes()).len(), 32);
    let deep = format!("{{\"message\": {}1{}}}", "[".repeat(100), "]".repeat(100));
    assert!(sentences_of(deep.as_bytes()).is_empty());
    let large = json!({"message": "x".repeat(MAX_BYTES)});
    assert!(sentences_of(large.to_string().as_bytes()).is_empty());
}

proptest! {
    #[test]
    fn no_body_is_too_odd(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _read = ErrorBody::read(&body);
    }

    /// From 500 on nothing is free but what says that nobody was reached.
    #[test]
    fn a_status_that_leaves_the_outcome_open_is_told_so(status in 100_u16..1000) {
        let kind = kind_of_status(status);
        let failure = refused(Provider::Verifik, status, kind, None);
        let open = (status >= 500 && !reached_nobody(status)) || status == 408;
        prop_assert!(!open || failure.billing == Some(Billing::Unknown));
        prop_assert!(!open || !failure.is_safe_to_repeat());
        prop_assert!(!reached_nobody(status) || kind == Kind::ProviderDown);
    }
}
