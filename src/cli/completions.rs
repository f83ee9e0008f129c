//! `completions SHELL`: the script that makes a shell complete this program's command line, and what that script asks.
//!
//! The scripts of bash, zsh and fish hand over the line as it stands before the cursor and get candidates back, from the same
//! definition that reads the command line ([`clap_complete::engine`]), with the methods and fields of the contract
//! ([`super::call::complete`]). What a shell knows best stays with its script: where candidates are shown, and what ends
//! a word. The scripts of the other shells know commands and options only.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write as _},
    process::ExitCode,
};

use clap_complete::{
    Shell,
    engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _},
};

use super::call::complete::{self, Candidate};

/// What the command is told.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
    /// The command line up to the cursor, which the script asks to be completed
    #[arg(long, hide = true, allow_hyphen_values = true)]
    line: Option<String>,
    /// What bash takes for the word: it breaks words at more than blanks
    #[arg(long, hide = true, allow_hyphen_values = true, default_value = "")]
    word: String,
    /// That bash will show the candidates and insert none
    #[arg(long, hide = true)]
    listing: bool,
}

/// The line that is completed, as its shell reads it.
struct Line {
    words: Vec<String>,
    /// The quote that is open at its end.
    quote: Option<char>,
}

/// Prints the script, or what can stand next.
#[must_use]
pub fn run(asked: &Completions, command: clap::Command) -> ExitCode {
    let text = match &asked.line {
        Some(line) => answer(asked, line, command),
        None => script(asked.shell, command),
    };
    // Into memory first: the crate panics where its writer fails.
    match io::stdout().write_all(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn script(shell: Shell, mut command: clap::Command) -> Vec<u8> {
    match shell {
        Shell::Bash => include_bytes!("completions/bash.sh").to_vec(),
        Shell::Zsh => include_bytes!("completions/zsh.sh").to_vec(),
        Shell::Fish => include_bytes!("completions/fish.fish").to_vec(),
        other => {
            let mut script = Vec::new();
            clap_complete::generate(other, &mut command, "identity-gateway", &mut script);
            script
        }
    }
}

impl Line {
    /// Splits a line that may end within quotes; none if no shell would.
    fn read(text: &str) -> Option<Self> {
        let closings = [None, Some('\''), Some('"')];
        let (quote, mut words) = closings.into_iter().find_map(|quote| {
            let closed = text.chars().chain(quote).collect::<String>();
            Some((quote, shlex::split(&closed)?))
        })?;
        if quote.is_none() && text.ends_with(char::is_whitespace) {
            words.push(String::new());
        }
        (words.len() > 1).then_some(Self { words, quote })
    }

    fn last(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }
}

fn answer(asked: &Completions, text: &str, command: clap::Command) -> Vec<u8> {
    let Some(line) = Line::read(text) else {
        return Vec::new();
    };
    let words = line.words.iter().map(OsString::from).collect();
    let here = std::env::current_dir().ok();
    let mut command = with_contract(command, &line.words);
    let found =
        clap_complete::engine::complete(&mut command, words, line.words.len() - 1, here.as_deref());
    let found = found.unwrap_or_default();
    let mut found: Vec<_> = found
        .iter()
        .filter_map(|one| Offer::new(&line, one))
        .collect();
    // Options are offered to who begins one, and where nothing else can stand.
    if found.iter().any(|one| !one.is_option()) && !line.last().starts_with('-') {
        found.retain(|one| !one.is_option());
    }
    let lines = match asked.shell {
        Shell::Bash => bash(&line, &found, asked),
        Shell::Zsh => found.iter().map(|one| one.zsh(&line)).collect(),
        _ => found.iter().filter_map(|one| one.fish(&line)).collect(),
    };
    lines.concat().into_bytes()
}

/// Adds what only the contract knows. What stands before the last word says which of its names fit.
fn with_contract(command: clap::Command, words: &[String]) -> clap::Command {
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let (lists, describes) = (has("--list"), has("--describe"));
    let named = move |typed: &OsStr| match typed.to_str() {
        Some(_) if lists => candidates(complete::services()),
        Some(_) if describes => candidates(complete::symbols()),
        Some(typed) => candidates(complete::methods(typed)),
        None => Vec::new(),
    };
    let named = move |typed: &OsStr| {
        let fits = |one: &CompletionCandidate| {
            let (value, typed) = (one.get_value().to_str(), typed.to_str());
            value
                .zip(typed)
                .is_some_and(|(value, typed)| value.starts_with(typed))
        };
        named(typed).into_iter().filter(fits).collect::<Vec<_>>()
    };
    let before = words.to_vec();
    let request = move |typed: &OsStr| {
        let Some(typed) = typed.to_str() else {
            return Vec::new();
        };
        if let Some(file) = typed.strip_prefix('@') {
            let files = PathCompleter::file().complete(OsStr::new(file));
            return files.into_iter().map(|file| file.add_prefix("@")).collect();
        }
        if before.iter().any(|word| word == "describe") {
            let fits = |one: &Candidate| one.value.starts_with(typed);
            return candidates(complete::symbols().into_iter().filter(fits).collect());
        }
        // Of the words before, the one that is a method: the others are options and their values.
        let methods = before.iter().skip(2);
        let mut found = methods.map(|method| complete::request(method, typed));
        candidates(found.find(|found| !found.is_empty()).unwrap_or_default())
    };
    command.mut_subcommand("call", |call| {
        call.mut_arg("method", |method| method.add(ArgValueCompleter::new(named)))
            .mut_arg("json", |json| json.add(ArgValueCompleter::new(request)))
    })
}

fn candidates(found: Vec<Candidate>) -> Vec<CompletionCandidate> {
    let one = |one: Candidate| {
        let about = Some(one.about).filter(|about| !about.is_empty());
        CompletionCandidate::new(one.value).help(about.map(Into::into))
    };
    found.into_iter().map(one).collect()
}

/// What is offered to a shell.
struct Offer {
    value: String,
    /// The part of it that is new, for a list.
    shown: String,
    about: String,
    /// A request is one word, blanks and all.
    is_request: bool,
    /// Something comes behind it in the same word.
    goes_on: bool,
}

impl Offer {
    /// None for a request that its shell would not keep together: one that was begun without a single quote.
    fn new(line: &Line, candidate: &CompletionCandidate) -> Option<Self> {
        let value = candidate.get_value().to_str()?.to_owned();
        let is_request = value.starts_with('{');
        if is_request && line.quote != Some('\'') && !line.last().is_empty() {
            return None;
        }
        let begins = line
            .last()
            .rfind(['{', ',', '['])
            .map_or(0, |place| place + 1);
        let shown = match is_request {
            true => value.get(begins..).unwrap_or(&value).trim_start(),
            false => &value,
        };
        let about = candidate
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        Some(Self {
            shown: shown.to_owned(),
            about: about.lines().next().unwrap_or_default().replace('\t', " "),
            is_request,
            goes_on: match is_request {
                true => serde_json::from_str::<serde_json::Value>(&value).is_err(),
                false => value.ends_with(['/', '=']),
            },
            value,
        })
    }

    fn is_option(&self) -> bool {
        self.value.starts_with('-')
    }

    /// How the word continues, whether a blank follows, and what is shown in a list.
    fn zsh(&self, line: &Line) -> String {
        let kind = match (self.is_request, self.goes_on) {
            (true, true) => "request-part",
            (true, false) => "request",
            (false, true) => "part",
            (false, false) => "word",
        };
        let about = if self.about.is_empty() { "" } else { "  -- " };
        let (shown, words) = (&self.shown, &self.about);
        format!("{kind}\t{}\t{shown}{about}{words}\n", self.quoted(line))
    }

    /// A whole request gets its quotes with it.
    fn quoted(&self, line: &Line) -> String {
        match self.is_request && line.quote.is_none() {
            true => format!("'{}'", self.value),
            false => self.value.clone(),
        }
    }

    /// fish ends quote and word behind everything but a few characters: behind those a request can go on.
    fn fish(&self, line: &Line) -> Option<String> {
        let value = match self.is_request && self.goes_on {
            false => self.value.clone(),
            true => match self.value.rsplit_once(": ") {
                Some((key, "" | "\"" | "{" | "[")) => format!("{key}:"),
                Some((_, value)) if !value.is_empty() && !value.contains('{') => {
                    format!("{},", self.value)
                }
                _ => return None,
            },
        };
        let about = if self.about.is_empty() { "" } else { "\t" };
        let is_more = value.len() > line.last().len();
        is_more.then(|| format!("{value}{about}{}\n", self.about))
    }
}

/// bash replaces its own idea of the word, inserts what all candidates begin with, and ends quote and word where there
/// is but one.
fn bash(line: &Line, found: &[Offer], asked: &Completions) -> Vec<String> {
    if asked.listing {
        return found.iter().map(|one| format!("{}\n", one.shown)).collect();
    }
    let known = line
        .last()
        .strip_suffix(asked.word.as_str())
        .unwrap_or_default();
    let mut lines: Vec<_> = found
        .iter()
        .map(|one| {
            let value = one.quoted(line);
            let value = value.strip_prefix(known).unwrap_or(&value);
            let blank = if one.goes_on || line.quote.is_some() {
                ""
            } else {
                " "
            };
            format!("{value}{blank}\n")
        })
        .collect();
    if let ([only], [inserted]) = (found, lines.as_mut_slice())
        && only.goes_on
        && line.quote.is_some()
    {
        let other = format!("{}…\n", inserted.trim_end_matches('\n'));
        lines.push(other);
    }
    lines
}

#[cfg(test)]
mod tests;
