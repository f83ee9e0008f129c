//! What of `OTEL_*` is not followed: variables of OpenTelemetry's specification that nothing here reads, and values that
//! are none. The SDK passes over both without a word.

use std::env;

use super::resource;

/// What is wrong with a value, if anything is.
type Check = fn(&str) -> Option<&'static str>;

/// The variables that are followed, and their values. `*` stands for nothing, `TRACES_`, `METRICS_` and `LOGS_`.
const FOLLOWED: [(&str, Check); 32] = [
    ("OTEL_SDK_DISABLED", boolean),
    ("OTEL_SERVICE_NAME", anything),
    ("OTEL_RESOURCE_ATTRIBUTES", attributes),
    // They are looked at where they are read.
    ("OTEL_PROPAGATORS", anything),
    ("OTEL_TRACES_SAMPLER", sampler),
    ("OTEL_TRACES_SAMPLER_ARG", ratio),
    ("OTEL_TRACES_EXPORTER", exporters),
    ("OTEL_METRICS_EXPORTER", exporters),
    ("OTEL_LOGS_EXPORTER", exporters),
    ("OTEL_EXPORTER_OTLP_*ENDPOINT", anything),
    ("OTEL_EXPORTER_OTLP_*PROTOCOL", anything),
    ("OTEL_EXPORTER_OTLP_*CERTIFICATE", anything),
    ("OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE", anything),
    ("OTEL_EXPORTER_OTLP_*CLIENT_KEY", anything),
    ("OTEL_EXPORTER_OTLP_*HEADERS", headers),
    ("OTEL_EXPORTER_OTLP_*TIMEOUT", milliseconds),
    ("OTEL_EXPORTER_OTLP_*COMPRESSION", compression),
    ("OTEL_EXPORTER_OTLP_*INSECURE", boolean),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        temporality,
    ),
    ("OTEL_BSP_SCHEDULE_DELAY", milliseconds),
    ("OTEL_BSP_EXPORT_TIMEOUT", milliseconds),
    ("OTEL_BSP_MAX_QUEUE_SIZE", number),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", number),
    ("OTEL_BLRP_SCHEDULE_DELAY", milliseconds),
    ("OTEL_BLRP_EXPORT_TIMEOUT", milliseconds),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", number),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", number),
    ("OTEL_METRIC_EXPORT_INTERVAL", milliseconds),
    ("OTEL_METRIC_EXPORT_TIMEOUT", milliseconds),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", number),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", number),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", number),
];

/// How the specification's other variables begin. A variable that only looks like one of OpenTelemetry's, as Kubernetes
/// makes them of a service with the name `otel`, is none of them.
const OTHERS: [&str; 22] = [
    "OTEL_EXPORTER_OTLP_",
    "OTEL_EXPORTER_ZIPKIN_",
    "OTEL_EXPORTER_JAEGER_",
    "OTEL_EXPORTER_PROMETHEUS_",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_METRIC_",
    "OTEL_METRICS_",
    "OTEL_TRACES_",
    "OTEL_LOGS_",
    "OTEL_BSP_",
    "OTEL_BLRP_",
    "OTEL_ATTRIBUTE_",
    "OTEL_SPAN_",
    "OTEL_EVENT_",
    "OTEL_LINK_",
    "OTEL_LOGRECORD_",
    "OTEL_LOG_LEVEL",
    "OTEL_CONFIG_FILE",
    "OTEL_EXPERIMENTAL_",
    "OTEL_ENTITIES",
    "OTEL_PROPAGATOR",
    "OTEL_RESOURCE_",
];

/// A variable that is not followed, and why.
pub(super) fn problems() -> Vec<(String, &'static str)> {
    let mut found: Vec<_> = env::vars_os()
        .filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string());
            if !name.starts_with("OTEL_") {
                return None;
            }
            let value = value.unwrap_or_else(|_odd| "\u{fffd}".to_owned());
            problem(&name, value.trim()).map(|problem| (name, problem))
        })
        .collect();
    found.sort();
    found
}

fn problem(name: &str, value: &str) -> Option<&'static str> {
    // As the specification has it: an empty value is none.
    if value.is_empty() {
        return None;
    }
    let is_it = |pattern: &str| match pattern.split_once('*') {
        None => name == pattern,
        Some((front, back)) => ["", "TRACES_", "METRICS_", "LOGS_"]
            .iter()
            .any(|signal| name.strip_prefix(front) == Some(&*format!("{signal}{back}"))),
    };
    match FOLLOWED.iter().find(|(pattern, _)| is_it(pattern)) {
        Some((_, check)) => check(value),
        None => OTHERS
            .iter()
            .any(|other| name.starts_with(other))
            .then_some("is not supported"),
    }
}

const fn anything(_: &str) -> Option<&'static str> {
    None
}

fn boolean(value: &str) -> Option<&'static str> {
    let is_one = ["true", "false"]
        .iter()
        .any(|one| value.eq_ignore_ascii_case(one));
    (!is_one).then_some("expected true or false")
}

fn number(value: &str) -> Option<&'static str> {
    let is_one = value.parse::<u32>().is_ok_and(|number| number > 0);
    (!is_one).then_some("expected a positive number")
}

fn milliseconds(value: &str) -> Option<&'static str> {
    let is_one = value.parse::<u32>().is_ok();
    (!is_one).then_some("expected milliseconds, such as 10000")
}

fn ratio(value: &str) -> Option<&'static str> {
    let is_one = value
        .parse()
        .is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio));
    (!is_one).then_some("expected a number from 0 to 1")
}

fn sampler(value: &str) -> Option<&'static str> {
    let known = ["always_on", "always_off", "traceidratio"];
    let own = value.strip_prefix("parentbased_").unwrap_or(value);
    (!known.contains(&own)).then_some(
        "expected always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
         parentbased_traceidratio",
    )
}

fn exporters(value: &str) -> Option<&'static str> {
    // Prometheus' page is always there.
    let known = ["otlp", "none", "prometheus", ""];
    let mut each = value.split(',').map(str::trim);
    (!each.all(|one| known.contains(&one)))
        .then_some("expected otlp, none or both otlp and prometheus")
}

fn compression(value: &str) -> Option<&'static str> {
    (!["gzip", "none"].contains(&value)).then_some("expected gzip or none")
}

fn temporality(value: &str) -> Option<&'static str> {
    let is_one = ["cumulative", "delta", "lowmemory"]
        .iter()
        .any(|one| value.eq_ignore_ascii_case(one));
    (!is_one).then_some("expected cumulative, delta or lowmemory")
}

fn headers(value: &str) -> Option<&'static str> {
    let mut pairs = value.split(',').filter(|pair| !pair.trim().is_empty());
    let is_pair = |pair: &str| {
        let (name, _) = pair.split_once('=')?;
        http::HeaderName::try_from(name.trim()).ok()
    };
    // Without the value: it is a credential.
    (!pairs.all(|pair| is_pair(pair).is_some()))
        .then_some("expected name=value, separated by commas")
}

fn attributes(value: &str) -> Option<&'static str> {
    resource::read(value)
        .is_none()
        .then_some("expected name=value, separated by commas, with values percent-encoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_followed_is_named_and_what_is_none_of_opentelemetrys_is_not() {
        for (name, value, is_problem) in [
            ("OTEL_SDK_DISABLED", "yes", true),
            ("OTEL_SDK_DISABLED", "TRUE", false),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", false),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote", true),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25", false),
            ("OTEL_TRACES_SAMPLER_ARG", "25", true),
            ("OTEL_TRACES_EXPORTER", "zipkin", true),
            ("OTEL_METRICS_EXPORTER", "otlp, prometheus", false),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", true),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500", false),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "snappy", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x=y", false),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key: secret", true),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "no", true),
            ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", "true", true),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "x",
                true,
            ),
            ("OTEL_EXPORTER_JAEGER_ENDPOINT", "http://jaeger", true),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a,b", true),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b", false),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", true),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m", true),
            ("OTEL_LOG_LEVEL", "debug", true),
            ("OTEL_LOG_LEVEL", "", false),
            // As Kubernetes makes them of a service.
            ("OTEL_COLLECTOR_SERVICE_HOST", "10.0.0.1", false),
            ("OTEL_PORT_4317_TCP", "tcp://10.0.0.1:4317", false),
        ] {
            assert_eq!(problem(name, value).is_some(), is_problem, "{name}={value}");
        }
    }
}
