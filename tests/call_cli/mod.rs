//! `call` and `health` against a server on a real socket.

mod errors;
mod explore;
mod health;
mod server;

use std::{io, process::ExitCode, time::Duration};

use anstream::StripStream;
use identity_gateway::cli::call::{CallArgs, Detail, Format, Security, Task, run, token::Token};
use server::{Gateway, Offer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const CHECK_CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";
/// A method that only reflection can describe.
const HEALTH: &str = "grpc.health.v1.Health/Check";

/// What a command left behind.
struct Ran {
    code: ExitCode,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (ExitCode::SUCCESS, ""));
        self.out
    }

    #[track_caller]
    fn failed(self, code: u8) -> String {
        assert_eq!(
            (self.code, self.out.as_str()),
            (ExitCode::from(code), ""),
            "{}",
            self.err
        );
        self.err
    }
}

fn args(address: impl ToString, method: &str, json: &str) -> CallArgs {
    CallArgs {
        security: Security::Plain,
        task: task(method, json),
        address: address.to_string(),
        headers: Vec::new(),
        token: None,
        timeout: None,
        detail: Detail::Answer,
        format: Format::Text,
    }
}

fn task(method: &str, json: &str) -> Task {
    Task::Call {
        method: method.to_owned(),
        json: json.to_owned(),
    }
}

async fn call_with(args: CallArgs) -> Ran {
    let (mut out, mut err) = (Vec::new(), StripStream::new(Vec::new()));
    let code = run(args, &mut out, &mut err).await;
    Ran {
        code,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err.into_inner()).unwrap(),
    }
}

async fn call(gateway: &Gateway, method: &str, json: &str) -> Ran {
    call_with(args(gateway.address, method, json)).await
}

#[tokio::test]
async fn a_method_can_be_written_in_four_ways() {
    let gateway = Gateway::start().await;
    for method in [
        "idgw.identity.v1.IdentityService/CheckCurp",
        "/idgw.identity.v1.IdentityService/CheckCurp",
        "idgw.identity.v1.IdentityService.CheckCurp",
        "CheckCurp",
    ] {
        *gateway.seen.curp.lock().unwrap() = None;
        call(&gateway, method, r#"{"curp": "X"}"#).await.ok();
        assert_eq!(
            gateway.seen.curp.lock().unwrap().take().unwrap().curp,
            "X",
            "{method}"
        );
    }
}

#[tokio::test]
async fn the_answer_is_proto_json_with_the_names_of_the_proto_and_without_unset_fields() {
    let gateway = Gateway::start().await;
    let answer = call(&gateway, CHECK_CURP, "{}").await.ok();
    let expected = r#"{
  "verification": {
    "id": "0190",
    "outcome": "OUTCOME_FOUND",
    "provider": "accuauth",
    "checked_at": "1970-01-01T00:00:00.005Z"
  },
  "record": {
    "given_name": "JUANA",
    "birth_state": "",
    "status": "CURP_STATUS_RCN",
    "active": false,
    "proof_document_type": 99,
    "document": "+/8="
  }
}
"#;
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_request_arrives_as_it_was_written() {
    let gateway = Gateway::start().await;
    let json = r#"{"curp": "X", "includeDocument": true, "max_age": "1.5s", "readMask": "record.given_name"}"#;
    call(&gateway, CHECK_CURP, json).await.ok();
    let seen = gateway.seen.curp.lock().unwrap().take().unwrap();
    assert!(seen.include_document);
    assert_eq!(seen.max_age.unwrap().nanos, 500_000_000);
    assert_eq!(seen.read_mask.unwrap().paths, ["record.given_name"]);
}

#[tokio::test]
async fn a_struct_comes_back_as_it_was_sent() {
    let gateway = Gateway::start().await;
    let json = r#"{"metadata": {"a": [1.5, null, "x"], "b": {"c": true}}}"#;
    let answer = call(&gateway, "ScrubKenyaId", json).await.ok();
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&answer), value(json));
}

#[tokio::test]
async fn an_empty_answer_is_an_empty_object() {
    let gateway = Gateway::start().await;
    assert_eq!(
        call(&gateway, "VerifyPeForeignerId", "{}").await.ok(),
        "{}\n"
    );
}

#[tokio::test]
async fn an_answer_may_be_larger_than_the_4_mib_of_grpc() {
    let gateway = Gateway::start().await;
    let answer = call(&gateway, CHECK_CURP, r#"{"curp": "LARGE"}"#)
        .await
        .ok();
    assert!(answer.len() > 5 << 20);
}

#[tokio::test]
async fn a_server_with_v1alpha_alone_is_understood() {
    let gateway = Gateway::offering(Offer::V1Alpha).await;
    call(&gateway, HEALTH, "{}").await.ok();
}

#[tokio::test]
async fn the_unspecified_address_is_dialled_as_loopback() {
    let gateway = Gateway::start().await;
    let address = format!("0.0.0.0:{}", gateway.address.port());
    call_with(args(address, CHECK_CURP, "{}")).await.ok();
}

#[tokio::test]
async fn headers_and_token_go_to_the_rpc_and_to_the_reflection_service() {
    let gateway = Gateway::guarded(Offer::Both, Some("Bearer canary")).await;
    let err = call(&gateway, CHECK_CURP, "{}").await.failed(80);
    assert_eq!(err, "error: UNAUTHENTICATED\nmessage: who is it?\n");
    let err = call(&gateway, HEALTH, "{}").await.failed(80);
    assert_eq!(err, "error: UNAUTHENTICATED\nmessage: who is it?\n");

    let mut args = args(gateway.address, CHECK_CURP, "{}");
    args.headers = vec!["x-bin: AAEC".to_owned()];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "canary\n").unwrap();
    args.token = Some(Token::File(file.path().to_owned()));
    let asked_by_reflection = CallArgs {
        task: task(HEALTH, "{}"),
        ..args.clone()
    };
    call_with(asked_by_reflection).await.ok();
    call_with(args).await.ok();
    let seen = gateway.seen.metadata.lock().unwrap();
    assert_eq!(
        seen.get_bin("x-bin").unwrap().to_bytes().unwrap().as_ref(),
        [0, 1, 2]
    );
}

#[tokio::test]
async fn the_timeout_goes_to_the_server() {
    let gateway = Gateway::start().await;
    let mut args = args(gateway.address, CHECK_CURP, "{}");
    call_with(args.clone()).await.ok();
    assert!(
        !gateway
            .seen
            .metadata
            .lock()
            .unwrap()
            .contains_key("grpc-timeout")
    );

    args.timeout = Some(Duration::from_secs(30));
    call_with(args).await.ok();
    let seen = gateway.seen.metadata.lock().unwrap();
    assert_eq!(seen.get("grpc-timeout").unwrap(), "30000000u");
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_deadline_exceeded() {
    let gateway = Gateway::start().await;
    let mut args = args(
        behind_a_wall(&gateway).await,
        CHECK_CURP,
        r#"{"curp": "HANG"}"#,
    );
    args.timeout = Some(Duration::from_millis(300));
    let err = call_with(args).await.failed(68);
    assert_eq!(
        err,
        "error: DEADLINE_EXCEEDED\nmessage: no answer within 300ms\n"
    );
}

/// A proxy that lets nothing of the server through once a call hangs, so that only the client's clock
/// can end it.
async fn behind_a_wall(gateway: &Gateway) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (listener.local_addr().unwrap(), gateway.address);
    let hanging = gateway.seen.hanging.subscribe();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) =
            TcpStream::connect(server).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            if !*hanging.borrow() {
                to_client.write_all(&bytes[..length]).await.unwrap();
            }
        }
        std::future::pending::<()>().await;
    });
    address
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_no_success() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("disk full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let gateway = Gateway::start().await;
    let mut err = StripStream::new(Vec::new());
    let code = run(args(gateway.address, CHECK_CURP, "{}"), &mut Full, &mut err).await;
    assert_eq!(code, ExitCode::from(2));
    assert_eq!(
        String::from_utf8(err.into_inner()).unwrap(),
        "error: standard output: disk full\n"
    );
}
