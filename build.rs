//! Compiles the contract without protoc.
//!
//! Writes three things to `OUT_DIR`: the generated code, the descriptor set with its method options
//! (for reflection, field masks and the policy table), and a `Debug` for every message of ours that
//! prints the message's name and nothing of its content.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use prost_types::FileDescriptorSet;
use protox::prost::Message as _;

const FILES: [&str; 2] = [
    "identity/v1/identity_service.proto",
    "person/v1/person_service.proto",
];

/// The packages whose messages hold personal data.
const PACKAGES: [&str; 2] = ["identity.v1", "person.v1"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?;
    // `encode_file_descriptor_set` keeps the custom method options, `file_descriptor_set` drops them.
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    let encoded = compiler.file_descriptor_set().encode_to_vec();
    let descriptors: FileDescriptorSet = prost::Message::decode(encoded.as_slice())?;

    let messages = messages(&descriptors);
    fs::write(out.join("redacted_debug.rs"), redacted_debug(&messages)?)?;
    let mut prost = tonic_prost_build::Config::new();
    prost.enable_type_names().bytes(["."]).skip_debug(
        messages
            .iter()
            .map(|(package, name)| format!(".{package}.{name}")),
    );
    tonic_prost_build::configure().compile_fds_with_config(descriptors, prost)?;
    Ok(())
}

/// Package and name of each message of the contract.
fn messages(descriptors: &FileDescriptorSet) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in &descriptors.file {
        if !PACKAGES.contains(&file.package()) {
            continue;
        }
        for message in &file.message_type {
            assert!(
                message.nested_type.is_empty(),
                "nested messages would derive Debug: {}",
                message.name()
            );
            found.push((file.package().to_owned(), message.name().to_owned()));
        }
    }
    found
}

/// `Debug` for each message: requests and answers hold personal data, and a derived `Debug` would
/// put it into the first log line that somebody writes.
fn redacted_debug(messages: &[(String, String)]) -> Result<String, std::fmt::Error> {
    let mut code = String::new();
    for (package, name) in messages {
        let module = package.replace('.', "::");
        writeln!(
            code,
            "impl ::core::fmt::Debug for {module}::{name} {{\n    \
             fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
             f.write_str(\"{name}([redacted])\")\n    }}\n}}"
        )?;
    }
    Ok(code)
}
