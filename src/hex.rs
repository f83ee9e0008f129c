//! Hexadecimal, written at one stroke: every record of the audit holds four hashes, every line of the log two ids.

use std::ops::Deref;

/// Bytes in lower-case hexadecimal, two digits each: as many pairs as there are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<const BYTES: usize>([[u8; 2]; BYTES]);

impl<const BYTES: usize> Hex<BYTES> {
    /// The digits of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8; BYTES]) -> Self {
        let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
        Self(bytes.map(|byte| [digit(byte >> 4), digit(byte & 0xf)]))
    }
}

impl<const BYTES: usize> Deref for Hex<BYTES> {
    type Target = str;

    fn deref(&self) -> &str {
        // Digits are text.
        std::str::from_utf8(self.0.as_flattened()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(*Hex::of(&[byte, 0]), format!("{byte:02x}00"));
        }
    }
}
