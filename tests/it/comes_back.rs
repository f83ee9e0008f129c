//! A reply that was written whole, and whose stream its client resets all the same: frame by frame, because a library
//! resets no stream that has ended.

use std::time::Duration;

use identity_gateway::proto::identity::v1::{CheckCurpRequest, CheckCurpResponse, Source};
use prost::Message as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    abuse::frames::{
        DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, call, frame, literal, next, open,
    },
    it::{stage::Stage, table::Setting},
    telemetry::stage::found,
};

const PATH: &str = "/idgw.identity.v1.IdentityService/CheckCurp";
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

async fn ask(connection: &mut TcpStream, stream: u32) {
    let message = CheckCurpRequest {
        curp: "AAPR630321HDFLRC09".to_owned(),
        ..CheckCurpRequest::default()
    };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let message = [&[0][..], &length, &message].concat();
    let head = frame(HEADERS, END_HEADERS, stream, &call(PATH, &[]));
    let request = [head, frame(DATA, END_STREAM, stream, &message)].concat();
    connection.write_all(&request).await.unwrap();
}

/// Where the answer of a stream came from; read to its last byte.
async fn source(connection: &mut TcpStream, stream: u32) -> Source {
    let mut message = Vec::new();
    loop {
        let (kind, flags, number, payload) = next(connection).await.unwrap();
        if number != stream {
            continue;
        }
        match kind {
            DATA => message.extend(payload),
            HEADERS if flags & END_STREAM != 0 => break,
            HEADERS => {}
            other => panic!("a frame of kind {other}"),
        }
    }
    let answer = CheckCurpResponse::decode(&message[5..]).unwrap();
    answer.verification.unwrap().source()
}

async fn asked(connection: &mut TcpStream, stream: u32) -> Source {
    ask(connection, stream).await;
    source(connection, stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_stream_is_reset_after_its_end_waits_for_the_next_request() {
    let stage = Stage::set(Setting::Usual).await;
    for round in 1_usize.. {
        let stream = TcpStream::connect(&stage.gateway.grpc).await.unwrap();
        let mut connection = open(stream).await;
        stage.provider.next(found());
        match round {
            1 => {}
            // A stream before it that HTTP/2 refuses: no path. Its number is not the next call's.
            2 => {
                let bad = literal(0, ":method", "POST");
                let bad = frame(HEADERS, END_HEADERS | END_STREAM, 1, &bad);
                connection.write_all(&bad).await.unwrap();
            }
            // One that is no gRPC, and one of no method.
            3 => {
                let other = literal(0, ":method", "GET");
                let other = [
                    other,
                    literal(0, ":scheme", "http"),
                    literal(0, ":path", "/"),
                ];
                let other = frame(HEADERS, END_HEADERS | END_STREAM, 1, &other.concat());
                connection.write_all(&other).await.unwrap();
            }
            _ => break,
        }
        let (before, _) = stage.provider.seen();
        assert_eq!(asked(&mut connection, 3).await, Source::Provider, "{round}");
        connection
            .write_all(&frame(RST_STREAM, 0, 3, &CANCEL))
            .await
            .unwrap();
        assert_eq!(
            asked(&mut connection, 5).await,
            Source::Recovered,
            "{round}"
        );
        // That one was delivered, and so was this.
        stage.provider.next(found());
        assert_eq!(asked(&mut connection, 7).await, Source::Provider, "{round}");
        assert_eq!(stage.provider.seen().0, before + 2, "{round}");
        // What is reset later has arrived.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        connection
            .write_all(&frame(RST_STREAM, 0, 7, &CANCEL))
            .await
            .unwrap();
        stage.provider.next(found());
        assert_eq!(asked(&mut connection, 9).await, Source::Provider, "{round}");
    }
}
