//! The status page says what the metrics say, and what is behind them.

use std::time::{Duration, Instant};

use crate::telemetry::stage::{CURP, Stage, curp, down, found};

const PATIENCE: Duration = Duration::from_secs(20);

/// The page, as soon as it says this.
async fn page_with(stage: &Stage, words: &str) -> String {
    let client = reqwest::Client::new();
    let asked = Instant::now();
    loop {
        let page = client.get(format!("http://{}/", stage.gateway.admin));
        let page = page.header("accept", "text/html").send().await.unwrap();
        let page = page.text().await.unwrap();
        if page.contains(words) {
            return page;
        }
        assert!(asked.elapsed() < PATIENCE, "no {words}: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The sum of a metric's series that have this label.
fn sum(metrics: &str, name: &str, label: &str) -> u64 {
    let series = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    series
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_says_what_the_metrics_say() {
    let stage = Stage::set(&[
        (
            "IDGW_PROVIDERS__ACCUAUTH__BREAKER_CONSECUTIVE_FAILURES",
            "2",
        ),
        ("IDGW_PROVIDERS__ACCUAUTH__PRICE", "2.10 MXN"),
    ])
    .await;
    let page = page_with(&stage, "identity-gateway").await;
    assert!(page.contains("Nothing needs attention") && page.contains("circuit closed"));
    for _ in 0..3 {
        stage.provider.next(found());
        stage.gateway.client.call(CURP, &curp()).await.unwrap();
    }
    // Who asks for what is not there is no caller.
    let address = format!("http://{}", stage.gateway.grpc);
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let mut caller = tonic::client::Grpc::new(channel.connect_lazy());
    for _ in 0..5 {
        caller.ready().await.unwrap();
        let path =
            http::uri::PathAndQuery::from_static("/idgw.identity.v1.IdentityService/Nothing");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let refused = caller.unary(tonic::Request::new(()), path, codec).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Unimplemented);
    }
    // Each probe that fails doubles the time for which the circuit is open, until it is seen.
    let page = loop {
        stage.provider.next(down());
        let _failed = stage.gateway.client.call(CURP, &curp()).await;
        let page = page_with(&stage, "accuauth").await;
        if page.contains("circuit open for") {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert!(page.contains("accuauth: the circuit is open"), "{page}");
    assert!(page.contains("href=\"runbook#idgwbreakeropen\""), "{page}");
    for words in [
        "2.1 MXN a billed result",
        "<code>PROVIDER_UNAVAILABLE</code>",
        "<code>500</code>",
        "does not say when it expires",
        "NOT_SERVING</span> <code>provider/accuauth</code>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (_, metrics) = stage.gateway.admin("/metrics").await;
    let calls = sum(&metrics, "rpc_server_call_duration_seconds_count", CURP);
    let requests = sum(
        &metrics,
        "http_client_request_duration_seconds_count",
        "accuauth",
    );
    let failed = sum(
        &metrics,
        "http_client_request_duration_seconds_count",
        "error_type=\"5",
    );
    assert!(calls > 3 && requests > failed && failed > 1, "{metrics}");
    let others = sum(&metrics, "rpc_server_call_duration_seconds_count", "_OTHER");
    assert_eq!(others, 5, "{metrics}");
    for words in [
        format!("<h3>Calls</h3><p class=\"value\">{calls}</p>"),
        format!("Requests to accuauth by time: {requests}, of which {failed} failed"),
        "data-column=\"Asked\">3</td>".to_owned(),
    ] {
        assert!(page.contains(&words), "{words}: {page}");
    }
}
