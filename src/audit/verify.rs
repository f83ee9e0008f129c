//! Walks files of records in the order of their age and finds what was removed, changed, moved or cut.
//!
//! A finding breaks the chain; a note does not: a line that a crash tore and the next line reports, a
//! process that ended without its last line, records that were counted as lost. That whole lines at the very end are
//! missing no chain can show: a head that was kept elsewhere does ([`Expected::head`]; the log names it at each start).
//! That the whole trail was made anew the key of the chain shows: without it every record is as good as another.

use std::{
    fmt,
    io::{self, BufRead},
};

use super::{
    chain::{Digest, Fragment, Link, Made},
    chain_key::ChainKey,
    words::Event,
};

/// What is known from elsewhere.
#[derive(Debug, Default)]
pub struct Expected {
    /// The keys that lines may be made under. With none the chain is followed, and who made it is not looked at.
    pub keys: Vec<ChainKey>,
    /// A line that must be there, and what follows it must go on from it.
    pub head: Option<Digest>,
    /// How many trails there may be.
    pub trails: Trails,
}

/// How many trails the files may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trails {
    /// Several, one after another: of standard output, each process begins one.
    #[default]
    Several,
    /// One: another that begins is a splice.
    One,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something to be said of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Which line.
    pub place: Place,
    /// What.
    pub words: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words)
    }
}

/// What the walk found.
#[derive(Debug, Default)]
pub struct Report {
    /// Where the chain is broken.
    pub breaks: Vec<Remark>,
    /// What is worth knowing and breaks nothing.
    pub notes: Vec<Remark>,
    /// How many records were read.
    pub records: u64,
    /// How many were lost, as far as the records say.
    pub lost: u64,
    /// How many were made under one of the keys.
    pub keyed: u64,
    /// How many were made under no key.
    pub unkeyed: u64,
    /// The last line.
    pub head: Option<Digest>,
}

impl Report {
    /// Whether nothing was removed, changed, moved or cut.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.breaks.is_empty()
    }
}

/// The walk.
#[derive(Debug, Default)]
pub struct Verifier {
    expected: Expected,
    report: Report,
    /// Whether the expected head was seen.
    has_head: bool,
    last: Option<(Place, Link)>,
    /// The number of the file before.
    number: Option<u64>,
    /// Lines that are no records, and where they begin.
    fragment: Option<(Place, Fragment)>,
    /// Whether this file has shown a record.
    has_begun: bool,
}

impl Verifier {
    /// A walk that holds the files to what is expected.
    #[must_use]
    pub fn new(expected: Expected) -> Self {
        Self {
            expected,
            ..Self::default()
        }
    }

    /// Walks the next file.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn file(&mut self, name: &str, mut file: impl BufRead) -> io::Result<()> {
        self.has_begun = false;
        let mut place = Place {
            file: name.to_owned(),
            line: 0,
        };
        let mut line = Vec::new();
        let mut is_ended = true;
        loop {
            line.clear();
            if file.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            place.line += 1;
            is_ended = line.pop_if(|last| *last == b'\n').is_some();
            match Link::read(&line, &self.expected.keys) {
                Some(link) => self.record(&place, link),
                None => {
                    let (_, fragment) = self
                        .fragment
                        .get_or_insert_with(|| (place.clone(), Fragment::default()));
                    fragment.push(&line);
                }
            }
        }
        if let Some((at, _)) = self.fragment.take() {
            self.broken(
                &at,
                "not a complete record, and no later line of the file reports it as torn: changed, truncated, or torn by a recent crash",
            );
        } else if !is_ended {
            self.broken(&place, "the last line is torn: its line break is missing");
        }
        if !self.has_begun {
            place.line = place.line.max(1);
            self.broken(&place, "the file contains no complete record");
        }
        Ok(())
    }

    /// What was found in all files.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if let Some((place, last)) = self.last.take() {
            self.report.head = Some(last.hash);
            self.made_by(&place);
            if self.expected.head.is_some() && !self.has_head {
                self.broken(
                    &place,
                    "the given head is not among the records: the end was truncated, or it belongs to another trail",
                );
            }
            if last.event != Event::Stop {
                self.note(
                    &place,
                    "last record: its process is still running, was killed, or lost the lines that followed",
                );
            }
        } else if self.report.breaks.is_empty() {
            let place = Place {
                file: "-".to_owned(),
                line: 0,
            };
            self.broken(&place, "no files given");
        }
        self.report
    }

    fn record(&mut self, place: &Place, link: Link) {
        self.report.records += 1;
        self.report.lost += link.lost.unwrap_or_default();
        if let Some(lost) = link.lost {
            self.note(
                place,
                &format!("{lost} records before this line could not be written"),
            );
        }
        let is_sound = self.fragment_before(place, &link);
        self.made(place, &link);
        self.number(place, &link);
        match self.last.take() {
            None => self.first(place, &link),
            Some((_, last)) if is_sound => self.follows(place, &last, &link),
            // What is wrong here has been said of the lines between.
            Some(_) => {}
        }
        self.has_head |= self.expected.head == Some(link.hash);
        self.last = Some((place.clone(), link));
        self.has_begun = true;
    }

    /// Who made the line.
    fn made(&mut self, place: &Place, link: &Link) {
        let keyed_before = self.report.records - 1 > self.report.unkeyed;
        match link.made {
            Made::Unkeyed => {
                self.report.unkeyed += 1;
                if keyed_before {
                    self.broken(
                        place,
                        "is not keyed, but records before it are: written without the key",
                    );
                }
            }
            Made::Keyed => self.report.keyed += 1,
            Made::Otherwise if self.expected.keys.is_empty() => {}
            Made::Otherwise => self.broken(
                place,
                "was written with a key other than the one given, or without a key",
            ),
        }
    }

    /// What all lines together say of who made them.
    fn made_by(&mut self, end: &Place) {
        let unkeyed = self.report.unkeyed;
        let words = if unkeyed == self.report.records {
            "unkeyed: no record has a MAC, so anyone who can write the files can forge all of them"
                .to_owned()
        } else if self.expected.keys.is_empty() {
            "the records are keyed, but no key was given: their MACs were not checked".to_owned()
        } else if unkeyed > 0 {
            format!(
                "the first {unkeyed} records are unkeyed; the keyed record after them covers them"
            )
        } else {
            return;
        };
        if unkeyed == self.report.records && !self.expected.keys.is_empty() {
            let words = format!(
                "{words}; a key was given: omit it for a trail written before keys were configured"
            );
            self.broken(end, &words);
        } else {
            self.note(end, &words);
        }
    }

    /// Lines that are no records must be reported by the record after them, and only such lines.
    fn fragment_before(&mut self, place: &Place, link: &Link) -> bool {
        let fragment = self.fragment.take();
        let found = fragment.and_then(|(at, fragment)| Some((at, fragment.torn()?)));
        match (found, link.torn) {
            (None, None) => true,
            (Some((at, found)), reported) if reported == Some(found) => {
                let words = format!(
                    "torn by a crash or a failed write ({} bytes), and reported by line {}",
                    found.bytes, place.line
                );
                self.note(&at, &words);
                true
            }
            (Some((at, _)), _) => {
                self.broken(&at, "not a complete record: changed or truncated");
                false
            }
            (None, Some(_)) => {
                self.broken(
                    place,
                    "reports a torn line before it that is missing: removed",
                );
                true
            }
        }
    }

    /// The first record of a file, and no other, carries the file's number.
    fn number(&mut self, place: &Place, link: &Link) {
        match (self.has_begun, link.file) {
            (false, Some(number)) => {
                let is_new_trail = link.prev.is_none();
                if let Some(before) = self.number
                    && number != before + 1
                    && !is_new_trail
                {
                    let words = format!(
                        "file number {number} follows number {before}: a file is missing, or the files are not given oldest first"
                    );
                    self.broken(place, &words);
                }
                self.number = Some(number);
            }
            (false, None) => self.broken(
                place,
                "is not the first line of its file: lines before it were removed",
            ),
            (true, Some(number)) if link.prev.is_none() => self.number = Some(number),
            (true, Some(_)) => self.broken(place, "is the first line of another file: moved"),
            (true, None) => {}
        }
    }

    fn first(&mut self, place: &Place, link: &Link) {
        match (link.file, link.prev) {
            (Some(1), Some(_)) => {
                self.broken(
                    place,
                    "is the first line of the first file but follows another line",
                );
            }
            (Some(number @ 2..), _) => {
                let words = format!("continues file number {}, which was not given", number - 1);
                self.note(place, &words);
            }
            _ => {}
        }
    }

    fn follows(&mut self, place: &Place, last: &Link, link: &Link) {
        let is_new = link.process != last.process;
        if link.event == Event::Start && link.prev.is_none() && is_new {
            let words = "a new trail begins: nothing links it to the one before";
            if self.expected.trails == Trails::One || self.has_head {
                self.broken(place, words);
            } else {
                self.note(place, words);
            }
            return;
        }
        if link.prev != Some(last.hash) {
            let words = if !is_new {
                format!(
                    "does not follow the line before it: lines were removed, added, changed or moved (record {} after {})",
                    link.seq, last.seq
                )
            } else {
                "does not follow the line before it: lines were removed, added, changed or moved"
                    .to_owned()
            };
            self.broken(place, &words);
            return;
        }
        let is_next = match link.event {
            Event::Start => link.seq == 0 && is_new,
            _ => !is_new && last.seq.checked_add(1) == Some(link.seq) && last.event != Event::Stop,
        };
        if !is_next {
            self.broken(
                place,
                "its sequence number or process does not follow the line before",
            );
        }
        if link.event == Event::Start && last.event != Event::Stop {
            self.note(place, "the previous process ended without its last record");
        }
    }

    fn broken(&mut self, place: &Place, words: &str) {
        self.report.breaks.push(Remark {
            place: place.clone(),
            words: words.to_owned(),
        });
    }

    fn note(&mut self, place: &Place, words: &str) {
        self.report.notes.push(Remark {
            place: place.clone(),
            words: words.to_owned(),
        });
    }
}
