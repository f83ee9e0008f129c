//! What can stand next on `call`'s command line, by the contract that this program was built with: names of methods, and
//! inside the request its fields, the values of enums, and the paths of a field mask. Nobody is asked: a Tab calls nothing.
//!
//! The request may end anywhere. What was typed is kept as it is, and each candidate is the whole of it with something
//! appended. An empty request is offered with every field that a request may have empty, so that sending it as it is
//! looks up nobody and costs nothing.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use super::{
    describe,
    method::MethodName,
    partial_json::{At, Level, Partial},
};
use crate::proto;

/// Something that may stand there, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub value: String,
    pub about: String,
}

impl Candidate {
    fn new(value: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            about: about.into(),
        }
    }
}

/// The contract's methods: bare, and in full once that has been begun.
pub(crate) fn methods(typed: &str) -> Vec<Candidate> {
    let methods = own_services().flat_map(|service| Vec::from_iter(service.methods()));
    let (bare, full): (Vec<_>, Vec<_>) = methods
        .map(|method| {
            let about =
                describe::first_words(&method.parent_service().parent_file(), method.path());
            let full = describe::spelled(&method);
            (
                Candidate::new(method.name(), about.clone()),
                Candidate::new(full, about),
            )
        })
        .unzip();
    let fits = |one: &Candidate| one.value.starts_with(typed);
    match bare.iter().any(fits) {
        true => bare,
        false => full,
    }
}

/// The contract's services, in full.
pub(crate) fn services() -> Vec<Candidate> {
    let about = |service: &prost_reflect::ServiceDescriptor| {
        describe::first_words(&service.parent_file(), service.path())
    };
    own_services()
        .map(|service| Candidate::new(service.full_name(), about(&service)))
        .collect()
}

/// Everything of the contract that `--describe` knows.
pub(crate) fn symbols() -> Vec<Candidate> {
    let names = describe::names(proto::descriptors()).into_iter();
    let own = names.filter(|name| name.starts_with("idgw."));
    own.map(|name| Candidate::new(name, "")).collect()
}

fn own_services() -> impl Iterator<Item = prost_reflect::ServiceDescriptor> {
    let services = proto::descriptors().services();
    services.filter(|service| service.package_name().starts_with("idgw."))
}

/// What the request of a method may go on with; nothing if the method is none of the contract.
pub(crate) fn request(method: &str, typed: &str) -> Vec<Candidate> {
    let method = MethodName::parse(method).ok();
    let Some(method) = method.and_then(|name| name.own()) else {
        return Vec::new();
    };
    if typed.trim().is_empty() {
        let empty = format!("{{{}}}", skeleton(&method.input()).join(", "));
        return vec![Candidate::new(empty, method.input().name())];
    }
    let partial = Partial::read(&method.input(), typed);
    let Some(level) = partial.levels.last() else {
        return Vec::new();
    };
    match partial.at {
        At::Key(from) => keys(level, "", typed, from),
        At::Colon => {
            let opener = level.field.as_ref().map(opener).unwrap_or_default();
            vec![Candidate::new(format!("{typed}: {opener}"), "")]
        }
        At::Value(from) => values(level, &method, typed, from),
        At::Next => next(level, typed),
        At::Nowhere => Vec::new(),
    }
}

/// The names of an object's fields that it does not have yet, from the quote on.
fn keys(level: &Level, before: &str, typed: &str, from: usize) -> Vec<Candidate> {
    let (kept, begun) = typed.split_at_checked(from).unwrap_or((typed, ""));
    let space = if kept.ends_with([',', ':']) { " " } else { "" };
    let begun = begun.strip_prefix('"').unwrap_or(begun);
    let fields = level
        .message
        .iter()
        .flat_map(|message| Vec::from_iter(message.fields()));
    let free = |field: &FieldDescriptor| {
        !level
            .seen
            .iter()
            .any(|name| name == field.name() || name == field.json_name())
    };
    fields
        .filter(|field| free(field) && field.name().starts_with(begun))
        .map(|field| {
            let value = format!(
                "{kept}{space}{before}\"{}\": {}",
                field.name(),
                opener(&field)
            );
            let file = field.parent_message().parent_file();
            Candidate::new(value, describe::first_words(&file, field.path()))
        })
        .collect()
}

/// After a value: the end of what it stands in, and the fields that may follow.
fn next(level: &Level, typed: &str) -> Vec<Candidate> {
    let kept = typed.trim_end();
    let closer = if level.is_list { "]" } else { "}" };
    let mut found = vec![Candidate::new(format!("{kept}{closer}"), "")];
    if !level.is_list {
        found.extend(keys(level, ", ", kept, kept.len()));
    }
    found
}

fn values(level: &Level, method: &MethodDescriptor, typed: &str, from: usize) -> Vec<Candidate> {
    let (kept, begun) = typed.split_at_checked(from).unwrap_or((typed, ""));
    let space = if kept.ends_with([',', ':']) { " " } else { "" };
    let Some(field) = &level.field else {
        return Vec::new();
    };
    if field.is_list() && !level.is_list {
        let opened = begun
            .is_empty()
            .then(|| Candidate::new(format!("{kept}{space}["), ""));
        return opened.into_iter().collect();
    }
    let of = |words: Vec<(String, String)>| {
        let fit = words
            .into_iter()
            .filter(|(word, _)| word.starts_with(begun));
        fit.map(|(word, about)| Candidate::new(format!("{kept}{space}{word}"), about))
            .collect()
    };
    match field.kind() {
        Kind::Bool => of(["true", "false"]
            .map(|word| (word.to_owned(), String::new()))
            .into()),
        Kind::Enum(kind) => {
            // The first says that nothing was said.
            let named = kind.values().filter(|value| value.number() != 0);
            let about = |path: &[i32]| describe::first_words(&kind.parent_file(), path);
            of(named
                .map(|value| (format!("\"{}\"", value.name()), about(value.path())))
                .collect())
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.FieldMask" => {
            mask(&method.output(), &format!("{kept}{space}"), begun)
        }
        _ if begun.is_empty() => of(vec![(opener(field).to_owned(), String::new())]),
        _ => Vec::new(),
    }
}

/// The path behind the last comma: fields of the reply, and of the field that has been named so far.
fn mask(reply: &MessageDescriptor, kept: &str, begun: &str) -> Vec<Candidate> {
    let paths = begun.strip_prefix('"').unwrap_or(begun);
    let (before, path) = paths
        .rsplit_once(',')
        .map_or(("", paths), |(before, path)| {
            (paths.get(..=before.len()).unwrap_or(before), path)
        });
    let (parent, last) = path.rsplit_once('.').map_or(("", path), |(parent, last)| {
        (path.get(..=parent.len()).unwrap_or(parent), last)
    });
    let mut message = Some(reply.clone());
    for name in parent.split('.').filter(|name| !name.is_empty()) {
        let field = message.and_then(|message| message.get_field_by_name(name.trim()));
        message = field.and_then(|field| inner(&field));
    }
    let fields = message
        .iter()
        .flat_map(|message| Vec::from_iter(message.fields()));
    fields
        .filter(|field| field.name().starts_with(last.trim()))
        .map(|field| {
            let file = field.parent_message().parent_file();
            let value = format!("{kept}\"{before}{parent}{}", field.name());
            Candidate::new(value, describe::first_words(&file, field.path()))
        })
        .collect()
}

/// The message that stands in a field, if its fields can be named.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_map() && !field.is_list() => Some(message),
        _ => None,
    }
    .filter(|message| message.package_name() != "google.protobuf")
}

/// Every field that may be empty, with its emptiest value.
fn skeleton(message: &MessageDescriptor) -> Vec<String> {
    let fields = message.fields().filter_map(|field| {
        let value = match field.kind() {
            _ if field.is_list() || field.is_map() => return None,
            Kind::String => "\"\"".to_owned(),
            Kind::Bool => "false".to_owned(),
            Kind::Enum(kind) => format!(
                "\"{}\"",
                kind.values().find(|one| one.number() != 0)?.name()
            ),
            Kind::Message(_) => inner(&field).map(|_| "{}".to_owned())?,
            // What is unset, and no base64 of nothing.
            Kind::Bytes => return None,
            _ => "0".to_owned(),
        };
        Some(format!("\"{}\": {value}", field.name()))
    });
    fields.collect()
}

/// How a field's value begins.
fn opener(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        _ if field.is_list() => "[",
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.FieldMask"
            | "google.protobuf.Duration"
            | "google.protobuf.Timestamp" => "\"",
            "google.protobuf.Value" => "",
            _ => "{",
        },
        Kind::String | Kind::Bytes | Kind::Enum(_) => "\"",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(method: &str, typed: &str) -> Vec<String> {
        request(method, typed)
            .into_iter()
            .map(|one| one.value)
            .collect()
    }

    #[test]
    fn an_empty_request_is_offered_with_what_may_be_empty_and_consents_to_nothing() {
        assert_eq!(
            offered("ScrubKenyaId", ""),
            [
                r#"{"id": "", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": false, "request_id": ""}"#
            ]
        );
        for service in own_services() {
            for method in service.methods() {
                let [empty] = offered(method.name(), "").try_into().unwrap();
                let json = serde_json::from_str(&empty).unwrap();
                super::super::json::read(&method.input(), json)
                    .unwrap_or_else(|error| panic!("{empty}: {error}"));
            }
        }
    }

    #[test]
    fn a_request_goes_on_with_what_the_contract_has_there() {
        for (method, typed, goes_on) in [
            ("CheckCurp", r#"{"cu"#, &[r#"{"curp": ""#][..]),
            (
                "idgw.identity.v1.IdentityService/CheckCurp",
                r#"{"cu"#,
                &[r#"{"curp": ""#],
            ),
            ("CheckCurp", r#"{"curp"#, &[r#"{"curp": ""#]),
            ("CheckCurp", r#"{"curp""#, &[r#"{"curp": ""#]),
            ("CheckCurp", r#"{"curp":"#, &[r#"{"curp": ""#]),
            ("CheckCurp", r#"{"curp": "X"#, &[]),
            (
                "CheckCurp",
                r#"{"curp": "X", "inc"#,
                &[r#"{"curp": "X", "include_document": "#],
            ),
            // Under either of its names a field is there but once.
            ("CheckCurp", r#"{"includeDocument": true,"inc"#, &[]),
            (
                "CheckCurp",
                r#"{"curp": "a\"b{", "max"#,
                &[r#"{"curp": "a\"b{", "max_age": ""#],
            ),
            (
                "CheckCurp",
                r#"{"include_document": t"#,
                &[r#"{"include_document": true"#],
            ),
            (
                "ScrubKenyaId",
                r#"{"id_type":"KENYA_ID_TYPE_P"#,
                &[r#"{"id_type": "KENYA_ID_TYPE_PASSPORT""#],
            ),
            (
                "CheckCurp",
                r#"{"read_mask": "record.status,verification.out"#,
                &[r#"{"read_mask": "record.status,verification.outcome"#],
            ),
            (
                "CheckCurp",
                r#"{"read_mask": "re"#,
                &[r#"{"read_mask": "record"#],
            ),
            (
                "UpdatePerson",
                r#"{"person": {"ema"#,
                &[r#"{"person": {"email": ""#],
            ),
            ("UpdatePerson", r#"{"per"#, &[r#"{"person": {"#]),
            ("ScrubKenyaId", r#"{"metadata": {"a": {"b"#, &[]),
            (
                "ScrubKenyaId",
                r#"{"metadata": {"a": [1, {"b": 2}]}, "subj"#,
                &[r#"{"metadata": {"a": [1, {"b": 2}]}, "subject_consent": "#],
            ),
            ("CheckCurp", r#"{"curp": "X"}"#, &[]),
            ("CheckCurp", "curp", &[]),
            ("CheckCurp", r#"{"curp" "X", "#, &[]),
            ("NoSuchMethod", "", &[]),
            ("grpc.health.v1.Health/Check", "", &[]),
        ] {
            assert_eq!(offered(method, typed), goes_on, "{method} {typed}");
        }
    }

    #[test]
    fn after_a_value_comes_the_end_or_another_field() {
        let found = offered("CheckCurp", r#"{"curp": "X""#);
        assert_eq!(
            found[..2],
            [r#"{"curp": "X"}"#, r#"{"curp": "X", "include_document": "#]
        );
        assert_eq!(
            offered("CheckCurp", r#"{"curp": "X", "#).len() + 1,
            found.len()
        );
        assert_eq!(
            offered("UpdatePerson", r#"{"person": {"id": "a"}"#)[0],
            r#"{"person": {"id": "a"}}"#
        );
    }

    /// A Tab is pressed anywhere.
    #[test]
    fn wherever_a_request_ends_what_was_typed_is_kept() {
        let whole = r#"{"id": "1é\u00e9\"", "id_type": "KENYA_ID_TYPE_PASSPORT", "subject_consent": true, "metadata": {"a": [1, [], {}, "x"]}, "max_age": "5s", "read_mask": "verification.id,metadata"}"#;
        for (at, _) in whole.char_indices() {
            for candidate in offered("ScrubKenyaId", &whole[..at]) {
                let plain = |text: &str| text.replace(' ', "");
                assert!(
                    plain(&candidate).starts_with(&plain(&whole[..at])),
                    "{candidate} {at}"
                );
            }
        }
    }

    #[test]
    fn methods_are_offered_bare_and_in_full_once_that_is_begun() {
        let names = |typed| {
            methods(typed)
                .into_iter()
                .map(|one| one.value)
                .collect::<Vec<_>>()
        };
        assert!(names("").contains(&"CheckCurp".to_owned()));
        assert_eq!(names("Ch"), names(""));
        let full = names("idgw.");
        assert!(full.contains(&"idgw.identity.v1.IdentityService/CheckCurp".to_owned()));
        assert_eq!(full.len(), names("").len());
        assert!(methods("").iter().all(|one| !one.about.is_empty()));
        assert!(
            services()
                .iter()
                .any(|one| one.value == "idgw.person.v1.PersonService")
        );
    }
}
