//! `[worker]` and `[credits]`: how jobs are moved, and what they cost.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use strum::IntoEnumIterator as _;

use super::cloud::Queue;
use super::memory;
use super::provider::Provider;
use super::reader::Reader;
use crate::job::attempt::Attempts;
use crate::job::credits::{CancelAfterSubmit, CreditsMode, Price};
use crate::job::{Kind, MAX_SUBMISSIONS, PriceTable};
use crate::outgoing::LeastRate;
use crate::quarantine::Mode;
use crate::queue::cloud_tasks::DISPATCH_DEADLINE;

#[derive(Debug, Clone)]
pub struct Worker {
    pub lease: Duration,
    pub heartbeat: Duration,
    pub budget: Duration,
    /// For native work that was told to stop.
    pub watchdog: Duration,
    pub attempts: Attempts,
    pub media_slots: usize,
    /// Bytes.
    pub media_memory: u64,
    pub media_time_factor: f64,
    /// Where native work is done in a child process.
    pub quarantine: Mode,
    /// What is started as one; no setting, since it is this program.
    pub program: Option<PathBuf>,
    /// Visits at once, besides those that fetch an input first.
    pub concurrency: NonZeroU32,
    /// Visits at once that fetch an input first.
    pub fetches: NonZeroU32,
    pub quotes: NonZeroU32,
    /// Deliveries of notices at once.
    pub notices: NonZeroU32,
    /// Of the places that others leave, what one owner may hold.
    pub owner_share: f64,
    /// Who may wait for the places of one kind.
    pub waiting: u32,
    pub sweep_every: Duration,
    /// Jobs that have not ended, on a single machine; more are refused.
    pub max_waiting: NonZeroU32,
    /// What has to come of a source, and of the provider's output.
    pub least_rate: LeastRate,
}

#[derive(Debug, Clone)]
pub struct Credits {
    pub mode: CreditsMode,
    /// Recorded with jobs as they are created here.
    pub cancel_after_submit: CancelAfterSubmit,
    /// For jobs whose record does not say it: those of earlier releases and of other creators.
    pub cancel_unsaid: CancelAfterSubmit,
    pub prices: PriceTable,
}

/// Most visits wait for the network: more of them than cores is right, and a bound all the same.
const VISITS: NonZeroU32 = NonZeroU32::MIN.saturating_add(23);
/// Sources come at the speed of somebody else's server.
const FETCHES: NonZeroU32 = NonZeroU32::MIN.saturating_add(7);
/// Two of one owner, and one that is kept for others.
const QUOTES: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
/// A receiver that hangs is waited for for ten seconds.
const NOTICES: NonZeroU32 = NonZeroU32::MIN.saturating_add(7);
/// More at once is a mistake: each holds a connection.
const MOST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);

/// Weeks of work for one machine, 35 MiB of records, and as many as its queue takes.
const WAITING: NonZeroU32 = NonZeroU32::MIN.saturating_add(49_999);

pub(super) fn worker(r: &mut Reader) -> Worker {
    let secs = Duration::from_secs;
    let worker = Worker {
        lease: r.duration("worker.lease", secs(60)),
        heartbeat: r.duration("worker.heartbeat", secs(15)),
        budget: r.duration("worker.budget", secs(25 * 60)),
        watchdog: r.duration("worker.watchdog", secs(30)),
        attempts: attempts(r, "worker", 3, secs(5), secs(300)),
        media_slots: r.get_or("worker.media_slots", default_slots()),
        media_memory: r.bytes("worker.media_memory", default_memory()),
        media_time_factor: r.get_or("worker.media_time_factor", 2.0),
        quarantine: r.word("worker.quarantine", Mode::default()),
        program: None,
        concurrency: places(r, "worker.concurrency", VISITS),
        fetches: places(r, "worker.fetches", FETCHES),
        quotes: places(r, "worker.quotes", QUOTES),
        notices: places(r, "worker.notices", NOTICES),
        owner_share: r.get_or("worker.owner_share", 0.75),
        waiting: r.within("worker.waiting", 0..=10_000).unwrap_or(64),
        sweep_every: r.duration("worker.sweep_every", secs(30)),
        max_waiting: r.get_or("worker.max_waiting", WAITING),
        least_rate: least_rate(r),
    };
    if worker.heartbeat.is_zero() || worker.lease < worker.heartbeat * 3 {
        r.fault(
            "worker.lease",
            "must be at least three heartbeats, and those longer than 0",
        );
    }
    if worker.media_slots == 0 {
        r.fault("worker.media_slots", "must be at least 1");
    }
    if worker.media_memory < LEAST_MEMORY {
        r.fault("worker.media_memory", "must be at least 64 MiB");
    }
    if !(worker.media_time_factor > 0.0 && worker.media_time_factor.is_finite()) {
        r.fault("worker.media_time_factor", "must be a number above 0");
    }
    if !(worker.owner_share > 0.0 && worker.owner_share <= 1.0) {
        r.fault("worker.owner_share", "must be above 0, and 1 at most");
    }
    if worker.watchdog.is_zero() {
        r.fault("worker.watchdog", "must be longer than 0");
    }
    if worker.sweep_every.is_zero() {
        r.fault("worker.sweep_every", "must be longer than 0");
    }
    worker
}

fn least_rate(r: &mut Reader) -> LeastRate {
    let usual = LeastRate::default();
    let rate = LeastRate {
        bytes: r.bytes("worker.transfer_least", usual.bytes),
        window: r.duration("worker.transfer_window", usual.window),
    };
    if rate.window.is_zero() {
        r.fault("worker.transfer_window", "must be longer than 0");
    }
    rate
}

fn places(r: &mut Reader, key: &str, usual: NonZeroU32) -> NonZeroU32 {
    r.within(key, NonZeroU32::MIN..=MOST).unwrap_or(usual)
}

/// Whether the submissions that a round may make are as many as a job remembers.
pub(super) fn check_submissions(r: &mut Reader, worker: &Worker, provider: &Provider) {
    let fallbacks = Kind::iter().map(|kind| provider.models.fallbacks(kind).len());
    let fallbacks = fallbacks.max().and_then(|most| u32::try_from(most).ok());
    let most = worker
        .attempts
        .max()
        .saturating_add(provider.max_resubmissions)
        .saturating_add(fallbacks.unwrap_or_default());
    if usize::try_from(most).is_ok_and(|most| most <= MAX_SUBMISSIONS) {
        return;
    }
    r.fault(
        "worker.attempts",
        format!(
            "and provider.max_resubmissions must be {MAX_SUBMISSIONS} together at most, with the \
             longest provider.models.KIND.fallback, found {most}: a job remembers no more submissions of one round"
        ),
    );
}

/// Whether a visit ends, and says so, before the queue takes its task for lost and brings it
/// again.
pub(super) fn check_budget(r: &mut Reader, worker: &Worker, queue: &Queue) {
    if worker.budget.is_zero() {
        r.fault("worker.budget", "must be longer than 0");
    }
    if !matches!(queue, Queue::CloudTasks(_)) {
        return;
    }
    let longest = worker
        .budget
        .saturating_add(worker.watchdog)
        .saturating_add(worker.heartbeat);
    if longest >= DISPATCH_DEADLINE {
        r.fault(
            "worker.budget",
            format!(
                "with worker.watchdog and worker.heartbeat must be shorter than the {} min after \
                 which Cloud Tasks brings a task again, found {} s",
                DISPATCH_DEADLINE.as_secs() / 60,
                longest.as_secs()
            ),
        );
    }
}

/// One pass keeps two cores busy: half as many passes as cores.
fn default_slots() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// A small clip takes more; below, a slip of the pen is likelier than a machine.
const LEAST_MEMORY: u64 = 64 << 20;
/// Where the machine does not say how much it has.
const USUAL_MEMORY: u64 = 2 << 30;

/// Half: the rest is for the service itself, uploads, the page cache and what the reckoning of a
/// pass misses.
fn default_memory() -> u64 {
    (memory::available(Path::new("/")).unwrap_or(USUAL_MEMORY) / 2).max(LEAST_MEMORY)
}

pub(super) fn attempts(
    r: &mut Reader,
    section: &str,
    max: u32,
    min: Duration,
    cap: Duration,
) -> Attempts {
    let max = r.get_or(&format!("{section}.attempts"), max);
    let min = r.duration(&format!("{section}.backoff_min"), min);
    let cap = r.duration(&format!("{section}.backoff_max"), cap);
    Attempts::try_new(max, min, cap).unwrap_or_else(|error| {
        r.fault(&format!("{section}.attempts"), error.to_string());
        Attempts::default()
    })
}

pub(super) fn credits(r: &mut Reader) -> Credits {
    // The old default, unless the operator says something.
    let cancel_unsaid = r.word("credits.cancel_after_submit", CancelAfterSubmit::Release);
    let unset = !r.has("credits.cancel_after_submit");
    Credits {
        mode: r.word("credits.mode", CreditsMode::Off),
        cancel_after_submit: if unset {
            CancelAfterSubmit::default()
        } else {
            cancel_unsaid
        },
        cancel_unsaid,
        prices: prices(r),
    }
}

fn prices(r: &mut Reader) -> PriceTable {
    let mut prices = PriceTable::default();
    for name in r.tables("credits.prices") {
        let key = format!("credits.prices.{name}");
        match name.parse::<Kind>() {
            Ok(kind) => {
                if let Some(price) = r.get::<Price>(&key) {
                    if price
                        .per_second
                        .values()
                        .any(|rate| !rate.is_finite() || *rate < 0.0)
                    {
                        r.fault(&key, "a price must not be negative");
                    }
                    prices.0.insert(kind, price);
                }
            }
            Err(_) => r.fault(&key, "is not a kind of job"),
        }
    }
    prices
}
