//! The way out: what is sent at the end, what a dead collector costs, what is not sent unasked.

use std::time::{Duration, Instant};

use crate::{
    kit::{companies, gateway::Gateway, provider::Provider},
    telemetry::stage::{CURP, Stage, curp, found},
};

const EXIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_metrics_and_lines_are_sent_at_the_end() {
    let mut stage = Stage::set(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ])
    .await;
    stage.provider.next(found());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    assert!(stage.collector.spans().is_empty());
    stage.gateway.terminate();
    assert!(stage.gateway.exit(EXIT).await.unwrap().success());
    assert_eq!(stage.collector.spans().len(), 2);
    let [(_, _), (_, metrics), (_, logs)] = stage.collector.text();
    assert!(metrics.contains("rpc.server.call.duration"));
    let line = stage.gateway.log.line(0, "call").await.unwrap();
    let id = line["verification_id"].as_str().unwrap();
    assert!(logs.contains(id), "the call's line with its fields: {logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_costs_nothing() {
    let provider = Provider::start().await;
    let mut variables = companies::variables(&format!("http://{}", provider.address));
    for (name, value) in [
        // A port that nobody may listen on without being root.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ("IDGW_LOG__FILTER", "trace"),
        ("IDGW_SERVER__LAME_DUCK", "0s"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let mut gateway = Gateway::serve(variables).await;
    let calls = 200;
    for _ in 0..calls {
        provider.next(found());
        gateway.client.call(CURP, &curp()).await.unwrap();
    }
    let tried = |page: &str, signal: &str| {
        page.contains(&format!(
            "idgw_telemetry_export_failures_total{{idgw_signal=\"{signal}\"}}"
        ))
    };
    // An export is given up after some tries of its own.
    for signal in ["traces", "metrics", "logs"] {
        let patience = Instant::now();
        while !tried(&gateway.admin("/metrics").await.1, signal) {
            assert!(patience.elapsed() < EXIT, "{signal}: nothing was tried");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let started = Instant::now();
    gateway.terminate();
    assert!(gateway.exit(EXIT).await.unwrap().success());
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let lines = gateway.log.since(0);
    let about_it = lines
        .iter()
        .filter(|line| line.to_string().contains("telemetry export failed"));
    assert_eq!(about_it.count(), 1, "one warning a minute");
    let others = lines
        .iter()
        .filter(|line| line["message"] != "call")
        .count();
    assert!(others < 10, "{others} lines besides the calls'");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_collector_when_the_sdk_is_disabled() {
    let mut stage = Stage::set(&[
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ])
    .await;
    stage.provider.next(found());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    let (status, page) = stage.gateway.admin("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        page.contains("idgw_verifications_total"),
        "the admin port tells all the same"
    );
    stage.gateway.terminate();
    assert!(stage.gateway.exit(EXIT).await.unwrap().success());
    for (signal, text) in stage.collector.text() {
        assert_eq!(text, "[]", "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_of_the_log_can_be_changed_while_it_runs() {
    let stage = Stage::set(&[("IDGW_LOG__FILTER", "info")]).await;
    let page = format!("http://{}/log", stage.gateway.admin);
    let put = async |directives: &str| {
        let client = reqwest::Client::new();
        let put = client.put(&page).body(directives.to_owned());
        let answer = put.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(stage.gateway.admin("/log").await, (200, "info\n".into()));
    assert_eq!(put("error").await, (200, "error\n".into()));
    let mark = stage.gateway.log.mark();
    stage.provider.next(found());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    for wrong in [
        "",
        "identity_gateway=loud",
        "identity_gateway[{peer=.................}]=off",
        &"a".repeat(5000),
    ] {
        assert_eq!(put(wrong).await.0, 400);
    }
    assert_eq!(stage.gateway.admin("/log").await, (200, "error\n".into()));
    assert_eq!(put(" info ").await, (200, "info\n".into()));
    stage.provider.next(found());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    assert!(stage.gateway.log.line(mark, "call").await.is_some());
    let calls = stage.gateway.log.since(mark);
    let calls = calls
        .iter()
        .filter(|line| line["message"] == "call")
        .count();
    assert_eq!(calls, 1, "the first call was not logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_filter_is_told_whatever_the_filter() {
    let stage = Stage::set(&[]).await;
    let mark = stage.gateway.log.mark();
    let page = format!("http://{}/log", stage.gateway.admin);
    let put = reqwest::Client::new().put(&page).body("off");
    assert_eq!(put.send().await.unwrap().status(), 200);
    let told = stage
        .gateway
        .log
        .line(mark, "log filter changed on the admin port");
    let told = told.await.unwrap();
    assert_eq!(told["filter"], "off");
    assert!(told["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(told["lasts_s"], 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_sees_or_changes_the_filter_of_the_log() {
    let stage = Stage::set(&[]).await;
    let page = format!("http://{}/log", stage.gateway.admin);
    let client = reqwest::Client::new();
    for (name, value) in [
        ("origin", "http://page.example"),
        ("origin", "null"),
        ("host", "page.example"),
        ("host", "localhost.page.example:9090"),
    ] {
        for asked in [client.get(&page), client.put(&page).body("off")] {
            let answer = asked.header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{name}: {value}");
        }
    }
    assert_eq!(stage.gateway.admin("/log").await, (200, "info\n".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_metrics_has_exemplars_that_name_the_trace() {
    let stage = Stage::set(&[]).await;
    stage.provider.next(found());
    stage.gateway.client.call(CURP, &curp()).await.unwrap();
    let spans = stage.collector.until(|spans| spans.len() == 2).await;
    let trace: String = spans[0]
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let client = reqwest::Client::new();
    let page = client
        .get(format!("http://{}/metrics", stage.gateway.admin))
        .header(
            "accept",
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
        )
        .send()
        .await
        .unwrap();
    let kind = page.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    let page = page.text().await.unwrap();
    assert!(page.ends_with("# EOF\n"));
    for histogram in [
        "rpc_server_call_duration_seconds",
        "http_client_request_duration_seconds",
    ] {
        let exemplar = page
            .lines()
            .find(|line| line.starts_with(&format!("{histogram}_bucket")) && line.contains(" # {"));
        assert!(
            exemplar.is_some_and(|line| line.contains(&trace)),
            "{histogram}\n{page}"
        );
    }
    let (_, plain) = stage.gateway.admin("/metrics").await;
    assert!(!plain.contains(" # {") && !plain.contains("# EOF"));
}
