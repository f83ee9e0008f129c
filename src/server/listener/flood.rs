//! Frames that a client may send without end and that ask for nothing: PRIORITY, which HTTP/2 has given up, DATA
//! without data, kinds that nobody knows. Each is nine bytes that somebody has to look at.
//!
//! They are counted as they are read, before HTTP/2 sees them. Who sends more of them than some for each request
//! is not served further.

use super::frames::{DATA, END_STREAM, Frame, HEADERS, LAST_KNOWN, PRIORITY};

/// How many there may be at any time, and how many more for each request.
const MOST: u32 = 1000;
const PER_REQUEST: u32 = 10;

/// How many there may still be.
#[derive(Debug)]
pub struct Patience(u32);

/// There were too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("HTTP/2 control frame flood")]
pub struct Flood;

impl Default for Patience {
    fn default() -> Self {
        Self(MOST)
    }
}

impl Patience {
    /// Takes note of a frame.
    ///
    /// # Errors
    ///
    /// [`Flood`] if the client sends too many frames that ask for nothing.
    pub fn read(&mut self, frame: &Frame) -> Result<(), Flood> {
        match frame.kind {
            HEADERS => self.0 = (self.0 + PER_REQUEST).min(MOST),
            DATA if frame.length > 0 || frame.has(END_STREAM) => {}
            DATA | PRIORITY => self.take()?,
            known if known <= LAST_KNOWN => {}
            _ => self.take()?,
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), Flood> {
        self.0 = self.0.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood(frames: impl IntoIterator<Item = (u8, u8, usize)>) -> bool {
        let mut patience = Patience::default();
        let frames = frames.into_iter().map(|(kind, flags, length)| Frame {
            kind,
            flags,
            stream: 1,
            length,
        });
        frames
            .into_iter()
            .any(|frame| patience.read(&frame).is_err())
    }

    #[test]
    fn frames_that_ask_for_nothing_are_a_flood_and_others_are_not() {
        for (kind, flags, payload, expected) in [
            (DATA, 0, 0, true),
            (DATA, END_STREAM, 0, false),
            (DATA, 0, 20, false),
            (PRIORITY, 0, 5, true),
            (200, 0, 0, true),
            (8, 0, 4, false),
        ] {
            let most = usize::try_from(MOST).unwrap();
            let many = |number| std::iter::repeat_n((kind, flags, payload), number);
            assert!(!flood(many(most)), "{kind} {flags} {payload}");
            assert_eq!(flood(many(most + 1)), expected, "{kind} {flags} {payload}");
        }
    }

    #[test]
    fn each_request_may_have_some() {
        for (number, expected) in [(10, false), (12, true)] {
            let one = std::iter::once((HEADERS, 4, 50));
            let one = one.chain(std::iter::repeat_n((PRIORITY, 0, 5), number));
            let many: Vec<_> = one.collect();
            assert_eq!(flood(many.repeat(1000)), expected);
        }
    }
}
