//! `--list` and `--describe`: what a server has, by its reflection; one that offers none is taken to have this program's own
//! contract. A description reads like the proto file that it is made of, comments included.

use std::fmt::Write as _;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};

use super::{
    failure::Failure,
    reflect::{ReflectError, Reflection},
};
use crate::{cli::printable, nearest::nearest, proto};

/// What has a name.
enum Symbol {
    Service(ServiceDescriptor),
    Method(MethodDescriptor),
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

/// Each method on a line, as `call` takes it.
pub(super) async fn list(server: &mut Reflection, only: Option<&str>) -> Result<String, Failure> {
    let pool = pool(server).await?;
    let services = pool.services().filter(|service| {
        only.is_none_or(|only| service.full_name() == only || service.name() == only)
    });
    let mut lines: Vec<String> = services
        .flat_map(|service| Vec::from_iter(service.methods().map(|method| spelled(&method))))
        .collect();
    if let (Some(only), true) = (only, lines.is_empty()) {
        let known: Vec<_> = pool
            .services()
            .map(|one| one.full_name().to_owned())
            .collect();
        return Err(unknown("service", only, &known));
    }
    lines.sort();
    Ok(shown(&lines.join("\n")))
}

/// What the name is: with `package.` or without, a method also with `/`.
pub(super) async fn describe(server: &mut Reflection, name: &str) -> Result<String, Failure> {
    let pool = pool(server).await?;
    let asked = name.trim_start_matches('/').replace('/', ".");
    let all = symbols(&pool);
    let mut found: Vec<_> = all.iter().filter(|(full, _)| *full == asked).collect();
    if found.is_empty() {
        let last = |full: &str| full.rsplit('.').next().is_some_and(|last| last == asked);
        found = all.iter().filter(|(full, _)| last(full)).collect();
    }
    match found.as_slice() {
        [(_, symbol)] => Ok(shown(text(symbol).trim_end())),
        [] => {
            let names: Vec<_> = all.iter().map(|(full, _)| full.clone()).collect();
            Err(unknown("service, method, message or enum", name, &names))
        }
        several => {
            let names: Vec<_> = several.iter().map(|(full, _)| full.as_str()).collect();
            Err(Failure::Usage(format!(
                "`{name}` is ambiguous; use one of: {}",
                names.join(", ")
            )))
        }
    }
}

async fn pool(server: &mut Reflection) -> Result<DescriptorPool, Failure> {
    match server.pool().await {
        Ok(pool) => Ok(pool),
        Err(ReflectError::NotOffered) => Ok(proto::descriptors().clone()),
        Err(error) => Err(error.into()),
    }
}

fn unknown(what: &str, name: &str, known: &[String]) -> Failure {
    let last = |full: &String| full.rsplit('.').next().unwrap_or_default().to_owned();
    let meant =
        nearest(name, known.iter().cloned()).or_else(|| nearest(name, known.iter().map(last)));
    Failure::Usage(match meant {
        Some(meant) => format!("the server has no {what} `{name}`; did you mean {meant}?"),
        None => format!("the server has no {what} `{name}`; --list lists its methods"),
    })
}

/// The full names of everything that can be described.
pub(super) fn names(pool: &DescriptorPool) -> Vec<String> {
    symbols(pool).into_iter().map(|(name, _)| name).collect()
}

/// Everything that can be described, by its full name.
fn symbols(pool: &DescriptorPool) -> Vec<(String, Symbol)> {
    let mut all = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            all.push((method.full_name().to_owned(), Symbol::Method(method)));
        }
        all.push((service.full_name().to_owned(), Symbol::Service(service)));
    }
    for message in pool
        .all_messages()
        .filter(|message| !message.is_map_entry())
    {
        all.push((message.full_name().to_owned(), Symbol::Message(message)));
    }
    for one in pool.all_enums() {
        all.push((one.full_name().to_owned(), Symbol::Enum(one)));
    }
    all
}

fn text(symbol: &Symbol) -> String {
    let mut text = String::new();
    match symbol {
        Symbol::Service(service) => {
            comment(&mut text, &service.parent_file(), service.path(), "");
            line(
                &mut text,
                format_args!("service {} {{", service.full_name()),
            );
            for method in service.methods() {
                rpc(&mut text, &method, "  ");
            }
            text.push_str("}\n");
        }
        Symbol::Method(method) => {
            line(&mut text, format_args!("// {}", spelled(method)));
            rpc(&mut text, method, "");
            text.push('\n');
            message(&mut text, &method.input());
            if method.output() != method.input() {
                text.push('\n');
                message(&mut text, &method.output());
            }
        }
        Symbol::Message(one) => message(&mut text, one),
        Symbol::Enum(one) => {
            comment(&mut text, &one.parent_file(), one.path(), "");
            line(&mut text, format_args!("enum {} {{", one.full_name()));
            for value in one.values() {
                comment(&mut text, &one.parent_file(), value.path(), "  ");
                line(
                    &mut text,
                    format_args!("  {} = {};", value.name(), value.number()),
                );
            }
            text.push_str("}\n");
        }
    }
    text
}

/// As `call` takes it.
pub(super) fn spelled(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn rpc(text: &mut String, method: &MethodDescriptor, indent: &str) {
    let streams = |streams: bool| if streams { "stream " } else { "" };
    let file = method.parent_service().parent_file();
    comment(text, &file, method.path(), indent);
    line(
        text,
        format_args!(
            "{indent}rpc {}({}{}) returns ({}{});",
            method.name(),
            streams(method.is_client_streaming()),
            method.input().full_name(),
            streams(method.is_server_streaming()),
            method.output().full_name()
        ),
    );
}

fn message(text: &mut String, message: &MessageDescriptor) {
    comment(text, &message.parent_file(), message.path(), "");
    line(text, format_args!("message {} {{", message.full_name()));
    for field in message.fields() {
        comment(text, &message.parent_file(), field.path(), "  ");
        let oneof = field.containing_oneof().filter(|one| !one.is_synthetic());
        let oneof = oneof.map_or(String::new(), |one| format!(" // one of `{}`", one.name()));
        let (name, number) = (field.name(), field.number());
        line(
            text,
            format_args!("  {} {name} = {number};{oneof}", kind(&field)),
        );
    }
    text.push_str("}\n");
}

/// The type of a field, with what stands before it.
fn kind(field: &FieldDescriptor) -> String {
    let named = |kind: Kind| match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(one) => one.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("map<{}, {}>", named(key.kind()), named(value.kind()));
    }
    let before = match field.cardinality() {
        Cardinality::Repeated => "repeated ",
        Cardinality::Required => "required ",
        Cardinality::Optional if field.field_descriptor_proto().proto3_optional() => "optional ",
        Cardinality::Optional => "",
    };
    format!("{before}{}", named(field.kind()))
}

/// The comment that stands before it in its file, if the server sends comments.
fn comment(text: &mut String, file: &FileDescriptor, path: &[i32], indent: &str) {
    for words in comments(file, path).lines() {
        line(text, format_args!("{indent}// {}", words.trim()));
    }
}

fn comments<'a>(file: &'a FileDescriptor, path: &[i32]) -> &'a str {
    let file = file.file_descriptor_proto();
    let mut places = file.source_code_info.iter().flat_map(|info| &info.location);
    let place = places.rfind(|place| place.path == path);
    place.map_or("", |place| place.leading_comments())
}

/// Its first sentence, without the full stop.
pub(super) fn first_words(file: &FileDescriptor, path: &[i32]) -> String {
    let words = comments(file, path).split_whitespace();
    let words = words.collect::<Vec<_>>().join(" ");
    let sentence = words.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches(['.', ':']).to_owned()
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _written = writeln!(text, "{words}");
}

/// What a server wrote, each line by itself.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(printable::line).collect();
    lines.join("\n")
}
