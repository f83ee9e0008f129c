//! What callers send beside numbers: page tokens and field masks.

use std::collections::BTreeSet;

use identity_gateway::{
    domain::page_token::PageToken,
    proto::fields::Filtered,
    proto::{
        self,
        identity::v1::{CheckCurpResponse, ScrubKenyaIdResponse, VerifyPeForeignerIdResponse},
    },
    service::mask::ReadMask,
    sharing::Handles,
};
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, Kind, MapKey, MessageDescriptor, Value};
use prost_types::FieldMask;

/// Page tokens: there is one text for each, and only what was made here is read.
pub fn page_tokens(data: &[u8]) {
    let handles = Handles::new(b"a key for fuzzing", []);
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(handles.page(text).is_none(), "a page token was forged");
    }
    if let Some(token) = PageToken::decode(data) {
        assert_eq!(token.encode(), data);
        assert_eq!(handles.page(&handles.page_text(&token)), Some(token));
    }
}

/// Field masks: the first byte picks the reply, each line after it is a path.
pub fn field_masks(data: &[u8]) {
    let Some((pick, paths)) = data.split_first() else {
        return;
    };
    let Ok(paths) = std::str::from_utf8(paths) else {
        return;
    };
    let paths: Vec<String> = paths.lines().take(12).map(str::to_owned).collect();
    match pick % 3 {
        0 => mask::<VerifyPeForeignerIdResponse>(paths),
        1 => mask::<ScrubKenyaIdResponse>(paths),
        _ => mask::<CheckCurpResponse>(paths),
    }
}

/// A mask never widens: of a reply in which every field is set, exactly the named ones are left.
fn mask<M: Filtered + Message + Name + Default + PartialEq + Clone>(paths: Vec<String>) {
    let descriptor = proto::descriptors()
        .get_message_by_name(&M::full_name())
        .expect("a reply of the contract");
    let everything = paths.is_empty() || paths == ["*"];
    let read = ReadMask::of::<M>(Some(&FieldMask {
        paths: paths.clone(),
    }));
    let right = everything || paths.iter().all(|path| names_a_field(&descriptor, path));
    assert_eq!(read.is_ok(), right, "a wrong path is refused, and no other");
    let Ok(mask) = read else {
        return;
    };
    let full = filled(&descriptor);
    let reply: M = full.transcode_to().expect("the same message");
    let masked = mask.apply(reply);
    let left = leaves_of(&masked, &descriptor);
    let wanted = |leaf: &str| everything || paths.iter().any(|path| covers(path, leaf));
    for leaf in leaves(&full) {
        assert_eq!(left.contains(&leaf), wanted(&leaf), "{leaf}");
        if wanted(&leaf) {
            assert!(mask.wants(&numbers(&descriptor, &leaf)), "{leaf}");
        }
    }
    // What is left besides is the empty shell of a message that a path goes through.
    for leaf in &left {
        let shell = format!("{leaf}.");
        assert!(
            wanted(leaf) || paths.iter().any(|path| path.starts_with(&shell)),
            "{leaf}"
        );
    }
    assert!(
        mask.apply(masked.clone()) == masked,
        "a mask changes what it has masked"
    );
}

fn covers(path: &str, leaf: &str) -> bool {
    leaf.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `google.protobuf.FieldMask`: names of fields through singular messages.
fn names_a_field(message: &MessageDescriptor, path: &str) -> bool {
    let (name, rest) = path
        .split_once('.')
        .map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (message.get_field_by_name(name), rest) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(field), Some(rest)) => match field.kind() {
            Kind::Message(inner) if !field.is_list() && !field.is_map() => {
                names_a_field(&inner, rest)
            }
            _ => false,
        },
    }
}

fn numbers(message: &MessageDescriptor, leaf: &str) -> Vec<u32> {
    let mut message = Some(message.clone());
    let mut numbers = Vec::new();
    for name in leaf.split('.') {
        let field = message.and_then(|message| message.get_field_by_name(name));
        let field = field.expect("a field of the message");
        numbers.push(field.number());
        message = field.kind().as_message().cloned();
    }
    numbers
}

/// A message with a value in every field.
fn filled(descriptor: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let of_choice = field
            .containing_oneof()
            .filter(|choice| !choice.is_synthetic());
        if of_choice.is_some_and(|choice| choice.fields().next().as_ref() != Some(&field)) {
            continue;
        }
        let one = match field.kind() {
            Kind::Double => Value::F64(0.5),
            Kind::Float => Value::F32(0.5),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(7),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(7),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(7),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(7),
            Kind::Bool => Value::Bool(true),
            Kind::String => Value::String("text".to_owned()),
            Kind::Bytes => Value::Bytes(bytes::Bytes::from_static(b"bytes")),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::Message(_) if field.is_map() => Value::Bool(true),
            Kind::Message(inner) if field.is_list() => Value::Message(DynamicMessage::new(inner)),
            Kind::Message(inner) => Value::Message(filled(&inner)),
        };
        let value = if field.is_map() {
            let entry = field
                .kind()
                .as_message()
                .map(MessageDescriptor::map_entry_value_field);
            match entry.map(|value| value.kind()) {
                Some(Kind::Message(inner)) => {
                    let value = Value::Message(DynamicMessage::new(inner));
                    Value::Map([(MapKey::String("key".to_owned()), value)].into())
                }
                _ => continue,
            }
        } else if field.is_list() {
            Value::List(vec![one])
        } else {
            one
        };
        message.set_field(&field, value);
    }
    message
}

fn leaves_of<M: Message>(message: &M, descriptor: &MessageDescriptor) -> BTreeSet<String> {
    let mut dynamic = DynamicMessage::new(descriptor.clone());
    dynamic.transcode_from(message).expect("the same message");
    leaves(&dynamic)
}

/// The paths of the fields that are set and have no field of their own that is.
fn leaves(message: &DynamicMessage) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (field, value) in message.fields() {
        let below = value.as_message().map(leaves).unwrap_or_default();
        if below.is_empty() {
            found.insert(field.name().to_owned());
        }
        found.extend(below.iter().map(|path| format!("{}.{path}", field.name())));
    }
    found
}
