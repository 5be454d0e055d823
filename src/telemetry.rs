//! Logs: for people on a terminal, or one JSON object a line.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Starts logging to standard error; standard output belongs to what a command prints. A second
/// call changes nothing.
pub fn start(filter: &str, json: bool) {
    let targets: Targets = filter
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let colours = std::io::stderr().is_terminal();
    let writer = std::io::stderr;
    let layer = if json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(colours)
            .with_target(false)
            .with_writer(writer)
            .boxed()
    };
    let started = tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "logging had been started before");
    }
}
