//! What a connection makes the gateway hold before it is known who calls, and after everything is said: frames and
//! headers that have begun and not ended, and streams, each with a reply that the client may not take.
//!
//! It is counted in bytes against one store of all connections, shared out by address: whatever some hold, others
//! find something. What calls hold in between is counted by themselves.

use std::{collections::BTreeSet, net::IpAddr};

use super::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM};
use crate::server::{admission::Full, quota::Share};

/// What HTTP/2 keeps of a stream, with a reply of headers.
pub const STREAM: usize = 3 * 1024;
/// A list of short headers takes more than it counts for HTTP/2: so many times.
const LOOSE: usize = 4;

/// What one connection holds.
#[derive(Debug)]
pub struct Held {
    share: Share<IpAddr>,
    /// The largest list of headers.
    headers: usize,
    /// Whether a list has begun and not ended.
    in_headers: bool,
    /// The last stream that was opened, and all that are open.
    last: u32,
    open: BTreeSet<u32>,
}

impl Held {
    pub const fn new(share: Share<IpAddr>, headers: usize) -> Self {
        Self {
            share,
            headers,
            in_headers: false,
            last: 0,
            open: BTreeSet::new(),
        }
    }

    /// Takes note of a frame of the client.
    pub fn read(&mut self, frame: &Frame) {
        match frame.kind {
            HEADERS | CONTINUATION => {
                self.in_headers = !frame.has(END_HEADERS);
                // Headers after the body open nothing.
                if frame.kind == HEADERS && frame.stream > self.last {
                    self.last = frame.stream;
                    self.open.insert(frame.stream);
                }
            }
            RST_STREAM => self.close(frame.stream),
            _ => {}
        }
    }

    /// Takes note of a frame that the client was sent.
    pub fn wrote(&mut self, frame: &Frame) {
        match frame.kind {
            DATA | HEADERS if frame.has(END_STREAM) => self.close(frame.stream),
            RST_STREAM => self.close(frame.stream),
            _ => {}
        }
    }

    fn close(&mut self, stream: u32) {
        self.open.remove(&stream);
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.open.len()
    }

    /// Whether it could hold so many bytes more.
    pub fn has_room(&self, more: usize) -> bool {
        self.share.has_room(more)
    }

    /// Counts what is held now, with so many bytes of a frame that is not whole.
    ///
    /// # Errors
    ///
    /// [`Full`] if it is more than there is room for.
    pub fn settle(&mut self, unfinished: usize) -> Result<(), Full> {
        let headers = if self.in_headers {
            LOOSE * self.headers
        } else {
            0
        };
        self.share
            .hold(unfinished + headers + STREAM * self.open.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::quota::Quota;

    fn held() -> Held {
        Held::new(Quota::new(1 << 20).share(IpAddr::from([10, 0, 0, 1])), 1000)
    }

    fn frame(kind: u8, flags: u8, stream: u32) -> Frame {
        Frame {
            kind,
            flags,
            stream,
            length: 10,
        }
    }

    #[test]
    fn a_stream_is_open_until_its_reply_is_written_or_it_is_reset() {
        let mut held = held();
        for (number, from_client, to_client, open) in [
            (1, None, Some((DATA, END_STREAM)), 0),
            (3, None, Some((HEADERS, END_STREAM | END_HEADERS)), 0),
            (5, None, Some((RST_STREAM, 0)), 0),
            (7, Some((RST_STREAM, 0)), None, 0),
            (9, Some((DATA, END_STREAM)), Some((DATA, 0)), 1),
            (
                11,
                Some((HEADERS, END_STREAM | END_HEADERS)),
                Some((HEADERS, END_HEADERS)),
                2,
            ),
        ] {
            held.read(&frame(HEADERS, END_HEADERS, number));
            if let Some((kind, flags)) = from_client {
                held.read(&frame(kind, flags, number));
            }
            if let Some((kind, flags)) = to_client {
                held.wrote(&frame(kind, flags, number));
            }
            assert_eq!(held.streams(), open, "{number}");
        }
    }

    #[test]
    fn headers_count_from_their_beginning_to_their_end() {
        let mut held = held();
        let room = |held: &Held| {
            (0..=1 << 20)
                .rev()
                .find(|more| held.has_room(*more))
                .unwrap()
        };
        let before = room(&held);
        for (kind, flags, begun) in [
            (HEADERS, END_STREAM, true),
            (CONTINUATION, 0, true),
            (CONTINUATION, END_HEADERS, false),
        ] {
            held.read(&frame(kind, flags, 1));
            held.settle(0).unwrap();
            // What one holds counts twice: it is gone from the store, and nobody holds more than is left.
            let taken = (before - room(&held)) / 2;
            assert_eq!(taken, STREAM + if begun { LOOSE * 1000 } else { 0 });
        }
        held.settle(5000).unwrap();
        assert_eq!((before - room(&held)) / 2, STREAM + 5000);
        held.settle(1 << 20).unwrap_err();
    }
}
