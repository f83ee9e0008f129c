//! Page tokens: opaque to callers, bound to their query, good after a restart and at any replica.
//!
//! A token says which page comes next, for which page size and view, and a digest of the first
//! record's id. The digest tells whether the provider pages at all: one that ignores `page` and
//! `limit` begins every answer with the same record. Nothing in a token is secret; the checksum
//! finds tokens that were cut or typed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::person::View;
use crate::sha256::Sha256;

const VERSION: u8 = 1;
const BODY: usize = 18;
const CHECKSUM: usize = 4;

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    /// The page to ask for, from 1.
    pub page: u32,
    /// The page size that the token belongs to.
    pub page_size: u32,
    /// The view that the token belongs to.
    pub view: View,
    /// Digest of the id of the very first record.
    pub first: [u8; 8],
}

impl PageToken {
    /// The digest of a record's id that a token carries.
    #[must_use]
    pub fn digest(id: &str) -> [u8; 8] {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(Sha256::digest(id)) {
            *to = from;
        }
        first
    }

    /// The token as callers see it.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BODY + CHECKSUM);
        bytes.push(VERSION);
        bytes.push(u8::from(self.view == View::Full));
        bytes.extend(self.page.to_be_bytes());
        bytes.extend(self.page_size.to_be_bytes());
        bytes.extend(self.first);
        bytes.extend(Sha256::digest(&bytes).into_iter().take(CHECKSUM));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token; none if it was not made by [`encode`](Self::encode).
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, checksum) = bytes.split_at_checked(BODY)?;
        if checksum.len() != CHECKSUM || !Sha256::digest(body).starts_with(checksum) {
            return None;
        }
        let body: &[u8; BODY] = body.try_into().ok()?;
        let [version, view, p1, p2, p3, p4, s1, s2, s3, s4, first @ ..] = *body;
        let page = u32::from_be_bytes([p1, p2, p3, p4]);
        if version != VERSION || view > 1 || page < 2 {
            return None;
        }
        Some(Self {
            page,
            page_size: u32::from_be_bytes([s1, s2, s3, s4]),
            view: if view == 1 { View::Full } else { View::Basic },
            first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_a_changed_one_does_not() {
        let token = PageToken {
            page: 7,
            page_size: 1000,
            view: View::Full,
            first: PageToken::digest("person_123456789"),
        };
        let text = token.encode();
        assert_eq!(PageToken::decode(&text), Some(token));
        assert!(!text.contains("person"));
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                PageToken::decode(&String::from_utf8(changed).unwrap()),
                None
            );
        }
        for bad in ["", "2", "page=2", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(PageToken::decode(bad), None, "{bad}");
        }
    }
}
