//! Compiles the contract without protoc.
//!
//! Writes three things to `OUT_DIR`: the generated code, the descriptor set with its method options
//! (for reflection, field masks and the policy table), and a `Debug` for every message of ours that
//! prints the message's name and nothing of its content.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use prost_types::{DescriptorProto, FileDescriptorSet};
use protox::prost::Message as _;

const FILES: [&str; 2] = [
    "identity/v1/identity_service.proto",
    "person/v1/person_service.proto",
];

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

    fs::write(out.join("redacted_debug.rs"), redacted_debug(&descriptors)?)?;
    let mut prost = tonic_prost_build::Config::new();
    prost
        .enable_type_names()
        .bytes(["."])
        .skip_debug([".identity.v1", ".person.v1"]);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, prost)?;
    Ok(())
}

/// `Debug` for each message: requests and answers hold personal data, and a derived `Debug` would
/// put it into the first log line that somebody writes.
fn redacted_debug(descriptors: &FileDescriptorSet) -> Result<String, std::fmt::Error> {
    let mut code = String::new();
    for file in &descriptors.file {
        let package = file.package();
        if package != "identity.v1" && package != "person.v1" {
            continue;
        }
        for message in &file.message_type {
            write_debug(&mut code, package, message)?;
        }
    }
    Ok(code)
}

fn write_debug(
    code: &mut String,
    package: &str,
    message: &DescriptorProto,
) -> Result<(), std::fmt::Error> {
    assert!(
        message.nested_type.is_empty(),
        "nested messages would derive Debug: {}",
        message.name()
    );
    let (name, module) = (message.name(), package.replace('.', "::"));
    writeln!(
        code,
        "impl ::core::fmt::Debug for {module}::{name} {{\n    \
         fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
         f.write_str(\"{name}([redacted])\")\n    }}\n}}"
    )
}
