//! Logs: for people on a terminal, one JSON object a line, or as Google Cloud reads them.

mod cloud;
pub mod metrics;
pub mod spans;
mod trace;

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

pub use cloud::{REQUEST, ServiceName};
pub use trace::TraceContext;

/// The target of lines about who changed what.
pub const AUDIT: &str = "filmlab::audit";

/// How a line looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, with the innermost span.
    Json,
    /// Structured as Cloud Logging, Cloud Trace and Error Reporting read it.
    Cloud(ServiceName),
}

/// Starts logging to standard error; standard output belongs to what a command prints. A second
/// call changes nothing.
pub fn start(filter: &str, format: &LogFormat) {
    let colours = std::io::stderr().is_terminal();
    let started = subscriber(filter, format, colours, std::io::stderr).try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "logging had been started before");
    }
}

/// What [`start`] starts, for another writer.
pub fn subscriber<W>(
    filter: &str,
    format: &LogFormat,
    colours: bool,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets: Targets = filter
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO))
        // Theirs is another reader.
        .with_target(spans::TARGET, LevelFilter::OFF);
    let layer = match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(colours)
            .with_target(false)
            .with_writer(writer)
            .boxed(),
        LogFormat::Cloud(service) => fmt::layer()
            .event_format(cloud::CloudLines::new(service.clone()))
            .fmt_fields(JsonFields::new())
            .with_writer(writer)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .with(spans::layer())
}
