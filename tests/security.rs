//! SECURITY.md names a proof for each promise, and each proof exists.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{collections::BTreeSet, fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The file and the name of a test.
fn as_proof(word: &str) -> Option<(&str, &str)> {
    let (file, name) = word.split_once("::")?;
    (file.ends_with(".rs") || file.ends_with(".py")).then_some((file, name))
}

/// Whether a file has a test of this name, and nobody switched it off.
fn has_test(file: &str, name: &str) -> bool {
    let text = read(file);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if file.ends_with(".py") {
        return lines
            .iter()
            .any(|line| line.starts_with(&format!("def {name}(")));
    }
    let is_it = |line: &str| line.contains(&format!("fn {name}("));
    let Some(at) = lines.iter().position(|line| is_it(line)) else {
        return false;
    };
    let attributes: Vec<_> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#["))
        .collect();
    let any = |part: &str| attributes.iter().any(|attribute| attribute.contains(part));
    // Inside `proptest!` too, the attribute stands above the function.
    any("test") && !any("ignore")
}

#[test]
fn every_test_that_security_md_names_exists() {
    let text = read("SECURITY.md");
    let proofs: BTreeSet<_> = quoted(&text).filter_map(as_proof).collect();
    assert!(proofs.len() > 40, "only {} proofs", proofs.len());
    let missing: Vec<_> = proofs
        .iter()
        .filter(|(file, name)| !has_test(file, name))
        .collect();
    assert!(
        missing.is_empty(),
        "SECURITY.md names tests that are not there: {missing:#?}"
    );
}

#[test]
fn every_promise_of_security_md_has_a_proof() {
    let text = read("SECURITY.md");
    let mut promises = 0;
    let mut inside = false;
    for line in text.lines() {
        match line {
            _ if line.starts_with("| attack") => inside = true,
            _ if !line.starts_with('|') => inside = false,
            _ if inside && !line.starts_with("|---") => {
                let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
                assert_eq!(cells.len(), 3, "{line}");
                assert!(
                    quoted(cells[2]).any(|word| as_proof(word).is_some()),
                    "no proof: {line}"
                );
                promises += 1;
            }
            _ => {}
        }
    }
    assert!(promises > 30, "only {promises} promises");
}

#[test]
fn every_fuzz_target_that_security_md_names_exists() {
    let text = read("SECURITY.md");
    let mut named = 0;
    for (at, _) in text.match_indices("fuzz target") {
        let rest = &text[at..];
        let end = rest.find(['|', '.', '\n']).unwrap_or(rest.len());
        for target in quoted(&rest[..end]) {
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(format!("fuzz/fuzz_targets/{target}.rs"))
                    .is_file(),
                "{target}"
            );
            named += 1;
        }
    }
    assert!(named > 5, "only {named} targets");
}
