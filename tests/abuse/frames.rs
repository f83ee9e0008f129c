//! HTTP/2 as bytes: frames that no client library would send.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An integer of HPACK with a prefix of seven bits.
fn integer(mut value: usize, bytes: &mut Vec<u8>) {
    if value < 127 {
        bytes.push(u8::try_from(value).unwrap());
        return;
    }
    bytes.push(127);
    value -= 127;
    while value >= 128 {
        bytes.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    bytes.push(u8::try_from(value).unwrap());
}

/// A header as it is, which the other side must not put into its table (first byte 0), or shall (0x40).
pub fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![first];
    for text in [name, value] {
        integer(text.len(), &mut bytes);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The headers of a call of gRPC.
pub fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "gateway.test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let all = usual.iter().chain(more);
    all.flat_map(|(name, value)| literal(0, name, value))
        .collect()
}

/// A connection that has said its first words.
pub async fn open(mut stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    let first = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&first).await.unwrap();
    stream
}

/// What came last before the other side closed: its frames, by kind, and the error of a GOAWAY.
#[derive(Debug, Default)]
pub struct Ended {
    pub kinds: Vec<u8>,
    pub goaway: Option<u32>,
    pub resets: usize,
}

/// Reads until the other side closes.
pub async fn until_closed(stream: &mut TcpStream) -> Ended {
    let mut ended = Ended::default();
    while let Some((kind, _, _, payload)) = next(stream).await {
        ended.kinds.push(kind);
        match kind {
            GOAWAY => ended.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
            RST_STREAM => ended.resets += 1,
            _ => {}
        }
    }
    ended
}

/// The next frame: kind, flags, stream, payload; none once the other side has closed.
pub async fn next(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let number = u32::from_be_bytes(head[5..9].try_into().unwrap());
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], number, payload))
}
