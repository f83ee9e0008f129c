//! Keys that somebody typed instead of drawing them: long enough, and guessed all the same.

/// Bytes that a key must have.
pub const SHORTEST: usize = 32;
/// Fewer different bytes do not happen by chance, even where all are decimal digits.
const FEWEST_DIFFERENT: usize = 6;

/// Whether a key can be guessed: it is short, hardly varies, repeats its beginning, or counts up or down.
#[must_use]
pub fn is_weak(key: &[u8]) -> bool {
    let mut different = key.to_vec();
    different.sort_unstable();
    different.dedup();
    let repeats = (1..=key.len() / 2)
        .any(|period| key.iter().zip(key.iter().skip(period)).all(|(a, b)| a == b));
    let steps = |step: u8| {
        let next = key.iter().skip(1);
        key.iter()
            .zip(next)
            .filter(|(a, b)| a.wrapping_add(step) == **b)
            .count()
    };
    // `0123456789abcdef…` has a few places where it goes on elsewhere.
    let counts = steps(1).max(steps(u8::MAX)) * 4 >= key.len() * 3;
    key.len() < SHORTEST || different.len() < FEWEST_DIFFERENT || repeats || counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_somebody_typed_is_weak() {
        let counted: Vec<u8> = (0..64).collect();
        for weak in [
            &b"letmein"[..],
            &[b'k'; 32],
            &[0; 64],
            b"abababababababababababababababab",
            b"0123456789abcdef0123456789abcdef",
            b"passwordpasswordpasswordpassword",
            b"password1password1password1password1pass",
            b"0123456789abcdefghijklmnopqrstuvwxyz",
            b"zyxwvutsrqponmlkjihgfedcba9876543210",
            &counted,
        ] {
            assert!(is_weak(weak), "{}", String::from_utf8_lossy(weak));
        }
        assert!(!is_weak(b"a preshared key of thirty-two bytes"));
    }

    proptest! {
        #[test]
        fn a_key_that_was_drawn_is_not(
            bytes in proptest::collection::vec(any::<u8>(), 32..64),
            digits in "[0-9a-f]{64}",
        ) {
            prop_assert!(!is_weak(&bytes));
            prop_assert!(!is_weak(digits.as_bytes()));
        }
    }
}
