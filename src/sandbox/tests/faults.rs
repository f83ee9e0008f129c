//! The faults are what they say, seen from the other end of the socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Everything that comes back over a connection of its own, until it is closed.
async fn raw(sandbox: &Running, number: &str) -> Vec<u8> {
    let mut socket = TcpStream::connect(sandbox.address).await.unwrap();
    let request = format!(
        "GET /v2/pe/foreigner-id/ce?documentNumber={number}&dateOfBirth=16/08/1993 HTTP/1.1\r\n\
         Host: sandbox\r\nAuthorization: Bearer {VERIFIK_TOKEN}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Without `Connection: close`, the end can only come from the sandbox.
    let read = socket.read_to_end(&mut answer);
    let read = timeout(Duration::from_secs(5), read).await;
    read.expect("the sandbox closes the connection").unwrap();
    answer
}

#[tokio::test]
async fn a_cut_connection_gives_not_one_byte() {
    let sandbox = start().await;
    assert_eq!(raw(&sandbox, "CUTCONNECT").await, b"");
    let error = sandbox.peru("CUTCONNECT", "16/08/1993").send().await;
    let error = error.unwrap_err();
    assert!(error.is_request() && !error.is_connect() && !error.is_timeout());
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_gives() {
    let sandbox = start().await;
    let answer = String::from_utf8(raw(&sandbox, "TRUNCATED").await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    assert!(
        !body.is_empty() && body.len() < length,
        "{} of {length}",
        body.len()
    );
    let response = sandbox
        .peru("TRUNCATED", "16/08/1993")
        .send()
        .await
        .unwrap();
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_malformed_answer_is_whole_but_no_json() {
    let sandbox = start().await;
    let response = sandbox.mexico(&json!({ "id_number": "ROTO900101HDFSND07" }));
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("application/json")
    );
    let body = response.bytes().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&body).is_err());
}

#[tokio::test]
async fn an_oversize_answer_is_json_over_16_mib() {
    let sandbox = start().await;
    let body = json!({ "id": "900002006", "idType": "national-id", "isSubjectConsent": true });
    let response = sandbox.kenya(&body).send().await.unwrap();
    let body = response.bytes().await.unwrap();
    assert!(body.len() > 16 * 1024 * 1024);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["data"]["status"], "found");
}

#[tokio::test]
async fn slow_is_late_and_never_is_later() {
    let sandbox = start().await;
    let begun = std::time::Instant::now();
    let slow = send(sandbox.peru("SLOWANSWER", "16/08/1993"));
    let never = sandbox.peru("NEVERANSWERS", "16/08/1993").send();
    let never = timeout(Duration::from_millis(2500), never);
    let (slow, never) = tokio::join!(async { (slow.await, begun.elapsed()) }, never);
    let ((status, answer), elapsed) = slow;
    assert_eq!(
        (status, &answer["data"]["documentNumber"]),
        (200, &json!("SLOWANSWER"))
    );
    assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
    assert!(never.is_err());
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let sandbox = start().await;
    let kenya = json!({ "id": "900000429", "idType": "national-id", "isSubjectConsent": true });
    for request in [
        sandbox.peru("RATELIMITED", "16/08/1993"),
        sandbox.verifik(Method::GET, "/v2/persons/person_ratelimited"),
        sandbox.kenya(&kenya),
        sandbox.mexico(&json!({ "id_number": "MUCH900101HDFSND01" })),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "1");
    }
}
