//! Copies of audit records at a collector.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    kit::{companies, gateway::Gateway, provider::Provider, wire},
    telemetry::stage::{CURP, Stage, curp, found},
};

const EXIT: Duration = Duration::from_secs(30);
const KEY: (&str, &str) = ("IDGW_AUDIT__KEY", "a key of the tests, long enough for it");

fn verified(path: &Path) -> String {
    let mut verify = Command::new(env!("CARGO_BIN_EXE_identity-gateway"));
    let output = verify.args(["audit", "verify"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_copied_to_the_collector_whole_and_the_copies_verify() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit.log");
    let mut stage = Stage::set(&[
        KEY,
        ("IDGW_AUDIT__SINK", "file"),
        ("IDGW_AUDIT__PATH", path.to_str().unwrap()),
        ("IDGW_AUDIT__OTLP", "true"),
        ("IDGW_AUDIT__REQUIRED", "true"),
        ("IDGW_PROVIDERS__ACCUAUTH__ENVIRONMENT", "sandbox"),
        // The log itself is not sent.
        ("OTEL_LOGS_EXPORTER", "none"),
    ])
    .await;
    stage.provider.next(found());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    stage.provider.next(wire::says(
        400,
        json!({"status": "INVALID_ARGUMENT", "reason": "id_number"}),
    ));
    let refused = stage.gateway.client.call(CURP, &curp()).await;
    refused.unwrap_err();
    stage.gateway.terminate();
    assert!(stage.gateway.exit(EXIT).await.unwrap().success());

    let copies = stage.collector.logs();
    let events = copies.iter().map(|copy| copy.event_name.as_str());
    assert!(events.clone().all(|event| event == "idgw.audit"));
    let bodies: Vec<_> = copies.iter().map(line).collect();
    let file = fs::read_to_string(&path).unwrap();
    assert_eq!(bodies.join("\n") + "\n", file, "copies in order, and whole");
    let records = bodies
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap());
    let events: Vec<_> = records
        .clone()
        .map(|record| record["event"].clone())
        .collect();
    assert_eq!(
        events,
        ["start", "intent", "result", "intent", "result", "stop"]
    );
    for record in records.filter(|record| record["call"].is_string()) {
        assert_eq!(record["environment"], "sandbox", "{record}");
    }
    for (copy, body) in copies.iter().zip(&bodies) {
        let record: Value = serde_json::from_str(body).unwrap();
        let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        let milliseconds = i64::try_from(copy.time_unix_nano / 1_000_000).unwrap();
        assert!((time.as_millisecond() - milliseconds).abs() <= 1, "{body}");
    }
    let kept = place.path().join("copies");
    fs::write(&kept, bodies.join("\n") + "\n").unwrap();
    assert!(verified(&kept).contains("whole: 6 records"));
}

/// The line that a copy holds.
fn line(copy: &opentelemetry_proto::tonic::logs::v1::LogRecord) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match copy.body.clone().unwrap().value.unwrap() {
        Value::StringValue(body) => body,
        other => panic!("not a line: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_keeps_no_call_from_its_answer_and_lost_copies_are_counted() {
    let provider = Provider::start().await;
    let mut variables = companies::variables(&format!("http://{}", provider.address));
    for (name, value) in [
        KEY,
        ("IDGW_AUDIT__SINK", "stdout"),
        ("IDGW_AUDIT__OTLP", "true"),
        ("IDGW_AUDIT__REQUIRED", "true"),
        // A port that nobody may listen on without being root.
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("IDGW_SERVER__LAME_DUCK", "0s"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let mut gateway = Gateway::serve(variables).await;
    let calls = 20;
    for _ in 0..calls {
        provider.next(found());
        gateway.client.call(CURP, &curp()).await.unwrap();
    }
    let counted = |page: &str, result: &str| -> u32 {
        let series = format!("idgw_audit_records_total{{idgw_audit_result=\"{result}\"}} ");
        let count = page.lines().find_map(|line| line.strip_prefix(&series));
        count.map_or(0, |count| count.parse().unwrap())
    };
    // An export is given up after some tries of its own.
    let patience = std::time::Instant::now();
    loop {
        let (_, page) = gateway.admin("/metrics").await;
        if counted(&page, "unsent") > 0 {
            // The intent and the result of each call.
            assert_eq!(counted(&page, "written"), calls * 2);
            assert_eq!(counted(&page, "lost"), 0);
            break;
        }
        assert!(patience.elapsed() < EXIT, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway.terminate();
    assert!(gateway.exit(EXIT).await.unwrap().success());
}

#[test]
fn records_that_cannot_be_sent_keep_the_gateway_from_its_start() {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_identity-gateway"));
    let output = serve
        .args(["serve", "--sandbox"])
        .env_clear()
        .env("IDGW_SERVER__LISTEN", "127.0.0.1:0")
        .env("IDGW_ADMIN__LISTEN", "127.0.0.1:0")
        .envs([
            ("IDGW_AUDIT__SINK", "stdout"),
            ("IDGW_AUDIT__OTLP", "true"),
            ("OTEL_SDK_DISABLED", "true"),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("audit.otlp: records cannot be sent: OTEL_SDK_DISABLED is true"));
}
