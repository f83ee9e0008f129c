//! `--list`, `--describe`, `@FILE`, `-v` and `--format json`.

use std::{collections::HashMap, time::Duration};

use anstream::adapter::strip_str;
use identity_gateway::cli::call::{CallArgs, Detail, Format, Task, run};
use serde_json::{Value, json};
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    CHECK_CURP, Ran, args, call, call_with,
    server::{Gateway, Offer},
    task,
};

async fn ask(gateway: &Gateway, task: Task) -> Ran {
    let args = CallArgs {
        task,
        ..args(gateway.address, "", "")
    };
    call_with(args).await
}

async fn describe(gateway: &Gateway, name: &str) -> Ran {
    ask(gateway, Task::Describe(name.to_owned())).await
}

#[tokio::test]
async fn the_list_has_every_method_as_call_takes_it() {
    let gateway = Gateway::start().await;
    let all = ask(&gateway, Task::List(None)).await.ok();
    for line in all.lines() {
        assert_eq!(line.matches('/').count(), 1, "{line}");
    }
    assert!(
        all.contains("idgw.identity.v1.IdentityService/CheckCurp\n"),
        "{all}"
    );
    assert!(all.contains("twins.v1.Castor/Stream\n"), "{all}");
    for service in ["idgw.identity.v1.IdentityService", "IdentityService"] {
        let list = ask(&gateway, Task::List(Some(service.to_owned())))
            .await
            .ok();
        assert_eq!(
            list,
            "idgw.identity.v1.IdentityService/CheckCurp\nidgw.identity.v1.IdentityService/ScrubKenyaId\n\
             idgw.identity.v1.IdentityService/VerifyPeDni\nidgw.identity.v1.IdentityService/VerifyPeForeignerId\n"
        );
    }
    let err = ask(&gateway, Task::List(Some("IdentityServce".to_owned())))
        .await
        .failed(64);
    assert_eq!(
        err,
        "error: the server has no service `IdentityServce`; did you mean IdentityService?\n"
    );
}

#[tokio::test]
async fn what_has_a_name_is_described_as_in_its_proto_file() {
    let gateway = Gateway::start().await;
    let names = [
        "CheckCurp",
        "idgw.identity.v1.IdentityService/CheckCurp",
        "/idgw.identity.v1.IdentityService/CheckCurp",
    ];
    for name in names {
        let text = describe(&gateway, name).await.ok();
        for part in [
            "// idgw.identity.v1.IdentityService/CheckCurp\n",
            "rpc CheckCurp(idgw.identity.v1.CheckCurpRequest) returns (idgw.identity.v1.CheckCurpResponse);\n",
            "message idgw.identity.v1.CheckCurpRequest {\n",
            "  string curp = 1;\n",
            "  google.protobuf.FieldMask read_mask = ",
            "message idgw.identity.v1.CheckCurpResponse {\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // No field without a comment: so says the contract.
        assert!(text.contains("\n  // "), "{text}");
    }
    let record = describe(&gateway, "CurpRecord").await.ok();
    assert!(
        record.contains("  optional string given_name = "),
        "{record}"
    );
    let status = describe(&gateway, "idgw.identity.v1.CurpStatus").await.ok();
    assert!(
        status.starts_with("// ") && status.contains("  CURP_STATUS_RCN = "),
        "{status}"
    );
    let stream = describe(&gateway, "Stream").await.ok();
    assert!(
        stream
            .contains("rpc Stream(google.protobuf.Empty) returns (stream google.protobuf.Empty);"),
        "{stream}"
    );
    let service = describe(&gateway, "twins.v1.Castor").await.ok();
    assert!(
        service.starts_with("service twins.v1.Castor {\n  rpc Both("),
        "{service}"
    );
    let err = describe(&gateway, "CurpRecrd").await.failed(64);
    assert!(
        err.contains("`CurpRecrd`; did you mean CurpRecord?"),
        "{err}"
    );
    let err = describe(&gateway, "Both").await.failed(64);
    assert_eq!(
        err,
        "error: `Both` is ambiguous; use one of: twins.v1.Castor.Both, twins.v1.Pollux.Both\n"
    );
}

#[tokio::test]
async fn without_reflection_the_contract_of_this_program_is_shown() {
    let gateway = Gateway::offering(Offer::Nothing).await;
    let all = ask(&gateway, Task::List(None)).await.ok();
    assert!(
        all.contains("idgw.person.v1.PersonService/GetPerson\n") && !all.contains("twins"),
        "{all}"
    );
    describe(&gateway, "CheckCurp").await.ok();
}

#[tokio::test]
async fn a_request_can_be_read_from_a_file() {
    let gateway = Gateway::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, r#"{"curp": "X"}"#).unwrap();
    let named = format!("@{}", file.path().display());
    call(&gateway, CHECK_CURP, &named).await.ok();
    assert_eq!(gateway.seen.curp.lock().unwrap().take().unwrap().curp, "X");
    let err = call(&gateway, CHECK_CURP, "@/nowhere/at\u{1b}all")
        .await
        .failed(2);
    assert_eq!(
        err,
        "error: /nowhere/at\\u{1b}all: No such file or directory (os error 2)\n"
    );
}

#[tokio::test]
async fn headers_and_trailers_are_shown_on_request_and_steer_no_terminal() {
    let gateway = Gateway::start().await;
    let mut args = args(gateway.address, CHECK_CURP, "{}");
    args.detail = Detail::Metadata;
    let ran = call_with(args.clone()).await;
    assert!(ran.out.contains("OUTCOME_FOUND"));
    assert!(
        ran.err.contains("headers:\n") && ran.err.contains("  content-type: application/grpc\n"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("trailers:\n"), "{}", ran.err);

    let refuse = || {
        let mut status = Status::aborted("no");
        let metadata = status.metadata_mut();
        metadata.insert("x-a", MetadataValue::try_from(&b"\xc2\x9b31m"[..]).unwrap());
        metadata.insert_bin("x-bin", MetadataValue::from_bytes(&[0, 1, 2]));
        gateway.refuse(status);
    };
    refuse();
    let err = call_with(args.clone()).await.failed(74);
    assert!(
        err.contains("  x-a: \\u{9b}31m\n") && err.contains("  x-bin: AAEC\n"),
        "{err}"
    );
    refuse();
    args.format = Format::Json;
    let err = call_with(args).await.failed(74);
    let lines: Vec<Value> = err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["trailers"]["x-bin"], json!(["AAEC"]));
    assert_eq!(lines[1]["error"]["code"], "ABORTED");
}

#[tokio::test]
async fn errors_and_headings_are_in_colours_which_change_no_word() {
    let gateway = Gateway::start().await;
    let refuse = || gateway.refuse(Status::aborted("no \u{1b}[31m"));
    let mut args = args(gateway.address, CHECK_CURP, "{}");
    args.detail = Detail::Metadata;
    refuse();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    run(args.clone(), &mut out, &mut err).await;
    let err = String::from_utf8(err).unwrap();
    assert!(
        err.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m")
            && err.contains("\u{1b}[1mtrailers:\u{1b}[0m"),
        "{err:?}"
    );
    // What the server wrote steers nothing, and is stripped of nothing.
    assert!(err.contains("message: no \\u{1b}[31m\n"), "{err:?}");

    refuse();
    let words = |text: &str| {
        // Times differ.
        let lines = text.lines().filter(|line| !line.starts_with("  date:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = call_with(args.clone()).await.err;
    assert_eq!(words(&strip_str(&err).to_string()), words(&plain));
    args.format = Format::Json;
    refuse();
    assert!(!call_with(args).await.err.contains('\u{1b}'));
}

#[tokio::test]
async fn errors_are_json_on_request() {
    let gateway = Gateway::start().await;
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("billing".to_owned(), "not_billed".to_owned())]);
    details
        .set_error_info("INVALID_FIELD", "identity-gateway", metadata)
        .add_bad_request_violation("curp", "18 characters")
        .set_retry_info(Some(Duration::from_millis(2500)));
    gateway.refuse(Status::with_error_details(
        Code::InvalidArgument,
        "no\u{1b}[2J",
        details,
    ));
    let mut args = args(gateway.address, CHECK_CURP, "{}");
    args.format = Format::Json;
    let err = call_with(args.clone()).await.failed(67);
    assert!(!err.contains('\u{1b}'));
    let error: Value = serde_json::from_str(&err).unwrap();
    let error = &error["error"];
    assert_eq!(error["code"], "INVALID_ARGUMENT");
    assert_eq!(
        (&error["status"], &error["reason"]),
        (&json!(3), &json!("INVALID_FIELD"))
    );
    assert_eq!(error["message"], "no\u{1b}[2J");
    let details = error["details"].as_array().unwrap();
    let of = |name: &str| {
        let name = format!("type.googleapis.com/google.rpc.{name}");
        details
            .iter()
            .find(|detail| detail["@type"] == *name)
            .unwrap()
    };
    assert_eq!(of("ErrorInfo")["metadata"]["billing"], "not_billed");
    assert_eq!(of("BadRequest")["field_violations"][0]["field"], "curp");
    assert_eq!(of("RetryInfo")["retry_delay"], "2.500s");

    args.task = task("Nothing", "{}");
    let error: Value = serde_json::from_str(&call_with(args).await.failed(64)).unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("no service has a method `Nothing`")
    );
}
