//! Proto JSON to and from messages that are known only at run time.
//!
//! Requests hold personal data, so an error names the field and what it should be, and never repeats
//! what it was. That is why messages are walked here and only single fields are left to
//! `prost-reflect`, whose errors quote values.
//!
//! A field mask is read more generously than proto JSON: paths may be written as in the proto
//! (`record.given_name`), and the form `{"paths": [...]}` of older tools is taken too.

mod format;

use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
    Value,
};
use serde_json::{Map, Value as Json};

use crate::cli::printable;

/// What is wrong with the JSON of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// Not JSON. The parser's text gives a position and no content.
    #[error("JSON cannot be read: {0}")]
    Syntax(serde_json::Error),
    /// No such field.
    #[error("unknown field `{path}`: {message} has {known}")]
    UnknownField {
        path: String,
        message: String,
        known: String,
    },
    /// A value that does not fit its field.
    #[error("field `{path}` must be {expected}")]
    Value { path: String, expected: String },
    /// The whole request does not fit its type.
    #[error("the request must be {0}")]
    Request(String),
    /// A field under both of its names, or two fields of one oneof.
    #[error("field `{path}` conflicts with another field that is set")]
    Excluded { path: String },
}

/// Parses text; the shape is checked by [`read`].
pub(crate) fn parse(text: &str) -> Result<Json, JsonError> {
    serde_json::from_str(text).map_err(JsonError::Syntax)
}

/// Makes a message of the type `descriptor`. Both `snake_case` and `camelCase` names are known.
pub(crate) fn read(
    descriptor: &MessageDescriptor,
    json: Json,
) -> Result<DynamicMessage, JsonError> {
    message(descriptor, json, "")
}

/// Writes a message as indented proto JSON, with the names of the proto and without unset fields.
pub(crate) fn write(message: &DynamicMessage) -> Result<String, serde_json::Error> {
    let options = SerializeOptions::new().use_proto_field_name(true);
    let mut text = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut text, format::Indented::default());
    message.serialize_with_options(&mut serializer, &options)?;
    Ok(printable::json(&String::from_utf8_lossy(&text)))
}

fn message(
    descriptor: &MessageDescriptor,
    json: Json,
    path: &str,
) -> Result<DynamicMessage, JsonError> {
    let wrong = || misfit(path, shape_of_message(descriptor));
    if descriptor.full_name() == "google.protobuf.FieldMask" {
        return field_mask(descriptor, json).ok_or_else(wrong);
    }
    if descriptor.package_name() == "google.protobuf" {
        return deserialize(descriptor, json).ok_or_else(wrong);
    }
    let Json::Object(entries) = json else {
        return Err(wrong());
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, json) in entries {
        let path = join(path, &name);
        let Some(field) = descriptor
            .get_field_by_json_name(&name)
            .or_else(|| descriptor.get_field_by_name(&name))
        else {
            return Err(unknown(descriptor, path));
        };
        let Some(value) = field_value(descriptor, &field, json, &path)? else {
            continue;
        };
        let excluded = match field.containing_oneof() {
            Some(oneof) => oneof.fields().any(|other| message.has_field(&other)),
            None => message.has_field(&field),
        };
        if excluded {
            return Err(JsonError::Excluded { path });
        }
        message
            .try_set_field(&field, value)
            .map_err(|_| misfit(&path, shape(&field)))?;
    }
    Ok(message)
}

/// The value of one field; none if the JSON is a `null` that means "unset".
fn field_value(
    descriptor: &MessageDescriptor,
    field: &FieldDescriptor,
    json: Json,
    path: &str,
) -> Result<Option<Value>, JsonError> {
    match field.kind() {
        Kind::Message(inner) if !field.is_map() && !json.is_null() => {
            if !field.is_list() {
                return message(&inner, json, path).map(|value| Some(Value::Message(value)));
            }
            let Json::Array(elements) = json else {
                return Err(misfit(path, shape(field)));
            };
            let elements = elements.into_iter().enumerate().map(|(index, element)| {
                message(&inner, element, &format!("{path}[{index}]")).map(Value::Message)
            });
            Ok(Some(Value::List(elements.collect::<Result<_, _>>()?)))
        }
        _ => {
            let one = Map::from_iter([(field.name().to_owned(), json)]);
            let message = deserialize(descriptor, Json::Object(one))
                .ok_or_else(|| misfit(path, shape(field)))?;
            let value = message.get_field(field).into_owned();
            // A scalar without presence reads as unset when it is zero: nothing is lost by leaving it.
            Ok(message.has_field(field).then_some(value))
        }
    }
}

/// `prost-reflect`'s own reading. Its error may quote the value, so it ends here.
fn deserialize(descriptor: &MessageDescriptor, json: Json) -> Option<DynamicMessage> {
    let options = DeserializeOptions::new();
    DynamicMessage::deserialize_with_options(descriptor.clone(), json, &options).ok()
}

fn field_mask(descriptor: &MessageDescriptor, json: Json) -> Option<DynamicMessage> {
    let paths = match json {
        Json::String(text) => text.split(',').map(str::to_owned).collect(),
        Json::Object(mut entries) => {
            let paths = entries.remove("paths");
            match (paths, entries.is_empty()) {
                (Some(paths), true) => serde_json::from_value::<Vec<String>>(paths).ok()?,
                _ => return None,
            }
        }
        _ => return None,
    };
    let paths = paths.iter().map(|path| path.trim());
    let mask = prost_types::FieldMask {
        paths: paths
            .filter(|path| !path.is_empty())
            .map(snake_case)
            .collect(),
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    message.transcode_from(&mask).ok()?;
    Some(message)
}

fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn misfit(path: &str, expected: String) -> JsonError {
    match path {
        "" => JsonError::Request(expected),
        path => JsonError::Value {
            path: path.to_owned(),
            expected,
        },
    }
}

fn unknown(descriptor: &MessageDescriptor, path: String) -> JsonError {
    let known: Vec<_> = descriptor.fields().collect();
    let known: Vec<_> = known.iter().map(FieldDescriptor::name).collect();
    JsonError::UnknownField {
        path,
        message: descriptor.full_name().to_owned(),
        known: match known.is_empty() {
            true => "no fields".to_owned(),
            false => known.join(", "),
        },
    }
}

fn join(path: &str, name: &str) -> String {
    let name = name.escape_debug();
    match path {
        "" => name.to_string(),
        path => format!("{path}.{name}"),
    }
}

fn shape(field: &FieldDescriptor) -> String {
    let one = shape_of_kind(&field.kind());
    if field.is_map() {
        "an object".to_owned()
    } else if field.is_list() {
        format!("a list, each element {one}")
    } else {
        one
    }
}

fn shape_of_kind(kind: &Kind) -> String {
    match kind {
        Kind::String => "a string".to_owned(),
        Kind::Bytes => "a string of base64".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Double | Kind::Float => "a number".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a whole number of 32 bits".to_owned(),
        Kind::Uint32 | Kind::Fixed32 => "a whole number of 32 bits, not negative".to_owned(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a whole number of 64 bits".to_owned(),
        Kind::Uint64 | Kind::Fixed64 => "a whole number of 64 bits, not negative".to_owned(),
        Kind::Message(message) => shape_of_message(message),
        Kind::Enum(kind) => {
            let values: Vec<_> = kind.values().collect();
            let values: Vec<_> = values.iter().map(|value| value.name()).collect();
            format!("one of {}", values.join(", "))
        }
    }
}

fn shape_of_message(message: &MessageDescriptor) -> String {
    match message.full_name() {
        "google.protobuf.Timestamp" => "an instant such as \"2026-01-31T12:00:00Z\"",
        "google.protobuf.Duration" => "a duration in seconds such as \"90s\" or \"0.5s\"",
        "google.protobuf.FieldMask" => {
            "paths joined by commas, such as \"record.name,record.curp\""
        }
        "google.protobuf.ListValue" => "a list",
        "google.protobuf.Value" => "a JSON value",
        name if name.starts_with("google.protobuf.") && name.ends_with("Value") => "a scalar",
        _ => "an object",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
