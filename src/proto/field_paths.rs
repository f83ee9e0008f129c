//! Names of fields: by either of the two forms in which they are written, and back.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// Below how many messages paths are listed: JSON values hold themselves.
const DEEPEST: u8 = 4;

/// A field by its name, in the contract's own form (`given_name`) or in JSON's (`givenName`).
pub(super) fn named(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    let by_name = message.get_field_by_name(name);
    by_name.or_else(|| message.get_field_by_json_name(name))
}

/// The path of the field at these numbers, in names.
#[must_use]
pub fn path(message: &MessageDescriptor, numbers: &[u32]) -> String {
    let mut path = String::new();
    let mut within = Some(message.clone());
    for number in numbers {
        let Some(field) = within.and_then(|message| message.get_field(*number)) else {
            break;
        };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(field.name());
        within = match field.kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        };
    }
    path
}

/// Every path of a message that can be named.
#[must_use]
pub fn paths(message: &MessageDescriptor) -> Vec<String> {
    fn add(message: &MessageDescriptor, before: &str, deep: u8, found: &mut Vec<String>) {
        for field in message.fields() {
            let path = format!("{before}{}", field.name());
            if let Kind::Message(inner) = field.kind()
                && !field.is_list()
                && !field.is_map()
                && deep > 0
            {
                add(&inner, &format!("{path}."), deep - 1, found);
            }
            found.push(path);
        }
    }
    let mut found = Vec::new();
    add(message, "", DEEPEST, &mut found);
    found
}
