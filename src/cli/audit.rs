//! `audit verify`: says whether the audit's files are whole, and where not.
//!
//! The key of the chain comes from the files that are named, else from the configuration, as `serve` would read it; without
//! one the chain is followed, and who made it is not looked at.
//!
//! Exit codes: 0 if they are whole, 1 if the chain is broken, 64 if a file cannot be read.

use std::{
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use zeroize::Zeroizing;

use crate::{
    audit::{
        chain::Digest,
        chain_key::ChainKey,
        trail,
        verify::{Expected, Trails, Verifier},
    },
    cli::{
        printable::line,
        terminal::{self, ASIDE, ERROR, GOOD, Progress},
    },
    config::{self, Sources},
    files,
};

/// Exit code of a file that cannot be read (`EX_USAGE`).
const USAGE: u8 = 64;
/// So many breaks are listed; after a first one, others are mostly its consequence.
const LISTED: usize = 20;

/// What the command is told.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// A base path (audit.log), a folder, or the files, the oldest first
    #[arg(required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The hash of a record that was stored elsewhere (a head that `verify` printed, or `head` of the log line `audit started`): it must be present, and all later records must follow from it
    #[arg(long, value_name = "HASH")]
    head: Option<Digest>,
    /// Fail if a second trail starts, as after a splice
    #[arg(long)]
    one_trail: bool,
    /// A file with the chain's key (audit.chain_key); may be repeated, for previous keys
    #[arg(long, value_name = "FILE")]
    chain_key_file: Vec<PathBuf>,
    /// A file with the key from which the chain's key is derived (audit.key); may be repeated
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
}

/// Runs the command.
#[must_use]
pub fn verify(asked: &Verify, sources: impl FnOnce() -> Sources) -> ExitCode {
    // Not locked: the progress is said on standard error too.
    match report(
        asked,
        sources,
        &mut anstream::stdout(),
        &mut anstream::stderr(),
    ) {
        Ok(code) => ExitCode::from(code),
        // Nothing can be said any more: where it would have been said is what failed.
        Err(_) => ExitCode::FAILURE,
    }
}

/// The keys that lines may be made under.
fn keys(asked: &Verify, sources: impl FnOnce() -> Sources) -> Result<Vec<ChainKey>, String> {
    if asked.chain_key_file.is_empty() && asked.key_file.is_empty() {
        let settings = config::load(sources()).map_err(|error| error.to_string())?;
        return Ok(ChainKey::of(&settings.audit).into_iter().collect());
    }
    let own = asked.chain_key_file.iter().map(|path| {
        let key = secret(path)?;
        Ok(ChainKey::new(key.trim_end().as_bytes()))
    });
    let derived = asked.key_file.iter().map(|path| {
        let key = secret(path)?;
        Ok(ChainKey::derived(key.trim_end().as_bytes()))
    });
    own.chain(derived).collect()
}

fn secret(path: &Path) -> Result<Zeroizing<String>, String> {
    files::text(path, files::SECRET).map_err(|why| format!("{}: {why}", path.display()))
}

/// Counts what is read of the files, and says how far that is.
pub(super) fn reading(files: &[PathBuf]) -> (terminal::Bytes, Progress) {
    let sizes = files.iter().filter_map(|path| path.metadata().ok());
    let total = sizes.map(|file| file.len()).sum();
    let read = terminal::Bytes::default();
    let shown = read.clone();
    (
        read,
        Progress::start(move |passed| shown.share_of(total, passed)),
    )
}

fn report(
    asked: &Verify,
    sources: impl FnOnce() -> Sources,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let keys = match keys(asked, sources) {
        Ok(keys) => keys,
        Err(problem) => {
            for text in problem.lines() {
                writeln!(err, "{}", line(text))?;
            }
            return Ok(USAGE);
        }
    };
    let mut verifier = Verifier::new(Expected {
        keys,
        head: asked.head,
        trails: if asked.one_trail {
            Trails::One
        } else {
            Trails::Several
        },
    });
    let files = match trail::files(&asked.files) {
        Ok(files) => files,
        Err(error) => {
            writeln!(err, "{}", line(&error.to_string()))?;
            return Ok(USAGE);
        }
    };
    let (read, progress) = reading(&files);
    for path in &files {
        let name = line(&path.display().to_string());
        let walked =
            File::open(path).and_then(|file| verifier.file(&name, BufReader::new(read.of(file))));
        if let Err(error) = walked {
            drop(progress);
            writeln!(err, "{name}: cannot be read: {}", line(&error.to_string()))?;
            return Ok(USAGE);
        }
    }
    drop(progress);
    let report = verifier.finish();
    for note in &report.notes {
        writeln!(out, "{ASIDE}note:{ASIDE:#} {}", line(&note.to_string()))?;
    }
    for broken in report.breaks.iter().take(LISTED) {
        writeln!(out, "{ERROR}BROKEN:{ERROR:#} {}", line(&broken.to_string()))?;
    }
    let (records, breaks) = (report.records, report.breaks.len());
    if breaks > LISTED {
        writeln!(out, "and {} more", breaks - LISTED)?;
    }
    let head = report.head.map(|head| head.to_string());
    let head = head.as_deref().unwrap_or("none");
    let (lost, keyed) = (report.lost, report.keyed);
    writeln!(
        out,
        "keyed: {keyed} of {records} records, verified with a given key"
    )?;
    let (colour, verdict) = match report.is_whole() {
        true => (GOOD, "whole"),
        false => (ERROR, "broken"),
    };
    writeln!(
        out,
        "{colour}{verdict}:{colour:#} {records} records, {lost} counted as lost, {breaks} breaks, head {head}"
    )?;
    out.flush()?;
    Ok(u8::from(!report.is_whole()))
}
