//! Many large answers of a provider at once: none is refused, for each may have been paid for, and together they
//! take a part of the memory. Over HTTP/2 they share one connection, and who waits for memory keeps nobody on it.

use bytes::Bytes;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use crate::{
    abuse::{
        CURP,
        memory::{BESIDES, MIB, MOST},
    },
    kit::{
        certs::{Ca, Mounted},
        client::Client,
        h2_provider::{Act, H2Provider, H2Settings},
        process::Process,
    },
};

/// So many at once, of so many bytes.
const ANSWERS: usize = 60;
const LENGTH: usize = 15 << 20;

/// A record with a certified PDF of that length.
fn record() -> Bytes {
    let document = "JVBERi0x".repeat(LENGTH / 8);
    let body = json!({
        "status": "OK", "request_id": "r-1", "result_code": "0", "result_message": "found",
        "result": {"curp": "AAPR630321HDFLRC09", "estatusCurp": "RCN", "documento": document},
    });
    body.to_string().into()
}

/// How an HTTP/1.1 provider tells where its answer ends.
#[derive(Clone, Copy)]
enum End {
    Stated,
    /// In pieces of 64 KiB, the last one empty.
    Chunked,
}

async fn provider(end: End) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = record();
    let head = match end {
        End::Stated => format!("content-length: {}", body.len()),
        End::Chunked => "transfer-encoding: chunked".to_owned(),
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n\r\n");
    let body = match end {
        End::Stated => body.to_vec(),
        End::Chunked => {
            let pieces = body.chunks(65_536).chain([&[][..]]);
            let piece = |piece: &[u8]| {
                let length = format!("{:x}\r\n", piece.len()).into_bytes();
                [&length, piece, b"\r\n"].concat()
            };
            pieces.flat_map(piece).collect()
        }
    };
    let answer = Bytes::from([head.into_bytes(), body].concat());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request).await, Ok(1..)) {
                    let _closed = stream.write_all(&answer).await;
                }
            });
        }
    });
    url
}

/// Every call is answered, and the gateway never took more than it may.
async fn all_are_answered(what: &str, url: &str, own: &[(&str, &str)]) {
    let most = (MOST * MIB).to_string();
    let mut variables = vec![
        ("IDGW_SERVER__MAX_MEMORY", most.as_str()),
        ("IDGW_SERVER__DEFAULT_DEADLINE", "2m"),
        ("IDGW_CURP__CHECK", "shape"),
        ("IDGW_PROVIDERS__ACCUAUTH__API_ID", "id"),
        ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET", "secret"),
        ("IDGW_PROVIDERS__ACCUAUTH__BASE_URL", url),
        ("IDGW_PROVIDERS__ACCUAUTH__TIMEOUT", "2m"),
        ("TOKIO_WORKER_THREADS", "4"),
    ];
    variables.extend(own);
    let gateway = Process::serve(&[], variables).await;
    let client = Client::connect(gateway.grpc).await;
    let begun = std::time::Instant::now();
    let mut calls = JoinSet::new();
    for number in 0..ANSWERS {
        let client = client.clone();
        // Each asks of somebody else: the same question would share one provider call.
        let person = json!({"curp": format!("AAPR630321HDFLRC{number:02}")});
        calls.spawn(async move { client.call(CURP, &person).await });
    }
    for answer in calls.join_all().await {
        let answer = answer.unwrap();
        assert_eq!(answer["verification"]["outcome"], "OUTCOME_FOUND", "{what}");
    }
    let highest = gateway.highest();
    let took = begun.elapsed();
    println!("{ANSWERS} large answers, {what}: {highest} MiB at most, {took:?}");
    assert!(highest <= MOST + BESIDES, "{what}: {highest} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_answers_are_all_read_within_the_memory_whether_their_length_is_stated_or_not() {
    for (what, end) in [("stated", End::Stated), ("chunked", End::Chunked)] {
        all_are_answered(what, &provider(end).await, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_answers_on_one_connection_do_not_stand_in_each_others_way() {
    let ca = Ca::new("provider's");
    let provider = H2Provider::start(&ca.issue(&["127.0.0.1"]), H2Settings::default()).await;
    provider.always(Act::Answers(200, Vec::new(), Some(record())));
    let files = Mounted::new(&[("ca.crt", &ca.pem())]);
    let own = [("IDGW_PROVIDERS__ACCUAUTH__CA_FILE", files.text("ca.crt"))];
    let own = own.each_ref().map(|(name, value)| (*name, value.as_str()));
    all_are_answered("over HTTP/2", &provider.url(), &own).await;
    assert_eq!(provider.connections(), 1);
    assert_eq!(provider.received().len(), ANSWERS);
}
