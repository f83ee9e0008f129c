//! The frames of one direction of a connection, by their heads, in whatever pieces the bytes come.

const HEAD: usize = 9;

/// Kinds of frames (RFC 9113, section 6), as far as they are looked at.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const LAST_KNOWN: u8 = CONTINUATION;
/// Flags of DATA and HEADERS, of HEADERS and CONTINUATION, and of PING.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    /// Bytes of the payload.
    pub length: usize,
}

impl Frame {
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What was read of them.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; HEAD],
    /// How many bytes of the head are there.
    have: usize,
    /// How long the frame is, and how many bytes of its payload are still to come.
    length: usize,
    payload: usize,
}

impl Frames {
    /// Reads on to the end of the next head; none if the bytes end before that.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let (_payload, rest) = bytes.split_at(self.payload.min(bytes.len()));
        self.payload -= bytes.len() - rest.len();
        let (now, later) = rest.split_at(rest.len().min(HEAD - self.have));
        if let Some(place) = self.head.get_mut(self.have..self.have + now.len()) {
            place.copy_from_slice(now);
        }
        self.have += now.len();
        *bytes = later;
        if self.have < HEAD {
            return None;
        }
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.have = 0;
        self.length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.payload = self.length;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
            length: self.length,
        })
    }

    /// The payload of the frame that has begun and not ended. Room for all of it is made when its head is there.
    pub const fn unfinished(&self) -> usize {
        if self.payload > 0 { self.length } else { 0 }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn bytes(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags];
        [&head[..], &stream.to_be_bytes(), &vec![7; payload]].concat()
    }

    #[test]
    fn heads_are_read_in_pieces_of_every_length() {
        let frames = [
            (HEADERS, END_HEADERS, 1, 50),
            (DATA, 0, 1, 0),
            (200, 255, 77, 300),
            (DATA, END_STREAM, 1, 20_000),
            (PRIORITY, 0, 3, 5),
        ];
        let all: Vec<u8> = frames
            .iter()
            .flat_map(|(kind, flags, stream, length)| bytes(*kind, *flags, *stream, *length))
            .collect();
        for length in (1..64).chain([1000, all.len()]) {
            let mut read = Frames::default();
            let mut found = Vec::new();
            for mut piece in all.chunks(length) {
                while let Some(frame) = read.next(&mut piece) {
                    found.push((frame.kind, frame.flags, frame.stream, frame.length));
                }
            }
            assert_eq!(found, frames, "{length}");
            assert_eq!(read.unfinished(), 0);
        }
    }

    #[test]
    fn a_frame_is_unfinished_from_its_head_to_its_last_byte() {
        let all = bytes(DATA, 0, 1, 10);
        for (read, unfinished) in [(8, 0), (9, 10), (18, 10), (19, 0)] {
            let mut frames = Frames::default();
            let mut piece = &all[..read];
            while frames.next(&mut piece).is_some() {}
            assert_eq!(frames.unfinished(), unfinished, "{read}");
        }
    }
}
