//! Compiles the contract without protoc.
//!
//! Writes to `OUT_DIR` the generated code, the descriptor set with its method options (for reflection, field
//! masks and the policy table), for every message of ours a `Debug` that prints the message's name and nothing
//! of its content, and the filter of its fields, and for every request of a lookup what they have in common.

use std::{
    collections::HashSet,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("history.rs"), history()?)?;

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(services(Path::new("proto"))?)?;
    // `encode_file_descriptor_set` keeps the custom method options, `file_descriptor_set` drops them.
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    let encoded = compiler.file_descriptor_set().encode_to_vec();
    let descriptors: FileDescriptorSet = prost::Message::decode(encoded.as_slice())?;

    let messages = messages(&descriptors);
    fs::write(out.join("lookup_requests.rs"), lookup_requests(&messages)?)?;
    fs::write(out.join("redacted_debug.rs"), redacted_debug(&messages)?)?;
    fs::write(out.join("filtered.rs"), filtered(&messages)?)?;
    let mut prost = tonic_prost_build::Config::new();
    prost.enable_type_names().bytes(["."]).skip_debug(
        messages
            .iter()
            .map(|(package, message)| format!(".{package}.{}", message.name())),
    );
    // Records are large and handed on from room to room: a pointer moves for less.
    for (package, message) in &messages {
        if message.name().ends_with("Response") && has(message, "record") {
            prost.boxed(format!(".{package}.{}.record", message.name()));
        }
    }
    tonic_prost_build::configure()
        .codec_path("crate::proto::codec::CountingCodec")
        .compile_fds_with_config(descriptors, prost)?;
    Ok(())
}

/// The log of what was checked out here, as an expression that includes it; empty bytes where there is no git folder.
///
/// The binary includes the file itself, so that a commit builds the binary anew and not the library. This script runs
/// again only if the git folder goes.
fn history() -> Result<String, Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut git = root.join(".git");
    // Of a worktree it is a file that names the folder.
    if let Some(folder) = fs::read_to_string(&git)
        .ok()
        .as_deref()
        .and_then(|text| text.strip_prefix("gitdir:"))
    {
        git = root.join(folder.trim());
    }
    let log = git.join("logs/HEAD");
    // Files that git writes once: HEAD itself is as new as the last checkout.
    let marks = ["gitdir", "description"].map(|name| git.join(name));
    let mark = marks.iter().find(|mark| mark.is_file());
    Ok(match (log.is_file(), mark) {
        (true, Some(mark)) => {
            println!("cargo:rerun-if-changed={}", mark.display());
            format!("include_bytes!({:?})", log.display().to_string())
        }
        _ => "b\"\"".to_owned(),
    })
}

/// Every file that has a service, by its name: the rest is imported.
fn services(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with("_service.proto") {
                found.push(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The packages that have services: their messages hold personal data.
fn packages(descriptors: &FileDescriptorSet) -> HashSet<&str> {
    let files = descriptors.file.iter();
    let files = files.filter(|file| !file.service.is_empty());
    files.map(FileDescriptorProto::package).collect()
}

fn has(message: &DescriptorProto, field: &str) -> bool {
    message.field.iter().any(|known| known.name() == field)
}

/// Each message of the contract, with its package.
fn messages(descriptors: &FileDescriptorSet) -> Vec<(String, DescriptorProto)> {
    let packages = packages(descriptors);
    let mut found = Vec::new();
    for file in &descriptors.file {
        if !packages.contains(file.package()) {
            continue;
        }
        for message in &file.message_type {
            assert!(
                message.nested_type.is_empty(),
                "nested messages would derive Debug: {}",
                message.name()
            );
            found.push((file.package().to_owned(), message.clone()));
        }
    }
    found
}

/// The Rust module of a package: `idgw.person.v1` is `person::v1`.
fn module(package: &str) -> String {
    package.trim_start_matches("idgw.").replace('.', "::")
}

/// `Debug` for each message: requests and answers hold personal data, and a derived `Debug` would
/// put it into the first log line that somebody writes.
fn redacted_debug(messages: &[(String, DescriptorProto)]) -> Result<String, std::fmt::Error> {
    let mut code = String::new();
    for (package, message) in messages {
        let (module, name) = (module(package), message.name());
        writeln!(
            code,
            "impl ::core::fmt::Debug for {module}::{name} {{\n    \
             fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
             f.write_str(\"{name}([redacted])\")\n    }}\n}}"
        )?;
    }
    Ok(code)
}

/// `LookupRequest` for each request that looks somebody up: it has a `max_age`.
fn lookup_requests(messages: &[(String, DescriptorProto)]) -> Result<String, std::fmt::Error> {
    let mut code = String::new();
    for (package, message) in messages {
        if !has(message, "max_age") {
            continue;
        }
        let (module, name) = (module(package), message.name());
        writeln!(
            code,
            "impl lookup_request::LookupRequest for {module}::{name} {{\n    \
             fn max_age(&self) -> Option<::prost_types::Duration> {{ self.max_age }}\n    \
             fn read_mask(&self) -> Option<&::prost_types::FieldMask> {{ self.read_mask.as_ref() }}\n    \
             fn request_id(&self) -> &str {{ &self.request_id }}"
        )?;
        if has(message, "subject_consent") {
            writeln!(
                code,
                "    fn subject_consent(&self) -> Option<bool> {{ Some(self.subject_consent) }}"
            )?;
        }
        writeln!(code, "}}")?;
    }
    Ok(code)
}

/// `Filtered` for each message: what `proto::fields` takes out of an answer.
fn filtered(messages: &[(String, DescriptorProto)]) -> Result<String, std::fmt::Error> {
    let mut code = String::new();
    for (package, message) in messages {
        let (module, name) = (module(package), message.name());
        writeln!(
            code,
            "impl Filtered for super::{module}::{name} {{\n    \
             fn keep(&mut self, fields: &Numbers) {{\n        let _none_if_there_is_no_field = fields;"
        )?;
        for field in &message.field {
            assert!(
                field.oneof_index.is_none() || field.proto3_optional(),
                "what a filter takes out of a oneof is not settled: {name}.{}",
                field.name()
            );
            writeln!(code, "        {}", filter(field))?;
        }
        writeln!(code, "    }}\n}}")?;
    }
    Ok(code)
}

/// Of a package without services: it is filtered like an imported message.
const MONEY: &str = ".idgw.gateway.v1.Money";

/// The statement that filters one field.
fn filter(field: &FieldDescriptorProto) -> String {
    let (number, name) = (field.number(), field.name());
    let place = format!("self.{}{name}", if name == "type" { "r#" } else { "" });
    let inner = field.type_name();
    let part = match field.r#type() {
        Type::Message if inner.starts_with(".idgw.") && inner != MONEY => "part.keep(inner)",
        Type::Message => "*part = reencoded(std::mem::take(part), inner)",
        _ => {
            return format!("if !is_whole(fields, {number}) {{ {place} = Default::default(); }}");
        }
    };
    assert!(
        matches!(field.label(), Label::Optional | Label::Repeated),
        "a message that must be there cannot be taken out: {name}"
    );
    format!(
        "match fields.get(&{number}) {{ None => {place} = Default::default(), \
         Some(Fields::All) => {{}}, \
         Some(Fields::Some(inner)) => {place}.iter_mut().for_each(|part| {part}) }}"
    )
}
