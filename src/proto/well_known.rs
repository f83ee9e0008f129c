//! Between JSON and the well-known types `google.protobuf.Struct` and `Value`.

use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Number, Value};

/// The largest whole number that f64 holds exactly; above it, JSON gets the float as it is.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

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
pub fn json_object(fields: &Struct) -> Option<Value> {
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
