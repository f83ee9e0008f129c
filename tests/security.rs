//! docs/proofs.md names the tests of each promise of SECURITY.md, and each test exists.

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

/// The rows of the tables with this header: the section that each is in, its key, and its other cells.
fn rows<'a>(text: &'a str, header: &str) -> Vec<(&'a str, &'a str, Vec<&'a str>)> {
    let (mut section, mut inside, mut found) = ("", false, Vec::new());
    for line in text.lines() {
        if line.starts_with('#') {
            section = line.trim_start_matches('#').trim();
        }
        inside = line == header || inside && line.starts_with('|');
        if inside && line != header && !line.starts_with("|---") {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let key = cells.next().expect("a key");
            found.push((section, key.trim_matches('`'), cells.collect()));
        }
    }
    found
}

#[test]
fn every_promise_of_security_md_has_a_proof_under_the_same_key() {
    let (security, proofs) = (read("SECURITY.md"), read("docs/proofs.md"));
    let promises = rows(&security, "| key | attack | guarantee |");
    let proofs = rows(&proofs, "| key | proof |");
    let places = |rows: &[(&str, &str, Vec<&str>)]| -> Vec<String> {
        rows.iter()
            .map(|(section, key, _)| format!("{section}: {key}"))
            .collect()
    };
    // One by one, so that a failure names the first row that is not there.
    for (promise, proof) in places(&promises).iter().zip(&places(&proofs)) {
        assert_eq!(promise, proof, "SECURITY.md and docs/proofs.md differ here");
    }
    assert_eq!(promises.len(), proofs.len());

    let keys: BTreeSet<_> = promises.iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys.len(), promises.len(), "a key is there twice");
    assert!(promises.len() > 100, "only {} promises", promises.len());
    for (_, key, cells) in &promises {
        assert!(
            cells.len() == 2 && cells.iter().all(|cell| !cell.is_empty()),
            "{key}"
        );
        assert!(
            quoted(&cells.concat()).all(|word| as_proof(word).is_none()),
            "{key}"
        );
    }
    for (_, key, cells) in &proofs {
        assert_eq!(cells.len(), 1, "{key}");
        assert!(
            quoted(cells[0]).any(|word| as_proof(word).is_some()),
            "no proof: {key}"
        );
    }
}

#[test]
fn every_test_that_the_proofs_name_exists() {
    let text = read("docs/proofs.md");
    let proofs: BTreeSet<_> = quoted(&text).filter_map(as_proof).collect();
    assert!(proofs.len() > 150, "only {} proofs", proofs.len());
    let missing: Vec<_> = proofs
        .iter()
        .filter(|(file, name)| !has_test(file, name))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/proofs.md names tests that are not there: {missing:#?}"
    );
}

#[test]
fn every_fuzz_target_that_the_proofs_name_exists() {
    let text = read("docs/proofs.md");
    let mut named = 0;
    for (_, key, cells) in rows(&text, "| key | proof |") {
        let targets = cells[0]
            .split_once("fuzz target")
            .map(|(_, rest)| quoted(rest));
        for target in targets.into_iter().flatten() {
            let program = format!("fuzz/fuzz_targets/{target}.rs");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
            assert!(path.is_file(), "{key}: {target}");
            named += 1;
        }
    }
    assert!(named > 5, "only {named} targets");
}
