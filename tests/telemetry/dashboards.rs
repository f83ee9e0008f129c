//! What operators are given to look at asks for nothing that is not exported: dashboard, alerts, runbook.

use std::{collections::BTreeSet, ffi::OsStr, io::Write as _, process::Command};

use identity_gateway::{
    config::Settings,
    telemetry::{metrics::prometheus, names},
};
use serde_json::Value;

use crate::telemetry::stage::Stage;

const DASHBOARD: &str = include_str!("../../deploy/observability/grafana-dashboard.json");
const RULES: &str = include_str!("../../deploy/observability/prometheus-rules.yaml");
const RULE_TESTS: &str = include_str!("../../deploy/observability/prometheus-rules.test.yaml");
const OBSERVABILITY: &str = include_str!("../../docs/observability.md");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// What every name of ours begins with.
const OURS: [&str; 6] = ["idgw_", "rpc_", "http_", "process_", "tokio_", "target_"];

fn known() -> BTreeSet<String> {
    let series = names::METRICS.iter().flat_map(prometheus::series);
    let labels = names::ATTRIBUTES.iter();
    let labels = labels.map(|attribute| attribute.name.replace('.', "_"));
    series.chain(labels).collect()
}

/// The names in a query that are not known, of those that begin like ours.
fn unknown(query: &str) -> Vec<String> {
    let known = known();
    let words = query.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words
        .filter(|word| OURS.iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| !known.contains(*word))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_query_of_the_dashboard_names_what_is_exported() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            assert_eq!(unknown(query), [""; 0], "{} of {}", query, panel["title"]);
            assert_eq!(unknown(target["legendFormat"].as_str().unwrap()), [""; 0]);
            assert!(OURS.iter().any(|prefix| query.contains(prefix)), "{query}");
            queries += 1;
        }
    }
    assert!(queries > 30, "{queries}");
}

#[test]
fn the_dashboard_has_what_grafana_asks_for() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    for field in [
        "uid",
        "title",
        "schemaVersion",
        "templating",
        "time",
        "panels",
    ] {
        assert!(!dashboard[field].is_null(), "{field}");
    }
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id twice");
        let place = &panel["gridPos"];
        let [x, w] = ["x", "w"].map(|side| place[side].as_u64().unwrap());
        assert!(
            x + w <= 24 && place["h"].is_u64() && place["y"].is_u64(),
            "{}",
            panel["title"]
        );
        assert!(["row", "timeseries", "stat"].contains(&panel["type"].as_str().unwrap()));
    }
}

#[test]
fn every_metric_of_the_gateways_own_is_looked_at_somewhere() {
    let looked_at = [DASHBOARD, RULES].concat();
    for metric in names::METRICS
        .iter()
        .filter(|metric| metric.name.starts_with("idgw."))
    {
        let family = prometheus::family(metric);
        assert!(looked_at.contains(&family), "{family}");
    }
}

fn alerts() -> Vec<&'static str> {
    let lines = RULES.lines();
    lines
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect()
}

#[test]
fn every_alert_is_about_what_is_exported_and_has_a_test_and_a_section_of_the_runbook() {
    assert_eq!(unknown(RULES), [""; 0]);
    assert_eq!(unknown(RULE_TESTS), [""; 0]);
    let sections: Vec<_> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(sections, alerts());
    for alert in alerts() {
        let link = format!("runbook: docs/runbook.md#{}", alert.to_lowercase());
        assert!(RULES.contains(&link), "{link}");
        for state in ["fires", "quiet"] {
            assert!(
                RULE_TESTS.contains(&format!("name: {alert} {state}")),
                "{alert} {state}"
            );
        }
    }
}

/// The one `yaml` block of docs/observability.md.
fn scrape_config() -> &'static str {
    let (_, after) = OBSERVABILITY.split_once("```yaml\n").unwrap();
    let (block, _) = after.split_once("```").unwrap();
    block
}

#[test]
fn the_documented_scrape_config_asks_the_admin_port_for_its_metrics() {
    let config = scrape_config();
    let target = format!("targets: [\"{}\"]", Settings::default().admin.listen);
    assert!(config.contains(&target), "{config}");
    assert!(config.contains("metrics_path: /metrics\n"), "{config}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    promtool(&["check".as_ref(), "config".as_ref(), path.as_os_str()]);
}

/// Needs promtool (Debian's package `prometheus`); CI asks for it by `PROMTOOL=required`.
#[test]
fn promtool_agrees() {
    for arguments in [
        ["check", "rules", "prometheus-rules.yaml"],
        ["test", "rules", "prometheus-rules.test.yaml"],
    ] {
        promtool(&arguments.map(OsStr::new));
    }
}

fn promtool(arguments: &[&OsStr]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/observability");
    let run = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .output();
    match run {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => {
            let required = std::env::var("PROMTOOL").is_ok_and(|value| value == "required");
            assert!(!required, "promtool: {error}");
        }
    }
}

/// A series that begins with its first event has no increase: nobody would be told of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_event_is_enough_to_be_alerted_of_is_counted_from_zero() {
    // A file that is read again.
    let mut policy = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        policy,
        "[[allow]]\nname = 'all'\nidentities = ['*']\nrpcs = ['*']\npersons = 'all'"
    )
    .unwrap();
    let file = policy.path().to_str().unwrap();
    let stage = Stage::set(&[("IDGW_AUTH__POLICY_FILE", file)]).await;
    let (_, page) = stage.gateway.admin("/metrics").await;
    let counted = regex::Regex::new(r"\(increase\((\w+)(?:\{(.*?)\})?\[\w+\]\)\) > 0$").unwrap();
    let matcher = regex::Regex::new(r#"(\w+)=~?"(.*?)""#).unwrap();
    let mut looked_at = 0;
    for expr in RULES.lines().filter(|line| line.contains(" expr: ")) {
        let Some(found) = counted.captures(expr) else {
            continue;
        };
        let series: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with(&found[1]))
            .collect();
        // Of Redis, which this gateway has not, and of rules, of which it has none.
        if [
            "idgw_request_ids_lost_total",
            "idgw_cache_primary_changes_total",
            "idgw_rule_refused_total",
        ]
        .contains(&&found[1])
        {
            continue;
        }
        looked_at += 1;
        let values = found.get(2).map_or("", |matchers| matchers.as_str());
        for one in matcher.captures_iter(values) {
            for value in one[2].split('|') {
                let label = format!("{}=\"{value}\"", &one[1]);
                assert!(
                    series.iter().any(|line| line.contains(&label)),
                    "{label}: {expr}"
                );
            }
        }
        assert!(!series.is_empty(), "{expr}");
    }
    assert!(looked_at > 6, "{looked_at}");
}
