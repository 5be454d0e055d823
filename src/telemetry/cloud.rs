//! Lines as Cloud Logging reads them from a container: one JSON object each, with the keys it
//! knows lifted into the entry. <https://cloud.google.com/logging/docs/structured-logging>
//!
//! Fields of the event and of its spans stand beside `message`, the inner ones before the outer.
//! An error carries what Error Reporting needs, since it cannot read Rust's backtraces.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of the one line a request ends with; `filmlab::request=debug` shows all of them.
pub const REQUEST: &str = "filmlab::request";

/// Who writes the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceName {
    /// The project that traces belong to; without it lines name no trace.
    pub project: Option<String>,
    pub service: String,
    pub version: String,
}

/// Cloud Logging cuts entries at 256 KiB; no field of ours needs a thirtieth of it.
const LONGEST_TEXT: usize = 8 * 1024;
/// By these a person looks for lines: they become labels, which are indexed.
const LABELS: [&str; 4] = ["job", "stage", "attempt", "seq"];

pub(super) struct CloudLines {
    service: ServiceName,
}

impl CloudLines {
    pub(super) fn new(service: ServiceName) -> Self {
        Self { service }
    }
}

impl<S, N> FormatEvent<S, N> for CloudLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            let extensions = span.extensions();
            if let Some(text) = extensions.get::<FormattedFields<N>>()
                && let Ok(Value::Object(own)) = serde_json::from_str(&text.fields)
            {
                fields.extend(own);
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        fields.extend(own.fields);
        let line = self.line(event.metadata(), own.message, fields);
        writeln!(writer, "{}", Value::Object(line))
    }
}

impl CloudLines {
    fn line(
        &self,
        metadata: &tracing::Metadata<'_>,
        message: String,
        mut fields: Map<String, Value>,
    ) -> Map<String, Value> {
        let labels: Map<String, Value> = LABELS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), text(fields.get(*name)?).into())))
            .collect();
        let trace = fields.remove("trace_id");
        let span = fields.remove("span_id");
        let sampled = fields.remove("trace_sampled");
        let request = (metadata.target() == REQUEST).then(|| http_request(&mut fields));

        // What has a meaning of its own is set last: no field takes its place.
        let mut line = fields;
        let mut set = |name: &str, value: Value| line.insert(name.to_owned(), value);
        set("severity", severity(*metadata.level()).into());
        set("message", message.into());
        set("time", jiff::Timestamp::now().to_string().into());
        set("target", metadata.target().into());
        if !labels.is_empty() {
            set("logging.googleapis.com/labels", labels.into());
        }
        if let (Some(project), Some(Value::String(trace))) = (&self.service.project, trace) {
            let name = format!("projects/{project}/traces/{trace}");
            set("logging.googleapis.com/trace", name.into());
            if let Some(span) = span {
                set("logging.googleapis.com/spanId", span);
            }
            if let Some(sampled) = sampled {
                set("logging.googleapis.com/trace_sampled", sampled);
            }
        }
        if let Some(request) = request {
            set("httpRequest", request);
        }
        let (file, at) = (
            metadata.file().unwrap_or("unknown"),
            metadata.line().unwrap_or(0),
        );
        set(
            "logging.googleapis.com/sourceLocation",
            json!({"file": file, "line": at.to_string(), "function": metadata.target()}),
        );
        if *metadata.level() == Level::ERROR {
            set(
                "@type",
                "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
                    .into(),
            );
            set(
                "serviceContext",
                json!({"service": self.service.service, "version": self.service.version}),
            );
            set(
                "context",
                json!({"reportLocation": {
                    "filePath": file, "lineNumber": at, "functionName": metadata.target(),
                }}),
            );
        }
        line
    }
}

/// The entry's own form of a request; the route stands for the address, whose query may hold a
/// secret.
fn http_request(fields: &mut Map<String, Value>) -> Value {
    let mut request = Map::new();
    let mut take = |from: &str, to: &str| {
        if let Some(value) = fields.remove(from) {
            request.insert(to.to_owned(), value);
        }
    };
    take("method", "requestMethod");
    take("route", "requestUrl");
    take("status", "status");
    if let Some(millis) = fields.get("duration_ms").and_then(Value::as_u64) {
        let latency = format!("{}.{:03}s", millis / 1000, millis % 1000);
        request.insert("latency".to_owned(), latency.into());
    }
    request.into()
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

/// Labels are texts.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    fields: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        // A raw identifier is no part of the name.
        let name = name.strip_prefix("r#").unwrap_or(name);
        if name == "message" {
            self.message = text(&value);
        } else {
            self.fields.insert(name.to_owned(), value);
        }
    }
}

fn cut(text: &str) -> Value {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(&format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
