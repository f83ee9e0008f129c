//! How a line of the log is written: the fields of names.rs, with the ids of the trace and the span in
//! which it was said.
//!
//! `tracing-subscriber`'s own formats do not know OpenTelemetry's context, which is where the ids are.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use opentelemetry::trace::SpanContext;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::metrics::current_span;
use crate::{hex::Hex, json_line::JsonLine};

/// Longer than most lines.
const USUAL: usize = 640;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// One JSON object.
    Json,
    /// For people.
    Text,
    /// For people, in colours.
    Colours,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (at, level, span) = (Timestamp::now(), *event.metadata().level(), current_span());
        let line = if *self == Self::Json {
            let mut fields = JsonFields::default();
            event.record(&mut fields);
            fields.written(at, level, &span)
        } else {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.written(at, level, fields, &span)
        };
        writer.write_str(&line)
    }
}

impl Line {
    /// A line for people.
    fn written(self, at: Timestamp, level: Level, fields: Fields, span: &SpanContext) -> String {
        let Fields { message, mut rest } = fields;
        if span.is_valid() {
            rest.insert("trace_id".to_owned(), span.trace_id().to_string().into());
            rest.insert("span_id".to_owned(), span.span_id().to_string().into());
        }
        let (before, after) = match (self, level) {
            (Self::Colours, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (Self::Colours, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (Self::Colours, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
            _ => ("", ""),
        };
        let mut line = format!("{at:.3} {before}{level:>5}{after} {message}");
        for (name, value) in rest {
            // A string's quotes are kept only where it would not be one word without them.
            let _written = match value.as_str() {
                Some(word) if !word.is_empty() && !word.contains([' ', '"', '\n', '\x1b']) => {
                    write!(line, " {name}={word}")
                }
                _ => write!(line, " {name}={value}"),
            };
        }
        line.push('\n');
        line
    }
}

/// The fields of an event, by name.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.rest.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // What the `log` crate adds for itself.
            name if name.starts_with("log.") => {}
            _ => self.put(field, format!("{value:?}")),
        }
    }
}

/// The fields of an event as JSON. There is a line for every call, so they are written as they come,
/// and not gathered first.
#[derive(Debug)]
struct JsonFields {
    message: String,
    rest: JsonLine,
}

impl Default for JsonFields {
    fn default() -> Self {
        Self {
            message: String::new(),
            rest: JsonLine::with_capacity(USUAL),
        }
    }
}

impl JsonFields {
    /// The line: what every line begins with, then the fields.
    fn written(mut self, at: Timestamp, level: Level, span: &SpanContext) -> String {
        if span.is_valid() {
            let (trace, span) = (span.trace_id().to_bytes(), span.span_id().to_bytes());
            self.rest.text("trace_id", &Hex::of(&trace));
            self.rest.text("span_id", &Hex::of(&span));
        }
        let mut line = JsonLine::with_capacity(USUAL);
        line.time("timestamp", at, 6);
        line.word("level", level.as_str());
        line.text("message", &self.message);
        line.all_of(&self.rest);
        let mut line = line.closed();
        line.push(b'\n');
        String::from_utf8(line).unwrap_or_default()
    }
}

impl Visit for JsonFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.rest.value(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.rest.value(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.rest.value(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.rest.value(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.rest.text(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // What the `log` crate adds for itself.
            name if name.starts_with("log.") => {}
            name => self.rest.shown(name, format_args!("{value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn fields() -> Fields {
        let mut rest = Map::new();
        rest.insert("rpc".to_owned(), "a.B/C".into());
        rest.insert("said".to_owned(), "two words".into());
        Fields {
            message: "call".to_owned(),
            rest,
        }
    }

    fn span() -> SpanContext {
        let state = TraceState::default();
        SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            false,
            state,
        )
    }

    #[test]
    fn a_line_within_a_call_has_its_ids() {
        let mut fields = JsonFields {
            message: "call".to_owned(),
            ..JsonFields::default()
        };
        fields.rest.text("rpc", "a.B/C");
        fields.rest.text("said", "\"two\" words\n");
        fields.rest.value("duration_ms", 1.5);
        let line = fields.written(Timestamp::UNIX_EPOCH, Level::INFO, &span());
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["said"], "\"two\" words\n");
        assert_eq!(line["duration_ms"], 1.5);
        assert_eq!(line["timestamp"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(line["message"], "call");
        assert_eq!(line["rpc"], "a.B/C");
        assert_eq!(line["trace_id"], "00000000000000000000000000000001");
        assert_eq!(line["span_id"], "0000000000000002");
    }

    #[test]
    fn a_line_outside_has_none_and_text_is_one_line() {
        let outside = SpanContext::empty_context();
        let line = Line::Text.written(Timestamp::UNIX_EPOCH, Level::WARN, fields(), &outside);
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000Z  WARN call rpc=a.B/C said=\"two words\"\n"
        );
    }
}
