//! The fuzz targets (`fuzz/src`) on every input that is kept: `fuzz/corpus/TARGET.jsonl` is what libFuzzer found
//! to reach different code (`tools/fuzz_corpus.py` says how it is written), `fuzz/crashes/TARGET` what once made a
//! target fail, and `samples/COMPANY` what a provider's document shows. `just fuzz` looks for more.

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

use base64::Engine as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Most bytes that all inputs of the repository have together.
const LARGEST_CORPUS: usize = 1024 * 1024;

/// The first line of an archive.
#[derive(Deserialize)]
struct Head {
    inputs: usize,
    sha256: String,
}

/// A further line. The name is for the reader.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Text(String),
    Base64(String),
}

#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    content: Content,
}

/// An input, and where it is.
struct Input {
    place: String,
    data: Vec<u8>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder(name: &str) -> PathBuf {
    root().join("fuzz").join(name)
}

/// The names in a folder; none if there is no such folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("a plain name"))
        .collect()
}

/// The files of a folder of the repository that end so.
fn files(folder: &str, ending: &str) -> Vec<Input> {
    let names = names(&root().join(folder)).into_iter();
    names
        .filter(|name| name.ends_with(ending))
        .map(|name| {
            let place = format!("{folder}/{name}");
            let data = fs::read(root().join(&place)).expect("an input");
            Input { place, data }
        })
        .collect()
}

/// The inputs of an archive, or what is wrong with it.
fn unpack(name: &str, archive: &str) -> Result<Vec<Input>, String> {
    let (head, rest) = archive.split_once('\n').ok_or("has no first line")?;
    let head: Head = serde_json::from_str(head).map_err(|error| error.to_string())?;
    let digest: String = Sha256::digest(rest)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if digest != head.sha256 {
        return Err("is not as it was packed".to_owned());
    }
    let lines: Vec<&str> = rest.lines().collect();
    if lines.len() != head.inputs {
        return Err(format!("has {} inputs, not {}", lines.len(), head.inputs));
    }
    if !lines.is_sorted_by(|one, next| one < next) {
        return Err("is not sorted, or has an input twice".to_owned());
    }
    let inputs = lines.iter().zip(2..).map(|(line, number)| {
        let place = format!("{name}:{number}");
        let line: Line =
            serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
        let data = match line.content {
            Content::Text(text) => text.into_bytes(),
            Content::Base64(text) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|error| format!("line {number}: {error}"))?,
        };
        Ok(Input { place, data })
    });
    inputs.collect()
}

fn archive(target: &str) -> String {
    let path = folder("corpus").join(format!("{target}.jsonl"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is kept of a target in the archive and among the crashes, and the samples of its company.
fn inputs(target: &str) -> Vec<Input> {
    let name = format!("fuzz/corpus/{target}.jsonl");
    let mut inputs =
        unpack(&name, &archive(target)).unwrap_or_else(|wrong| panic!("{name} {wrong}"));
    assert!(!inputs.is_empty(), "{target} has no input");
    inputs.extend(files(&format!("fuzz/crashes/{target}"), ""));
    let company = target.split('_').next().unwrap_or_default();
    inputs.extend(files(&format!("samples/{company}"), ".json"));
    inputs
}

#[test]
fn every_kept_input_holds() {
    let mut failed = Vec::new();
    for (target, check) in fuzz::ALL {
        for Input { place, data } in inputs(target) {
            if catch_unwind(AssertUnwindSafe(|| check(&data))).is_err() {
                failed.push(format!("{target}: {place}"));
            }
        }
    }
    assert!(failed.is_empty(), "these inputs do not hold: {failed:#?}");
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let targets: BTreeSet<String> = fuzz::ALL.map(|(name, _)| name.to_owned()).into();
    let all = |ending: &str| {
        let files = targets.iter().map(|name| format!("{name}{ending}"));
        files.collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&folder("fuzz_targets")), all(".rs"));
    let manifest: toml::Table = fs::read_to_string(folder("Cargo.toml"))
        .expect("fuzz/Cargo.toml")
        .parse()
        .expect("TOML");
    let bins = manifest["bin"].as_array().expect("programs");
    let bins = bins
        .iter()
        .map(|bin| bin["name"].as_str().expect("a name").to_owned());
    assert_eq!(bins.collect::<BTreeSet<_>>(), targets);
    assert_eq!(names(&folder("corpus")), all(".jsonl"));
    assert!(names(&folder("crashes")).is_subset(&targets));
}

/// The answers of the documents are tried by the targets that bear their companies' names.
#[test]
fn every_sample_is_an_input() {
    let tried: BTreeSet<String> = fuzz::ALL
        .iter()
        .flat_map(|(target, _)| inputs(target))
        .map(|input| input.place)
        .collect();
    for company in names(&root().join("samples")) {
        for sample in files(&format!("samples/{company}"), ".json") {
            assert!(tried.contains(&sample.place), "{}", sample.place);
        }
    }
}

#[test]
fn an_archive_that_was_changed_is_refused() {
    let whole = archive("curp");
    assert!(unpack("curp", &whole).is_ok());
    let (head, rest) = whole.split_once('\n').unwrap();
    let last = rest.lines().last().unwrap();
    let packed = |inputs: usize, rest: &str| {
        let digest = Sha256::digest(rest);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{{\"inputs\": {inputs}, \"sha256\": \"{digest}\"}}\n{rest}")
    };
    assert!(unpack("curp", &packed(1, &format!("{last}\n"))).is_ok());
    for (what, changed) in [
        ("empty", String::new()),
        ("without its first line", rest.to_owned()),
        ("cut within a line", whole[..whole.len() / 2].to_owned()),
        ("a line less", whole.replace(&format!("{last}\n"), "")),
        (
            "a letter changed",
            format!("{head}\n{}", rest.replacen('A', "B", 1)),
        ),
        ("fewer than it says", packed(2, &format!("{last}\n"))),
        ("one input twice", packed(2, &format!("{last}\n{last}\n"))),
        ("no JSON", packed(1, "HEGG560427MVZRRL04\n")),
        (
            "no input",
            packed(1, "{\"name\": \"HEGG560427MVZRRL04\"}\n"),
        ),
        ("no base64", packed(1, "{\"base64\": \"?\"}\n")),
    ] {
        assert!(unpack("curp", &changed).is_err(), "{what}");
    }
}

#[test]
fn the_corpus_stays_small() {
    let inputs = fuzz::ALL.iter().flat_map(|(target, _)| inputs(target));
    let size: usize = inputs.map(|input| input.data.len()).sum();
    assert!(
        size < LARGEST_CORPUS,
        "{size} bytes; see CONTRIBUTING.md, \"Fuzzing\""
    );
}
