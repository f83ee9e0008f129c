//! Callers that are slow on purpose: in the handshake, in the headers, in the body, on the admin port.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::abuse::{
    CURP, MOST_MEMORY,
    frames::{DATA, END_HEADERS, HEADERS, RST_STREAM, call, frame, next, open},
    gateway, still_answers,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the other side closes.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
    assert!(closed.await.is_ok(), "the connection stays open");
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_little_is_ended() {
    let mut gateway = gateway(&[("HANDSHAKE_TIMEOUT", "4s"), ("MAX_HANDSHAKES", "100")]).await;
    let mut silent = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(gateway.grpc).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"PRI * HT").await.unwrap();
        }
        silent.push(stream);
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
    for stream in &mut silent {
        closed(stream).await;
    }
    gateway
        .metric_becomes("idgw_connections", "", |value| value == 0.0)
        .await;
    let refused = "idgw_connections_refused_total";
    let displaced = gateway.metric(refused, "displaced").await;
    let late = gateway.metric(refused, "timeout").await;
    assert!(displaced >= 1.0 && late >= 1.0, "{displaced} {late}");
    assert_eq!(displaced + late, 1000.0);
}

#[tokio::test]
async fn headers_that_never_end_end_with_the_connection() {
    let own = [("KEEPALIVE_INTERVAL", "1s"), ("KEEPALIVE_TIMEOUT", "1s")];
    let mut gateway = gateway(&own).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
        let bytes = frame(HEADERS, END_HEADERS, 1, &call(&format!("/{CURP}"), &[]));
        // All but the end; a PING cannot be answered in the middle of a frame.
        stream.write_all(&bytes[..bytes.len() - 3]).await.unwrap();
        streams.push(stream);
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
    for stream in &mut streams {
        closed(stream).await;
    }
}

#[tokio::test]
async fn a_body_that_trickles_ends_in_time_and_gives_its_place_back() {
    let own = [("REQUEST_TIMEOUT", "1s"), ("MAX_IN_FLIGHT", "8")];
    let mut gateway = gateway(&own).await;
    let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
    let block = call(&format!("/{CURP}"), &[("grpc-timeout", "1H")]);
    let began = Instant::now();
    for number in [1, 3, 5, 7] {
        stream
            .write_all(&frame(HEADERS, END_HEADERS, number, &block))
            .await
            .unwrap();
        stream
            .write_all(&frame(DATA, 0, number, &[0, 0, 0, 1, 0]))
            .await
            .unwrap();
    }
    // A byte at a time, for as long as the gateway likes.
    let (mut reader, mut writer) = stream.into_split();
    let trickling = tokio::spawn(async move {
        loop {
            for number in [1, 3, 5, 7] {
                if writer
                    .write_all(&frame(DATA, 0, number, &[0]))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut ended = 0;
    let mut head = [0; 9];
    while ended < 4 {
        let read = tokio::time::timeout(PATIENCE, reader.read_exact(&mut head));
        read.await.expect("the calls end").unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).await.unwrap();
        // The answer is in headers; what trickles on is reset.
        ended += usize::from(head[3] == HEADERS);
    }
    assert!(began.elapsed() >= Duration::from_millis(900));
    gateway
        .metric_becomes("idgw_calls_in_flight", "", |value| value == 0.0)
        .await;
    gateway
        .metric_becomes("idgw_failures_total", "DEADLINE_EXCEEDED", |value| {
            value == 4.0
        })
        .await;
    trickling.abort();
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn a_question_after_health_that_never_ends_is_ended_too() {
    let mut gateway = gateway(&[("REQUEST_TIMEOUT", "1s")]).await;
    let mut stream = open(TcpStream::connect(gateway.grpc).await.unwrap()).await;
    let block = call("/grpc.health.v1.Health/Check", &[]);
    stream
        .write_all(&frame(HEADERS, END_HEADERS, 1, &block))
        .await
        .unwrap();
    let ended = async {
        while let Some((kind, _, number, _)) = next(&mut stream).await {
            if number == 1 && matches!(kind, HEADERS | RST_STREAM) {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(PATIENCE, ended).await.unwrap());
    still_answers(&mut gateway, MOST_MEMORY).await;
}

/// Many ask for the status page as often as they can, and most of them do not read it.
#[tokio::test]
async fn readers_of_the_status_page_do_not_hold_up_calls_or_probes() {
    let mut gateway = gateway(&[]).await;
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\n\r\n".repeat(200);
    let mut readers = Vec::new();
    for _ in 0..60 {
        let mut stream = TcpStream::connect(gateway.admin).await.unwrap();
        stream.write_all(&request).await.unwrap();
        readers.push(stream);
    }
    let client = reqwest::Client::new();
    for path in ["livez", ""] {
        let probe = client.get(format!("http://{}/{path}", gateway.admin));
        let probe = probe.header("accept", "text/html").send();
        let probe = tokio::time::timeout(Duration::from_secs(3), probe).await;
        assert_eq!(probe.expect("in time").unwrap().status(), 200);
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
}

#[tokio::test]
async fn slow_requests_to_the_admin_port_do_not_keep_a_probe_out() {
    let mut gateway = gateway(&[]).await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(gateway.admin).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nx-slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let client = reqwest::Client::new();
    for path in ["livez", "readyz", "metrics", "", "runbook"] {
        let probe = client.get(format!("http://{}/{path}", gateway.admin));
        let probe = probe.header("accept", "text/html").send();
        let probe = tokio::time::timeout(Duration::from_secs(3), probe).await;
        assert_eq!(probe.expect("in time").unwrap().status(), 200);
    }
    // And those that are left are ended after a while.
    for stream in &mut slow {
        closed(stream).await;
    }
    still_answers(&mut gateway, MOST_MEMORY).await;
}
