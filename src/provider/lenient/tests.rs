//! One value in every shape that JSON has.

use serde_json::{Value, json};

use super::*;

fn every_value() -> Vec<Value> {
    vec![
        Value::Null,
        json!(""),
        json!(" "),
        json!("NotSpecified"),
        json!("not_available"),
        json!("NOTSPECIFIED"),
        json!("7"),
        json!(" x "),
        json!(7),
        json!(-7),
        json!(7.0),
        json!(7.5),
        json!(u64::MAX),
        json!(true),
        json!("FALSE"),
        json!(["a", 1, null, ["b"], {"c": 1}]),
        json!({"a": {"b": [1]}}),
    ]
}

#[test]
fn a_text_is_read_out_of_any_value() {
    let read: Vec<_> = every_value()
        .into_iter()
        .map(|value| text(value).unwrap())
        .collect();
    let expected = [
        None,
        None,
        None,
        None,
        None,
        None,
        Some("7"),
        Some(" x "),
        Some("7"),
        Some("-7"),
        Some("7"),
        Some("7.5"),
        None,
        Some("true"),
        Some("FALSE"),
        None,
        None,
    ];
    assert_eq!(
        read.iter().map(Option::as_deref).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(trimmed(json!(" x ")).unwrap().as_deref(), Some("x"));
}

#[test]
fn an_integer_is_read_out_of_any_value() {
    let read: Vec<_> = every_value()
        .into_iter()
        .map(|value| integer(value).unwrap())
        .collect();
    let seven = Some(7);
    let expected = [
        None,
        None,
        None,
        None,
        None,
        None,
        seven,
        None,
        seven,
        Some(-7),
        seven,
        None,
        None,
        None,
        None,
        None,
        None,
    ];
    assert_eq!(read, expected);
    assert_eq!(integer(json!(i64::MAX)).unwrap(), None);
    assert_eq!(integer(json!(1e300)).unwrap(), None);
}

#[test]
fn numbers_and_flags_are_read_out_of_texts_too() {
    for (value, expected) in [
        (json!(0.95), Some(0.95)),
        (json!("0.95"), Some(0.95)),
        (json!(1), Some(1.0)),
        (json!("NaN"), None),
        (json!("inf"), None),
        (json!(null), None),
        (json!([1]), None),
    ] {
        assert_eq!(number(value.clone()).unwrap(), expected, "{value}");
    }
    for (value, expected) in [
        (json!(true), Some(true)),
        (json!("true"), Some(true)),
        (json!("False"), Some(false)),
        (json!(0), Some(false)),
        (json!(1), Some(true)),
        (json!(2), None),
        (json!("yes"), None),
        (json!(null), None),
    ] {
        assert_eq!(flag(value.clone()).unwrap(), expected, "{value}");
    }
}

#[test]
fn lists_objects_dates_and_instants_are_none_where_the_shape_is_another() {
    for value in every_value() {
        let list = texts(value.clone()).unwrap();
        match &value {
            Value::Array(_) => assert_eq!(list, ["a", "1"]),
            Value::String(text) if means_something(text) => assert_eq!(list, [text.as_str()]),
            _ => assert!(list.is_empty(), "{value}"),
        }
        let read: Option<Value> = object(value.clone()).unwrap();
        assert_eq!(read, value.is_object().then(|| value.clone()), "{value}");
        assert_eq!(date(value.clone()).unwrap(), None, "{value}");
        assert_eq!(instant(value.clone()).unwrap(), None, "{value}");
    }
    assert_eq!(
        date(json!("16/08/1993")).unwrap().as_deref(),
        Some("1993-08-16")
    );
    for (text, expected) in [
        (
            "2023-08-30T05:39:15.781Z",
            Some((1_693_373_955, 781_000_000)),
        ),
        // A protobuf Timestamp counts its nanoseconds forward.
        ("1969-12-31T23:59:59.25Z", Some((-1, 250_000_000))),
        ("2023-08-30T05:39:15.000+0000", Some((1_693_373_955, 0))),
        ("2023-08-30 08:39:15 +03:00", Some((1_693_373_955, 0))),
        // Nobody knows which instant that is.
        ("2023-08-30T05:39:15", None),
        // What programs print that have none.
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+03:00", None),
        ("9999-12-31T23:59:59.9999999Z", None),
        ("0000-12-31T23:59:59.9Z", None),
        ("-000753-04-21T00:00:00Z", None),
    ] {
        let at = instant(json!(text)).unwrap();
        assert_eq!(at.map(|at| (at.seconds, at.nanos)), expected, "{text}");
    }
}

#[test]
fn a_count_is_whole_and_not_negative() {
    for (value, expected) in [
        (json!(10), Some(10)),
        (json!(10.0), Some(10)),
        (json!("10"), Some(10)),
        (json!(" 10 "), Some(10)),
        (json!("10.0"), Some(10)),
        (json!("10.00"), Some(10)),
        (json!("1,024"), Some(1024)),
        (json!("1,024.0"), Some(1024)),
        (json!("1,000,000"), Some(1_000_000)),
        (json!(0), Some(0)),
        (json!("0.0"), Some(0)),
        (json!("10.5"), None),
        (json!("1.024"), None),
        (json!(10.5), None),
        (json!(-1), None),
        (json!("-1"), None),
        (json!(-1.0), None),
        (json!("10,0"), None),
        (json!("10,24"), None),
        (json!("1,0240"), None),
        (json!(",024"), None),
        (json!("1,,024"), None),
        (json!("10."), None),
        (json!(".0"), None),
        (json!("1e3"), None),
        (json!("10 contracts"), None),
        (json!("99999999999"), None),
        (json!(""), None),
        (json!(null), None),
        (json!(true), None),
        (json!([10]), None),
    ] {
        assert_eq!(count(value.clone()).unwrap(), expected, "{value}");
    }
    assert_eq!(integer(json!("1.0")).unwrap(), Some(1));
    assert_eq!(integer(json!("-1.0")).unwrap(), Some(-1));
    assert_eq!(
        date(json!(19_910_418)).unwrap().as_deref(),
        Some("1991-04-18")
    );
}
