//! What holds for every message that is made of a provider's answer.

use identity_gateway::proto;
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

/// Seconds of the first and the last instant that a `google.protobuf.Timestamp` may hold.
const TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The message survives the wire, its dates are dates and its instants are instants.
pub fn is_sound<M: Message + Name + Default + PartialEq>(message: &M) {
    let bytes = message.encode_to_vec();
    let again = M::decode(bytes.as_slice()).expect("what was encoded can be decoded");
    assert!(again == *message, "the message changed on the wire");
    let descriptor = proto::descriptors()
        .get_message_by_name(&M::full_name())
        .expect("a message of the contract");
    let fields = DynamicMessage::decode(descriptor, bytes.as_slice()).expect("the same message");
    walk(&fields);
}

fn walk(message: &DynamicMessage) {
    if message.descriptor().full_name() == "google.protobuf.Timestamp" {
        return is_timestamp(message);
    }
    for (field, value) in message.fields() {
        match value {
            Value::String(text) if is_date_field(field.name()) => {
                assert!(is_date(text), "{field:?}")
            }
            Value::F64(number) => assert!(number.is_finite(), "{field:?}"),
            Value::Message(inner) => walk(inner),
            Value::List(items) => items.iter().filter_map(Value::as_message).for_each(walk),
            _ => {}
        }
    }
}

fn is_date_field(name: &str) -> bool {
    name == "birthdate" || name.ends_with("_on")
}

/// `YYYY-MM-DD`, of a year that every language's dates can hold.
fn is_date(text: &str) -> bool {
    let year = text.get(..4).and_then(|year| year.parse().ok());
    text.len() == 10
        && year.is_some_and(|year: u16| (1..2200).contains(&year))
        && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_timestamp(message: &DynamicMessage) {
    let field = |name| {
        message
            .get_field_by_name(name)
            .map(|value| value.into_owned())
    };
    let seconds = field("seconds").and_then(|value| value.as_i64());
    let nanos = field("nanos").and_then(|value| value.as_i32());
    assert!(
        seconds.is_some_and(|seconds| TIMESTAMPS.contains(&seconds)),
        "{seconds:?}"
    );
    assert!(
        nanos.is_some_and(|nanos| (0..1_000_000_000).contains(&nanos)),
        "{nanos:?}"
    );
}
