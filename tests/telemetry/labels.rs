//! No caller and no provider can add a label value.

use std::{collections::BTreeSet, time::Duration};

use identity_gateway::{
    domain::{cause::Cause, failure::Kind, verification::Provider},
    proto, sandbox, status,
    telemetry::{
        labels::{Refusal, Reload},
        names,
    },
};
use serde_json::{Value, json};

use crate::{
    kit::{gateway::Gateway, provider::Does, wire},
    telemetry::stage::{CURP, FOREIGNER, Stage, curp},
};

/// The label sets of a page: name and labels of every series but the buckets' bounds.
fn series(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

/// Name and value of every label of a page.
fn labels(page: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for series in series(page)
        .iter()
        .filter(|series| !series.starts_with("target_info"))
    {
        let Some((_, rest)) = series.split_once('{') else {
            continue;
        };
        for pair in rest.trim_end_matches('}').split("\",") {
            let (name, value) = pair.split_once("=\"").unwrap();
            found.insert((name.to_owned(), value.trim_end_matches('"').to_owned()));
        }
    }
    found
}

/// What a label may say; none if its values come from the configuration or are numbers.
fn allowed(name: &str) -> Option<BTreeSet<String>> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    match name {
        "rpc_method" => {
            let services = proto::descriptors().services();
            let methods = services.flat_map(|service| {
                let name = service.full_name().to_owned();
                let methods: Vec<_> = service.methods().collect();
                methods
                    .into_iter()
                    .map(move |method| format!("{name}/{}", method.name()))
            });
            let others = [names::OTHER, "grpc.reflection", "grpc.health"];
            Some(methods.chain(others.map(str::to_owned)).collect())
        }
        "idgw_provider" => words(&Provider::ALL.map(Provider::as_str)),
        "idgw_reason" => words(&Kind::ALL.map(|kind| status::row(kind).1)),
        "idgw_cause" => words(&Cause::ALL.map(Cause::as_str)),
        "rpc_system_name" => words(&["grpc"]),
        "idgw_outcome" => words(&["found", "not_found", "invalid_identifier", "inconclusive"]),
        "idgw_source" => words(&["provider", "coalesced", "cache"]),
        "idgw_billing" => words(&["billed", "not_billed", "unknown"]),
        "idgw_limit" => words(&["process", "provider", "rate", "held", "circuit", "budget"]),
        "idgw_state" => words(&["closed", "half_open", "open"]),
        "idgw_audit_result" => words(&["written", "lost", "refused", "unsent"]),
        "idgw_refusal" => words(&Refusal::ALL.map(Refusal::as_str)),
        "idgw_reload_result" => words(&Reload::ALL.map(Reload::as_str)),
        "idgw_drift" => words(&["code", "value", "field"]),
        "http_request_method" => words(&["GET", "POST", "PUT", "DELETE"]),
        "url_template" => words(&[
            "/v2/pe/foreigner-id/ce",
            "/verify/id_check",
            "/v2/persons",
            "/v2/persons/{id}",
            "/v2/persons/liveness",
        ]),
        _ => None,
    }
}

async fn odd_call(stage: &Stage, path: &str) {
    let request = http::Request::post(format!("http://{}{path}", stage.gateway.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "odd-agent")
        .version(http::Version::HTTP_2)
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let socket = tokio::net::TcpStream::connect(stage.gateway.grpc)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(socket),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let _ = sender.send_request(request).await;
}

async fn odd_answers(stage: &Stage, round: u16) {
    let words = |what: &str| format!("{what}-{round}");
    let answers: [(u16, Value); 5] = [
        (
            200,
            json!({"status": "OK", "result_code": words("9"), words("odd"): 1}),
        ),
        (400, json!({"status": words("ODD")})),
        (
            430 + round,
            json!({"status": words("ODD"), "request_id": words("r")}),
        ),
        (
            200,
            json!({"status": "OK", "result_code": "0",
            "result": {"curp": "AAPR630321HDFLRC09", "estatusCurp": words("Q"), "sexo": words("S"), words("odd"): 1}}),
        ),
        (200, json!([words("list")])),
    ];
    for (status, body) in answers {
        stage.provider.next(wire::says(status, body));
        let _ = stage.gateway.client.call(CURP, &curp()).await;
    }
    stage.provider.next(wire::says(
        404,
        json!({"code": words("C"), "message": words("M")}),
    ));
    let request = json!({"document_number": format!("AB{round:06}"), "birthdate": "1993-08-16"});
    let _ = stage.gateway.client.call(FOREIGNER, &request).await;
    for path in [
        "/odd",
        "/idgw.identity.v1.IdentityService/Odd",
        "/odd.v1.Odd/CheckCurp",
        "/",
    ] {
        odd_call(stage, &format!("{path}{round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_caller_and_no_provider_can_add_a_label_value() {
    let stage = Stage::set(&[
        (
            "IDGW_PROVIDERS__ACCUAUTH__BREAKER_CONSECUTIVE_FAILURES",
            "0",
        ),
        ("IDGW_PROVIDERS__ACCUAUTH__BREAKER_MINIMUM_CALLS", "100000"),
        ("IDGW_PROVIDERS__ACCUAUTH__MAX_ATTEMPTS", "1"),
    ])
    .await;
    for round in 0..8 {
        odd_answers(&stage, round).await;
    }
    let (_, page) = stage.gateway.admin("/metrics").await;
    for (name, value) in labels(&page) {
        if let Some(allowed) = allowed(&name) {
            assert!(allowed.contains(&value), "{name}=\"{value}\"");
        }
        assert!(
            !value.contains("odd") && !value.contains("ODD"),
            "{name}=\"{value}\""
        );
    }
    for drift in ["code", "value", "field"] {
        let count = drifts(&page, drift);
        // Only a sample of the answers is searched for fields, the first among them.
        let least = if drift == "field" { 1 } else { 8 };
        assert!(count >= least, "{drift}: {count}\n{page}");
    }
    assert!(page.contains("rpc_method=\"_OTHER\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_callers_make_no_more_series() {
    let stage = Stage::set(&[]).await;
    let ask = async |from: u32| {
        for number in from..from + 50 {
            let code = json!({"code": "NotFound", "message": "Record not found."});
            stage.provider.next(wire::says(404, code));
            let number = format!("{number:09}");
            let request = json!({"document_number": number, "birthdate": "1993-08-16"});
            stage
                .gateway
                .client
                .call(FOREIGNER, &request)
                .await
                .unwrap();
        }
        series(&stage.gateway.admin("/metrics").await.1)
    };
    let (first, second) = (ask(1).await, ask(1000).await);
    assert_eq!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_counted_once_for_an_answer_however_many_read_it() {
    let stage = Stage::set(&[]).await;
    let odd = json!({"request_id": "r-1", "status": "OK", "result_code": "0", "new": "field",
        "result": {"curp": "AAPR630321HDFLRC09", "estatusCurp": "ODD"}});
    let odd = Does::Waits(Duration::from_secs(1), wire::json(200, odd));
    stage.provider.next([odd]);
    let client = stage.gateway.client.clone();
    let first = tokio::spawn(async move { client.call(CURP, &curp()).await });
    assert!(stage.provider.until(|(requests, _)| requests == 1).await);
    // They want another part of the same answer, and one wants it to be kept.
    let request = json!({"curp": "AAPR630321HDFLRC09", "include_document": true, "max_age": "60s"});
    let (second, third) = tokio::join!(
        stage.gateway.client.call(CURP, &request),
        stage.gateway.client.call(CURP, &request)
    );
    for answer in [first.await.unwrap(), second, third] {
        answer.unwrap();
    }
    assert_eq!(stage.provider.received().len(), 1);
    let (_, page) = stage.gateway.admin("/metrics").await;
    for drift in ["value", "field"] {
        let once =
            format!("idgw_drifts_total{{idgw_drift=\"{drift}\",idgw_provider=\"accuauth\"}} 1\n");
        assert!(page.contains(&once), "{drift}\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sixteenth_of_the_answers_is_searched_for_fields_that_no_document_lists() {
    const ANSWERS: usize = 400;
    let stage = Stage::set(&[]).await;
    let odd = json!({"request_id": "r-1", "status": "OK", "result_code": "1", "new": "field"});
    let odd = vec![Does::Answers(wire::json(200, odd)); ANSWERS];
    stage.provider.next(odd);
    for _ in 0..ANSWERS {
        stage.gateway.client.call(CURP, &curp()).await.unwrap();
    }
    let (_, page) = stage.gateway.admin("/metrics").await;
    // 26 are expected, give or take 5: by chance it is outside these bounds once in a million times.
    let count = drifts(&page, "field");
    assert!((5..=60).contains(&count), "{count}");
}

/// How many drifts of AccuAuth were counted.
fn drifts(page: &str, kind: &str) -> u32 {
    let counted = format!("idgw_drifts_total{{idgw_drift=\"{kind}\",idgw_provider=\"accuauth\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&counted));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_providers_documents_show_is_no_drift() {
    let samples: Vec<_> = sandbox::table()
        .iter()
        .filter(|row| {
            row.answer.contains("the document's sample") || row.answer.starts_with("200 verified")
        })
        .collect();
    assert!(samples.len() >= 5, "{}", samples.len());
    for row in samples {
        // One for each: a provider's first answer is searched in any case.
        let gateway = Gateway::sandbox::<&str, &str>([]).await;
        let request = serde_json::from_str(row.request).unwrap();
        gateway.client.call(row.method, &request).await.unwrap();
        let (_, page) = gateway.admin("/metrics").await;
        let mut series = page
            .lines()
            .filter(|line| line.starts_with("idgw_drifts_total"));
        assert!(page.contains("idgw_drifts_total"), "they begin with 0");
        assert!(
            series.all(|line| line.ends_with(" 0")),
            "{}: {page}",
            row.request
        );
    }
}
