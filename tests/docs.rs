//! The tables in README.md are what the program says. `UPDATE_DOCS=1 cargo test --test docs` writes
//! them anew.

#![allow(clippy::expect_used)]

use std::{fmt::Write as _, fs, path::Path};

use identity_gateway::{
    config,
    domain::{
        failure::{Failure, Kind},
        verification::Billing,
    },
    sandbox, status,
};

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

fn is_current(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&path).expect("README.md");
    let generated = format!("\n{}\n\n", generated.trim());
    let (from, written) = block(&text, name);
    if written == generated {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "README.md's block `{name}` is not what the program says; run UPDATE_DOCS=1 cargo test --test docs"
    );
    let updated = [&text[..from], &generated, &text[from + written.len()..]].concat();
    fs::write(&path, updated).expect("README.md");
}

fn errors() -> String {
    let mut table = String::from("| Reason | gRPC code | What happened |\n|---|---|---|\n");
    for kind in Kind::ALL {
        let (code, reason, words) = status::row(kind);
        let code = status::code_name(code);
        let unknown = Failure::new(kind).leaves_outcome_unknown();
        let cost = status::cost(kind, unknown.then_some(Billing::Unknown));
        let cost = cost.map(|cost| format!("; {cost}")).unwrap_or_default();
        writeln!(table, "| `{reason}` | `{code}` | {words}{cost} |").expect("a string");
    }
    table
}

/// One test, since all blocks are in one file.
#[test]
fn the_tables_of_the_readme_are_what_the_program_says() {
    is_current("errors", &errors());
    is_current("configuration", &config::markdown());
    is_current("sandbox", &sandbox::markdown());
}
