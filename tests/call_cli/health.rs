//! `health` says one word and exits 0 for one of them only.

use std::{process::ExitCode, time::Duration};

use anstream::StripStream;
use identity_gateway::cli::{call::Security, health};
use tokio::net::TcpListener;
use tonic_health::ServingStatus;

use super::{Ran, server::Gateway};

async fn ask(address: impl ToString, service: &str, timeout: Duration) -> Ran {
    let (mut out, mut err) = (Vec::new(), StripStream::new(Vec::new()));
    let code = health::run(
        &address.to_string(),
        &Security::Plain,
        service,
        timeout,
        &mut out,
        &mut err,
    )
    .await;
    Ran {
        code,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err.into_inner()).unwrap(),
    }
}

#[tokio::test]
async fn only_serving_is_success() {
    let gateway = Gateway::start().await;
    for (service, word, code) in [
        ("", "SERVING\n", ExitCode::SUCCESS),
        (
            "idgw.identity.v1.IdentityService",
            "SERVING\n",
            ExitCode::SUCCESS,
        ),
        (
            "idgw.person.v1.PersonService",
            "NOT_SERVING\n",
            ExitCode::FAILURE,
        ),
        (
            "person.v2.PersonService",
            "SERVICE_UNKNOWN\n",
            ExitCode::FAILURE,
        ),
    ] {
        let ran = ask(gateway.address, service, Duration::from_secs(10)).await;
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str(), ran.code),
            (word, "", code),
            "{service}"
        );
    }
    gateway
        .health
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let ran = ask(gateway.address, "", Duration::from_secs(10)).await;
    assert_eq!(
        (ran.out.as_str(), ran.code),
        ("NOT_SERVING\n", ExitCode::FAILURE)
    );
}

#[tokio::test]
async fn without_a_server_there_is_no_word() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let err = ask(address, "", Duration::from_secs(10)).await.failed(1);
    assert!(
        err.starts_with(&format!("error: no connection to {address}: ")),
        "{err}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let err = ask(address, "", Duration::from_millis(200)).await.failed(1);
    assert_eq!(
        err,
        format!("error: {address} did not answer within 200ms\n")
    );
}

#[tokio::test]
async fn a_refusal_is_shown_as_an_error() {
    let gateway = Gateway::guarded(super::Offer::Both, Some("key")).await;
    let err = ask(gateway.address, "", Duration::from_secs(10))
        .await
        .failed(1);
    assert_eq!(err, "error: UNAUTHENTICATED\nmessage: who is it?\n");
}

#[tokio::test]
async fn a_bad_address_exits_1() {
    let err = ask("nowhere", "", Duration::from_secs(10)).await.failed(1);
    assert!(err.contains("`nowhere` is not an address"), "{err}");
}
