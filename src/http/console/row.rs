//! A job as a row of a list. The same row is sent again when the job has changed.

use askama::Template;

use super::words::{self, Moment};
use crate::http::HttpState;
use crate::job::{Job, Status, Timestamp, WaitsFor};

/// Characters of a prompt that a row holds; its end is cut by the style well before.
const MOST_CHARS: usize = 120;

#[derive(Template)]
#[template(path = "console/row.html")]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) asked: String,
    pub(super) file: String,
    pub(super) owner: String,
    pub(super) shows_owner: bool,
    pub(super) status: &'static str,
    pub(super) status_word: &'static str,
    /// What it does or waits for, or why it failed.
    pub(super) note: String,
    pub(super) is_ended: bool,
    pub(super) percent: String,
    pub(super) left: String,
    pub(super) attempt: u32,
    pub(super) attempts: u32,
    pub(super) round: u32,
    pub(super) cost: String,
    pub(super) cost_state: &'static str,
    pub(super) made: Moment,
    pub(super) poster: Option<String>,
    /// Whether it can be chosen, for what is done with many.
    pub(super) can_pick: bool,
    /// What replaces the row of the same name.
    pub(super) replaces: bool,
}

impl Row {
    pub(super) fn new(job: &Job, state: &HttpState, shows_owner: bool) -> Self {
        let now = state.clock.now();
        let short = |text: String| -> String { text.chars().take(MOST_CHARS).collect() };
        let (cost, cost_state) = cost(job);
        let shown = job.status == Status::Completed && job.result.is_some();
        Self {
            id: job.id.to_string(),
            kind: words::kind(job.params.kind()),
            asked: short(words::asked(&job.params)),
            file: short(words::file(&job.source.video)),
            owner: job.owner.to_string(),
            shows_owner,
            status: job.status.as_str(),
            status_word: words::status(job.status),
            note: short(note(job, now)),
            is_ended: job.status.is_ended(),
            percent: format!("{:.0}", job.progress.percent),
            left: job.progress.eta_s.map(words::left).unwrap_or_default(),
            attempt: job.attempt,
            attempts: state.settings.attempts,
            round: job.round,
            cost,
            cost_state,
            made: Moment::new(job.created_at, now),
            // The round makes it another picture.
            poster: shown.then(|| format!("/console/jobs/{}/poster?r={}", job.id, job.round)),
            can_pick: false,
            replaces: false,
        }
    }

    /// The same for whoever may change it.
    pub(super) fn for_change(self, can_pick: bool) -> Self {
        Self { can_pick, ..self }
    }

    /// The same for a page that shows the job already.
    pub(super) fn again(self) -> Self {
        Self {
            replaces: true,
            ..self
        }
    }
}

fn note(job: &Job, now: Timestamp) -> String {
    if job.status.is_ended() {
        return match (&job.error, job.result_expired_at) {
            (Some(error), _) if job.status == Status::Failed => error.code.to_string(),
            (_, Some(_)) => "its result was deleted for its age".to_owned(),
            _ => String::new(),
        };
    }
    if job.cancel_requested {
        return "is being cancelled".to_owned();
    }
    let waits = job.wait(now).filter(|wait| wait.what != WaitsFor::Worker);
    match (waits, job.stage) {
        (Some(wait), _) => words::waits(wait.what).to_owned(),
        (None, Some(stage)) => words::stage(stage).to_owned(),
        (None, None) => String::new(),
    }
}

/// Credits where they are used, else what the provider takes.
fn cost(job: &Job) -> (String, &'static str) {
    match (job.credits.cost, words::paid(job)) {
        (Some(cost), _) => (format!("{cost} cr"), words::credits(job.credits.state)),
        (None, Some(usd)) => (words::usd(usd), "list price"),
        (None, None) => ("–".to_owned(), ""),
    }
}
