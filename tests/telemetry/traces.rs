//! The traces of calls that go well, and of those that do not.
// Long: one collector, and every shape that a trace may have.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::json;
use tonic::{Code, Request, metadata::MetadataValue};

use crate::{
    kit::{
        collector::{Collector, attribute},
        eventually_in,
        provider::{Does, Received},
        wire,
    },
    telemetry::stage::{CURP, FOREIGNER, GET, Stage, curp, down, found},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn server(spans: &[Span]) -> Option<&Span> {
    spans
        .iter()
        .find(|span| span.kind == SpanKind::Server as i32)
}

fn clients(spans: &[Span]) -> Vec<&Span> {
    let clients = spans
        .iter()
        .filter(|span| span.kind == SpanKind::Client as i32);
    clients.collect()
}

/// The spans of the next call, once its server span has come: it is the last to end.
async fn next(collector: &Collector, known: usize) -> Vec<Span> {
    let spans = collector
        .until(|spans| server(&spans[known..]).is_some())
        .await;
    spans[known..].to_vec()
}

fn is_error(span: &Span) -> bool {
    let status = span.status.as_ref();
    status.is_some_and(|status| status.code == StatusCode::Error as i32)
}

fn has(span: &Span, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let found = attribute(&span.attributes, name);
        assert_eq!(found.as_deref(), Some(*value), "{name} of {}", span.name);
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls with headers, over tonic's own channel.
async fn call_with(
    stage: &Stage,
    headers: &[(&'static str, &'static str)],
) -> Result<(), tonic::Status> {
    use identity_gateway::proto::identity::v1::{
        CheckCurpRequest, identity_service_client::IdentityServiceClient,
    };
    let endpoint = format!("http://{}", stage.gateway.grpc);
    let mut client = IdentityServiceClient::connect(endpoint).await.unwrap();
    let mut request = Request::new(CheckCurpRequest {
        curp: "AAPR630321HDFLRC09".to_owned(),
        ..CheckCurpRequest::default()
    });
    for (name, value) in headers {
        request
            .metadata_mut()
            .insert(*name, MetadataValue::from_static(value));
    }
    client.check_curp(request).await.map(|_| ())
}

fn header<'a>(request: &'a Received, name: &str) -> Option<&'a str> {
    let header = request.headers.iter().find(|(known, _)| known == name)?;
    Some(&header.1)
}

/// A caller that samples every call, where the operator traces none on its own and follows callers up to a share.
#[tokio::test(flavor = "multi_thread")]
async fn callers_decide_what_is_traced_up_to_the_configured_share() {
    for (percent, calls, expected) in [
        ("100", 130, 130..=130),
        ("0", 30, 0..=0),
        ("1", 130, 100..=102),
    ] {
        let mut stage = Stage::set(&[
            ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
            ("IDGW_TELEMETRY__CALLER_SAMPLED_PERCENT", percent),
        ])
        .await;
        let sampled = &*format!("00-{TRACE}-{CALLER}-01").leak();
        for _ in 0..calls {
            stage.provider.next(found());
            call_with(&stage, &[("traceparent", sampled)])
                .await
                .unwrap();
        }
        // What is exported at the end is all there is.
        stage.gateway.terminate();
        assert!(stage.gateway.exit(Duration::from_secs(20)).await.is_some());
        let spans = stage.collector.spans();
        let servers = spans
            .iter()
            .filter(|span| span.kind == SpanKind::Server as i32);
        let traced = servers.count();
        assert!(
            expected.contains(&traced),
            "{percent} %: {traced} of {calls}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_is_a_server_span_under_the_callers_and_a_client_span_under_it() {
    let stage = Stage::set(&[]).await;
    stage.provider.next(found());
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [
        ("traceparent", &*parent.leak()),
        ("tracestate", "iban=DE89370400440532013000"),
        ("baggage", "iban=DE89370400440532013000"),
    ];
    call_with(&stage, &headers).await.unwrap();
    let spans = next(&stage.collector, 0).await;
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let (server, client) = (server(&spans).unwrap(), clients(&spans)[0]);

    assert_eq!(
        (hex(&server.trace_id), hex(&server.parent_span_id)),
        (TRACE.into(), CALLER.into())
    );
    assert_eq!(server.name, CURP);
    let expected = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", CURP),
        ("rpc.status_code", "OK"),
        ("idgw.provider", "accuauth"),
        ("idgw.outcome", "found"),
        ("idgw.billing", "billed"),
        ("idgw.source", "provider"),
        ("idgw.attempts", "1"),
    ];
    has(server, &expected);
    let id = attribute(&server.attributes, "idgw.verification.id").unwrap();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    assert_eq!(server.attributes.len(), expected.len() + 1, "{server:#?}");

    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(client.name, "POST /verify/id_check");
    let base = format!("http://{}", stage.provider.address);
    let url = format!("{base}/verify/id_check");
    let expected = [
        ("http.request.method", "POST"),
        ("url.template", "/verify/id_check"),
        ("url.full", &url),
        ("server.address", "127.0.0.1"),
        ("server.port", &stage.provider.address.port().to_string()),
        ("http.response.status_code", "200"),
        ("idgw.provider", "accuauth"),
    ];
    has(client, &expected);
    assert_eq!(client.attributes.len(), expected.len(), "{client:#?}");
    assert!(!is_error(server) && !is_error(client));

    let received = &stage.provider.received()[0];
    let traceparent = format!("00-{TRACE}-{}-01", hex(&client.span_id));
    assert_eq!(header(received, "traceparent"), Some(&*traceparent));
    // What callers write freely may be about a person, and is nothing to a provider.
    let sent = format!("{received:?}");
    assert!(!sent.contains("DE89370400440532013000"), "{sent}");
    assert_eq!(header(received, "tracestate"), None);
    assert_eq!(header(received, "baggage"), None);

    let line = stage.gateway.log.line(0, "call").await.unwrap();
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"], hex(&server.span_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_shall_hear_of_no_trace_gets_no_header_of_it() {
    let off = ("IDGW_PROVIDERS__ACCUAUTH__SEND_TRACEPARENT", "false");
    let stage = Stage::set(&[off]).await;
    stage.provider.next(found());
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [
        ("traceparent", &*parent.leak()),
        ("tracestate", "vendor=opaque"),
        ("baggage", "tenant=blue"),
    ];
    call_with(&stage, &headers).await.unwrap();
    let received = &stage.provider.received()[0];
    for name in ["traceparent", "tracestate", "baggage"] {
        assert_eq!(header(received, name), None, "{name}");
    }
    // The caller's trace and the gateway's own spans are the same as ever.
    let spans = next(&stage.collector, 0).await;
    assert_eq!(hex(&server(&spans).unwrap().trace_id), TRACE);
    assert_eq!(clients(&spans).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_in_a_path_or_a_query_is_in_no_span() {
    let stage = Stage::set(&[]).await;
    stage.provider.next(wire::says(
        404,
        json!({"code": "NotFound", "message": "Record not found."}),
    ));
    let request = json!({"document_number": "005015372", "birthdate": "1993-08-16"});
    let _ = stage.gateway.client.call(FOREIGNER, &request).await;
    let spans = next(&stage.collector, 0).await;
    let client = clients(&spans)[0];
    assert_eq!(client.name, "GET /v2/pe/foreigner-id/ce");
    has(client, &[("error.type", "404")]);

    stage
        .provider
        .next(wire::says(200, json!({"id": "person_fictional"})));
    let _ = stage
        .gateway
        .client
        .call(GET, &json!({"id": "person_fictional"}))
        .await;
    let all = stage
        .collector
        .until(|all| server(&all[spans.len()..]).is_some())
        .await;
    let client = clients(&all[spans.len()..])[0];
    assert_eq!(client.name, "GET /v2/persons/{id}");
    let text = format!("{all:?}");
    for personal in ["005015372", "1993", "16%2F08", "person_fictional"] {
        assert!(!text.contains(personal), "{personal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_a_second_client_span_with_its_count_and_the_wait_before_it() {
    let stage = Stage::set(&[("IDGW_PROVIDERS__ACCUAUTH__MAX_ATTEMPTS", "3")]).await;
    stage.provider.next([down(), found()].concat());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    let spans = next(&stage.collector, 0).await;
    let clients = clients(&spans);
    assert_eq!(clients.len(), 2);
    let resend = |span: &Span| attribute(&span.attributes, "http.request.resend_count");
    assert_eq!(
        (resend(clients[0]), resend(clients[1])),
        (None, Some("1".into()))
    );
    assert!(is_error(clients[0]) && !is_error(clients[1]));
    has(clients[0], &[("error.type", "500")]);
    let server = server(&spans).unwrap();
    has(server, &[("idgw.attempts", "2"), ("rpc.status_code", "OK")]);
    let wait = spans
        .iter()
        .find(|span| span.name == "idgw.wait.backoff")
        .unwrap();
    assert_eq!(wait.parent_span_id, server.span_id);
    let (_, page) = stage.gateway.admin("/metrics").await;
    let retries =
        "idgw_retries_total{idgw_provider=\"accuauth\",idgw_reason=\"PROVIDER_UNAVAILABLE\"} 1";
    assert!(page.contains(retries), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_is_an_error_of_both_spans_and_its_price_is_unknown() {
    let stage = Stage::set(&[("IDGW_PROVIDERS__ACCUAUTH__TIMEOUT", "200ms")]).await;
    stage.provider.next([Does::Hangs]);
    let status = stage.gateway.client.call(CURP, &curp()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let spans = next(&stage.collector, 0).await;
    let (server, client) = (server(&spans).unwrap(), clients(&spans)[0]);
    assert!(is_error(server) && is_error(client));
    has(client, &[("error.type", "timeout")]);
    has(
        server,
        &[
            ("error.type", "DEADLINE_EXCEEDED"),
            ("idgw.reason", "PROVIDER_TIMEOUT"),
            ("idgw.billing", "unknown"),
        ],
    );
    let (_, page) = stage.gateway.admin("/metrics").await;
    let unknown = "idgw_results_total{idgw_billing=\"unknown\",idgw_provider=\"accuauth\"} 1";
    assert!(page.contains(unknown), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_caller_gives_up_ends_its_spans_and_is_counted() {
    let stage = Stage::set(&[("IDGW_SHARING__RECOVER_TTL", "0s")]).await;
    stage.provider.next([Does::Hangs]);
    gives_up(&stage).await;
    let spans = next(&stage.collector, 0).await;
    has(server(&spans).unwrap(), &[("rpc.status_code", "CANCELLED")]);
    has(clients(&spans)[0], &[("error.type", "cancelled")]);
    assert!(!is_error(server(&spans).unwrap()), "the caller's own doing");
    let (_, page) = stage.gateway.admin("/metrics").await;
    assert!(
        page.contains("idgw_results_total{idgw_billing=\"unknown\",idgw_provider=\"accuauth\"} 1")
    );
    assert!(page.contains("idgw_calls_in_flight 0\n"), "{page}");
}

/// A call to the provider whose caller cancels.
async fn gives_up(stage: &Stage) {
    let client = stage.gateway.client.clone();
    let call = tokio::spawn(async move { client.call(CURP, &curp()).await });
    assert!(stage.provider.until(|(requests, _)| requests == 1).await);
    call.abort();
}

/// The operator sees what nobody waits for, and what became of it: in figures, in the log line and the span of
/// the call that got it.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_counted_until_it_is_fetched_or_expires() {
    let accuauth = |name: &str, fate: &str| {
        let of = "idgw_provider=\"accuauth\"";
        match fate {
            "" => format!("{name}{{{of}}} "),
            fate => format!("{name}{{idgw_answer_fate=\"{fate}\",{of}}} "),
        }
    };
    let stage = Stage::set(&[
        ("IDGW_SHARING__RECOVER_TTL", "3s"),
        ("IDGW_PROVIDERS__ACCUAUTH__PRICE", "0.35 USD"),
    ])
    .await;
    let page = async || stage.gateway.admin("/metrics").await.1;
    let value = async |name: &str, fate: &str| {
        let (page, series) = (page().await, accuauth(name, fate));
        let line = page.lines().find_map(|line| line.strip_prefix(&series));
        line.map(str::to_owned).unwrap_or_default()
    };
    stage.provider.next([late()]);
    gives_up(&stage).await;
    eventually_in(async || value("idgw_lookups_unattended", "").await == "1").await;
    eventually_in(async || value("idgw_answers_left_total", "kept").await == "1").await;
    assert_eq!(value("idgw_lookups_unattended", "").await, "0");
    assert_eq!(value("idgw_answers_left_total", "recovered").await, "0");
    let mark = stage.gateway.log.mark();
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    let line = stage.gateway.log.line(mark, "call").await.unwrap();
    assert_eq!(
        (&line["source"], &line["attempts"]),
        (&json!("recovered"), &json!(0))
    );
    assert_eq!(value("idgw_answers_left_total", "recovered").await, "1");
    // Another one, which nobody fetches.
    stage.provider.next([late()]);
    let client = stage.gateway.client.clone();
    let call = tokio::spawn(async move { client.call(CURP, &curp()).await });
    assert!(stage.provider.until(|(requests, _)| requests == 2).await);
    call.abort();
    eventually_in(async || value("idgw_answers_left_total", "expired").await == "1").await;
    let lost = "idgw_answers_left_cost_total{idgw_answer_fate=\"expired\",idgw_currency=\"USD\",idgw_provider=\"accuauth\"} 0.35";
    let page = page().await;
    assert!(page.contains(lost), "{page}");
}

/// An answer that takes a second.
fn late() -> Does {
    match found().pop() {
        Some(Does::Answers(answer)) => Does::Waits(Duration::from_secs(1), answer),
        _ => unreachable!("it is one answer"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_is_a_server_span_alone() {
    let stage = Stage::set(&[
        (
            "IDGW_PROVIDERS__ACCUAUTH__BREAKER_CONSECUTIVE_FAILURES",
            "1",
        ),
        ("IDGW_PROVIDERS__ACCUAUTH__MAX_ATTEMPTS", "1"),
    ])
    .await;
    stage.provider.next(down());
    let _ = stage.gateway.client.call(CURP, &curp()).await;
    let before = next(&stage.collector, 0).await.len();
    let status = stage.gateway.client.call(CURP, &curp()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let spans = next(&stage.collector, before).await;
    assert_eq!(spans.len(), 1, "{spans:#?}");
    has(
        &spans[0],
        &[
            ("idgw.reason", "PROVIDER_CIRCUIT_OPEN"),
            ("idgw.attempts", "0"),
            ("idgw.billing", "not_billed"),
        ],
    );
    let (_, page) = stage.gateway.admin("/metrics").await;
    for series in [
        "idgw_refused_total{idgw_limit=\"circuit\",idgw_provider=\"accuauth\"} 1",
        "idgw_breaker_state{idgw_provider=\"accuauth\",idgw_state=\"open\"} 1",
        "idgw_breaker_state{idgw_provider=\"verifik\",idgw_state=\"closed\"} 1",
        "idgw_breaker_transitions_total{idgw_provider=\"accuauth\",idgw_state=\"open\"} 1",
    ] {
        assert!(page.contains(series), "{series}\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coalesced_call_waits_in_a_span_that_names_the_call_that_asks() {
    let stage = Stage::set(&[]).await;
    let [Does::Answers(answer)] = &found()[..] else {
        panic!("one answer");
    };
    let slowly = Does::Waits(Duration::from_secs(1), answer.clone());
    stage.provider.next([slowly]);
    let client = stage.gateway.client.clone();
    let first = tokio::spawn(async move { client.call(CURP, &curp()).await });
    assert!(stage.provider.until(|(requests, _)| requests == 1).await);
    let second = stage.gateway.client.call(CURP, &curp()).await.unwrap();
    assert_eq!(second["verification"]["source"], "SOURCE_COALESCED");
    first.await.unwrap().unwrap();
    let both = |spans: &[Span]| spans.iter().filter(|span| span.name == CURP).count() == 2;
    let spans = stage.collector.until(both).await;
    let called = |source: &str| {
        let is =
            |span: &&Span| attribute(&span.attributes, "idgw.source").as_deref() == Some(source);
        spans.iter().find(is).unwrap()
    };
    let (starter, joiner) = (called("provider"), called("coalesced"));
    has(starter, &[("idgw.attempts", "1")]);
    has(
        joiner,
        &[("idgw.attempts", "0"), ("idgw.billing", "billed")],
    );
    let clients = clients(&spans);
    assert_eq!(clients.len(), 1);
    assert_eq!(clients[0].parent_span_id, starter.span_id);
    let wait = spans
        .iter()
        .find(|span| span.name == "idgw.wait.coalesced")
        .unwrap();
    assert_eq!(wait.parent_span_id, joiner.span_id);
    assert_eq!(wait.links[0].span_id, starter.span_id);
    let (_, page) = stage.gateway.admin("/metrics").await;
    for series in [
        "idgw_verifications_total{idgw_outcome=\"found\",idgw_provider=\"accuauth\",idgw_source=\"coalesced\"} 1",
        "idgw_results_total{idgw_billing=\"billed\",idgw_provider=\"accuauth\"} 1",
    ] {
        assert!(page.contains(series), "{series}\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_place_says_so_in_a_span_that_ends_before_its_attempt() {
    let stage = Stage::set(&[
        ("IDGW_PROVIDERS__ACCUAUTH__MAX_IN_FLIGHT", "1"),
        ("IDGW_PROVIDERS__ACCUAUTH__QUEUE_TIMEOUT", "30s"),
    ])
    .await;
    let [Does::Answers(answer)] = &found()[..] else {
        panic!("one answer");
    };
    let slowly = Does::Waits(Duration::from_secs(1), answer.clone());
    stage.provider.next([vec![slowly], found()].concat());
    let client = stage.gateway.client.clone();
    let first = tokio::spawn(async move { client.call(CURP, &curp()).await });
    assert!(stage.provider.until(|(requests, _)| requests == 1).await);
    // Another number: the same would share the call.
    let other = json!({"curp": "RAZR811011HVZXPB01"});
    stage.gateway.client.call(CURP, &other).await.unwrap();
    first.await.unwrap().unwrap();
    let both = |spans: &[Span]| spans.iter().filter(|span| span.name == CURP).count() == 2;
    let spans = stage.collector.until(both).await;
    let waits: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "idgw.wait.queue")
        .collect();
    assert_eq!(waits.len(), 1, "the first found a place: {spans:#?}");
    has(waits[0], &[("idgw.provider", "accuauth")]);
    let clients = clients(&spans);
    let queued = clients
        .iter()
        .find(|client| client.parent_span_id == waits[0].parent_span_id)
        .unwrap();
    assert!(queued.start_time_unix_nano >= waits[0].end_time_unix_nano);
    let waited = waits[0].end_time_unix_nano - waits[0].start_time_unix_nano;
    assert!(waited > 100_000_000, "{waited} ns");
    let parent = spans
        .iter()
        .find(|span| span.span_id == waits[0].parent_span_id);
    assert_eq!(parent.unwrap().kind, SpanKind::Server as i32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_a_look_into_the_cache_and_no_client_span() {
    let stage = Stage::set(&[]).await;
    stage.provider.next(found());
    let mut request = curp();
    request["max_age"] = json!("60s");
    stage.gateway.client.call(CURP, &request).await.unwrap();
    let before = next(&stage.collector, 0).await.len();
    stage.gateway.client.call(CURP, &request).await.unwrap();
    let spans = next(&stage.collector, before).await;
    assert_eq!(clients(&spans).len(), 0, "{spans:#?}");
    let server = server(&spans).unwrap();
    has(server, &[("idgw.source", "cache"), ("idgw.attempts", "0")]);
    let look = spans
        .iter()
        .find(|span| span.name == "idgw.wait.cache")
        .unwrap();
    assert_eq!(look.parent_span_id, server.span_id);
    let (_, page) = stage.gateway.admin("/metrics").await;
    for series in [
        "idgw_cache_lookups_total{idgw_cache_result=\"hit\",idgw_provider=\"accuauth\"} 1",
        "idgw_cache_lookups_total{idgw_cache_result=\"miss\",idgw_provider=\"accuauth\"} 1",
        "idgw_cache_age_seconds_count{idgw_provider=\"accuauth\"} 1",
        "idgw_results_total{idgw_billing=\"billed\",idgw_provider=\"accuauth\"} 1",
    ] {
        assert!(page.contains(series), "{series}\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_mistake_is_no_error_of_the_span() {
    let stage = Stage::set(&[]).await;
    let status = stage
        .gateway
        .client
        .call(CURP, &json!({"curp": "no"}))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let spans = next(&stage.collector, 0).await;
    assert!(!is_error(&spans[0]));
    has(
        &spans[0],
        &[
            ("error.type", "INVALID_ARGUMENT"),
            ("idgw.reason", "INVALID_FIELD"),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_sampling_decision_is_kept_and_passed_on() {
    for (sampler, flag, sampled) in [
        ("", "00", false),
        ("", "01", true),
        ("parentbased_always_off", "01", true),
        ("parentbased_always_off", "00", false),
    ] {
        let stage =
            Stage::set(&[("OTEL_TRACES_SAMPLER", sampler)][usize::from(sampler.is_empty())..])
                .await;
        stage.provider.next(found());
        let parent = format!("00-{TRACE}-{CALLER}-{flag}");
        call_with(&stage, &[("traceparent", &*parent.leak())])
            .await
            .unwrap();
        let received = stage.provider.received();
        let passed_on = header(&received[0], "traceparent").unwrap();
        assert!(
            passed_on.contains(TRACE) && passed_on.ends_with(flag),
            "{passed_on}"
        );
        stage.gateway.terminate();
        let mut stage = stage;
        assert!(
            stage
                .gateway
                .exit(Duration::from_secs(20))
                .await
                .unwrap()
                .success()
        );
        assert_eq!(
            !stage.collector.spans().is_empty(),
            sampled,
            "{sampler} {flag}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_are_not_traced() {
    let mut stage = Stage::set(&[]).await;
    let address = stage.gateway.grpc.to_string();
    let binary = env!("CARGO_BIN_EXE_identity-gateway");
    for arguments in [
        &["health", "--address"][..],
        &["call", "CheckCurp", "{}", "--address"],
    ] {
        let mut command = tokio::process::Command::new(binary);
        command
            .args(arguments)
            .arg(&address)
            .output()
            .await
            .unwrap();
    }
    stage.gateway.terminate();
    assert!(
        stage
            .gateway
            .exit(Duration::from_secs(20))
            .await
            .unwrap()
            .success()
    );
    let spans = stage.collector.spans();
    assert_eq!(
        crate::kit::collector::names(&spans),
        [CURP],
        "the call itself"
    );
}
