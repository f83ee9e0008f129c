//! Frames that a client may send without end and that ask for nothing: PRIORITY, which HTTP/2 has given up, DATA
//! without data, kinds that nobody knows. Each is nine bytes that somebody has to look at.
//!
//! They are counted as they are read, before HTTP/2 sees them. Who sends more of them than some for each request
//! is not served further.

/// How many there may be at any time, and how many more for each request.
const MOST: u32 = 1000;
const PER_REQUEST: u32 = 10;

const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const LAST_KNOWN: u8 = 9;
const END_STREAM: u8 = 1;

/// What was read of a connection's frames.
#[derive(Debug)]
pub struct Frames {
    head: [u8; HEAD],
    /// How many bytes of the head are there.
    have: usize,
    /// How many bytes of the frame's payload are still to come.
    payload: usize,
    left: u32,
}

/// There were too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many frames that ask for nothing")]
pub struct Flood;

impl Default for Frames {
    fn default() -> Self {
        Self {
            head: [0; HEAD],
            have: 0,
            payload: 0,
            left: MOST,
        }
    }
}

impl Frames {
    /// Takes note of what was read.
    ///
    /// # Errors
    ///
    /// [`Flood`] if the client sends too many frames that ask for nothing.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(HEAD - self.have));
            if let Some(place) = self.head.get_mut(self.have..self.have + now.len()) {
                place.copy_from_slice(now);
            }
            self.have += now.len();
            bytes = later;
            if self.have == HEAD {
                self.have = 0;
                self.frame()?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.head;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            HEADERS => self.left = (self.left + PER_REQUEST).min(MOST),
            DATA if self.payload > 0 || flags & END_STREAM != 0 => {}
            DATA | PRIORITY => self.take()?,
            known if known <= LAST_KNOWN => {}
            _ => self.take()?,
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), Flood> {
        self.left = self.left.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head[..], &vec![7; payload]].concat()
    }

    fn flood(frames: &[u8]) -> bool {
        // In pieces of every odd length.
        let mut read = Frames::default();
        let mut rest = frames;
        for length in (1..100).cycle() {
            let (now, later) = rest.split_at(rest.len().min(length));
            if read.read(now).is_err() {
                return true;
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        false
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
            let one = frame(kind, flags, payload);
            assert!(!flood(&one.repeat(most)), "{kind} {flags} {payload}");
            assert_eq!(
                flood(&one.repeat(most + 1)),
                expected,
                "{kind} {flags} {payload}"
            );
        }
    }

    #[test]
    fn each_request_may_have_some() {
        let some = [frame(HEADERS, 4, 50), frame(PRIORITY, 0, 5).repeat(10)].concat();
        assert!(!flood(&some.repeat(1000)));
        let more = [frame(HEADERS, 4, 50), frame(PRIORITY, 0, 5).repeat(12)].concat();
        assert!(flood(&more.repeat(1000)));
    }
}
