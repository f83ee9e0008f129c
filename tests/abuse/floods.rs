//! Floods: garbage, what is too large, and frames without end.

use std::{convert::Infallible, io::Write as _, time::Duration};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::abuse::{
    CURP, MOST_MEMORY,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, call,
        frame, literal, next, open, until_closed,
    },
    from, gateway, still_answers,
};

const PATIENCE: Duration = Duration::from_secs(20);
const ENHANCE_YOUR_CALM: u32 = 11;

fn path() -> String {
    format!("/{CURP}")
}

/// Bytes that are the same in every run.
fn garbage(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| byte()).collect()
}

/// Writes for as long as the other side takes it, and at most so much.
async fn pour(stream: &mut TcpStream, bytes: &[u8], times: usize) -> usize {
    for sent in 0..times {
        let written = tokio::time::timeout(Duration::from_secs(2), stream.write_all(bytes));
        if !matches!(written.await, Ok(Ok(()))) {
            return sent;
        }
    }
    times
}

#[tokio::test]
async fn garbage_is_closed_before_and_after_the_first_words() {
    let mut gateway = gateway(&[]).await;
    for seed in 1..=200 {
        let stream = TcpStream::connect(gateway.grpc).await.unwrap();
        let mut stream = if seed % 2 == 0 {
            open(stream).await
        } else {
            stream
        };
        let _closed = stream.write_all(&garbage(seed, 4096)).await;
        let _closed = stream.shutdown().await;
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
        assert!(closed.await.is_ok(), "garbage {seed} is not closed");
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn http_1_is_told_that_this_is_http_2() {
    let mut gateway = gateway(&[]).await;
    for request in [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /x HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(gateway.grpc).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
        read.await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
        assert!(answer.ends_with("gRPC over HTTP/2 only.\n"), "{answer}");
    }
    gateway
        .metric_becomes("idgw_connections_refused_total", "protocol", |value| {
            value >= 2.0
        })
        .await;
    still_answers(&mut gateway, MOST_MEMORY).await;
}

/// The gRPC status of a call of gRPC's HTTP/2 with this body, which need not end.
pub async fn status<B>(stream: TcpStream, path: &str, encoding: &str, body: B) -> String
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://gateway.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", encoding)
        .body(body)
        .unwrap();
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    let answer = answer.expect("an answer in time").unwrap();
    let code = |headers: &http::HeaderMap| headers["grpc-status"].to_str().unwrap().to_owned();
    if answer.headers().contains_key("grpc-status") {
        return code(answer.headers());
    }
    let read = tokio::time::timeout(PATIENCE, answer.into_body().collect());
    code(read.await.unwrap().unwrap().trailers().unwrap())
}

/// The gRPC status of a question after health.
pub async fn health(gateway: &crate::abuse::Process) -> String {
    let stream = from([127, 0, 0, 98], gateway.grpc).await;
    let nothing = Full::new(Bytes::from_static(&[0; 5]));
    status(stream, "/grpc.health.v1.Health/Check", "identity", nothing).await
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_by_its_stated_length() {
    let mut gateway = gateway(&[]).await;
    for length in [u32::MAX, 64 << 20] {
        let head = [&[0][..], &length.to_be_bytes()].concat();
        // What was announced, and no end of it.
        let chunks = futures_util::stream::unfold(Bytes::from(head), |now| async {
            tokio::task::yield_now().await;
            Some((Ok(Frame::data(now)), Bytes::from_static(&[0; 16_384])))
        });
        let body = StreamBody::new(Box::pin(chunks));
        let stream = TcpStream::connect(gateway.grpc).await.unwrap();
        assert_eq!(
            status(stream, &path(), "identity", body).await,
            "3",
            "INVALID_ARGUMENT"
        );
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn a_list_of_headers_that_is_too_large_is_refused() {
    let mut gateway = gateway(&[]).await;
    let large = "x".repeat(10_000);
    for (headers, answered) in [(2, true), (4, false), (100, false)] {
        let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
        let names: Vec<_> = (0..headers).map(|n| format!("x-{n}")).collect();
        let more: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), large.as_str()))
            .collect();
        let block = call("/grpc.health.v1.Health/Check", &more);
        let mut parts = block.chunks(16_000);
        let _closed = stream
            .write_all(&frame(HEADERS, 0, 1, parts.next().unwrap()))
            .await;
        for part in parts {
            let _closed = stream.write_all(&frame(CONTINUATION, 0, 1, part)).await;
        }
        let _closed = stream
            .write_all(&frame(CONTINUATION, END_HEADERS, 1, &[]))
            .await;
        let _closed = stream.write_all(&frame(DATA, END_STREAM, 1, &[0; 5])).await;
        // 200 is written as one byte, and first; a list that is too large is told 431.
        let status = async {
            while let Some((kind, _, number, payload)) = next(&mut stream).await {
                if (kind, number) == (HEADERS, 1) {
                    return payload.first().copied();
                }
            }
            None
        };
        let status = tokio::time::timeout(PATIENCE, status).await.unwrap();
        assert_eq!(
            status == Some(0x88),
            answered,
            "{headers} headers: {status:?}"
        );
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn headers_that_are_written_short_and_read_long_are_refused() {
    let mut gateway = gateway(&[]).await;
    let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
    // One header goes into the table, and a byte names it: ten thousand times, so 40 MB.
    let mut block = literal(0x40, "x", &"x".repeat(4000));
    block.extend([0x80 | 62; 10_000]);
    for number in (1..200).step_by(2) {
        let bytes = frame(HEADERS, END_HEADERS | END_STREAM, number, &block[..14_000]);
        if stream.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _shut = stream.shutdown().await;
    let ended = tokio::time::timeout(PATIENCE, until_closed(&mut stream))
        .await
        .unwrap();
    assert!(ended.resets > 0 || ended.goaway.is_some(), "{ended:?}");
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn continuations_without_end_end_the_connection() {
    let mut gateway = gateway(&[]).await;
    for payload in [&[][..], &literal(0, "x", "y")] {
        let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
        let first = frame(HEADERS, 0, 1, &call(&path(), &[]));
        stream.write_all(&first).await.unwrap();
        let many = frame(CONTINUATION, 0, 1, payload).repeat(1000);
        let sent = pour(&mut stream, &many, 1000).await;
        assert!(sent < 1000, "a million continuations were taken");
        let ended = tokio::time::timeout(PATIENCE, until_closed(&mut stream))
            .await
            .unwrap();
        assert!(
            matches!(ended.goaway, None | Some(ENHANCE_YOUR_CALM)),
            "{ended:?}"
        );
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened_do_not_pile_up() {
    let mut gateway = gateway(&[]).await;
    let mut closed = 0;
    for _ in 0..4 {
        let stream = from([127, 0, 0, 2], gateway.grpc).await;
        let (mut reader, mut writer) = open(stream).await.into_split();
        let reading = tokio::spawn(async move {
            let mut sink = vec![0; 65_536];
            while matches!(reader.read(&mut sink).await, Ok(1..)) {}
        });
        let block = call(&path(), &[]);
        let mut number = 1;
        let ended = loop {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                bytes.extend(frame(HEADERS, END_HEADERS, number, &block));
                bytes.extend(frame(RST_STREAM, 0, number, &8_u32.to_be_bytes()));
                number += 2;
            }
            if writer.write_all(&bytes).await.is_err() {
                break true;
            }
            if number > 40_000 {
                break false;
            }
        };
        closed += usize::from(ended);
        drop(writer);
        tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap()
            .unwrap();
    }
    println!("{closed} of 4 connections were ended");
    still_answers(&mut gateway, MOST_MEMORY).await;
    // The last call is still counted for a moment after its reply was read.
    gateway
        .metric_becomes("idgw_calls_in_flight", "", |value| value == 0.0)
        .await;
}

#[tokio::test]
async fn floods_of_pings_and_settings_whose_answers_nobody_reads_are_not_kept() {
    let mut gateway = gateway(&[]).await;
    for bytes in [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]),
    ] {
        let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
        let sent = pour(&mut stream, &bytes.repeat(1000), 500).await;
        println!("{sent} thousand frames were taken");
        still_answers(&mut gateway, MOST_MEMORY).await;
    }
}

#[tokio::test]
async fn floods_of_frames_that_ask_for_nothing_end_the_connection() {
    let mut gateway = gateway(&[]).await;
    let head = frame(HEADERS, END_HEADERS, 1, &call(&path(), &[]));
    for (what, nothing) in [
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 7])),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("an unknown kind", frame(200, 0, 1, &[])),
    ] {
        let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
        stream.write_all(&head).await.unwrap();
        let sent = pour(&mut stream, &nothing.repeat(1000), 1000).await;
        assert!(sent < 1000, "a million frames of {what} were taken");
        still_answers(&mut gateway, MOST_MEMORY).await;
    }
}

#[tokio::test]
async fn a_request_that_is_packed_to_burst_is_refused_without_being_unpacked() {
    let mut gateway = gateway(&[]).await;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..256 {
        packer.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let packed = packer.finish().unwrap();
    assert!(packed.len() < 1 << 20);
    let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length, &packed].concat();
    let stream = TcpStream::connect(gateway.grpc).await.unwrap();
    // INVALID_ARGUMENT: it is larger than a request may be, and is not unpacked to its end.
    let body = Full::new(Bytes::from(message));
    assert_eq!(status(stream, &path(), "gzip", body).await, "3");
    still_answers(&mut gateway, MOST_MEMORY).await;
}
