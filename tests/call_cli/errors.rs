//! What `call` says and exits with when there is no answer to print.

use std::{collections::HashMap, time::Duration};

use prost::Message as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

use super::{
    CHECK_CURP, HEALTH, args, call, call_with,
    server::{Gateway, Offer},
};

#[tokio::test]
async fn a_json_fault_is_a_usage_error_that_repeats_no_value() {
    let gateway = Gateway::start().await;
    for (json, error) in [
        (
            r#"{"curp": canary}"#,
            "error: JSON cannot be read: expected value at line 1 column 10\n",
        ),
        (
            r#"{"curp": "canary", "cruk": "canary"}"#,
            "error: unknown field `cruk`: idgw.identity.v1.CheckCurpRequest has curp, \
             include_document, max_age, read_mask, request_id\n",
        ),
        (
            r#"{"curp": {"canary": 1}}"#,
            "error: field `curp` must be a string\n",
        ),
        (r#""canary""#, "error: the request must be an object\n"),
    ] {
        assert_eq!(call(&gateway, CHECK_CURP, json).await.failed(64), error);
    }
    assert!(
        gateway.seen.curp.lock().unwrap().is_none(),
        "nothing was sent"
    );
}

#[tokio::test]
async fn a_method_that_is_not_there_is_answered_with_what_is() {
    let gateway = Gateway::start().await;
    for (method, error) in [
        (
            "idgw.identity.v1.IdentityService/CheckCrup",
            "error: idgw.identity.v1.IdentityService has no method `CheckCrup`; did you mean CheckCurp? it has: \
             VerifyPeForeignerId, VerifyPeDni, ScrubKenyaId, CheckCurp\n",
        ),
        (
            "identity.v2.IdentityService.CheckCurp",
            "error: the server has no service `identity.v2.IdentityService`; it has: \
             grpc.health.v1.Health, grpc.reflection.v1.ServerReflection, \
             idgw.identity.v1.IdentityService, idgw.person.v1.PersonService, twins.v1.Castor, \
             twins.v1.Pollux\n",
        ),
        (
            "CheckCrup",
            "error: no service has a method `CheckCrup`; did you mean CheckCurp? searched: \
             idgw.identity.v1.IdentityService, idgw.person.v1.PersonService, twins.v1.Castor, \
             twins.v1.Pollux\n",
        ),
        (
            "Both",
            "error: `Both` is ambiguous; use one of: twins.v1.Castor/Both, \
             twins.v1.Pollux/Both\n",
        ),
        (
            "Stream",
            "error: twins.v1.Castor.Stream is streaming; only unary methods can be called\n",
        ),
        (
            "a/b/c",
            "error: `a/b/c` is not a method; it is written pkg.Service/Method, \
             pkg.Service.Method or Method\n",
        ),
    ] {
        assert_eq!(call(&gateway, method, "{}").await.failed(64), error);
    }
}

#[tokio::test]
async fn a_bare_name_never_means_health_and_a_full_one_may() {
    let gateway = Gateway::start().await;
    let answer = call(&gateway, HEALTH, "{}").await.ok();
    assert_eq!(answer, "{\n  \"status\": \"SERVING\"\n}\n");
    // Pollux has a Check too and nobody serves it: it was meant, and nothing was ambiguous.
    let err = call(&gateway, "Check", "{}").await.failed(76);
    assert!(err.starts_with("error: UNIMPLEMENTED\n"), "{err}");
}

#[tokio::test]
async fn a_method_that_is_described_and_not_served_answers_an_error() {
    let gateway = Gateway::start().await;
    let err = call(&gateway, "idgw.person.v1.PersonService/GetPerson", "{}")
        .await
        .failed(76);
    assert!(err.starts_with("error: UNIMPLEMENTED\n"), "{err}");
}

#[tokio::test]
async fn every_kind_of_detail_is_readable() {
    let metadata = [("provider", "accuauth"), ("billing", "not_billed")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut details = ErrorDetails::new();
    details
        .set_error_info(
            "PROVIDER_QUOTA_EXHAUSTED",
            "identity-gateway",
            HashMap::from(metadata),
        )
        .add_quota_failure_violation("accuauth", "no credit")
        .add_bad_request_violation("curp", "18 characters")
        .add_bad_request_violation("max_age", "not negative")
        .add_precondition_failure_violation("CONSENT", "subject_consent", "must be true")
        .set_retry_info(Some(Duration::from_millis(2500)))
        .set_resource_info("person", "42", "", "is missing")
        .set_request_info("r-1", "")
        .set_localized_message("es", "sin saldo")
        .add_help_link("plans", "https://example.com/plans")
        .set_debug_info(vec!["frame".to_owned()], "why");
    let gateway = Gateway::start().await;
    gateway.refuse(Status::with_error_details(
        Code::ResourceExhausted,
        "out of credit",
        details,
    ));

    let err = call(&gateway, CHECK_CURP, "{}").await.failed(72);
    let mut lines: Vec<_> = err.lines().collect();
    assert_eq!(
        lines.drain(..2).collect::<Vec<_>>(),
        [
            "error: RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED",
            "message: out of credit",
        ]
    );
    let expected = [
        "RetryInfo: retry after 2.500s",
        "DebugInfo: why",
        "  frame",
        "QuotaFailure: accuauth: no credit",
        "ErrorInfo: domain=identity-gateway reason=PROVIDER_QUOTA_EXHAUSTED",
        "  billing: not_billed",
        "  provider: accuauth",
        "PreconditionFailure: CONSENT: subject_consent: must be true",
        "BadRequest: curp: 18 characters",
        "BadRequest: max_age: not negative",
        "RequestInfo: r-1",
        "ResourceInfo: person: 42: is missing",
        "Help: plans: https://example.com/plans",
        "LocalizedMessage: es: sin saldo",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_detail_that_is_unknown_or_broken_hides_no_other() {
    let any = |name: &str, value: &[u8]| prost_types::Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: value.to_vec(),
    };
    let info = pb::ErrorInfo {
        reason: "R".to_owned(),
        domain: "d".to_owned(),
        ..Default::default()
    };
    let status = pb::Status {
        details: vec![
            any("acme.Unknown", &[1, 2, 3]),
            any("google.rpc.BadRequest", &[0xff]),
            any("google.rpc.ErrorInfo", &info.encode_to_vec()),
        ],
        ..Default::default()
    };
    let gateway = Gateway::start().await;
    gateway.refuse(Status::with_details(
        Code::Aborted,
        "two\nlines \u{1b}[2J",
        status.encode_to_vec().into(),
    ));
    let err = call(&gateway, CHECK_CURP, "{}").await.failed(74);
    let expected = "error: ABORTED R
message: two\\nlines \\u{1b}[2J
type.googleapis.com/acme.Unknown: 3 bytes
type.googleapis.com/google.rpc.BadRequest: cannot be read
ErrorInfo: domain=d reason=R
";
    assert_eq!(err, expected);
}

#[tokio::test]
async fn details_that_are_no_status_are_said_to_be_so() {
    let gateway = Gateway::start().await;
    gateway.refuse(Status::with_details(Code::Internal, "m", vec![0xff].into()));
    let err = call(&gateway, CHECK_CURP, "{}").await.failed(77);
    assert_eq!(
        err,
        "error: INTERNAL\nmessage: m\ndetails: not a google.rpc.Status\n"
    );
}

#[tokio::test]
async fn without_a_server_the_exit_code_is_1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let err = call_with(args(address, CHECK_CURP, "{}")).await.failed(1);
    assert!(
        err.starts_with(&format!("error: no connection to {address}: ")),
        "{err}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_grpc_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let err = call_with(args(address, HEALTH, "{}")).await.failed(1);
    assert!(err.starts_with("error: no gRPC server answers: "), "{err}");
    // A call that was sent may have arrived: that is no missing connection.
    let err = call_with(args(address, CHECK_CURP, "{}")).await.failed(66);
    let broke = "error: UNKNOWN\nmessage: the connection broke: ";
    assert!(err.starts_with(broke), "{err}");
}

#[tokio::test]
async fn a_server_without_reflection_is_said_to_be_so() {
    let gateway = Gateway::offering(Offer::Nothing).await;
    // What this program knows itself needs none.
    call(&gateway, CHECK_CURP, "{}").await.ok();
    call(&gateway, "CheckCurp", "{}").await.ok();
    let err = call(&gateway, HEALTH, "{}").await.failed(1);
    assert_eq!(
        err,
        "error: the server offers no reflection (neither v1 nor v1alpha)\n"
    );
}

#[tokio::test]
async fn a_bad_address_or_header_is_a_usage_error() {
    let err = call_with(args("http://localhost:1", CHECK_CURP, "{}"))
        .await
        .failed(64);
    assert!(
        err.contains("`http://localhost:1` is not an address"),
        "{err}"
    );
    let mut args = args("localhost:1", CHECK_CURP, "{}");
    args.headers = vec!["authorization canary".to_owned()];
    let err = call_with(args).await.failed(64);
    assert_eq!(err, "error: header 1 is not of the form `name: value`\n");
}
