//! A provider that is taken over, or broken: slow, endless, packed to burst.

use std::{io::Write as _, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic_types::StatusExt as _;

use crate::{
    abuse::{CURP, MOST_MEMORY, curp},
    kit::{client::Client, process::Process},
};

/// What a provider sends: first this, then this again and again.
#[derive(Clone)]
struct Sends {
    first: Vec<u8>,
    again: Vec<u8>,
    pause: Duration,
    times: usize,
}

impl Sends {
    fn once(bytes: Vec<u8>) -> Self {
        Self::endless(bytes, Vec::new(), Duration::ZERO, 0)
    }

    fn endless(first: Vec<u8>, again: impl Into<Vec<u8>>, pause: Duration, times: usize) -> Self {
        Self {
            first,
            again: again.into(),
            pause,
            times,
        }
    }
}

async fn provider(sends: Sends) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, sends.clone()));
        }
    });
    url
}

async fn answer(mut stream: TcpStream, sends: Sends) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _read = stream.read(&mut request).await?;
    stream.write_all(&sends.first).await?;
    for _ in 0..sends.times {
        tokio::time::sleep(sends.pause).await;
        stream.write_all(&sends.again).await?;
    }
    let _until_the_gateway_closes = stream.read(&mut request).await;
    Ok(())
}

/// An answer of as many bytes as are read, made of this element.
fn dense(element: &str) -> Vec<u8> {
    let elements = vec![element; ((16 << 20) - 2) / (element.len() + 1)];
    let body = format!("[{}]", elements.join(","));
    let mut answer = head(&format!("content-length: {}\r\n\r\n", body.len()));
    answer.extend(body.into_bytes());
    answer
}

fn head(more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_slow_endless_or_packed_harms_one_call_and_no_more() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..256 {
        packer.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let packed = packer.finish().unwrap();
    let bomb = format!(
        "content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let mut bomb = head(&bomb);
    bomb.extend(&packed);
    let tenth = Duration::from_millis(100);
    let malformed = "PROVIDER_RESPONSE_MALFORMED";
    let unknown = "PROVIDER_OUTCOME_UNKNOWN";
    let late = "PROVIDER_TIMEOUT";
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 65_536], b"\r\n".to_vec()].concat();
    let rows = [
        ("says nothing", Sends::once(Vec::new()), late),
        (
            "trickles its head",
            Sends::endless(head("x-slow: "), "y", tenth, 1000),
            late,
        ),
        (
            "trickles its body",
            Sends::endless(head("content-length: 100000\r\n\r\n"), " ", tenth, 1000),
            late,
        ),
        (
            "sends headers without end",
            Sends::endless(
                head(""),
                format!("x-more: {}\r\n", "y".repeat(8000)),
                Duration::ZERO,
                100_000,
            ),
            unknown,
        ),
        (
            "sends a header without end",
            Sends::endless(head("x-more: "), "y".repeat(8000), Duration::ZERO, 100_000),
            unknown,
        ),
        (
            "announces a body that is too large",
            Sends::once(head("content-length: 10000000000\r\n\r\n")),
            malformed,
        ),
        (
            "sends a body without end",
            Sends::endless(
                head("transfer-encoding: chunked\r\n\r\n"),
                chunk,
                Duration::ZERO,
                10_000,
            ),
            malformed,
        ),
        (
            "sends what is packed to burst",
            Sends::once(bomb),
            malformed,
        ),
        (
            "sends what is small and becomes huge",
            Sends::once(dense("{}")),
            malformed,
        ),
        (
            "sends a list of nothing in its record",
            Sends::once(dense(r#""""#)),
            malformed,
        ),
        (
            "sends no HTTP",
            Sends::once(b"\x15\x03\x03\x00\x02\x02\x28".to_vec()),
            unknown,
        ),
    ];
    let played = rows.map(|(what, sends, reason)| play(what, sends, reason));
    futures_util::future::join_all(played).await;
}

async fn play(what: &str, sends: Sends, reason: &str) {
    let url = provider(sends).await;
    let gateway = Process::serve(
        &[],
        [
            ("IDGW_PROVIDERS__ACCUAUTH__API_ID", "id"),
            ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET", "secret"),
            ("IDGW_PROVIDERS__ACCUAUTH__BASE_URL", &url),
            ("IDGW_PROVIDERS__ACCUAUTH__TIMEOUT", "5s"),
        ],
    )
    .await;
    let client = Client::connect(gateway.grpc).await;
    let began = std::time::Instant::now();
    let refused = client.call(CURP, &curp()).await.unwrap_err();
    let took = began.elapsed();
    // A call that its own timeout had not ended would have ended with the deadline, and its reason.
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, reason, "a provider that {what}: {refused:?}");
    assert_eq!(
        info.metadata["billing"], "unknown",
        "a provider that {what}"
    );
    gateway
        .metric_becomes("idgw_upstream_in_flight", "", |value| value == 0.0)
        .await;
    let resident = gateway.resident();
    println!("a provider that {what}: {reason} after {took:?}, {resident} MiB");
    // Up to 16 MiB of a body are kept, and copied while it grows.
    let highest = gateway.highest();
    assert!(
        resident.max(highest) <= MOST_MEMORY + 40,
        "a provider that {what}: {resident} MiB, {highest} at most"
    );
}
