//! The chain: how a record becomes a line, and how a line is known to be whole.
//!
//! A line is one JSON object. `prev` is the SHA-256 of the line before it, without its line break;
//! `sum`, always last, is the SHA-256 of the line's own bytes before `,"sum"`, so that a change is
//! found at its own line, and in the last line too, which no other line vouches for. Where the chain has a key there
//! is `mac` before it, the HMAC of the bytes before `,"mac"`: without the key nobody can make a line.
//!
//! The first line of a file carries `file`, the file's running number. A line that follows bytes
//! that are no record (a line torn by a crash) carries `torn`: their count and SHA-256. A line before
//! which records were lost carries `lost`, and one before which refusals were left out `refusals_left_out`.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, de::Error as _};
use uuid::Uuid;

use super::{
    chain_key::ChainKey,
    record::{self, Record},
    words::Event,
};
use crate::{
    hex::{self, Hex},
    json_line::JsonLine,
    sha256::Sha256,
};

/// Begins every line; tells a file of records from any other.
pub const BEGINNING: &[u8] = br#"{"message":"audit","#;
const SUM: &[u8] = br#","sum":""#;
const MAC: &[u8] = br#","mac":""#;
const END: &[u8] = br#""}"#;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes))
    }

    /// In hexadecimal.
    #[must_use]
    pub fn hex(&self) -> Hex<32> {
        Hex::of(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// What is no SHA-256 in hexadecimal.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not a SHA-256 in hexadecimal")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        hex::read(text).map(Self).ok_or(NoDigest)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
            sha256: Digest(self.hash.finish()),
        })
    }
}

/// What a line carries because of where it stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The number of the file, in its first line.
    pub file: Option<u64>,
    /// The bytes before it that are no record.
    pub torn: Option<Torn>,
    /// How many records of ended calls were lost since the line before it.
    pub lost: Option<u64>,
    /// How many refusals were left out since the line before it.
    pub left_out: Option<u64>,
}

impl Place {
    fn write(&self, line: &mut JsonLine) {
        if let Some(file) = self.file {
            line.value("file", file);
        }
        if let Some(torn) = &self.torn {
            let mut object = JsonLine::default();
            object.value("bytes", torn.bytes);
            object.text("sha256", &torn.sha256.hex());
            line.object("torn", object);
        }
        if let Some(lost) = self.lost {
            line.value("lost", lost);
        }
        if let Some(left_out) = self.left_out {
            line.value("refusals_left_out", left_out);
        }
    }
}

/// The chain of one process.
#[derive(Debug, Clone)]
pub struct Chain {
    process: Uuid,
    next: u64,
    prev: Option<Digest>,
    key: Option<Arc<ChainKey>>,
}

/// Longer than most lines.
const USUAL: usize = 1024;

impl Chain {
    /// A new chain, with a new process id, that goes on from the last line of another, if there is one. Without a
    /// key its lines have no `mac`.
    #[must_use]
    pub fn new(prev: Option<Digest>, key: Option<ChainKey>) -> Self {
        Self {
            process: Uuid::now_v7(),
            next: 0,
            prev,
            key: key.map(Arc::new),
        }
    }

    /// The last line, if there is one.
    #[must_use]
    pub const fn head(&self) -> Option<Digest> {
        self.prev
    }

    /// The next line, without its line break.
    pub fn line(&mut self, record: &Record, place: Place) -> Vec<u8> {
        let mut line = JsonLine::with_capacity(USUAL);
        line.word("message", "audit");
        record::id(&mut line, "process", self.process);
        line.value("seq", self.next);
        record.write(&mut line);
        place.write(&mut line);
        match self.prev {
            Some(prev) => line.text("prev", &prev.hex()),
            None => line.value("prev", ()),
        }
        let mut bytes = line.open();
        if let Some(key) = &self.key {
            let mac = key.mac(&bytes);
            bytes.extend_from_slice(MAC);
            bytes.extend_from_slice(mac.hex().as_bytes());
            bytes.push(b'"');
        }
        let mut hash = Sha256::new().chain_update(&bytes);
        let summed = bytes.len();
        let sum = Digest(hash.clone().finish());
        bytes.extend_from_slice(SUM);
        bytes.extend_from_slice(sum.hex().as_bytes());
        bytes.extend_from_slice(END);
        // The hash of the whole line goes on where the sum's ended.
        hash.update(bytes.split_at(summed).1);
        self.prev = Some(Digest(hash.finish()));
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
    /// Under which of the keys it was made.
    #[serde(skip)]
    pub made: Made,
}

/// Under which key a line was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Made {
    /// Under none: anybody could have.
    #[default]
    Unkeyed,
    /// Under one of those given.
    Keyed,
    /// Under another than those given, or it was changed.
    Otherwise,
}

impl Link {
    const fn unread() -> Digest {
        Digest([0; 32])
    }

    /// Reads a line, given without its line break; none if it is not whole.
    #[must_use]
    pub fn read(line: &[u8], keys: &[ChainKey]) -> Option<Self> {
        let rest = line.strip_suffix(END)?;
        let (rest, sum) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let body = rest.strip_suffix(SUM)?;
        // Compared as text: upper-case digits would be a change too.
        if !body.starts_with(BEGINNING) || Digest::of(body).hex().as_bytes() != sum {
            return None;
        }
        let mut link: Self = serde_json::from_slice(line).ok()?;
        link.hash = Digest::of(line);
        link.made = made(body, keys);
        Some(link)
    }
}

/// Looks at the end of a line before its `sum`.
fn made(body: &[u8], keys: &[ChainKey]) -> Made {
    let mac = || {
        let rest = body.strip_suffix(b"\"")?;
        let (rest, mac) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        Some((rest.strip_suffix(MAC)?, mac))
    };
    match mac() {
        None => Made::Unkeyed,
        Some((covered, mac)) => {
            let is_of = |key: &ChainKey| key.mac(covered).hex().as_bytes() == mac;
            if keys.iter().any(is_of) {
                Made::Keyed
            } else {
                Made::Otherwise
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use tonic::Code;

    use super::*;
    use crate::{
        audit::{
            hash::Hasher,
            record::{CallRecord, CallerRecord, End, Hashed},
            words::Purpose,
        },
        auth::{AuthMode, identity::Identity},
        domain::{
            consent::SubjectConsent,
            verification::{Billing, Environment, Outcome, Provider, Source},
        },
    };

    #[test]
    fn a_line_is_read_back_and_every_changed_byte_is_found() {
        let key = ChainKey::new(b"key");
        let mut chain = Chain::new(None, Some(key.clone()));
        let first = chain.line(&Record::stop(), Place::default());
        let place = Place {
            file: Some(3),
            lost: Some(2),
            left_out: None,
            torn: Fragment::default().torn(),
        };
        let second = chain.line(&Record::stop(), place);
        let keys = [ChainKey::new(b"older"), key];
        let link = Link::read(&second, &keys).unwrap();
        assert_eq!((link.seq, link.file, link.lost), (1, Some(3), Some(2)));
        assert_eq!(link.made, Made::Keyed);
        let made = |keys: &[ChainKey]| Link::read(&second, keys).unwrap().made;
        assert_eq!(made(&keys[..1]), Made::Otherwise);
        assert_eq!(made(&[]), Made::Otherwise);
        assert_eq!(link.prev, Link::read(&first, &keys).map(|link| link.hash));
        assert_eq!(chain.head(), Some(link.hash));
        for place in 0..second.len() {
            for bit in [0x01, 0x20] {
                let mut changed = second.clone();
                changed[place] ^= bit;
                assert!(Link::read(&changed, &keys).is_none(), "byte {place}");
            }
            assert!(Link::read(&second[..place], &keys).is_none());
        }
    }

    /// Held fast, byte by byte: auditors have programs that read these lines.
    #[test]
    fn a_full_record_is_written_as_documented() {
        let hash = Hasher::new(b"audit-test-key").key_id();
        let id = |number| Uuid::from_u128(number);
        let call = CallRecord {
            call: id(1),
            peer: Some("[2001:db8::1]:443".into()),
            caller: Some(CallerRecord {
                identity: Arc::new(Identity::new(AuthMode::Jwt, "a \"b\" c").unwrap()),
                rule: Some("payments".into()),
                caller_mode: "jwt",
            }),
            rpc: "idgw.identity.v1.IdentityService/ScrubKenyaId".into(),
            purpose: Purpose::parse(br#"KYC \ "12""#).ok(),
            consent: SubjectConsent::given(true),
            provider: Some(Provider::Youverify),
            environment: Some(Environment::Sandbox),
            verification_id: None,
            identifier: Some(Hashed {
                kind: "ke_passport",
                hash,
            }),
            created_hash: Some(hash),
            end: Some(End {
                code: Code::Unavailable,
                reason: Some("PROVIDER_UNAVAILABLE"),
                cause: None,
                outcome: Some(Outcome::NotFound),
                billing: Billing::Unknown,
                source: Some(Source::Provider),
                cost: "0.35 USD".parse().ok().map(crate::domain::price::Cost::Of),
                paid_by: None,
                attempts: 3,
            }),
        };
        let mut record = Record::of_call(Event::LateResult, call);
        record.time = Timestamp::UNIX_EPOCH;
        let mut fragment = Fragment::default();
        fragment.push(b"{");
        let place = Place {
            file: Some(3),
            torn: fragment.torn(),
            lost: Some(2),
            left_out: None,
        };
        let mut chain = Chain {
            process: id(2),
            next: 7,
            prev: Some(Digest::of(b"before")),
            key: None,
        };
        let line = String::from_utf8(chain.line(&record, place)).unwrap();
        let expected = r#"{"message":"audit","process":"00000000-0000-0000-0000-000000000002","seq":7,"event":"late_result","time":"1970-01-01T00:00:00.000Z","call":"00000000-0000-0000-0000-000000000001","peer":"[2001:db8::1]:443","caller":"a \"b\" c","caller_rule":"payments","caller_mode":"jwt","rpc":"idgw.identity.v1.IdentityService/ScrubKenyaId","purpose":"KYC \\ \"12\"","consent":true,"provider":"youverify","environment":"sandbox","identifier_kind":"ke_passport","identifier_hash":"c88e5ab8671ec2f33c507ee422aadb0b5bf9ca9a4aa8afe2648e1412404f7fbb","created_hash":"c88e5ab8671ec2f33c507ee422aadb0b5bf9ca9a4aa8afe2648e1412404f7fbb","code":"UNAVAILABLE","reason":"PROVIDER_UNAVAILABLE","outcome":"not_found","billing":"unknown","cost":0.35,"currency":"USD","source":"provider","attempts":3,"file":3,"torn":{"bytes":1,"sha256":"021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96"},"lost":2,"prev":"6db7d803e74f1ffa7d8f5adc0bf95b3e15bf4c8373fffadf546227cc6c6742cb","sum":"81aad2bac14e0bc60c38fcbe81a6c5d8fa48d4874fcc20bdbf1a9937563c5038"}"#;
        assert_eq!(line, expected);
        let mut chain = Chain {
            process: id(2),
            next: 0,
            prev: None,
            key: None,
        };
        let mut start = Record::start(hash, None);
        start.time = Timestamp::UNIX_EPOCH;
        let line = String::from_utf8(chain.line(&start, Place::default())).unwrap();
        let expected = r#"{"message":"audit","process":"00000000-0000-0000-0000-000000000002","seq":0,"event":"start","time":"1970-01-01T00:00:00.000Z","version":"0.1.0","key_id":"c88e5ab8671ec2f33c507ee422aadb0b5bf9ca9a4aa8afe2648e1412404f7fbb","prev":null,"sum":"52a4161f4129c70638d1960488ba8f27f27114bdedcd64387847acab0e730534"}"#;
        assert_eq!(line, expected);
    }

    /// The same, with a key: docs/audit.md says what `mac` covers.
    #[test]
    fn another_library_gets_the_same_mac_of_a_line() {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mut chain = Chain::new(None, Some(ChainKey::new(b"a key")));
        let line = String::from_utf8(chain.line(&Record::stop(), Place::default())).unwrap();
        let (covered, rest) = line.split_once(",\"mac\":\"").unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a key").unwrap();
        mac.update(covered.as_bytes());
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(rest.get(..64), Some(&*Digest(expected).hex()));
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
