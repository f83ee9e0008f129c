//! What callers and providers may try to make the gateway hold: its memory stays within `max_memory` and a little,
//! at its highest (VmHWM), while somebody else is answered.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::abuse::{
    CURP, Client, Process,
    floods::{health, status},
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, call, frame,
    },
    from, gateway, still_answers,
};

pub const MIB: u64 = 1024 * 1024;
/// What the gateway is told it may have, and what it may take for a moment besides.
pub const MOST: u64 = 200;
pub const BESIDES: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(15);

pub async fn limited(own: &[(&str, &str)]) -> Process {
    let most = (MOST * MIB).to_string();
    let own = [&[("MAX_MEMORY", most.as_str())], own].concat();
    gateway(&own).await
}

/// Somebody else is answered, and a question after health within a second, and it never took more than it may.
pub async fn is_bounded(what: &str, gateway: &mut Process) {
    let (second, mut soonest) = (Duration::from_secs(1), Duration::MAX);
    // The tests themselves keep the machine busy: one answer in time shows that nothing stands in its way.
    for _ in 0..30 {
        let began = Instant::now();
        assert_eq!(health(gateway).await, "0", "{what}: health");
        soonest = soonest.min(began.elapsed());
        if soonest < second {
            break;
        }
    }
    assert!(soonest < second, "{what}: health after {soonest:?}");
    still_answers(gateway, MOST + BESIDES).await;
    let highest = gateway.highest();
    println!("{what}: {highest} MiB at most");
    assert!(highest <= MOST + BESIDES, "{what}: {highest} MiB");
}

/// A message of gRPC with this field of a length, made of the element again and again.
fn message(field: u8, element: &[u8], bytes: usize) -> Bytes {
    let mut inner = element.repeat(bytes / element.len());
    let mut message = vec![field << 3 | 2];
    prost::encoding::encode_varint(u64::try_from(inner.len()).unwrap(), &mut message);
    message.append(&mut inner);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_many_small_elements_is_refused_before_they_are_decoded() {
    let mut gateway = limited(&[]).await;
    let large = 8 * 1024 * 1024 - 64;
    // Members of `metadata` with an empty key and an empty value; a list of empty values; empty paths of a mask.
    let members = message(4, &[0x0a, 4, 0x0a, 0, 0x12, 0], large);
    let paths = message(6, &[0x0a, 0], large);
    for (what, message) in [("members", members), ("paths", paths)] {
        let ask = async || {
            let stream = TcpStream::connect(gateway.grpc).await.unwrap();
            let path = "/idgw.identity.v1.IdentityService/ScrubKenyaId";
            status(stream, path, "identity", Full::new(message.clone())).await
        };
        assert_eq!(ask().await, "3", "INVALID_ARGUMENT: there is room for one");
        let answers = futures_util::future::join_all((0..8).map(|_| ask())).await;
        // Those that came at once may be too much by themselves.
        assert!(
            answers.iter().all(|code| code == "3" || code == "8"),
            "{answers:?}"
        );
        is_bounded(what, &mut gateway).await;
    }
}

/// A connection whose client takes so many bytes of a stream's reply, and reads what comes.
pub async fn connection(gateway: &Process, window: u32) -> tokio::net::tcp::OwnedWriteHalf {
    let stream = from([127, 0, 0, 2], gateway.grpc).await;
    let (mut reader, mut writer) = stream.into_split();
    let window = [&[0, 4][..], &window.to_be_bytes()].concat();
    let first = [PREFACE, &frame(SETTINGS, 0, 0, &window)].concat();
    writer.write_all(&first).await.unwrap();
    tokio::spawn(async move {
        let mut sink = vec![0; 65_536];
        while matches!(reader.read(&mut sink).await, Ok(1..)) {}
    });
    writer
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_never_finished_take_a_part_of_the_memory() {
    let mut gateway = limited(&[]).await;
    let length = (8_u32 << 20) - 64;
    let mut refused = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let stream = from([127, 0, 0, 2], gateway.grpc).await;
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..3 {
            // All but the end.
            let head = Bytes::from([&[0][..], &length.to_be_bytes()].concat());
            let pieces = std::iter::repeat_n(Bytes::from_static(&[0; 16_384]), 511);
            let pieces = std::iter::once(head).chain(pieces);
            let pieces = futures_util::stream::iter(pieces.map(|piece| Ok(Frame::data(piece))));
            let body = pieces.chain(futures_util::stream::pending::<Result<_, Infallible>>());
            let request = http::Request::post(format!("http://gateway.test/{CURP}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(StreamBody::new(body))
                .unwrap();
            let mut sender = sender.clone();
            refused.spawn(async move { sender.send_request(request).await.is_ok() });
        }
    }
    // What the caller may hold is held by some of them; the others are refused.
    for _ in 0..100 {
        let answer = tokio::time::timeout(PATIENCE, refused.join_next()).await;
        answer.expect("more are held than there is room for");
    }
    gateway
        .metric_becomes("idgw_calls_in_flight", "", |value| value >= 1.0)
        .await;
    is_bounded("unfinished messages", &mut gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_nobody_reads_hold_their_places_and_end_with_their_deadlines() {
    let mut gateway = limited(&[("MAX_IN_FLIGHT", "64")]).await;
    let client = Client::connect(gateway.grpc).await;
    use base64::Engine as _;
    let image = base64::engine::general_purpose::STANDARD.encode(vec![7; 1 << 20]);
    let person = json!({"person": {
        "given_name": "Grace", "family_name": "Muster", "biometric_data": {"face_image": image},
    }});
    let service = "idgw.person.v1.PersonService";
    let created = client
        .call(&format!("{service}/CreatePersonWithLiveness"), &person)
        .await;
    let id = created.unwrap()["person"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // `id`, and the view with everything in it.
    let mut message = vec![0x0a, u8::try_from(id.len()).unwrap()];
    message.extend(id.as_bytes());
    message.extend([0x10, 2]);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let message = [&[0][..], &length, &message].concat();
    let block = call(&format!("/{service}/GetPerson"), &[("grpc-timeout", "8S")]);
    let mut writer = connection(&gateway, 0).await;
    for number in (1..300).step_by(2) {
        let bytes = [
            frame(HEADERS, END_HEADERS, number, &block),
            frame(DATA, END_STREAM, number, &message),
        ];
        writer.write_all(&bytes.concat()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let in_flight = gateway.metric("idgw_calls_in_flight", "").await;
    assert!(in_flight >= 1.0, "a reply that nobody reads holds no place");
    is_bounded("unread replies", &mut gateway).await;
    gateway
        .metric_becomes("idgw_calls_in_flight", "", |value| value == 0.0)
        .await;
    is_bounded("unread replies, afterwards", &mut gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_questions_after_health_hold_little() {
    let mut gateway = limited(&[]).await;
    let long = "x".repeat(15_000);
    let block = call(
        "/grpc.health.v1.Health/Check",
        &[("x-a", &long), ("x-b", &long)],
    );
    let (first, second) = block.split_at(16_000);
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut writer = connection(&gateway, 65_535).await;
        for number in (1..4000).step_by(2) {
            let bytes = [
                frame(HEADERS, 0, number, first),
                frame(CONTINUATION, END_HEADERS, number, second),
            ]
            .concat();
            let sent = tokio::time::timeout(Duration::from_secs(2), writer.write_all(&bytes));
            if !matches!(sent.await, Ok(Ok(()))) {
                break;
            }
        }
        held.push(writer);
    }
    is_bounded("unfinished questions", &mut gateway).await;
}

/// A provider that answers every request with this body.
async fn provider(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = std::sync::Arc::new([head.into_bytes(), body.into_bytes()].concat());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = std::sync::Arc::clone(&answer);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_list_of_nothing_is_refused_before_it_is_parsed() {
    for element in ["{}", r#"{"_id":"1"}"#, "[]", "0"] {
        let elements = vec![element; ((16 << 20) - 2) / (element.len() + 1)];
        let url = provider(format!("[{}]", elements.join(","))).await;
        drop(elements);
        let most = (MOST * MIB).to_string();
        let gateway = Process::serve(
            &[],
            [
                ("IDGW_AUTH__MODE", "none"),
                ("IDGW_SERVER__MAX_MEMORY", &most),
                ("IDGW_PROVIDERS__VERIFIK__TOKEN", "token"),
                ("IDGW_PROVIDERS__VERIFIK__BASE_URL", &url),
                ("IDGW_PROVIDERS__VERIFIK__MAX_ATTEMPTS", "1"),
            ],
        )
        .await;
        let client = Client::connect(gateway.grpc).await;
        let nothing = json!({});
        let asked =
            (0..3).map(|_| client.call("idgw.person.v1.PersonService/ListPersons", &nothing));
        for answer in futures_util::future::join_all(asked).await {
            let refused = answer.unwrap_err();
            assert_eq!(
                refused.code(),
                tonic::Code::Internal,
                "{element}: {refused:?}"
            );
        }
        let highest = gateway.highest();
        println!("a list of {element}: {highest} MiB at most");
        assert!(
            highest <= MOST + BESIDES,
            "a list of {element}: {highest} MiB"
        );
    }
}
