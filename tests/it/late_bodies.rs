//! Requests whose bodies come after the answer. A refusal is answered at once, often before the body
//! is there; what still comes must not be held against the connection, which others share.
//!
//! The frames are written by hand: a client library stops sending when it sees the answer, and only a
//! body that is on its way by then is the case to test.

use std::{collections::HashSet, time::Duration};

use identity_gateway::proto::identity::v1::VerifyPeForeignerIdRequest;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    it::{scenarios::verifik, stage::Stage, table::Setting},
    kit::{provider::Does, wire::json},
};

/// So many streams that were answered early the h2 crate remembers for a second, and counts each small
/// piece that comes for them as abuse; of others it says that they are closed.
const REFUSED: u32 = 50;
/// Pieces of each body. After some 2,000 in all h2 would hang up. An overload of a minute, with bodies
/// of one piece, comes to as many.
const PIECES: usize = 60;
/// Long enough for all of them to be refused while the one place is taken.
const PROVIDER_TAKES: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(30);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a call, each field as a literal that no table keeps (RFC 7541, 6.2.2).
fn header_block() -> Vec<u8> {
    let path = "/idgw.identity.v1.IdentityService/VerifyPeForeignerId";
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

fn message() -> Vec<u8> {
    let request = VerifyPeForeignerIdRequest {
        document_number: "000123456".to_owned(),
        birthdate: "1993-08-16".to_owned(),
        ..VerifyPeForeignerIdRequest::default()
    };
    let request = request.encode_to_vec();
    let length = u32::try_from(request.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), request.as_slice()].concat()
}

struct Connection(TcpStream);

impl Connection {
    async fn open(address: std::net::SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next frame that says something of a stream.
    async fn next(&mut self) -> Frame {
        loop {
            let mut head = [0; 9];
            let read = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut head)).await;
            read.expect("the server is silent")
                .expect("the server hung up");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.unwrap();
            let (kind, flags) = (head[3], head[4]);
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(&frame(SETTINGS, ACK, 0, &[])).await,
                PING if flags & ACK == 0 => self.send(&frame(PING, ACK, 0, &payload)).await,
                GOAWAY => panic!("GOAWAY: {}", String::from_utf8_lossy(&payload[4..])),
                DATA | HEADERS | RST_STREAM => {
                    return Frame {
                        kind,
                        flags,
                        stream,
                        payload,
                    };
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_come_after_the_refusal_cost_no_other_call_its_connection() {
    let stage = Stage::set(Setting::OneCall).await;
    let answer = json(200, verifik::found());
    stage.provider.next([Does::Waits(PROVIDER_TAKES, answer)]);
    let mut connection = Connection::open(stage.gateway.grpc).await;

    let head = header_block();
    connection
        .send(&frame(HEADERS, END_HEADERS, 1, &head))
        .await;
    connection
        .send(&frame(DATA, END_STREAM, 1, &message()))
        .await;
    assert!(stage.provider.until(|(asked, _)| asked == 1).await);

    let refused: Vec<u32> = (1..=REFUSED).map(|n| 2 * n + 1).collect();
    for stream in &refused {
        connection
            .send(&frame(HEADERS, END_HEADERS, *stream, &head))
            .await;
    }
    let mut unanswered: HashSet<u32> = refused.iter().copied().collect();
    while !unanswered.is_empty() {
        let frame = connection.next().await;
        assert_ne!(frame.stream, 1, "the provider was faster than the refusals");
        if frame.kind == HEADERS {
            assert_ne!(frame.flags & END_STREAM, 0, "a refusal has no body");
            unanswered.remove(&frame.stream);
        }
    }
    for stream in refused {
        for byte in message().iter().cycle().take(PIECES) {
            connection.send(&frame(DATA, 0, stream, &[*byte])).await;
        }
        connection.send(&frame(DATA, END_STREAM, stream, &[])).await;
    }

    // The call that has the place is answered on the same connection: its head, the message, and the trailers.
    let mut bytes = 0;
    loop {
        let frame = connection.next().await;
        match (frame.stream, frame.kind) {
            (1, DATA) => bytes += frame.payload.len(),
            (1, HEADERS) if frame.flags & END_STREAM != 0 => break,
            (1, RST_STREAM) => panic!("the call was reset"),
            _ => {}
        }
    }
    assert!(bytes > 100, "no answer in {bytes} bytes");
}
