//! The way to a collector: over gRPC and HTTP, in plain text, over TLS, with a client certificate.

use std::time::{Duration, Instant};

use crate::{
    kit::{
        certs::{Ca, Mounted},
        collector::{Collector, Identity},
        companies,
        gateway::Gateway,
        provider::Provider,
    },
    telemetry::stage::{CURP, curp, found},
};

const PATIENCE: Duration = Duration::from_secs(30);

async fn gateway(provider: &Provider, own: &[(&str, &str)]) -> Gateway {
    let mut variables = companies::variables(&format!("http://{}", provider.address));
    let common = [
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ("IDGW_SERVER__LAME_DUCK", "0s"),
    ];
    for (name, value) in common.iter().chain(own) {
        variables.push(((*name).to_owned(), (*value).to_owned()));
    }
    Gateway::serve(variables).await
}

/// How the collector's certificate comes to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    No,
    /// Its CA is one of the system's.
    System,
    /// Its CA is named.
    Named,
    /// Its CA is named for each signal, and the gateway shows a certificate.
    Mutual,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signal_reaches_a_collector_over_either_protocol_and_tls() {
    let (ca, clients) = (Ca::new("collector's"), Ca::new("clients'"));
    let (own, client) = (
        ca.issue(&["localhost", "127.0.0.1"]),
        clients.issue(&["gateway"]),
    );
    let files = Mounted::new(&[
        ("ca.crt", &ca.pem()),
        ("tls.crt", &client.certificate),
        ("tls.key", &client.key),
    ]);
    let [ca_file, chain, key] = ["ca.crt", "tls.crt", "tls.key"].map(|name| files.text(name));
    for protocol in ["grpc", "http/protobuf"] {
        for tls in [Tls::No, Tls::System, Tls::Named, Tls::Mutual] {
            let identity = (tls != Tls::No).then_some(Identity {
                own: &own,
                clients: (tls == Tls::Mutual).then_some(&clients),
            });
            let collector = match protocol {
                "grpc" => Collector::over(identity).await,
                _ => Collector::over_http(identity).await,
            };
            let scheme = if tls == Tls::No { "http" } else { "https" };
            let endpoint = format!("{scheme}://localhost:{}", collector.address.port());
            let mut own = vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                (
                    "OTEL_EXPORTER_OTLP_COMPRESSION",
                    if tls == Tls::Named { "gzip" } else { "" },
                ),
            ];
            match tls {
                Tls::No => {}
                Tls::System => own.push(("SSL_CERT_FILE", &ca_file)),
                Tls::Named => own.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca_file)),
                Tls::Mutual => own.extend([
                    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/there/is/none"),
                    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &*ca_file),
                    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", &*ca_file),
                    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", &*ca_file),
                    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*chain),
                    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
                ]),
            }
            let provider = Provider::start().await;
            let gateway = gateway(&provider, &own).await;
            provider.next(found());
            gateway.client.call(CURP, &curp()).await.unwrap();
            let begun = Instant::now();
            while collector.spans().len() < 2
                || collector.metrics().is_empty()
                || collector.logs().is_empty()
            {
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{protocol} {tls:?}: {} spans, {} metrics, {} log records; {:#?}",
                    collector.spans().len(),
                    collector.metrics().len(),
                    collector.logs().len(),
                    gateway.log.since(0),
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_export_says_where_and_why() {
    let ca = Ca::new("nobody's");
    let own = ca.issue(&["localhost", "127.0.0.1"]);
    let identity = || Identity {
        own: &own,
        clients: None,
    };
    let [grpc, http] = [
        Collector::over(Some(identity())).await,
        Collector::over_http(Some(identity())).await,
    ];
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let (plain, nothing) = (Collector::over_http(None).await, Provider::start().await);
    let at = |scheme: &str, port: u16, path: &str| format!("{scheme}://127.0.0.1:{port}{path}");
    for (protocol, endpoint, cause) in [
        ("grpc", at("http", 9, ""), "Connection refused"),
        ("http/protobuf", at("http", 9, ""), "Connection refused"),
        (
            "grpc",
            at("https", grpc.address.port(), ""),
            "UnknownIssuer",
        ),
        (
            "http/protobuf",
            at("https", http.address.port(), ""),
            "UnknownIssuer",
        ),
        // It takes connections, and says nothing.
        ("http/protobuf", at("http", silent_port, ""), "timeout"),
        ("grpc", at("http", silent_port, ""), "gRPC code"),
        (
            "http/protobuf",
            at("http", plain.address.port(), "/elsewhere"),
            "status code: 404",
        ),
        ("grpc", at("http", nothing.address.port(), ""), "gRPC code"),
    ] {
        let provider = Provider::start().await;
        let gateway = gateway(
            &provider,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ],
        )
        .await;
        let line = gateway
            .log
            .line(0, "telemetry export failed; calls are not affected")
            .await
            .unwrap_or_else(|| panic!("{protocol} {endpoint}: {:#?}", gateway.log.since(0)));
        let (said, at) = (
            line["cause"].as_str().unwrap(),
            line["endpoint"].as_str().unwrap(),
        );
        assert!(said.contains(cause), "{protocol} {endpoint}: {said}");
        assert!(endpoint.starts_with(at), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_named_at_start_and_calls_are_served() {
    let provider = Provider::start().await;
    let gateway = gateway(
        &provider,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/there/is/none"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            // A URL to us, and none to the exporter.
            (
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                "http://somebody:the-password@collector/a b",
            ),
            ("OTEL_LOG_LEVEL", "debug"),
        ],
    )
    .await;
    provider.next(found());
    gateway.client.call(CURP, &curp()).await.unwrap();
    gateway.log.line(0, "call").await.unwrap();
    let lines: String = gateway
        .log
        .since(0)
        .iter()
        .map(ToString::to_string)
        .collect();
    for named in [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS or _COMPRESSION",
        "OTEL_TRACES_SAMPLER",
        "OTEL_LOG_LEVEL",
    ] {
        assert!(lines.contains(named), "{named}: {lines}");
    }
    assert!(!lines.contains("the-password"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_named_as_the_operator_says() {
    for (own, name, team) in [
        (&[][..], "identity-gateway", None),
        (
            &[(
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=kyc,team=KYC%20%26%20AML",
            )],
            "kyc",
            Some("KYC & AML"),
        ),
        (
            &[
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=kyc,team=a"),
                ("OTEL_SERVICE_NAME", "kyc eu"),
            ],
            "kyc eu",
            Some("a"),
        ),
    ] {
        let (provider, collector) = (Provider::start().await, Collector::start().await);
        let endpoint = collector.endpoint();
        let mut variables = own.to_vec();
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
        let gateway = gateway(&provider, &variables).await;
        provider.next(found());
        gateway.client.call(CURP, &curp()).await.unwrap();
        collector.until(|spans| spans.len() > 1).await;
        let resource = collector.resource();
        let attribute = |name| crate::kit::collector::attribute(&resource, name);
        assert_eq!(attribute("service.name").as_deref(), Some(name));
        assert_eq!(attribute("team").as_deref(), team);
    }
}
