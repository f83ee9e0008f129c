//! The metrics as Prometheus reads them: the text format 0.0.4, and OpenMetrics 1.0, which alone has
//! room for exemplars.
//!
//! Names are translated as OpenTelemetry's compatibility document says: dots become underscores, the
//! unit is appended, a counter ends in `_total`. It stands here and not in `opentelemetry-prometheus`,
//! which knows only the text format and thus no exemplars.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, Temporality,
        data::{AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics},
        reader::MetricReader,
    },
};

use super::{METRICS, seconds_since_epoch};
use crate::telemetry::names::{self, Instrument, Metric};

static READER: OnceLock<Reader> = OnceLock::new();

/// The reader behind the admin port.
#[derive(Debug, Clone, Default)]
pub(in crate::telemetry) struct Reader(Arc<ManualReader>);

impl Reader {
    /// Makes this the reader that [`render`] asks. A second call changes nothing.
    pub fn publish(&self) {
        let _published_before = READER.set(self.clone());
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, into: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(into)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// A format that Prometheus reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4.
    Text,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
}

impl Format {
    /// The format for a request with these `Accept` headers: the one of the greater `q`, of the same the one that is named
    /// more exactly, else the text; also for who accepts neither, as Prometheus' own libraries have it.
    #[must_use]
    pub fn accepted<'a>(accept: impl Iterator<Item = &'a str>) -> Self {
        let ranges: Vec<_> = accept
            .flat_map(|header| header.split(','))
            .filter_map(Range::read)
            .collect();
        let (text, open) = (
            Self::Text.quality(&ranges),
            Self::OpenMetrics.quality(&ranges),
        );
        match open > text {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// How much it is wanted: the `q` of the most specific range that fits, and how specific that is.
    fn quality(self, ranges: &[Range<'_>]) -> (u16, u8) {
        let (kind, version) = match self {
            Self::Text => ("text/plain", "0.0.4"),
            Self::OpenMetrics => ("application/openmetrics-text", "1.0.0"),
        };
        let fitting = ranges.iter().filter_map(|range| {
            let specific = match range.kind {
                named if named.eq_ignore_ascii_case(kind) => match range.version {
                    None => 2,
                    Some(named) if named == version => 3,
                    Some(_) => return None,
                },
                "*/*" => 0,
                any => {
                    let (of, rest) = any.split_once('/')?;
                    let (own, _) = kind.split_once('/')?;
                    (rest == "*" && of.eq_ignore_ascii_case(own)).then_some(1)?
                }
            };
            Some((specific, range.quality))
        });
        // Of two that are as specific the one that wants it more.
        let best = fitting.max();
        best.filter(|(_, quality)| *quality > 0)
            .map_or((0, 0), |(specific, quality)| (quality, specific))
    }

    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One of the kinds of content that a client accepts.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    /// Reads one; none if its weight is none.
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            kind: parts.next()?,
            version: None,
            quality: 1000,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                name if name.eq_ignore_ascii_case("version") => range.version = Some(value),
                name if name.eq_ignore_ascii_case("q") => range.quality = thousandths(value)?,
                _ => {}
            }
        }
        Some(range)
    }
}

/// A weight as RFC 9110 writes it: 0 to 1, with three decimals at most.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let is_plain = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match (whole, decimals) {
        ("0", decimals) if is_plain => Some(decimals),
        ("1", 0) if is_plain => Some(1000),
        _ => None,
    }
}

/// All series now; none before telemetry is started.
pub(super) fn collect() -> Option<ResourceMetrics> {
    let mut collected = ResourceMetrics::default();
    let reader = READER.get()?;
    reader.collect(&mut collected).is_ok().then_some(collected)
}

/// The metrics of names.rs: what is not there is not ours, and not shown.
pub(super) fn ours(
    collected: &ResourceMetrics,
) -> impl Iterator<Item = (&'static Metric, &AggregatedMetrics)> {
    let scopes = collected.scope_metrics();
    let metrics = scopes.flat_map(|scope| scope.metrics());
    metrics.filter_map(|metric| {
        let mut known = names::METRICS.iter();
        let known = known.find(|known| known.name == metric.name());
        Some((known?, metric.data()))
    })
}

/// All metrics now. Empty before telemetry is started.
#[must_use]
pub fn render(format: Format) -> String {
    let mut page = Page {
        text: String::new(),
        format,
    };
    if let Some(collected) = collect() {
        for (known, data) in ours(&collected) {
            page.metric(known, data);
        }
        page.target(&collected);
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// The name of a metric's family.
#[must_use]
pub fn family(metric: &Metric) -> String {
    let mut name = metric.name.replace('.', "_");
    let unit = match metric.unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    if !name.ends_with(unit) {
        name.push_str(unit);
    }
    name
}

/// The names of the series that a metric has.
#[must_use]
pub fn series(metric: &Metric) -> Vec<String> {
    let family = family(metric);
    match metric.kind {
        Instrument::Counter => vec![format!("{family}_total")],
        Instrument::Histogram(_) => ["bucket", "sum", "count"]
            .map(|part| format!("{family}_{part}"))
            .to_vec(),
        Instrument::Gauge | Instrument::UpDownCounter => vec![family],
    }
}

/// Labels as they are written, sorted, without braces.
pub(super) fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let sorted: BTreeMap<_, _> = attributes
        .map(|pair| (pair.key.as_str().replace('.', "_"), pair.value.as_str()))
        .collect();
    let mut text = String::new();
    for (name, value) in &sorted {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _written = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn metric(&mut self, metric: &Metric, data: &AggregatedMetrics) {
        let family = family(metric);
        let kind = match metric.kind {
            Instrument::Counter => "counter",
            Instrument::Gauge | Instrument::UpDownCounter => "gauge",
            Instrument::Histogram(_) => "histogram",
        };
        // The text format wants the name of the series here, OpenMetrics that of the family.
        let head = match (self.format, metric.kind) {
            (Format::Text, Instrument::Counter) => format!("{family}_total"),
            _ => family.clone(),
        };
        let meaning = metric.meaning;
        self.line(format_args!("# HELP {head} {meaning}"));
        self.line(format_args!("# TYPE {head} {kind}"));
        match data {
            AggregatedMetrics::F64(data) => self.points(metric, &family, data),
            AggregatedMetrics::I64(data) => self.points(metric, &family, data),
            AggregatedMetrics::U64(data) => self.points(metric, &family, data),
        }
    }

    fn points<T: Copy + Display>(&mut self, metric: &Metric, family: &str, data: &MetricData<T>) {
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    self.sample(family, &labels(point.attributes()), point.value());
                }
            }
            MetricData::Sum(sum) => {
                let total = match metric.kind {
                    Instrument::Counter => format!("{family}_total"),
                    _ => family.to_owned(),
                };
                for point in sum.data_points() {
                    self.sample(&total, &labels(point.attributes()), point.value());
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    self.histogram(metric, family, point);
                }
            }
            MetricData::ExponentialHistogram(_) => {}
        }
    }

    fn histogram<T: Copy + Display>(
        &mut self,
        metric: &Metric,
        family: &str,
        point: &HistogramDataPoint<T>,
    ) {
        let labels = labels(point.attributes());
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = point.bounds().map(|bound| format!("{bound:?}"));
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (bucket, (bound, here)) in bounds.zip(point.bucket_counts()).enumerate() {
            count += here;
            let exemplar = self.exemplar(metric, &labels, bucket);
            self.line(format_args!(
                "{family}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}{exemplar}"
            ));
        }
        self.sample(&format!("{family}_sum"), &labels, point.sum());
        self.sample(&format!("{family}_count"), &labels, point.count());
    }

    fn exemplar(&self, metric: &Metric, labels: &str, bucket: usize) -> String {
        let kept = match self.format {
            Format::Text => None,
            Format::OpenMetrics => METRICS.get(),
        };
        kept.and_then(|metrics| metrics.exemplars.of(metric.name, labels, bucket))
            .map(|one| {
                let at = seconds_since_epoch(one.at);
                format!(
                    " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {at:.3}",
                    one.trace_id, one.span_id, one.value
                )
            })
            .unwrap_or_default()
    }

    /// The resource, as OpenTelemetry's compatibility document has it.
    fn target(&mut self, collected: &ResourceMetrics) {
        let resource = collected.resource().iter();
        let pairs: Vec<_> = resource
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
            .collect();
        self.line(format_args!(
            "# HELP target_info The resource of OpenTelemetry."
        ));
        self.line(format_args!("# TYPE target_info gauge"));
        self.sample("target_info", &labels(pairs.iter()), 1);
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _written = writeln!(self.text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_the_client_wants_more() {
        use Format::{OpenMetrics, Text};
        for (accept, expected) in [
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
            ("application/openmetrics-text", OpenMetrics),
            (
                "application/openmetrics-text, text/plain;q=0.5",
                OpenMetrics,
            ),
            ("application/openmetrics-text, */*", OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=1.0",
                OpenMetrics,
            ),
            ("application/*", OpenMetrics),
            ("text/plain, application/openmetrics-text;q=0.9", Text),
            (
                "text/plain;q=0.9, application/openmetrics-text;q=0.91",
                OpenMetrics,
            ),
            ("application/openmetrics-text;q=0, */*", Text),
            ("application/openmetrics-text;q=0.000,text/plain;q=0", Text),
            ("application/openmetrics-text;version=0.0.1", Text),
            ("application/openmetrics-text;q=2, text/plain;q=0.1", Text),
            ("application/openmetrics-text;q=-1;q=x", Text),
            // Prometheus 2.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            // Prometheus 3, and with `scrape_protocols` that want the text first.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.4",
                Text,
            ),
        ] {
            assert_eq!(Format::accepted([accept].into_iter()), expected, "{accept}");
        }
        let headers = ["text/plain;q=0.1", "application/openmetrics-text"];
        assert_eq!(Format::accepted(headers.into_iter()), OpenMetrics);
    }

    proptest::proptest! {
        #[test]
        fn any_header_gets_one_of_the_two(accept in "\\PC{0,200}") {
            let _format = Format::accepted([accept.as_str()].into_iter());
        }
    }
}
