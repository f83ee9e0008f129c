//! Handles and page tokens: texts that callers keep for the gateway, and cannot make themselves.
//!
//! A handle stands for a record and its owner: `~` and base64url of `version (1) | MAC (16) | the
//! provider's id`. The MAC is HMAC-SHA-256, cut to 16 bytes, over owner and id, so that ownership needs
//! no store: it holds after a restart and at every replica that has the key. The same record and owner
//! have the same handle under the same key; one that was made under an older key is good as long as that
//! key is listed.
//!
//! A page token is base64url of `MAC (16) | token`, under a key of its own.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::domain::{page_token::PageToken, person::PersonId};

/// What a handle begins with, and no provider's id has.
const MARK: char = '~';
const VERSION: u8 = 1;
const MAC: usize = 16;
/// The longest text that may be a handle.
const LONGEST: usize = 255;

/// The keys under which handles and page tokens are made.
pub struct Handles {
    newest: Keys,
    older: Vec<Keys>,
}

struct Keys {
    handles: hmac::Key,
    pages: hmac::Key,
}

impl Keys {
    fn of(master: &[u8]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, master);
        let key = |label: &str| {
            let derived = hmac::sign(&master, label.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
        };
        Self {
            handles: key("identity-gateway: person handles, 1"),
            pages: key("identity-gateway: page tokens, 1"),
        }
    }

    fn handle(&self, owner: &str, id: &PersonId) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.handles);
        for part in [owner, id.reveal()] {
            // Without the length, `ab` and `c` would be `a` and `bc`.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.sign()
    }
}

impl Handles {
    /// Makes them under the `newest` secret, and takes those made under the `older` ones.
    #[must_use]
    pub fn new<'a>(newest: &[u8], older: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            newest: Keys::of(newest),
            older: older.into_iter().map(Keys::of).collect(),
        }
    }

    /// The handle of an owner's record.
    #[must_use]
    pub fn handle(&self, owner: &str, id: &PersonId) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(cut(&self.newest.handle(owner, id)));
        bytes.extend(id.reveal().as_bytes());
        let mut text = String::from(MARK);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        text
    }

    /// Whether a handle was made here for this owner.
    #[must_use]
    pub fn is_owners(&self, owner: &str, handle: &str) -> bool {
        let Some((mac, id)) = parts(handle) else {
            return false;
        };
        self.all()
            .any(|keys| is_equal(&keys.handle(owner, &id), &mac))
    }

    /// The text of a page token.
    #[must_use]
    pub fn page_text(&self, token: &PageToken) -> String {
        let body = token.encode();
        let mac = hmac::sign(&self.newest.pages, &body);
        URL_SAFE_NO_PAD.encode([cut(&mac), &body].concat())
    }

    /// Reads a page token; none if it was not made here.
    #[must_use]
    pub fn page(&self, text: &str) -> Option<PageToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (mac, body) = bytes.split_first_chunk::<MAC>()?;
        let is_ours = |keys: &Keys| is_equal(&hmac::sign(&keys.pages, body), mac);
        self.all().any(is_ours).then(|| PageToken::decode(body))?
    }

    fn all(&self) -> impl Iterator<Item = &Keys> {
        [&self.newest].into_iter().chain(&self.older)
    }
}

/// The provider's id in a handle, whoever made it; none if it is no handle.
#[must_use]
pub fn id_in(handle: &str) -> Option<PersonId> {
    parts(handle).map(|(_, id)| id)
}

fn parts(handle: &str) -> Option<([u8; MAC], PersonId)> {
    let text = handle
        .strip_prefix(MARK)
        .filter(|_| handle.len() <= LONGEST)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (mac, id) = rest.split_first_chunk::<MAC>()?;
    let id = PersonId::parse(std::str::from_utf8(id).ok()?).ok()?;
    (*version == VERSION).then_some((*mac, id))
}

fn cut(tag: &hmac::Tag) -> &[u8] {
    tag.as_ref().get(..MAC).unwrap_or_default()
}

fn is_equal(tag: &hmac::Tag, mac: &[u8; MAC]) -> bool {
    verify_slices_are_equal(cut(tag), mac).is_ok()
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handles([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::View;

    fn id(text: &str) -> PersonId {
        PersonId::parse(text).unwrap()
    }

    #[test]
    fn a_handle_is_its_owners_and_the_same_each_time() {
        let handles = Handles::new(b"one", []);
        let longest = "x".repeat(128);
        for of in ["a", "person_123456789", &longest] {
            let handle = handles.handle("payments", &id(of));
            assert_eq!(handle, Handles::new(b"one", []).handle("payments", &id(of)));
            assert!((1..=LONGEST).contains(&handle.len()), "{}", handle.len());
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
            assert!(handle.bytes().all(allowed), "{handle}");
            assert!(PersonId::parse(&handle).is_err(), "a handle is no id");
            assert_eq!(id_in(&handle), Some(id(of)));
            assert!(handles.is_owners("payments", &handle));
            assert!(!handles.is_owners("credit", &handle));
            assert!(!Handles::new(b"two", []).is_owners("payments", &handle));
            assert!(Handles::new(b"two", [&b"one"[..]]).is_owners("payments", &handle));
            for place in 0..handle.len() {
                let mut changed = handle.clone().into_bytes();
                changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert!(!handles.is_owners("payments", &changed), "byte {place}");
                assert!(
                    !handles.is_owners("payments", &handle[..place]),
                    "{place} bytes"
                );
            }
        }
        // Owner and id do not run together.
        let handle = handles.handle("ab", &id("c"));
        assert_ne!(handle, handles.handle("a", &id("bc")));
        for none in ["", "~", "person_1", "~AAAA", "~é"] {
            assert!(
                !handles.is_owners("payments", none) && id_in(none).is_none(),
                "{none}"
            );
        }
    }

    #[test]
    fn a_page_token_is_read_by_who_has_the_key_and_only_whole() {
        let token = PageToken {
            page: 7,
            page_size: 50,
            view: View::Full,
            given: 350,
            last: vec![PageToken::digest("a"); 32],
        };
        let handles = Handles::new(b"one", []);
        let text = handles.page_text(&token);
        assert_eq!(handles.page(&text), Some(token.clone()));
        assert_eq!(
            Handles::new(b"two", [&b"one"[..]]).page(&text),
            Some(token.clone())
        );
        assert_eq!(Handles::new(b"two", []).page(&text), None);
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(handles.page(&String::from_utf8(changed).unwrap()), None);
            assert_eq!(handles.page(&text[..place]), None);
        }
        // Whoever knows the form of the token cannot make one.
        let forged = [&[0; MAC][..], &token.encode()].concat();
        assert_eq!(handles.page(&URL_SAFE_NO_PAD.encode(forged)), None);
        assert_eq!(format!("{handles:?}"), "Handles([redacted])");
    }
}
