//! `audit find`: the records about one identifier, which is read from standard input, because everyone can read a command
//! line.
//!
//! Exit codes: 0 if there are any, 1 if there are none, 64 if something cannot be read: also if there are none under the keys
//! that are given, and records under others.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal as _, Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::builder::PossibleValuesParser;
use zeroize::Zeroizing;

use crate::{
    audit::{
        find::{KINDS, Search},
        hash::Hasher,
        trail,
    },
    cli::{
        audit::reading,
        printable::{json, line},
    },
    config::{self, Sources},
    files,
};

/// Exit code of what cannot be read (`EX_USAGE`).
const USAGE: u8 = 64;
/// Longest number.
const LONGEST: u64 = 1024;

/// What the command is told.
#[derive(Debug, clap::Args)]
pub struct Find {
    /// The kind of the number (`identifier_kind`)
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(KINDS))]
    kind: String,
    /// The type of document that the number is of, where the kind is person_document and the type is known
    #[arg(long = "type", value_name = "TYPE")]
    of_type: Option<String>,
    /// A file with the key of the hashes (audit.key); may be repeated, for previous keys. Default: that of the configuration
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// `-`: the number is read from standard input
    #[arg(value_name = "-", value_parser = ["-"])]
    number: String,
    /// The files: a base path, a folder or several files. Default: audit.path of the configuration
    #[arg(value_name = "PATH")]
    files: Vec<PathBuf>,
}

/// Runs the command.
#[must_use]
pub fn find(asked: &Find, sources: impl FnOnce() -> Sources) -> ExitCode {
    match search(asked, sources) {
        Ok(found) => ExitCode::from(u8::from(found == 0)),
        Err(problem) => {
            let mut err = io::stderr().lock();
            for text in problem.lines() {
                let _nobody_reads = writeln!(err, "{}", line(text));
            }
            ExitCode::from(USAGE)
        }
    }
}

fn search(asked: &Find, sources: impl FnOnce() -> Sources) -> Result<u64, String> {
    let (keys, listed) = material(asked, sources)?;
    let mut number = Zeroizing::new(String::new());
    let read = io::stdin().take(LONGEST).read_to_string(&mut number);
    read.map_err(|error| format!("standard input: {error}"))?;
    let number = number.trim();
    if number.is_empty() {
        return Err("standard input: expected the number".to_owned());
    }
    let kind = KINDS.into_iter().find(|kind| *kind == asked.kind);
    let kind = kind.unwrap_or_default();
    let mut search = Search::new(&keys, kind, number, asked.of_type.as_deref());
    let files = trail::files(&listed).map_err(|error| error.to_string())?;
    let (read, progress) = reading(&files);
    let mut out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    let mut write = |record: &[u8]| match is_terminal {
        // As it stands in the file: it verifies.
        false => out.write_all(record).and_then(|()| out.write_all(b"\n")),
        true => writeln!(out, "{}", json(&String::from_utf8_lossy(record))),
    };
    let mut show = |record: &[u8]| progress.aside(|| write(record));
    for path in files {
        let walked = File::open(&path)
            .and_then(|file| search.file(BufReader::new(read.of(file)), &mut show));
        walked.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    drop(progress);
    out.flush().map_err(|error| error.to_string())?;
    let missing: Vec<_> = search.missing().collect();
    if missing.is_empty() {
        return Ok(search.found);
    }
    // "Nobody has asked" would be a lie.
    let told = format!(
        "there are records under keys that are not given (key_id {}): those about the number are not found",
        missing.join(", ")
    );
    if search.found == 0 {
        return Err(told);
    }
    let _nobody_reads = writeln!(io::stderr(), "{}", line(&told));
    Ok(search.found)
}

/// The keys of the hashes, and where the records are.
fn material(
    asked: &Find,
    sources: impl FnOnce() -> Sources,
) -> Result<(Vec<Hasher>, Vec<PathBuf>), String> {
    let given = asked.key_file.iter().map(|path| {
        let key = files::text(path, files::SECRET).map(Zeroizing::new);
        let key = key.map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Hasher::new(key.trim_end().as_bytes()))
    });
    let mut keys = given.collect::<Result<Vec<_>, String>>()?;
    let mut listed = asked.files.clone();
    if keys.is_empty() || listed.is_empty() {
        let settings = config::load(sources())
            .map_err(|error| error.to_string())?
            .audit;
        if keys.is_empty() {
            let key = settings
                .key
                .as_ref()
                .ok_or("audit.key: is not set, and no --key-file is given")?;
            keys.push(Hasher::new(key.expose().as_bytes()));
        }
        if listed.is_empty() {
            listed.push(
                settings
                    .path
                    .ok_or("audit.path: is not set, and no PATH is given")?,
            );
        }
    }
    Ok((keys, listed))
}
