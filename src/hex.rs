//! Hexadecimal. It is written at one stroke: every record of the audit holds four hashes, every line of the log two ids.

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

/// The bytes that a text of just their digits, in either case, stands for. A sign is no digit.
#[must_use]
pub fn read<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|half| u8::try_from(half).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != BYTES || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(*Hex::of(&[byte, 0]), format!("{byte:02x}00"));
            assert_eq!(read(&Hex::of(&[byte, 0])), Some([byte, 0]));
            assert_eq!(read(&format!("{byte:02X}00")), Some([byte, 0]));
        }
    }

    #[test]
    fn nothing_but_the_digits_is_read() {
        for text in [
            "", "0", "000", "00000", "+f00", "f 00", "0x00", "éé", "g000", "00-0",
        ] {
            assert_eq!(read::<2>(text), None, "{text}");
        }
    }
}
