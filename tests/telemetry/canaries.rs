//! Personal data leaves the gateway in the reply and in the provider's request, and nowhere else.
//!
//! Behind the gateway stands the sandbox, with a go-between that plants a canary in every string of every
//! answer, success and error, and makes some of them malformed. Every row of the sandbox's table is
//! called, so every RPC and every documented answer, with canaries in every field of the request too, at
//! TRACE level with all exporters on, the audit and Redis included. Then everything that left the process
//! is searched. A word that is planted where it may be seen must be found in each of these places: the
//! search works.
//!
//! Redis is there with `REDIS=required`, as in tests/redis.

mod go_between;
mod process;
mod rows;

use std::{collections::BTreeMap, path::Path, time::Duration};

use identity_gateway::sandbox;
use serde_json::json;
use tonic::{Request, Status, metadata::MetadataValue, transport::Endpoint};

use crate::{
    kit::{
        client::Client,
        collector::Collector,
        redis_server::{KEY, Redis, redis},
    },
    telemetry::stage::{CURP, GET},
};
use go_between::{CANARY, GoBetween};
use process::Process;

/// Stands where it may be seen.
const PLANTED: &str = "plantedword";
/// The same for errors, which tell callers of a provider's known words only; no other answer here has it.
const KNOWN_CODE: &str = "LockedError";
/// Names and values in Redis.
const REDIS: &str = "Redis";

/// Everything that left the process, by where it went.
type Seen = BTreeMap<&'static str, String>;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_leaves_but_in_the_reply_and_the_providers_request() {
    let (go_between, collector) = (GoBetween::start().await, Collector::start().await);
    let (redis, place) = (redis().await, tempfile::tempdir().unwrap());
    let audit = place.path().join("audit.log");
    let mut variables = variables(&go_between.url, &collector, &audit);
    if let Some(redis) = &redis {
        variables.push(("IDGW_CACHE__URL".to_owned(), redis.url()));
        variables.push(("IDGW_CACHE__KEY".to_owned(), KEY.to_owned()));
    }
    let mut process = Process::start(&variables).await;
    let client = Client::connect(process.grpc).await;
    let mut seen = Seen::new();
    let mut requests = rows::Canaries::default();

    let mut calls = 0;
    for (round, plant) in go_between::Plant::ALL.into_iter().enumerate() {
        go_between.plants(plant);
        for (method, request) in rows::whole(round) {
            requests.sends(method, &request);
            if let Err(status) = client.call(method, &request).await {
                note(&mut seen, &status);
            }
        }
        for row in sandbox::table()
            .iter()
            .filter(|row| rows::is_run(row, plant))
        {
            let mut request = requests.planted(row);
            // Kept answers are for the first round: the others shall reach the provider.
            if plant == go_between::Plant::Data && row.method.starts_with("idgw.identity.") {
                request["max_age"] = json!("60s");
            }
            if let Err(status) = client.call(row.method, &request).await {
                note(&mut seen, &status);
            }
            calls += 1;
        }
    }
    assert!(calls > 200, "{calls}");
    for (method, request) in rows::refused() {
        requests.sends(method, &request);
        let status = client.call(method, &request).await.unwrap_err();
        note(&mut seen, &status);
    }
    with_headers(&process, &mut seen).await;
    rows::broken_messages(process.grpc, &mut seen).await;
    cancelled(&client).await;
    planted_code(&client, &go_between, &mut seen).await;

    for page in [
        "/", "/runbook", "/livez", "/readyz", "/log", "/metrics", "/zqx",
    ] {
        let page = process.admin(page).await;
        seen.entry("admin pages").or_default().push_str(&page);
    }
    let status = process.status_page().await;
    assert!(status.contains("PROVIDER_RESPONSE_MALFORMED"), "{status}");
    seen.entry("admin pages").or_default().push_str(&status);
    let page = process.refused_filter("zqx=zqx").await;
    seen.entry("admin pages").or_default().push_str(&page);
    if let Some(redis) = &redis {
        seen.insert(REDIS, in_redis(redis).await);
    }
    let (out, err) = process.end().await;
    seen.insert("standard output", out);
    seen.insert("standard error", err);
    seen.extend(collector.text());
    let recorded = std::fs::read_to_string(&audit).unwrap();
    assert!(
        recorded.lines().count() > 200,
        "{}",
        recorded.lines().count()
    );
    seen.insert("audit", recorded);
    assert_eq!(requests.never_planted(), [""; 0]);

    let places: Vec<_> = seen.keys().copied().collect();
    let expected = [
        "admin pages",
        "audit",
        "errors",
        "exported logs",
        "exported metrics",
        "exported spans",
        "standard error",
        "standard output",
    ];
    let expected = redis.iter().map(|_| REDIS).chain(expected);
    assert_eq!(places, expected.collect::<Vec<_>>());
    for (place, text) in &seen {
        if *place != "standard error" {
            let word = if *place == "errors" {
                KNOWN_CODE
            } else {
                PLANTED
            };
            assert!(
                text.contains(word),
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

fn variables(provider: &str, collector: &Collector, audit: &Path) -> Vec<(String, String)> {
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
        ("IDGW_AUDIT__SINK", "file".to_owned()),
        ("IDGW_AUDIT__PATH", audit.display().to_string()),
        ("IDGW_AUDIT__KEY", KEY.to_owned()),
        ("IDGW_AUDIT__OTLP", "true".to_owned()),
        ("IDGW_AUDIT__REQUIRED", "true".to_owned()),
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

/// Every name and value in Redis, the planted word among them: it is written and found like all others.
async fn in_redis(redis: &Redis) -> String {
    // The looks of one round, and the two creates of each.
    let kept = redis.dump().await;
    let named = |prefix: &str| {
        let names = kept.iter().map(|(name, _)| String::from_utf8_lossy(name));
        names.filter(|name| name.starts_with(prefix)).count()
    };
    let (answers, creates) = (named("idgw:answer:"), named("idgw:create:"));
    assert!(
        answers > 5 && creates > 1,
        "{answers} answers, {creates} creates"
    );
    let mut connection = redis.connection().await;
    let set = redis::cmd("SET")
        .arg(format!("test:{PLANTED}"))
        .arg(1)
        .to_owned();
    let () = set.query_async(&mut connection).await.unwrap();
    let kept = redis.dump().await.into_iter();
    kept.map(|(name, value)| {
        let text = String::from_utf8_lossy;
        format!("{} {}\n", text(&name), text(&value))
    })
    .collect()
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
        // The purpose is recorded as the caller wrote it.
        let purpose = MetadataValue::from_static(PLANTED);
        request.metadata_mut().insert("x-purpose", purpose);
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

/// A provider's code is told to callers if it is known: it comes back in an error.
async fn planted_code(client: &Client, go_between: &GoBetween, seen: &mut Seen) {
    go_between.says(400, json!({"status": KNOWN_CODE, "reason": CANARY}));
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
            "telemetry::canaries::a_defect",
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
