//! Between JSON and the well-known types `google.protobuf.Struct` and `Value`.

use prost::Message as _;
use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Number, Value};

/// The largest whole number that f64 holds exactly; above it, JSON gets the float as it is.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

/// What a struct may be that a caller wants back: in bytes as protobuf writes it, members of objects and elements of
/// lists in all, and levels, its own among them.
const MAX_BYTES: usize = 8 * 1024;
const MAX_MEMBERS: usize = 64;
const MAX_LEVELS: usize = 8;

/// The JSON object of a caller's own data.
///
/// # Errors
///
/// The rule that it breaks.
pub fn callers_object(fields: &Struct) -> Result<Value, &'static str> {
    if fields.encoded_len() > MAX_BYTES {
        return Err("must have at most 8 KiB");
    }
    let mut members = 0;
    let mut level = vec![Inner::Object(fields)];
    for _ in 0..MAX_LEVELS {
        let values = level.iter().flat_map(Inner::values);
        members += values.clone().count();
        if members > MAX_MEMBERS {
            return Err("must have at most 64 members");
        }
        level = values.filter_map(Inner::of).collect();
    }
    if !level.is_empty() {
        return Err("must have at most 8 levels");
    }
    json_object(fields).ok_or("must not contain NaN or an infinity")
}

/// A value that has others in it.
enum Inner<'a> {
    Object(&'a Struct),
    List(&'a ListValue),
}

impl<'a> Inner<'a> {
    const fn of(value: &'a prost_types::Value) -> Option<Self> {
        match &value.kind {
            Some(Kind::StructValue(fields)) => Some(Self::Object(fields)),
            Some(Kind::ListValue(list)) => Some(Self::List(list)),
            _ => None,
        }
    }

    fn values(&self) -> impl Iterator<Item = &'a prost_types::Value> + Clone + use<'a> {
        let (fields, list) = match self {
            Self::Object(object) => (Some(object.fields.values()), None),
            Self::List(list) => (None, Some(list.values.iter())),
        };
        fields
            .into_iter()
            .flatten()
            .chain(list.into_iter().flatten())
    }
}

/// A protobuf value of a JSON value.
#[must_use]
pub fn value(json: Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(value).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields.into_iter().map(|(k, v)| (k, value(v))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

/// A JSON object of a protobuf struct; none if it holds a number that JSON cannot write (NaN or an
/// infinity).
#[must_use]
fn json_object(fields: &Struct) -> Option<Value> {
    let pairs = fields.fields.iter();
    let object: Option<Map<_, _>> = pairs.map(|(k, v)| Some((k.clone(), json(v)?))).collect();
    object.map(Value::Object)
}

fn json(value: &prost_types::Value) -> Option<Value> {
    Some(match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(*flag),
        Some(Kind::NumberValue(number)) => Value::Number(json_number(*number)?),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::ListValue(list)) => {
            let values: Option<Vec<_>> = list.values.iter().map(json).collect();
            Value::Array(values?)
        }
        Some(Kind::StructValue(fields)) => json_object(fields)?,
    })
}

fn json_number(number: f64) -> Option<Number> {
    let whole = number.fract() == 0.0 && number.abs() <= MAX_SAFE;
    if whole {
        // Exact: the number is whole and within the range that i64 and f64 share.
        #[allow(clippy::cast_possible_truncation)]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_there_and_back_unchanged() {
        let json: Value = serde_json::json!({
            "text": "é", "whole": 7, "negative": -7, "part": 0.5, "flag": true, "none": null,
            "list": [1, "two", [3.25]], "object": {"deep": {"er": []}},
        });
        let Some(Kind::StructValue(fields)) = value(json.clone()).kind else {
            panic!("not a struct");
        };
        assert_eq!(json_object(&fields), Some(json));
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(serde_json::json!({}), |inner, level| {
            if level % 2 == 0 {
                serde_json::json!({"x": inner})
            } else {
                serde_json::json!([inner])
            }
        })
    }

    #[test]
    fn a_callers_own_object_has_limits() {
        let members = |count: usize| (0..count).map(|n| (n.to_string(), Value::Null)).collect();
        let text = |bytes| serde_json::json!({"text": "x".repeat(bytes)});
        for (json, rule) in [
            (serde_json::json!({}), None),
            (Value::Object(members(64)), None),
            (
                Value::Object(members(65)),
                Some("must have at most 64 members"),
            ),
            (
                serde_json::json!({"a": vec![0; 32], "b": {"c": vec![0; 30]}}),
                Some("must have at most 64 members"),
            ),
            (
                serde_json::json!({"a": vec![0; 31], "b": {"c": vec![0; 30]}}),
                None,
            ),
            (text(8000), None),
            (text(8192), Some("must have at most 8 KiB")),
            (serde_json::json!({"x": nested(7)}), None),
            (
                serde_json::json!({"x": nested(8)}),
                Some("must have at most 8 levels"),
            ),
        ] {
            let Some(Kind::StructValue(fields)) = value(json.clone()).kind else {
                panic!("not a struct");
            };
            assert_eq!(callers_object(&fields).err(), rule, "{json}");
        }
    }

    #[test]
    fn a_number_that_json_cannot_write_is_found() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = prost_types::Value {
                kind: Some(Kind::NumberValue(odd)),
            };
            let fields = [("odd".to_owned(), value)].into();
            assert_eq!(json_object(&Struct { fields }), None);
        }
    }
}
