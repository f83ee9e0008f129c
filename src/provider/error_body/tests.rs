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

mod watched {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        text: Option<String>,
        list: Vec<Inner>,
        inner: Option<Inner>,
        value: Option<serde_json::Value>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        number: i32,
    }

    fn read<'a, T: Deserialize<'a>>(json: &'a [u8], is_sampled: bool) -> Option<(T, bool)> {
        let answer = Answer {
            status: 200,
            retry_after: None,
            body: Vec::new().into(),
            is_sampled,
        };
        let read = parse_watched(Provider::Verifik, &answer, json);
        read.ok().map(|(read, drift)| (read, drift.field))
    }

    #[test]
    fn a_field_that_nobody_reads_is_noticed_at_any_depth_of_a_sampled_answer() {
        for (json, expected) in [
            ("{}", false),
            (
                r#"{"text":"a","inner":{"number":-7},"list":[{"number":1}]}"#,
                false,
            ),
            (r#"{"text":null,"value":{"any":[1,{"thing":2.5}]}}"#, false),
            (r#"{"other":1}"#, true),
            (r#"{"inner":{"other":{}}}"#, true),
            (r#"{"list":[{"number":1},{"other":null}]}"#, true),
        ] {
            let plain: Outer = serde_json::from_str(json).unwrap();
            let (sampled, noticed) = read(json.as_bytes(), true).unwrap();
            assert_eq!((&plain, expected), (&sampled, noticed), "{json}");
            assert_eq!(read(json.as_bytes(), false), Some((plain, false)), "{json}");
        }
    }

    #[test]
    fn what_is_broken_is_malformed_sampled_or_not() {
        for json in ["", "{", "{} x", r#"{"text":}"#, "[1", "7"] {
            for sampled in [true, false] {
                assert_eq!(read::<Outer>(json.as_bytes(), sampled), None, "{json}");
            }
        }
        assert_eq!(read::<Outer>(b"{\"text\":\"\xff\"}", true), None);
    }

    #[test]
    fn raw_values_are_borrowed() {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            raw: Option<&'a RawValue>,
        }
        let (raw, noticed) = read::<Raw<'_>>(br#"{"raw":"a\/b"}"#, true).unwrap();
        assert_eq!(raw.raw.unwrap().get(), r#""a\/b""#);
        assert!(!noticed);
    }
}
