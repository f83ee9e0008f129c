//! What is held for clients before anybody knows who they are: headers that never end, frames that are never whole,
//! and replies that nobody takes. It is bounded for each connection, for each address, and in all.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::abuse::{
    CURP,
    connections::descriptors,
    frames::{
        CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, call, frame, literal,
    },
    memory::{connection, is_bounded, limited},
};

/// Headers of a byte each: `accept-encoding: gzip, deflate`, which HTTP/2 has in a table.
const SHORT: [u8; 500] = [0x80 | 16; 500];

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_frames_that_never_end_are_bounded_over_all_connections() {
    descriptors(4500);
    let block = call(&format!("/{CURP}"), &[]);
    let long = literal(0, "x-long", &"x".repeat(15_000));
    let short = [block.as_slice(), &SHORT].concat();
    let whole = |kind, flags, bytes: usize| frame(kind, flags, 1, &vec![b'x'; bytes]);
    let unfinished = |mut frame: Vec<u8>| {
        frame.pop();
        frame
    };
    let first = frame(HEADERS, 0, 1, &[&block[..], &long[..14_000]].concat());
    for (what, bytes) in [
        ("many short headers", frame(HEADERS, 0, 1, &short)),
        (
            "long headers, and a part of one",
            [
                first.clone(),
                frame(
                    CONTINUATION,
                    0,
                    1,
                    &[&long[14_000..], &long[..14_000]].concat(),
                ),
                unfinished(whole(CONTINUATION, 0, 16_384)),
            ]
            .concat(),
        ),
        (
            "a frame of headers that is not whole",
            unfinished(whole(HEADERS, END_HEADERS, 16_384)),
        ),
        ("an unknown frame", unfinished(whole(200, 0, 16_384))),
    ] {
        let mut gateway = limited(&[]).await;
        let mut held = Vec::new();
        for _ in 0..4000 {
            let mut writer = connection(&gateway, 65_535).await;
            let _closed = writer.write_all(&bytes).await;
            held.push(writer);
        }
        is_bounded(what, &mut gateway).await;
        gateway
            .metric_becomes("idgw_connections_refused_total", "memory", |value| {
                value >= 1.0
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_callers_that_nobody_knows_yet_are_bounded() {
    let block = [call("/grpc.health.v1.Health/Check", &[]), SHORT.to_vec()].concat();
    let many: Vec<u8> = (0..200)
        .flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &block))
        .collect();
    let mut gateway = limited(&[]).await;
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..45 {
        let mut writer = connection(&gateway, 65_535).await;
        let many = many.clone();
        sending.spawn(async move {
            let written = tokio::time::timeout(Duration::from_secs(5), writer.write_all(&many));
            let _closed_or_late = written.await;
            writer
        });
    }
    let _held = sending.join_all().await;
    is_bounded("short headers in unfinished questions", &mut gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_headers_alone_that_nobody_takes_are_bounded() {
    // The first request puts its headers into HTTP/2's table; each further one names them by a byte.
    let names = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", "gateway.test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let first: Vec<u8> = names
        .iter()
        .flat_map(|(name, value)| literal(0x40, name, value))
        .collect();
    let again: Vec<u8> = (62..62 + 6).map(|index| 0x80 | index).rev().collect();
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for number in 0..4000 {
        let block = if number == 0 { &first } else { &again };
        // No message: it is refused, in headers that are the whole reply.
        bytes.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * number + 1,
            block,
        ));
    }
    let mut gateway = limited(&[]).await;
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        let mut stream = socket.connect(gateway.grpc).await.unwrap();
        let bytes = bytes.clone();
        sending.spawn(async move {
            let written = tokio::time::timeout(Duration::from_secs(5), stream.write_all(&bytes));
            let _closed_or_late = written.await;
            stream
        });
    }
    let held = sending.join_all().await;
    is_bounded("replies of headers alone", &mut gateway).await;
    drop(held);
}
