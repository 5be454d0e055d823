//! How the service is: what `/readyz` knows, what waits, and its own figures.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::shell::{Head, show};
use super::visitor::Visitor;
use super::words;
use crate::clock::elapsed;
use crate::http::{HttpState, Problem};
use crate::http::{health, readiness};
use crate::ledger::Tally;
use crate::telemetry::metrics;

/// Counted no further: more needs somebody's attention, however many there are. The ledger in the
/// cloud takes one read for a thousand.
const COUNTED: u32 = 1_000;

struct Part {
    name: &'static str,
    is_up: bool,
}

#[derive(Template)]
#[template(path = "console/health.html")]
struct Page {
    head: Head,
    parts: Vec<Part>,
    draining: bool,
    /// Absent for whoever sees one owner's jobs only.
    counts: Option<Vec<(&'static str, String)>>,
    /// How long the job that waits longest for a worker is due.
    oldest: Option<String>,
    figures: Vec<(String, String)>,
    build: Vec<(&'static str, String)>,
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, Problem> {
    let readiness::Up {
        ledger,
        queue,
        storage,
    } = state.shared.readiness.look(health::looked_at(&state)).await;
    let is_operator = visitor.caller.is_operator();
    let head = Head::new("Health", "health", &visitor);
    let (counts, oldest, figures) = match (is_operator, ledger) {
        (true, true) => (
            Some(counts(&state).await?),
            oldest(&state).await?,
            figures(),
        ),
        _ => (None, None, Vec::new()),
    };
    let settings = &state.settings;
    show(&Page {
        parts: vec![
            Part {
                name: "Ledger",
                is_up: ledger,
            },
            Part {
                name: "Queue",
                is_up: queue,
            },
            Part {
                name: "Storage",
                is_up: storage,
            },
        ],
        draining: state.worker.is_draining(),
        counts,
        oldest,
        figures,
        build: vec![
            ("Version", env!("FILMLAB_VERSION").to_owned()),
            ("Attempts of a job", settings.attempts.to_string()),
            ("Deadline of a job", words::span(settings.default_deadline)),
            ("Largest upload", words::bytes(settings.max_upload_bytes)),
            ("Profiles", settings.profiles.join(", ")),
            ("Links open for", words::span(settings.link_ttl)),
        ],
        head,
    })
}

async fn counts(state: &HttpState) -> Result<Vec<(&'static str, String)>, Problem> {
    let mut counts = Vec::new();
    for (name, what) in [
        ("Queued", Tally::Queued),
        ("Processing", Tally::Processing),
        ("At the provider", Tally::Generating),
        ("Notices to deliver", Tally::NoticesPending),
        ("Notices given up", Tally::NoticesUndeliverable),
    ] {
        let number = state.ledger.count(what, COUNTED).await?;
        let more = if number >= COUNTED { " or more" } else { "" };
        counts.push((name, format!("{number}{more}")));
    }
    Ok(counts)
}

async fn oldest(state: &HttpState) -> Result<Option<String>, Problem> {
    let now = state.clock.now();
    let due = state.ledger.due(now, None, 1).await?;
    Ok(due.first().map(|due| words::span(elapsed(due.at, now))))
}

/// What this process measures of itself: gauges as they stand now.
fn figures() -> Vec<(String, String)> {
    const MOST: usize = 60;
    let text = metrics::render().unwrap_or_default();
    let mut gauges: Vec<&str> = Vec::new();
    let mut figures = Vec::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            if let Some((name, "gauge")) = about.split_once(' ') {
                gauges.push(name);
            }
            continue;
        }
        let Some((name, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let bare = name.split('{').next().unwrap_or(name);
        // The version stands beside.
        if bare.ends_with("_info") {
            continue;
        }
        if gauges.contains(&bare) && figures.len() < MOST {
            let told = name.strip_prefix("filmlab_").unwrap_or(name);
            figures.push((told.replace('_', " ").replace('"', ""), value.to_owned()));
        }
    }
    figures.sort();
    figures
}
