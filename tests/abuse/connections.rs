//! Many connections: in all, of one peer, and idle ones by the thousand.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::abuse::{
    MOST_MEMORY,
    frames::{SETTINGS, frame, next, open},
    from, gateway, still_answers,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// This many file descriptors for this process, or no test.
pub fn descriptors(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
    let now = getrlimit(Resource::Nofile).current;
    assert!(
        now.is_none_or(|now| now >= needed),
        "this test needs {needed} file descriptors, and the hard limit (ulimit -Hn) is {now:?}"
    );
}

/// Whether the gateway speaks HTTP/2 over a new connection from this address.
async fn is_taken(address: [u8; 4], gateway: &crate::abuse::Process) -> bool {
    let mut stream = open(from(address, gateway.grpc).await).await;
    let answer = tokio::time::timeout(PATIENCE, next(&mut stream));
    matches!(answer.await.unwrap(), Some((SETTINGS, ..)))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_fit_and_others_are_answered() {
    descriptors(10_500);
    // Nobody here acknowledges a PING, and opening them all may take longer than the usual interval.
    let mut gateway = gateway(&[("KEEPALIVE_INTERVAL", "1h")]).await;
    let mut idle: Vec<TcpStream> = Vec::new();
    for number in 0..10_000_u32 {
        // Two addresses: one alone may have 8192.
        let last = if number % 2 == 0 { 2 } else { 3 };
        let mut stream = open(from([127, 0, 0, last], gateway.grpc).await).await;
        let (kind, ..) = next(&mut stream).await.unwrap();
        assert_eq!(kind, SETTINGS);
        tokio::io::AsyncWriteExt::write_all(&mut stream, &frame(SETTINGS, 1, 0, &[]))
            .await
            .unwrap();
        idle.push(stream);
    }
    gateway
        .metric_becomes("idgw_connections", "", |value| value == 10_000.0)
        .await;
    still_answers(&mut gateway, 300).await;
    // Not one of them was ended for it.
    let mut bytes = [0; 64];
    let ended = idle
        .iter()
        .filter(|stream| matches!(stream.try_read(&mut bytes), Ok(0)));
    assert_eq!(ended.count(), 0);
    drop(idle);
    gateway
        .metric_becomes("idgw_connections", "", |value| value == 0.0)
        .await;
    still_answers(&mut gateway, 300).await;
}

#[tokio::test]
async fn a_peer_has_so_many_connections_and_another_peer_its_own() {
    let mut gateway = gateway(&[("MAX_CONNECTIONS_PER_PEER", "20")]).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = open(from([127, 0, 0, 2], gateway.grpc).await).await;
        assert!(next(&mut stream).await.is_some());
        held.push(stream);
    }
    let mut refused = from([127, 0, 0, 2], gateway.grpc).await;
    let mut byte = [0];
    let closed = tokio::time::timeout(PATIENCE, refused.read(&mut byte))
        .await
        .unwrap();
    assert!(!matches!(closed, Ok(1)));
    gateway
        .metric_becomes("idgw_connections_refused_total", "peer", |value| {
            value == 1.0
        })
        .await;
    still_answers(&mut gateway, MOST_MEMORY).await;
    drop(held);
    for _ in 0..500 {
        if is_taken([127, 0, 0, 2], &gateway).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the places of closed connections are not given back");
}

#[tokio::test]
async fn there_are_so_many_connections_and_one_more_is_closed_at_once() {
    let gateway = gateway(&[("MAX_CONNECTIONS", "20")]).await;
    let mut held = Vec::new();
    for last in 0..20 {
        let mut stream = open(from([127, 0, 1, last + 1], gateway.grpc).await).await;
        assert!(next(&mut stream).await.is_some());
        held.push(stream);
    }
    let mut refused = from([127, 0, 0, 99], gateway.grpc).await;
    let mut byte = [0];
    let closed = tokio::time::timeout(PATIENCE, refused.read(&mut byte))
        .await
        .unwrap();
    assert!(!matches!(closed, Ok(1)));
    gateway
        .metric_becomes(
            "idgw_connections_refused_total",
            "\"connections\"",
            |value| value == 1.0,
        )
        .await;
    held.pop();
    for _ in 0..500 {
        if is_taken([127, 0, 0, 99], &gateway).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a closed connection is not given back");
}
