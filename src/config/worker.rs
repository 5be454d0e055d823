//! `[worker]` and `[credits]`: how jobs are moved, and what they cost.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use strum::IntoEnumIterator as _;

use super::cloud::Queue;
use super::memory;
use super::provider::Provider;
use super::reader::Reader;
use super::table::{EachOf, Keyed as _, Nested, Open, Setting, settings};
use crate::fields::{Bounds, Real, Size, Span, Whole, Word};
use crate::job::attempt::Attempts;
use crate::job::credits::{CancelAfterSubmit, CreditsMode, Price};
use crate::job::{Kind, MAX_SUBMISSIONS, PriceTable, Resolution};
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

/// More at once is a mistake: each holds a connection.
const PLACES: Whole<NonZeroU32> = Whole(Bounds::Within(
    NonZeroU32::MIN,
    NonZeroU32::MIN.saturating_add(9_999),
));
const SOME: Span = Span(Bounds::Above(Duration::ZERO));
/// A small clip takes more; below, a slip of the pen is likelier than a machine.
const LEAST_MEMORY: u64 = 64 << 20;
const RATE: LeastRate = LeastRate::USUAL;

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn places(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

settings! { WORKER of "worker" {
    // Most visits wait for the network: more of them than cores is right, and a bound all the same.
    CONCURRENCY: Setting<Whole<NonZeroU32>> = "concurrency", PLACES, places(24),
        "visits at once, besides those that fetch first";
    // Sources come at the speed of somebody else's server.
    FETCHES: Setting<Whole<NonZeroU32>> = "fetches", PLACES, places(8),
        "visits at once that fetch an input from the web first";
    // Two of one owner, and one that is kept for others.
    QUOTES: Setting<Whole<NonZeroU32>> = "quotes", PLACES, places(3), "quotes at once";
    // A receiver that hangs is waited for for ten seconds.
    NOTICES: Setting<Whole<NonZeroU32>> = "notices", PLACES, places(8),
        "notices delivered at once";
    OWNER_SHARE: Setting<Real<f64>> = "owner_share", Real(Bounds::AboveTo(0.0, 1.0)), 0.75,
        "what one owner may hold of the places that others leave";
    WAITING: Setting<Whole<u32>> = "waiting", Whole(Bounds::Within(0, 10_000)), 64,
        "how many wait for one kind of place";
    // Weeks of work for one machine, 35 MiB of records, and as many as its queue takes.
    MAX_WAITING: Setting<Whole<NonZeroU32>> = "max_waiting",
        Whole(Bounds::AtLeast(NonZeroU32::MIN)), places(50_000),
        "with SQLite: jobs that have not ended; more are refused";
    MEDIA_SLOTS: Open<Whole<usize>> = "media_slots", Whole(Bounds::AtLeast(1)),
        "number of cores", "media passes at once";
    MEDIA_MEMORY: Open<Size> = "media_memory", Size(Bounds::AtLeast(LEAST_MEMORY)),
        "half of the memory of the machine or its control group", "what they may take together";
    MEDIA_TIME_FACTOR: Setting<Real<f64>> = "media_time_factor", Real(Bounds::Above(0.0)), 2.0,
        "how slow this machine is at media work. An input that would take longer than a visit is refused before payment";
    QUARANTINE: Setting<Word<Mode>> = "quarantine", Word::new(), Mode::AfterDeath,
        "whose native work is done in a child process. See [Files that crash their reader](operations.md#files-that-crash-their-reader)";
    ATTEMPTS: Setting<Whole<u32>> = "attempts", Whole(Bounds::AtLeast(1)), 3,
        "attempts of a round";
    BACKOFF_MIN: Setting<Span> = "backoff_min", Span(Bounds::Any), secs(5),
        "shortest pause before the next attempt";
    BACKOFF_MAX: Setting<Span> = "backoff_max", Span(Bounds::Any), secs(300),
        "longest pause before the next attempt";
    LEASE: Setting<Span> = "lease", Span(Bounds::Any), secs(60),
        "how long a claim lasts without a renewal; at least three heartbeats";
    HEARTBEAT: Setting<Span> = "heartbeat", Span(Bounds::Any), secs(15),
        "how often a lease is renewed";
    BUDGET: Setting<Span> = "budget", SOME, secs(25 * 60),
        "longest visit. With Cloud Tasks it must be, with watchdog and heartbeat, shorter than 30 min";
    WATCHDOG: Setting<Span> = "watchdog", SOME, secs(30), "how long media work may take to stop";
    SWEEP_EVERY: Setting<Span> = "sweep_every", SOME, secs(30),
        "pause between two sweeps of a single machine";
    TRANSFER_LEAST: Setting<Size> = "transfer_least", Size(Bounds::Any), RATE.bytes,
        "what must come of a source, or of the provider's output, within the window";
    TRANSFER_WINDOW: Setting<Span> = "transfer_window", SOME, RATE.window, "the window";
}}

settings! { CREDITS of "credits" {
    MODE: Setting<Word<CreditsMode>> = "mode", Word::new(), CreditsMode::Off,
        "whether credits are held before paying and captured at the end, or taken at the end, or not counted";
    CANCEL_AFTER_SUBMIT: Setting<Word<CancelAfterSubmit>> = "cancel_after_submit", Word::new(),
        CancelAfterSubmit::Capture,
        "See [What a cancellation costs](operations.md#what-a-cancellation-costs)";
    PRICES: Open<Nested> = "prices", Nested("tables"), "see below",
        "a table for each kind, for example `[credits.prices.extend]`";
}}

settings! { PRICE of "credits.prices.KIND" {
    BASE: Open<Whole<u64>> = "base", Whole(Bounds::Any), "none; it is required",
        "credits for a job of this kind";
    PER_SECOND: Open<EachOf<Resolution, Real<f64>>> = "per_second",
        EachOf(Word::new(), Real(Bounds::AtLeast(0.0))), "none; it is required",
        "credits for each billed second, by size";
}}

pub(super) fn worker(r: &mut Reader) -> Worker {
    let worker = Worker {
        lease: r.value(&LEASE),
        heartbeat: r.value(&HEARTBEAT),
        budget: r.value(&BUDGET),
        watchdog: r.value(&WATCHDOG),
        attempts: attempts(r, &ATTEMPTS, &BACKOFF_MIN, &BACKOFF_MAX),
        media_slots: r.given(&MEDIA_SLOTS).unwrap_or_else(default_slots),
        media_memory: r.given(&MEDIA_MEMORY).unwrap_or_else(default_memory),
        media_time_factor: r.value(&MEDIA_TIME_FACTOR),
        quarantine: r.value(&QUARANTINE),
        program: None,
        concurrency: r.value(&CONCURRENCY),
        fetches: r.value(&FETCHES),
        quotes: r.value(&QUOTES),
        notices: r.value(&NOTICES),
        owner_share: r.value(&OWNER_SHARE),
        waiting: r.value(&WAITING),
        sweep_every: r.value(&SWEEP_EVERY),
        max_waiting: r.value(&MAX_WAITING),
        least_rate: LeastRate {
            bytes: r.value(&TRANSFER_LEAST),
            window: r.value(&TRANSFER_WINDOW),
        },
    };
    if worker.heartbeat.is_zero() || worker.lease < worker.heartbeat * 3 {
        r.fault(
            &LEASE.key(),
            "must be at least three heartbeats, and those longer than 0",
        );
    }
    worker
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
        &ATTEMPTS.key(),
        format!(
            "and provider.max_resubmissions must be {MAX_SUBMISSIONS} together at most, with the \
             longest provider.models.KIND.fallback, found {most}: a job remembers no more submissions of one round"
        ),
    );
}

/// Whether a visit ends, and says so, before the queue takes its task for lost and brings it
/// again.
pub(super) fn check_budget(r: &mut Reader, worker: &Worker, queue: &Queue) {
    if !matches!(queue, Queue::CloudTasks(_)) {
        return;
    }
    let longest = worker
        .budget
        .saturating_add(worker.watchdog)
        .saturating_add(worker.heartbeat);
    if longest >= DISPATCH_DEADLINE {
        r.fault(
            &BUDGET.key(),
            format!(
                "with worker.watchdog and worker.heartbeat must be shorter than the {} min after \
                 which Cloud Tasks brings a task again, found {} s",
                DISPATCH_DEADLINE.as_secs() / 60,
                longest.as_secs()
            ),
        );
    }
}

/// As many as cores: a pass by itself leaves some of two cores idle, since what is read, judged
/// and written does not go on beside its encoder. Two at once made eight results in four fifths
/// of the time.
fn default_slots() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where the machine does not say how much it has.
const USUAL_MEMORY: u64 = 2 << 30;

/// Half: the rest is for the service itself, uploads, the page cache and what the reckoning of a
/// pass misses.
fn default_memory() -> u64 {
    (memory::available(Path::new("/")).unwrap_or(USUAL_MEMORY) / 2).max(LEAST_MEMORY)
}

pub(super) fn attempts(
    r: &mut Reader,
    max: &Setting<Whole<u32>>,
    min: &Setting<Span>,
    cap: &Setting<Span>,
) -> Attempts {
    let (key, max) = (max.key(), r.value(max));
    let (min, cap) = (r.value(min), r.value(cap));
    Attempts::try_new(max, min, cap).unwrap_or_else(|error| {
        r.fault(&key, error.to_string());
        Attempts::default()
    })
}

pub(super) fn credits(r: &mut Reader) -> Credits {
    let said = r.has(&CANCEL_AFTER_SUBMIT.key());
    let cancel_after_submit = r.value(&CANCEL_AFTER_SUBMIT);
    Credits {
        mode: r.value(&MODE),
        cancel_after_submit,
        // The old default, unless the operator says something.
        cancel_unsaid: if said {
            cancel_after_submit
        } else {
            CancelAfterSubmit::Release
        },
        prices: prices(r),
    }
}

fn prices(r: &mut Reader) -> PriceTable {
    let mut prices = PriceTable::default();
    for (kind, at) in r.entries(&PRICES.key(), &Word::<Kind>::new()) {
        let base = r.needed_at(&at, &BASE);
        let per_second = r.needed_each_at(&at, &PER_SECOND);
        if let (Some(base), Some(per_second)) = (base, per_second) {
            prices.0.insert(kind, Price { base, per_second });
        }
    }
    prices
}
