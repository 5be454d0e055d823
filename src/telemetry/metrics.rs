//! Numbers for whoever watches the service, as Prometheus reads them.
//!
//! Labels hold words out of closed lists only: no owner, job, model or address, so the number of
//! series is bounded and nothing in them is secret.

mod recorder;

use std::time::Duration;

use strum::IntoEnumIterator as _;

pub use self::recorder::Metric;
use self::recorder::{add, count, observe, set};
use crate::job::{Kind, Phase};

const fn metric(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        about,
    }
}

const BUILD: &str = "filmlab_build_info";
const JOBS_ENDED: &str = "filmlab_jobs_ended_total";
const VISITS: &str = "filmlab_visits_total";
const STAGE_SECONDS: &str = "filmlab_stage_seconds";
const PROVIDER_CALLS: &str = "filmlab_provider_calls_total";
const CALLBACKS: &str = "filmlab_callbacks_total";
const WASTED: &str = "filmlab_submissions_wasted_total";
const PROVIDER_BALANCE: &str = "filmlab_provider_balance_usd";
const MEDIA_SLOTS: &str = "filmlab_media_slots_in_use";
const MEDIA_BYTES: &str = "filmlab_media_bytes_reserved";
const MEDIA_CPU: &str = "filmlab_media_cpu_seconds";
const MEDIA_CRASHES: &str = "filmlab_media_crashes_total";
const NOT_SWEPT: &str = "filmlab_sweep_unplanned_total";
const BREAKER: &str = "filmlab_breaker_turns_total";
const JOBS: &str = "filmlab_jobs";
const CLOCK_JUMPS: &str = "filmlab_clock_jumps_total";
const NOTICES: &str = "filmlab_outbox";
const CLEANED: &str = "filmlab_cleaned_total";

/// All there are; `docs/metrics.md` is made from this.
pub const METRICS: &[Metric] = &[
    metric(
        BUILD,
        "gauge",
        &["version"],
        "Always 1: which build answers.",
    ),
    metric(
        JOBS_ENDED,
        "counter",
        &["kind", "status", "code"],
        "Rounds that ended, by kind, status and error code (`none` without one).",
    ),
    metric(
        VISITS,
        "counter",
        &["outcome"],
        "Visits of jobs, by what became of them.",
    ),
    metric(
        STAGE_SECONDS,
        "histogram",
        &["kind", "stage"],
        "How long a finished stage took; for `generate`, since the submission.",
    ),
    metric(
        PROVIDER_CALLS,
        "counter",
        &["call", "outcome"],
        "Calls of the provider by outcome; a call and its repeats count as one.",
    ),
    metric(
        CALLBACKS,
        "counter",
        &["signature"],
        "Callbacks with filmlab's own token, by the provider's signature. Its key was the \
         secret without its prefix (`stripped`), with it (`whole`) or decoded from base64 \
         (`decoded`); otherwise `no_secret`, `missing`, `stale`, `wrong`.",
    ),
    metric(
        WASTED,
        "counter",
        &["kind"],
        "Submissions that were given up and may have been paid for.",
    ),
    metric(
        PROVIDER_BALANCE,
        "gauge",
        &[],
        "US dollars in our account at the provider, as last seen by a sweep.",
    ),
    metric(
        MEDIA_SLOTS,
        "gauge",
        &[],
        "Media passes that run in this process.",
    ),
    metric(
        MEDIA_BYTES,
        "gauge",
        &[],
        "Memory these passes are expected to take, of `worker.media_memory`.",
    ),
    metric(
        MEDIA_CPU,
        "histogram",
        &[],
        "CPU of the thread that ran a piece of media work, without codec threads. If a child \
         process did the work: all its CPU, and that of the thread that serves it.",
    ),
    metric(
        MEDIA_CRASHES,
        "counter",
        &["phase"],
        "Child processes that a file crashed, by what they did with the file; `source` counts \
         quotes too.",
    ),
    metric(
        BREAKER,
        "counter",
        &["kind", "turned"],
        "Models of a kind that were given a rest after failures (`opened`), or work again \
         (`closed`). `filmlab doctor` names them.",
    ),
    metric(
        NOT_SWEPT,
        "counter",
        &["what", "outcome"],
        "Overdue items that a sweep did not plan again (`what`: `job`, `notice`, or the `list` \
         of either), by reason: a call `failed`, the record is damaged and watched \
         (`unreadable`), it was ended for that (`buried`), or a newer release wrote it \
         (`left_alone`). Each sweep counts them again, and so does each visit that meets such a \
         job.",
    ),
    metric(
        CLOCK_JUMPS,
        "counter",
        &["found"],
        "Jumps of the clock: it was set while the service ran (`machine`), it was behind what \
         is on record (`start`), or it differed from Google's (`witness`).",
    ),
    metric(
        JOBS,
        "gauge",
        &["state"],
        "Jobs in the ledger that are `queued`, `processing`, and of these `generating`, counted \
         up to 10,000.",
    ),
    metric(
        NOTICES,
        "gauge",
        &["state"],
        "Notices in the outbox that are `pending` or were given up (`undeliverable`), counted up \
         to 10,000.",
    ),
    metric(
        CLEANED,
        "counter",
        &["what"],
        "What cleanings deleted: `leftovers` of jobs, `results`, `generated` files and \
         `sources`. `failed` counts what could not be deleted or looked at, each time again.",
    ),
];

/// Starts counting, once for the process: a second call changes nothing. Before it, numbers go
/// nowhere.
pub fn start(version: &'static str) {
    if !recorder::start(METRICS) {
        return;
    }
    set(BUILD, &[version], 1.0);
    // From the start: an alarm needs the number before the first of them.
    set(MEDIA_SLOTS, &[], 0.0);
    set(MEDIA_BYTES, &[], 0.0);
    for phase in Phase::iter() {
        count(MEDIA_CRASHES, &[phase.as_str()], 0);
    }
    for kind in Kind::iter() {
        count(WASTED, &[kind.as_str()], 0);
        for turned in ["opened", "closed"] {
            count(BREAKER, &[kind.as_str(), turned], 0);
        }
    }
    for outcome in ["unreadable", "left_alone"] {
        count(NOT_SWEPT, &["job", outcome], 0);
    }
    for found in ["machine", "start", "witness"] {
        count(CLOCK_JUMPS, &[found], 0);
    }
}

/// All numbers in Prometheus' text format; absent where counting was not started.
#[must_use]
pub fn render() -> Option<String> {
    recorder::render()
}

pub(crate) fn job_ended(kind: &'static str, status: &'static str, code: &'static str) {
    count(JOBS_ENDED, &[kind, status, code], 1);
}

pub(crate) fn visited(outcome: &'static str) {
    count(VISITS, &[outcome], 1);
}

pub(crate) fn not_swept(what: &'static str, outcome: &'static str) {
    count(NOT_SWEPT, &[what, outcome], 1);
}

pub(crate) fn stage_took(kind: &'static str, stage: &'static str, time: Duration) {
    observe(STAGE_SECONDS, &[kind, stage], time);
}

pub(crate) fn provider_called(call: &'static str, outcome: &'static str) {
    count(PROVIDER_CALLS, &[call, outcome], 1);
}

pub(crate) fn called_back(signature: &'static str) {
    count(CALLBACKS, &[signature], 1);
}

pub(crate) fn submission_wasted(kind: &'static str) {
    count(WASTED, &[kind], 1);
}

pub(crate) fn provider_balance(usd: f64) {
    set(PROVIDER_BALANCE, &[], usd);
}

pub(crate) fn media_took(cpu: Duration) {
    observe(MEDIA_CPU, &[], cpu);
}

pub(crate) fn breaker_turned(kind: &'static str, turned: &'static str) {
    count(BREAKER, &[kind, turned], 1);
}

pub(crate) fn media_crashed(phase: &'static str) {
    count(MEDIA_CRASHES, &[phase], 1);
}

/// A media pass that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct MediaPass {
    bytes: f64,
}

impl MediaPass {
    pub(crate) fn begun(bytes: u64) -> Self {
        let bytes = bytes as f64;
        add(MEDIA_SLOTS, 1.0);
        add(MEDIA_BYTES, bytes);
        Self { bytes }
    }
}

impl Drop for MediaPass {
    fn drop(&mut self) {
        add(MEDIA_SLOTS, -1.0);
        add(MEDIA_BYTES, -self.bytes);
    }
}

pub(crate) fn cleaned(what: &'static str, number: u32) {
    count(CLEANED, &[what], u64::from(number));
}

pub(crate) fn clock_jumped(found: &'static str) {
    count(CLOCK_JUMPS, &[found], 1);
}

pub(crate) fn jobs(state: &'static str, number: u32) {
    set(JOBS, &[state], number.into());
}

pub(crate) fn notices(state: &'static str, number: u32) {
    set(NOTICES, &[state], number.into());
}
