//! SHA-256, from the library that TLS uses: one for all, and fast also on processors that have no
//! instructions for it.

use std::fmt;

use aws_lc_rs::digest::{self, Context, SHA256};

/// A hash that is being made.
#[derive(Clone)]
pub struct Sha256(Context);

impl Sha256 {
    /// A hash of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn digest(bytes: impl AsRef<[u8]>) -> [u8; 32] {
        array(digest::digest(&SHA256, bytes.as_ref()).as_ref())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes.as_ref());
    }

    /// Adds bytes.
    #[must_use]
    pub fn chain_update(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.update(bytes);
        self
    }

    /// The hash.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        array(self.0.finish().as_ref())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// What is hashed may be about a person.
impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256([redacted])")
    }
}

/// The bytes of a SHA-256, or of an HMAC of it: there are always 32.
#[must_use]
pub fn array(hash: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn another_library_gets_the_same() {
        for length in [0, 1, 55, 56, 64, 1000] {
            let bytes = vec![b'a'; length];
            let expected: [u8; 32] = sha2::Sha256::digest(&bytes).into();
            let (one, other) = bytes.split_at(length / 3);
            assert_eq!(Sha256::digest(&bytes), expected);
            assert_eq!(
                Sha256::new().chain_update(one).chain_update(other).finish(),
                expected
            );
        }
    }
}
