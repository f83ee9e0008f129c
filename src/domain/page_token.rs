//! What a page token says: where a list goes on, for which page size and view.
//!
//! A provider counts pages, and what is on a page moves when records come and go in between. So a token
//! names the last records that were given, by digests, and the page where the very last one was seen:
//! the list goes on behind them, wherever they are by then. Nothing in it is secret; its text is
//! authenticated where it is made (`sharing::handles`).

use super::person::View;
use crate::sha256::Sha256;

const VERSION: u8 = 2;
const HEAD: usize = 14;
/// How many of the last records a token names.
pub const NAMED: usize = 32;

/// What stands for a record's id.
pub type Digest = [u8; 8];

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    /// The provider's page, from 1, where the last record was seen.
    pub page: u32,
    /// The page size that the token belongs to.
    pub page_size: u32,
    /// The view that the token belongs to.
    pub view: View,
    /// How many records were given so far.
    pub given: u32,
    /// The last records that were given, at most [`NAMED`], the very last one last.
    pub last: Vec<Digest>,
}

impl PageToken {
    /// The digest of a record's id that a token carries.
    #[must_use]
    pub fn digest(id: &str) -> Digest {
        let [a, b, c, d, e, f, g, h, ..] = Sha256::digest(id);
        [a, b, c, d, e, f, g, h]
    }

    /// The token in bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.last.len() * size_of::<Digest>());
        bytes.push(VERSION);
        bytes.push(u8::from(self.view == View::Full));
        bytes.extend(self.page.to_be_bytes());
        bytes.extend(self.page_size.to_be_bytes());
        bytes.extend(self.given.to_be_bytes());
        bytes.extend(self.last.iter().flatten());
        bytes
    }

    /// Reads a token; none if it was not made by [`encode`](Self::encode).
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, last) = bytes.split_first_chunk::<HEAD>()?;
        let [version, view, p1, p2, p3, p4, s1, s2, s3, s4, g @ ..] = *head;
        let (last, rest) = last.as_chunks::<8>();
        let page = u32::from_be_bytes([p1, p2, p3, p4]);
        let is_possible = version == VERSION && view <= 1 && page > 0 && rest.is_empty();
        (is_possible && (1..=NAMED).contains(&last.len())).then(|| Self {
            page,
            page_size: u32::from_be_bytes([s1, s2, s3, s4]),
            view: if view == 1 { View::Full } else { View::Basic },
            given: u32::from_be_bytes(g),
            last: last.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_names_nobody() {
        let token = |named: usize| PageToken {
            page: 7,
            page_size: 1000,
            view: View::Full,
            given: 6400,
            last: vec![PageToken::digest("person_123456789"); named],
        };
        for named in [1, 2, NAMED] {
            let bytes = token(named).encode();
            assert_eq!(PageToken::decode(&bytes), Some(token(named)));
            assert!(!bytes.windows(6).any(|window| window == b"person"));
            assert_eq!(PageToken::decode(&bytes[1..]), None);
            assert_eq!(PageToken::decode(&[&bytes[..], &[0]].concat()), None);
        }
        for named in [0, NAMED + 1] {
            assert_eq!(PageToken::decode(&token(named).encode()), None);
        }
        assert_eq!(PageToken::decode(b""), None);
    }
}
