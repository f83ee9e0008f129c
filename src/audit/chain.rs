//! The chain: how a record becomes a line, and how a line is known to be whole.
//!
//! A line is one JSON object. `prev` is the SHA-256 of the line before it, without its line break;
//! `sum`, always last, is the SHA-256 of the line's own bytes before `,"sum"`, so that a change is
//! found at its own line, and in the last line too, which no other line vouches for.
//!
//! The first line of a file carries `file`, the file's running number. A line that follows bytes
//! that are no record (a line torn by a crash) carries `torn`: their count and SHA-256. A line before
//! which records were lost carries `lost`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{record::Record, words::Event};

/// Begins every line; tells a file of records from any other.
pub const BEGINNING: &[u8] = br#"{"message":"audit","#;
const SUM: &[u8] = br#","sum":""#;
const END: &[u8] = br#""}"#;

/// Writes a hash in lower-case hexadecimal, at one stroke: every record holds four.
pub fn hex(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let mut text = [0; 64];
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(D::Error::custom("not a SHA-256"));
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).map_err(D::Error::custom)?;
            *byte = u8::from_str_radix(pair, 16).map_err(D::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// How many, the line break at their end left out.
    pub bytes: u64,
    /// What they hash to.
    pub sha256: Digest,
}

/// Lines that are no records, taken together.
#[derive(Debug, Clone, Default)]
pub struct Fragment {
    hash: Sha256,
    bytes: u64,
    lines: u64,
}

impl Fragment {
    /// Adds a line, given without its line break.
    pub fn push(&mut self, line: &[u8]) {
        if self.lines > 0 {
            self.hash.update(b"\n");
            self.bytes += 1;
        }
        self.hash.update(line);
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.lines += 1;
    }

    /// What there is, if there is any line.
    #[must_use]
    pub fn torn(self) -> Option<Torn> {
        (self.lines > 0).then(|| Torn {
            bytes: self.bytes,
            sha256: Digest(self.hash.finalize().into()),
        })
    }
}

/// What a line carries because of where it stands.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Place {
    /// The number of the file, in its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
    /// The bytes before it that are no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn: Option<Torn>,
    /// How many records of ended calls were lost since the line before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// The chain of one process.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    process: Uuid,
    next: u64,
    prev: Option<Digest>,
}

#[derive(Serialize)]
struct Line<'a> {
    message: &'static str,
    process: Uuid,
    seq: u64,
    #[serde(flatten)]
    record: &'a Record,
    #[serde(flatten)]
    place: Place,
    prev: Option<Digest>,
}

impl Chain {
    /// A new chain, with a new process id, that goes on from the last line of another, if there is one.
    #[must_use]
    pub fn new(prev: Option<Digest>) -> Self {
        Self {
            process: Uuid::now_v7(),
            next: 0,
            prev,
        }
    }

    /// The last line, if there is one.
    #[must_use]
    pub const fn head(&self) -> Option<Digest> {
        self.prev
    }

    /// The next line, without its line break.
    pub fn line(&mut self, record: &Record, place: Place) -> Vec<u8> {
        let line = Line {
            message: "audit",
            process: self.process,
            seq: self.next,
            record,
            place,
            prev: self.prev,
        };
        // Words, numbers and hashes: it always serializes.
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.pop();
        let mut hash = Sha256::new_with_prefix(&bytes);
        let summed = bytes.len();
        let sum = Digest(hash.clone().finalize().into());
        bytes.extend_from_slice(SUM);
        bytes.extend_from_slice(sum.to_string().as_bytes());
        bytes.extend_from_slice(END);
        // The hash of the whole line goes on where the sum's ended.
        hash.update(bytes.split_at(summed).1);
        self.prev = Some(Digest(hash.finalize().into()));
        self.next += 1;
        bytes
    }
}

/// A line that is whole, as far as the chain is concerned.
#[derive(Debug, Clone, Deserialize)]
pub struct Link {
    /// What it tells of.
    pub event: Event,
    /// The process that wrote it.
    pub process: Uuid,
    /// Its place in the process's chain.
    pub seq: u64,
    /// The line before it.
    pub prev: Option<Digest>,
    /// The number of the file that it begins.
    pub file: Option<u64>,
    /// The bytes before it that are no record.
    pub torn: Option<Torn>,
    /// How many records were lost before it.
    pub lost: Option<u64>,
    /// What the whole line hashes to.
    #[serde(skip, default = "Link::unread")]
    pub hash: Digest,
}

impl Link {
    const fn unread() -> Digest {
        Digest([0; 32])
    }

    /// Reads a line, given without its line break; none if it is not whole.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let rest = line.strip_suffix(END)?;
        let (rest, sum) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let body = rest.strip_suffix(SUM)?;
        // Compared as text: upper-case digits would be a change too.
        if !body.starts_with(BEGINNING) || Digest::of(body).to_string().as_bytes() != sum {
            return None;
        }
        let mut link: Self = serde_json::from_slice(line).ok()?;
        link.hash = Digest::of(line);
        Some(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_every_changed_byte_is_found() {
        let mut chain = Chain::new(None);
        let first = chain.line(&Record::stop(), Place::default());
        let place = Place {
            file: Some(3),
            lost: Some(2),
            torn: Fragment::default().torn(),
        };
        let second = chain.line(&Record::stop(), place);
        let link = Link::read(&second).unwrap();
        assert_eq!((link.seq, link.file, link.lost), (1, Some(3), Some(2)));
        assert_eq!(link.prev, Link::read(&first).map(|link| link.hash));
        assert_eq!(chain.head(), Some(link.hash));
        for place in 0..second.len() {
            for bit in [0x01, 0x20] {
                let mut changed = second.clone();
                changed[place] ^= bit;
                assert!(Link::read(&changed).is_none(), "byte {place}");
            }
            assert!(Link::read(&second[..place]).is_none());
        }
    }

    #[test]
    fn fragments_are_joined_by_line_breaks() {
        let mut fragment = Fragment::default();
        assert_eq!(fragment.clone().torn(), None);
        fragment.push(b"{\"mess");
        fragment.push(b"{");
        let torn = fragment.torn().unwrap();
        assert_eq!(torn.bytes, 8);
        assert_eq!(torn.sha256, Digest::of(b"{\"mess\n{"));
    }
}
