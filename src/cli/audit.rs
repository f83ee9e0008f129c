//! `audit verify`: says whether the audit's files are whole, and where not.
//!
//! Exit codes: 0 if they are whole, 1 if the chain is broken, 64 if a file cannot be read.

use std::{
    fs::File,
    io::{self, BufReader, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::audit::verify::Verifier;

/// Exit code of a file that cannot be read (`EX_USAGE`).
const USAGE: u8 = 64;
/// So many breaks are listed; after a first one, others are mostly its consequence.
const LISTED: usize = 20;

/// Runs the command over files, the oldest first.
#[must_use]
pub fn verify(files: &[PathBuf]) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match report(files, &mut out, &mut err) {
        Ok(code) => ExitCode::from(code),
        // Nothing can be said any more: where it would have been said is what failed.
        Err(_) => ExitCode::FAILURE,
    }
}

fn report(files: &[PathBuf], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let mut verifier = Verifier::default();
    for path in files {
        let name = path.display().to_string();
        let walked = File::open(path).and_then(|file| verifier.file(&name, BufReader::new(file)));
        if let Err(error) = walked {
            writeln!(err, "{name}: cannot be read: {error}")?;
            return Ok(USAGE);
        }
    }
    let report = verifier.finish();
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    for broken in report.breaks.iter().take(LISTED) {
        writeln!(out, "BROKEN: {broken}")?;
    }
    let (records, breaks) = (report.records, report.breaks.len());
    if breaks > LISTED {
        writeln!(out, "and {} more", breaks - LISTED)?;
    }
    let head = report.head.map(|head| head.to_string());
    let head = head.as_deref().unwrap_or("none");
    let lost = report.lost;
    let verdict = if report.is_whole() { "whole" } else { "broken" };
    writeln!(
        out,
        "{verdict}: {records} records, {lost} counted as lost, {breaks} breaks, head {head}"
    )?;
    out.flush()?;
    Ok(u8::from(!report.is_whole()))
}
