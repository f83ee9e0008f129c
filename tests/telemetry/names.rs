//! The names are those of names.rs, and docs/observability.md says the same. `UPDATE_DOCS=1` writes
//! both the golden list and the document anew.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use identity_gateway::{
    config::Settings,
    domain::verification::Provider,
    telemetry::{
        metrics::prometheus,
        names::{self, Instrument},
    },
};
use opentelemetry_proto::tonic::{common::v1::KeyValue, metrics::v1::metric::Data};

use crate::telemetry::stage::{CURP, Stage, curp, down, found};

fn is_current(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let written = fs::read_to_string(&path).unwrap_or_default();
    if written == generated {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "{} is not what names.rs says; run UPDATE_DOCS=1 cargo test --test program names",
        path.display()
    );
    fs::write(&path, generated).unwrap();
}

const fn kind(instrument: Instrument) -> &'static str {
    match instrument {
        Instrument::Counter => "counter",
        Instrument::UpDownCounter => "up-down counter",
        Instrument::Gauge => "gauge",
        Instrument::Histogram(_) => "histogram",
    }
}

#[test]
fn the_names_are_the_golden_ones() {
    let mut golden =
        String::from("# A change here breaks the queries of those who run the gateway.\n");
    for span in names::SPANS {
        writeln!(
            golden,
            "span {} {} [{}]",
            span.kind,
            span.name,
            span.attributes.join(" ")
        )
        .unwrap();
    }
    for metric in names::METRICS {
        let (name, unit, labels) = (metric.name, metric.unit, metric.attributes.join(" "));
        writeln!(
            golden,
            "metric {} {name} {unit} [{labels}]",
            kind(metric.kind)
        )
        .unwrap();
        if let Instrument::Histogram(buckets) = metric.kind {
            writeln!(golden, "  buckets {buckets:?}").unwrap();
        }
        for series in prometheus::series(metric) {
            writeln!(golden, "  series {series}").unwrap();
        }
    }
    for field in names::FIELDS {
        writeln!(golden, "field {}", field.name).unwrap();
    }
    for (name, _) in names::setup::ALL {
        writeln!(golden, "setup {name}").unwrap();
    }
    is_current("tests/telemetry/names.golden", &golden);
}

#[test]
fn every_set_up_that_is_warned_of_is_a_value_of_its_field() {
    let field = names::FIELDS.iter().find(|field| field.name == "warning");
    for (name, _) in names::setup::ALL {
        assert!(
            field.unwrap().meaning.contains(&format!("`{name}`")),
            "{name}"
        );
    }
}

#[test]
fn every_provider_is_named_where_its_name_is_a_value_or_a_field() {
    for provider in Provider::ALL.map(Provider::as_str) {
        let quoted = format!("`{provider}`");
        let attributes = names::ATTRIBUTES.iter().map(|one| (one.name, one.meaning));
        let fields = names::FIELDS.iter().map(|one| (one.name, one.meaning));
        for (name, meaning) in attributes.chain(fields) {
            if matches!(name, "idgw.provider" | "provider") {
                assert!(meaning.contains(&quoted), "{name}: {provider} is missing");
            }
        }
        let is_a_field = names::FIELDS.iter().any(|field| field.name == provider);
        assert!(is_a_field, "`serving` has {provider}");
    }
}

#[test]
fn every_attribute_of_a_span_or_metric_is_described_and_used() {
    let known: BTreeSet<_> = names::ATTRIBUTES.iter().map(|one| one.name).collect();
    assert_eq!(known.len(), names::ATTRIBUTES.len(), "one is there twice");
    let of_spans = names::SPANS.iter().flat_map(|span| span.attributes);
    let of_metrics = names::METRICS.iter().flat_map(|metric| metric.attributes);
    let used: BTreeSet<_> = of_spans.chain(of_metrics).copied().collect();
    assert_eq!(known, used);
}

#[test]
fn the_document_is_what_names_rs_says() {
    let admin = Settings::default().admin.listen.to_string();
    let mut text = include_str!("observability.head.md").replace("ADMIN_LISTEN", &admin);
    let out = &mut text;
    writeln!(
        out,
        "\n## Spans\n\n| Name | Kind | What it covers | Attributes |\n|---|---|---|---|"
    )
    .unwrap();
    for span in names::SPANS {
        let attributes = span.attributes.iter().map(|name| format!("`{name}`"));
        let attributes = attributes.collect::<Vec<_>>().join(", ");
        writeln!(
            out,
            "| `{}` | {} | {} | {attributes} |",
            span.name, span.kind, span.meaning
        )
        .unwrap();
    }
    writeln!(out, "\n## Metrics\n\n| Name | In Prometheus | Kind, unit | What it measures | Attributes |\n|---|---|---|---|---|").unwrap();
    for metric in names::METRICS {
        let attributes = metric.attributes.iter().map(|name| format!("`{name}`"));
        let attributes = attributes.collect::<Vec<_>>().join(", ");
        let (name, family) = (metric.name, prometheus::series(metric).join("`, `"));
        let (kind, unit, meaning) = (kind(metric.kind), metric.unit, metric.meaning);
        writeln!(
            out,
            "| `{name}` | `{family}` | {kind}, `{unit}` | {meaning} | {attributes} |"
        )
        .unwrap();
    }
    writeln!(out, "\n## Attributes\n\nIn Prometheus a dot is an underscore: `idgw_provider`.\n\n| Name | What it holds |\n|---|---|").unwrap();
    for one in names::ATTRIBUTES {
        writeln!(out, "| `{}` | {} |", one.name, one.meaning).unwrap();
    }
    writeln!(
        out,
        "\n## Log fields\n\n| Name | What it holds |\n|---|---|"
    )
    .unwrap();
    for field in names::FIELDS {
        writeln!(out, "| `{}` | {} |", field.name, field.meaning).unwrap();
    }
    is_current("docs/observability.md", &text);
}

/// The fields that the log lines of a source file name.
fn fields(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for level in ["trace", "debug", "info", "warn", "error", "$level"] {
        for call in source.split(&format!("tracing::{level}!(")).skip(1) {
            let fields = call.split('"').next().unwrap();
            // A field stands alone (`%error`), or before its value; its value may hold commas in brackets.
            let mut depth = 0;
            let fields = fields.split(|letter: char| {
                depth += i32::from("([{".contains(letter)) - i32::from(")]}".contains(letter));
                letter == ',' && depth == 0
            });
            for field in fields {
                let name = field.split('=').next().unwrap();
                let name = name.trim().trim_start_matches(['%', '?']);
                if !name.is_empty() && !name.starts_with("target:") {
                    found.insert(name.to_owned());
                }
            }
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn every_field_of_a_log_line_is_described() {
    let known: BTreeSet<_> = names::FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(known.len(), names::FIELDS.len(), "one is there twice");
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    // Those of every line, which no source names.
    let mut used: BTreeSet<_> = ["timestamp", "level", "message", "trace_id", "span_id"]
        .map(str::to_owned)
        .into();
    for file in files {
        used.extend(fields(&fs::read_to_string(file).unwrap()));
    }
    let used: BTreeSet<_> = used.iter().map(String::as_str).collect();
    assert_eq!(used, known);
    let odd = "tracing::info!(target: T, %one, two = a(b, c), three.four = ?5, \"x\")";
    assert_eq!(
        fields(odd),
        ["one", "three.four", "two"].map(str::to_owned).into()
    );
}

fn keys(attributes: &[KeyValue]) -> Vec<String> {
    attributes.iter().map(|pair| pair.key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_has_no_other_names() {
    let stage = Stage::set(&[("IDGW_PROVIDERS__ACCUAUTH__PRICE", "0.35 USD")]).await;
    for script in [found(), down()] {
        stage.provider.next([script, found()].concat());
        let _ = stage.gateway.client.call(CURP, &curp()).await;
    }
    let known: Vec<_> = names::ATTRIBUTES.iter().map(|one| one.name).collect();
    let spans = stage.collector.until(|spans| spans.len() >= 4).await;
    for span in &spans {
        for key in keys(&span.attributes) {
            assert!(known.contains(&key.as_str()), "{key} of {}", span.name);
        }
        assert!(span.events.is_empty());
    }
    for metric in stage.collector.metrics() {
        let stated = names::METRICS.iter().find(|one| one.name == metric.name);
        let stated = stated.unwrap_or_else(|| panic!("{} is not in names.rs", metric.name));
        assert_eq!(
            (metric.unit.as_str(), metric.description.as_str()),
            (stated.unit, stated.meaning)
        );
        let attributes: Vec<_> = match metric.data.unwrap() {
            Data::Gauge(data) => data
                .data_points
                .iter()
                .flat_map(|one| keys(&one.attributes))
                .collect(),
            Data::Sum(data) => data
                .data_points
                .iter()
                .flat_map(|one| keys(&one.attributes))
                .collect(),
            Data::Histogram(data) => data
                .data_points
                .iter()
                .flat_map(|one| keys(&one.attributes))
                .collect(),
            _ => panic!("{} is of a kind that is never used", metric.name),
        };
        for attribute in attributes {
            assert!(
                stated.attributes.contains(&attribute.as_str()),
                "{attribute} of {}",
                metric.name
            );
        }
    }
    let (_, page) = stage.gateway.admin("/metrics").await;
    for metric in [
        &names::RPC_DURATION,
        &names::COST,
        &names::BUILD,
        &names::TOKIO_BUSY,
        &names::PROCESS_CPU,
    ] {
        for series in prometheus::series(metric) {
            assert!(page.contains(&format!("\n{series}")), "{series}\n{page}");
        }
    }
    let line = stage.gateway.log.line(0, "call").await.unwrap();
    let fields: Vec<_> = names::FIELDS.iter().map(|field| field.name).collect();
    for field in line.as_object().unwrap().keys() {
        assert!(fields.contains(&field.as_str()), "{field}");
    }
}
