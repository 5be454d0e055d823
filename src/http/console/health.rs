//! How the service is: what `/readyz` knows, what waits, and its own figures.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::leases::{self, Leases};
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
const MINUTE: Duration = Duration::from_secs(60);

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
    seen: Seen,
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
    let seen = match (is_operator, ledger) {
        (true, true) => Seen::now(&state).await?,
        _ => Seen::default(),
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
        seen,
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

/// What the operator sees alone: empty for whoever sees one owner's jobs.
#[derive(Default)]
struct Seen {
    counts: Vec<(&'static str, String)>,
    /// How long the job that waits longest for a worker is due.
    oldest: Option<String>,
    leases: Option<Leases>,
    provider: Vec<(&'static str, String)>,
    figures: Vec<(String, String)>,
}

impl Seen {
    async fn now(state: &HttpState) -> Result<Self, Problem> {
        let mut counts = Vec::new();
        let mut at_provider = String::new();
        for (name, what) in [
            ("Queued", Tally::Queued),
            ("Processing", Tally::Processing),
            ("At the provider", Tally::Generating),
            ("Notices to deliver", Tally::NoticesPending),
            ("Notices given up", Tally::NoticesUndeliverable),
        ] {
            let number = state.ledger.count(what, COUNTED).await?;
            let more = if number >= COUNTED { " or more" } else { "" };
            let told = format!("{number}{more}");
            if what == Tally::Generating {
                at_provider.clone_from(&told);
            }
            counts.push((name, told));
        }
        Ok(Self {
            counts,
            oldest: oldest(state).await?,
            leases: Some(leases::now(state).await?),
            provider: provider(state, &at_provider),
            figures: figures(),
        })
    }
}

/// What the account at the provider allows, and how much of it is used.
fn provider(state: &HttpState, at_provider: &str) -> Vec<(&'static str, String)> {
    let Some(used) = state.worker.provider_use() else {
        return Vec::new();
    };
    let a_minute = used.limits.max_per_minute;
    let now = state.clock.now();
    let mut told = vec![
        (
            "Predictions at once",
            format!("{at_provider} of {}", used.limits.max_concurrent),
        ),
        (
            "Submissions a minute",
            format!(
                "{a_minute} by each process, one each {}",
                words::span(MINUTE / a_minute.get())
            ),
        ),
        (
            "The next may go",
            match used.next_at {
                Some(at) => format!("in {}", words::span(elapsed(now, at))),
                None => "now".to_owned(),
            },
        ),
    ];
    if used.submitting > 0 {
        told.push(("Being submitted here", used.submitting.to_string()));
    }
    told
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
