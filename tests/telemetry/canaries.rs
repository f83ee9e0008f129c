//! Personal data leaves the gateway in the reply and in the provider's request, and nowhere else.
//!
//! Behind the gateway stands the sandbox, with a go-between that plants a canary in every string of every
//! answer, success and error, and makes some of them malformed. Every row of the sandbox's table is
//! called, so every RPC and every documented answer, with canaries in the request too, at TRACE level
//! with all exporters on. Then everything that left the process is searched. A word that is planted where
//! it may be seen must be found in each of these places: the search works.

mod go_between;
mod process;
mod rows;

use std::{collections::BTreeMap, time::Duration};

use identity_gateway::sandbox;
use serde_json::json;
use tonic::{Request, Status, metadata::MetadataValue, transport::Endpoint};

use crate::{
    client::Client,
    collector::Collector,
    stage::{CURP, GET},
};
use go_between::{CANARY, GoBetween};
use process::Process;

/// Stands where it may be seen.
const PLANTED: &str = "plantedword";

/// Everything that left the process, by where it went.
type Seen = BTreeMap<&'static str, String>;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_leaves_but_in_the_reply_and_the_providers_request() {
    let (go_between, collector) = (GoBetween::start().await, Collector::start().await);
    let mut process = Process::start(&variables(&go_between.url, &collector)).await;
    let client = Client::connect(process.grpc).await;
    let mut seen = Seen::new();
    let mut requests = rows::Canaries::default();

    let mut calls = 0;
    for plant in go_between::Plant::ALL {
        go_between.plants(plant);
        for row in sandbox::table()
            .iter()
            .filter(|row| rows::is_run(row, plant))
        {
            let request = requests.planted(row);
            if let Err(status) = client.call(row.method, &request).await {
                note(&mut seen, &status);
            }
            calls += 1;
        }
    }
    assert!(calls > 200, "{calls}");
    for (method, request) in rows::refused() {
        let status = client.call(method, &request).await.unwrap_err();
        note(&mut seen, &status);
    }
    with_headers(&process, &mut seen).await;
    rows::broken_messages(process.grpc, &mut seen).await;
    cancelled(&client).await;
    planted_code(&client, &go_between, &mut seen).await;

    for page in ["/livez", "/readyz", "/log", "/metrics", "/zqx"] {
        let page = process.admin(page).await;
        seen.entry("admin pages").or_default().push_str(&page);
    }
    let (out, err) = process.end().await;
    seen.insert("standard output", out);
    seen.insert("standard error", err);
    seen.extend(collector.text());

    let places: Vec<_> = seen.keys().copied().collect();
    assert_eq!(
        places,
        [
            "admin pages",
            "errors",
            "exported logs",
            "exported metrics",
            "exported spans",
            "standard error",
            "standard output"
        ]
    );
    for (place, text) in &seen {
        if *place != "standard error" {
            assert!(
                text.contains(PLANTED),
                "the planted word is not in {place}: {text:.2000}"
            );
        }
    }
    assert_eq!(seen["standard error"], "");
    let found = requests.found(&seen);
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
}

fn variables(provider: &str, collector: &Collector) -> Vec<(String, String)> {
    let mut variables: Vec<_> = [
        (
            "IDGW_PROVIDERS__VERIFIK__TOKEN",
            sandbox::VERIFIK_TOKEN.to_owned(),
        ),
        (
            "IDGW_PROVIDERS__YOUVERIFY__TOKEN",
            sandbox::YOUVERIFY_TOKEN.to_owned(),
        ),
        (
            "IDGW_PROVIDERS__ACCUAUTH__API_ID",
            sandbox::ACCUAUTH_API_ID.to_owned(),
        ),
        (
            "IDGW_PROVIDERS__ACCUAUTH__API_SECRET",
            sandbox::ACCUAUTH_API_SECRET.to_owned(),
        ),
        ("IDGW_LOG__FILTER", format!("trace,{PLANTED}=trace")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500".to_owned()),
        ("OTEL_TRACES_SAMPLER", "always_on".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", format!("planted={PLANTED}")),
        (
            "OTEL_PROPAGATORS",
            format!("tracecontext,baggage,{PLANTED}"),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for name in ["VERIFIK", "YOUVERIFY", "ACCUAUTH"] {
        for (key, value) in [
            ("BASE_URL", provider),
            ("TIMEOUT", "1500ms"),
            ("BREAKER_CONSECUTIVE_FAILURES", "0"),
            ("BREAKER_MINIMUM_CALLS", "100000"),
            ("PRICE", "0.35 USD"),
        ] {
            variables.push((format!("IDGW_PROVIDERS__{name}__{key}"), value.to_owned()));
        }
    }
    variables
}

/// What a caller is told in an error.
fn note(seen: &mut Seen, status: &Status) {
    let details = String::from_utf8_lossy(status.details());
    let told = format!("{} {details} {:?}\n", status.message(), status.metadata());
    seen.entry("errors").or_default().push_str(&told);
}

/// Whatever stands in a header is nobody's business either.
async fn with_headers(process: &Process, seen: &mut Seen) {
    use identity_gateway::proto::identity::v1::{
        CheckCurpRequest, identity_service_client::IdentityServiceClient,
    };
    let endpoint = Endpoint::new(format!("http://{}", process.grpc)).unwrap();
    let channel = endpoint
        .user_agent("zqx-agent")
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = IdentityServiceClient::new(channel);
    for curp in ["AAPR630321HDFLRC09", "zqx"] {
        let mut request = Request::new(CheckCurpRequest {
            curp: curp.to_owned(),
            ..CheckCurpRequest::default()
        });
        for name in [
            "authorization",
            "x-request-id",
            "x-forwarded-for",
            "baggage",
            "cookie",
        ] {
            let value = MetadataValue::from_static("zqx=zqx");
            request.metadata_mut().insert(name, value);
        }
        if let Err(status) = client.check_curp(request).await {
            note(seen, &status);
        }
    }
}

/// A call that ends without an answer.
async fn cancelled(client: &Client) {
    let client = client.clone();
    let slow = json!({"id": "person_neveranswers"});
    let call = tokio::spawn(async move { client.call(GET, &slow).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    call.abort();
}

/// A provider's code is told to callers: the planted word comes back in an error.
async fn planted_code(client: &Client, go_between: &GoBetween, seen: &mut Seen) {
    go_between.says(400, json!({"status": PLANTED, "reason": CANARY}));
    let status = client
        .call(CURP, &json!({"curp": "AAPR630321HDFLRC09"}))
        .await;
    note(seen, &status.unwrap_err());
}

/// Not a test of its own: the next one runs it as a process, and says so by the variable.
#[test]
fn a_defect() {
    let Ok(name) = std::env::var("CANARY") else {
        return;
    };
    identity_gateway::telemetry::panics::install();
    let defect = std::panic::catch_unwind(|| panic!("no such person: {name}"));
    assert!(defect.is_err());
}

#[test]
fn a_panic_says_where_and_not_what() {
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args([
            "--exact",
            "canaries::a_defect",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("CANARY", CANARY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("panic at tests/telemetry/canaries.rs:"),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("zqx"), "{text}");
}
