//! The tables of docs/configuration.md and docs/sandbox.md, and deploy/config/identity-gateway.toml, are what the program
//! says. `UPDATE_DOCS=1 cargo test --test docs` writes them anew.

#![allow(clippy::expect_used)]

use std::{fs, path::Path};

use identity_gateway::{config, sandbox};

/// The part of the text between a block's marks, and where it stands.
fn block<'a>(text: &'a str, name: &str) -> (usize, &'a str) {
    let (start, end) = (
        format!("<!-- generated: {name} -->\n"),
        format!("<!-- end: {name} -->"),
    );
    let from = text.find(&start).expect("the block's first mark") + start.len();
    let length = text[from..].find(&end).expect("the block's last mark");
    (from, &text[from..from + length])
}

fn is_current(file: &str, name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).expect("the document");
    let generated = format!("\n{}\n\n", generated.trim());
    let (from, written) = block(&text, name);
    if written == generated {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "{file}: the block `{name}` is not what the program says; run UPDATE_DOCS=1 cargo test --test docs"
    );
    let updated = [&text[..from], &generated, &text[from + written.len()..]].concat();
    fs::write(&path, updated).expect("the document");
}

#[test]
fn the_tables_of_docs_are_what_the_program_says() {
    is_current(
        "docs/configuration.md",
        "configuration",
        &config::markdown(),
    );
    is_current("docs/sandbox.md", "sandbox", &sandbox::markdown());
}

#[test]
fn the_default_file_of_deploy_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/config/identity-gateway.toml");
    let generated = config::default_file();
    if fs::read_to_string(&path).is_ok_and(|written| written == generated) {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "deploy/config/identity-gateway.toml is not what the program says; run UPDATE_DOCS=1 cargo test --test docs"
    );
    fs::write(&path, generated).expect("the default file");
}
