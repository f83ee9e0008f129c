//! The fuzz targets (`fuzz/src`) on every input that is kept: `fuzz/corpus/TARGET` is what libFuzzer found to
//! reach different code, `fuzz/crashes/TARGET` what once made a target fail. `just fuzz` looks for more.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs
)]

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Most bytes that all inputs of the repository have together.
const LARGEST_CORPUS: u64 = 1024 * 1024;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// The names in a folder; none if there is no such folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("a plain name"))
        .collect()
}

#[test]
fn every_kept_input_holds() {
    let mut failed = Vec::new();
    for (target, check) in fuzz::ALL {
        let mut inputs = 0;
        for kept in ["corpus", "crashes"] {
            let folder = folder(kept).join(target);
            for name in names(&folder) {
                let path = folder.join(&name);
                let input = fs::read(&path).expect("an input");
                if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
                    failed.push(format!("{kept}/{target}/{name}"));
                }
                inputs += 1;
            }
        }
        assert!(inputs > 0, "{target} has no input");
    }
    assert!(failed.is_empty(), "these inputs do not hold: {failed:#?}");
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let targets: BTreeSet<String> = fuzz::ALL.map(|(name, _)| name.to_owned()).into();
    let programs = names(&folder("fuzz_targets"));
    let expected: BTreeSet<_> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(programs, expected);
    let manifest: toml::Table = fs::read_to_string(folder("Cargo.toml"))
        .expect("fuzz/Cargo.toml")
        .parse()
        .expect("TOML");
    let bins = manifest["bin"].as_array().expect("programs");
    let bins = bins
        .iter()
        .map(|bin| bin["name"].as_str().expect("a name").to_owned());
    assert_eq!(bins.collect::<BTreeSet<_>>(), targets);
    assert_eq!(names(&folder("corpus")), targets);
    assert!(names(&folder("crashes")).is_subset(&targets));
}

#[test]
fn the_corpus_stays_small() {
    let size = |kept: &str| -> u64 {
        let targets = names(&folder(kept));
        let folders = targets.iter().map(|target| folder(kept).join(target));
        let files = folders.flat_map(|folder| {
            names(&folder)
                .into_iter()
                .map(move |name| folder.join(name))
        });
        files
            .map(|file| file.metadata().expect("a file").len())
            .sum()
    };
    let size = size("corpus") + size("crashes");
    assert!(
        size < LARGEST_CORPUS,
        "{size} bytes; see CONTRIBUTING.md, \"Fuzzing\""
    );
}
