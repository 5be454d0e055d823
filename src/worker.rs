//! Moves jobs along their road.
//!
//! [`Worker::visit`] is the only thing that moves a job. It claims the job, runs stages until
//! the job ends or has to wait, and leaves. A visit runs in a task of its own: whoever asked for
//! it may go away.
//!
//! Architecture invariant: the worker knows ports, never adapters; nothing here sleeps through a
//! provider's work.

mod admission;
mod answers;
mod awaited;
mod balance;
mod belongings;
mod cleaning;
mod context;
mod deadline;
mod deletion;
mod end;
mod limiter;
mod native;
mod objects;
mod outbox;
mod patience;
mod placement;
mod places;
mod quote;
mod retention;
mod running;
mod settings;
mod stages;
mod stop;
mod sweep;
mod visit;
mod walk;
mod waste;
mod watchdog;
mod writer;

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::clock::{SharedClock, later};
use crate::job::{Claim, Code, Failure, Job, JobId, Timestamp};
use crate::ledger::{Claimed, Deleted, Ledger, LedgerError};
use crate::notify::Notifier;
use crate::outgoing::Fetcher;
use crate::provider::{CallbackGate, Provider};
use crate::queue::{Delivery, Queue, Receiver, Scheduled, Task, Why};
use crate::storage::Storage;
use crate::telemetry::metrics;

pub use cleaning::{CLEAN_EVERY, Cleaned};
pub use limiter::ProviderLimits;
pub use outbox::OutboxVisit;
pub use patience::Pauses;
pub use placement::layer_faults;
pub use places::PlaceLimits;
pub use quote::{ProviderQuote, Quote, QuoteError, QuoteRequest};
use running::Running;
pub use settings::{BrandWatermark, Retention, Settings};
pub use stop::StopReason;
pub use sweep::Swept;

/// Everything the worker works with.
#[derive(Debug)]
pub struct Services {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn Queue>,
    pub provider: Arc<dyn Provider>,
    pub callbacks: Arc<dyn CallbackGate>,
    pub storage: Storage,
    pub notifiers: Vec<Arc<dyn Notifier>>,
    pub fetcher: Arc<dyn Fetcher>,
    pub clock: SharedClock,
    pub settings: Settings,
}

/// What became of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visit {
    /// The job was moved as far as it goes for now; it ended, or its next visit is planned.
    Advanced,
    /// Late, duplicate or ended: there was nothing to do.
    NothingToDo,
    /// Too early: the recorded wake-up was planned again, under a fresh number.
    Early {
        at: Timestamp,
    },
    /// Somebody else holds the job.
    Held {
        until: Timestamp,
    },
    NotFound,
    /// The owner holds as many places as one may, or all are taken: bring the task again. No
    /// claim was made.
    Busy,
    /// The job is of a newer release, whose workers go on with it; bring the task again.
    LeftAlone,
    /// The service is stopping and takes no more visits.
    Draining,
    /// The ledger or the queue does not answer; bring the task again.
    Unavailable {
        message: String,
    },
}

impl Visit {
    fn name(&self) -> &'static str {
        match self {
            Self::Advanced => "advanced",
            Self::NothingToDo => "nothing_to_do",
            Self::Early { .. } => "early",
            Self::Held { .. } => "held",
            Self::NotFound => "not_found",
            Self::Busy => "busy",
            Self::LeftAlone => "left_alone",
            Self::Draining => "draining",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// Whether a job is to be visited.
enum Due {
    Now,
    /// Before its time: the provider has called back about this submission.
    Called(String),
    Not,
}

/// The worker: owns no job, holds leases.
#[derive(Debug)]
pub struct Worker {
    services: Arc<Services>,
    /// Names this process in leases.
    holder: String,
    visits: AtomicU64,
    tracker: TaskTracker,
    draining: CancellationToken,
    running: Running,
    watchdog: watchdog::Watchdog,
    media: admission::Admission,
    places: places::AllPlaces,
    last_balance: balance::LastLook,
    limiter: limiter::Limiter,
    sweep_places: sweep::Places,
    delivering: outbox::Delivering,
    last_cleaning: Mutex<Option<Instant>>,
    answers: answers::Answers,
}

impl Worker {
    #[must_use]
    pub fn new(services: Services) -> Arc<Self> {
        let settings = &services.settings;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let media = admission::Admission::new(settings.media_slots, settings.media_memory, cores);
        let places = places::AllPlaces::new(
            &settings.places,
            admission::PROBES as usize,
            settings.media_slots,
        );
        let limiter = limiter::Limiter::new(services.settings.provider_limits, &services.clock);
        Arc::new(Self {
            services: Arc::new(services),
            holder: format!("w-{}", ulid::Ulid::new().to_string().to_lowercase()),
            visits: AtomicU64::new(1),
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            running: Running::default(),
            watchdog: watchdog::Watchdog::default(),
            media,
            last_cleaning: Mutex::default(),
            places,
            last_balance: balance::LastLook::default(),
            sweep_places: sweep::Places::default(),
            delivering: outbox::Delivering::default(),
            limiter,
            answers: answers::Answers::default(),
        })
    }

    /// Visits a job on behalf of a task with wake-up number `seq`. Goes on to its end even if
    /// the caller stops waiting.
    pub async fn visit(self: &Arc<Self>, id: JobId, seq: u64) -> Visit {
        if self.is_draining() {
            return Visit::Draining;
        }
        let span = tracing::info_span!("visit", job = %id, seq);
        let worker = Arc::clone(self);
        // The task is the worker's: axum drops a handler's future when the client goes away,
        // and that must not happen between paying the provider and storing the answer.
        let task = self
            .tracker
            .spawn(async move { Box::pin(worker.visit_inner(&id, seq)).await }.instrument(span));
        let visit = match task.await {
            Ok(visit) => visit,
            // A stage's panic is caught and recorded; this one came from the visit's own frame.
            // The lease runs out and the sweeper brings the job back.
            Err(error) => Visit::Unavailable {
                message: error.to_string(),
            },
        };
        metrics::visited(visit.name());
        visit
    }

    async fn visit_inner(self: &Arc<Self>, id: &JobId, seq: u64) -> Visit {
        let (job, mut heard) = match self.to_be_visited(id, seq).await {
            Ok(found) => found,
            Err(visit) => return visit,
        };
        // What fetches from the web may take as long as somebody else's server likes.
        let fetches = stages::fetches_first(&job, self.now());
        let places = if fetches {
            &self.places.fetches
        } else {
            &self.places.visits
        };
        let waits = self.places.lines.enter(id.as_str());
        let patience = self.services.settings.places.patience;
        let place = tokio::select! {
            biased;
            () = self.draining.cancelled() => return Visit::Draining,
            place = places.get(&job.owner, patience) => place,
        };
        drop(waits);
        let Some(place) = place else {
            tracing::debug!(owner = %job.owner, fetches, "there is no place for a visit");
            // Where a later task is planned, that one is enough.
            return if seq < job.wake.seq {
                Visit::NothingToDo
            } else {
                Visit::Busy
            };
        };
        // Somebody may have come first meanwhile.
        if place.waited() {
            heard = match self.to_be_visited(id, seq).await {
                Ok((_, heard)) => heard,
                Err(visit) => return visit,
            };
        }
        let lease = self.services.settings.lease;
        // One name a visit: after an unknown outcome it tells whether the claim was made.
        let visits = self.visits.fetch_add(1, Ordering::Relaxed);
        let holder = format!("{}-{visits}", self.holder);
        let now = self.now();
        match self.services.ledger.claim(id, &holder, now, lease).await {
            Ok(Claimed::Taken { claim, job }) => {
                Box::pin(visit::run(self, claim, *job, fetches, heard)).await
            }
            Ok(Claimed::Held { until }) => Visit::Held { until },
            Ok(Claimed::Ended) => Visit::NothingToDo,
            Ok(Claimed::NotFound) => Visit::NotFound,
            Err(error @ LedgerError::Unknown(_)) => {
                // Until it is known, no other visit from here claims it a second time.
                let _entered = self.running.enter(id, stop::Stop::default());
                match self.claimed_after_all(id, &holder).await {
                    Some((claim, job)) => {
                        Box::pin(visit::run(self, claim, job, fetches, heard)).await
                    }
                    None => unavailable(&error),
                }
            }
            Err(error) => unread(&error),
        }
    }

    /// The job, where somebody has to look at it now and nobody does, and the submission whose
    /// callback is why; else what to answer.
    async fn to_be_visited(&self, id: &JobId, seq: u64) -> Result<(Job, Option<String>), Visit> {
        let job = match self.services.ledger.read(id).await {
            Ok(Some(job)) => job,
            Ok(None) => return Err(Visit::NotFound),
            Err(error) => return Err(unread(&error)),
        };
        if job.status.is_ended() {
            return Err(Visit::NothingToDo);
        }
        let now = self.now();
        // A visit that runs here waits for a ledger that did not answer, whatever has become of its
        // lease: it has the job until somebody else claims it, and a claim from here would count it
        // as dead.
        let live = job.lease.expires_at.filter(|_| job.lease.is_live(now));
        let here = self.running.has(id);
        if live.is_some() || here {
            if job.cancel_requested {
                self.running.stop(id, StopReason::Requested);
            }
            let soon = self.after(self.services.settings.heartbeat);
            return Err(Visit::Held {
                until: live.unwrap_or(soon),
            });
        }
        match self.is_due(&job, now).await {
            Ok(Due::Now) => Ok((job, None)),
            Ok(Due::Called(intent)) => Ok((job, Some(intent))),
            Ok(Due::Not) if seq < job.wake.seq => Err(Visit::NothingToDo),
            Ok(Due::Not) => Err(self.too_early(job).await),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Whether a claim whose answer was lost was made: the job names its holder then. If the
    /// ledger does not say so for as long as a visit may take, the lease runs out; that costs an
    /// attempt, no more.
    async fn claimed_after_all(&self, id: &JobId, holder: &str) -> Option<(Claim, Job)> {
        let settings = &self.services.settings;
        let until = Instant::now() + settings.budget;
        let mut patience = patience::Patience::until(until, settings.pauses);
        loop {
            match self.services.ledger.read(id).await {
                Ok(found) => {
                    let job = found?;
                    let claim = Claim {
                        holder: holder.to_owned(),
                        fence: job.lease.fence,
                    };
                    return claim.holds(&job).then_some((claim, job));
                }
                Err(LedgerError::Unavailable(_) | LedgerError::Unknown(_)) => {
                    let again = tokio::select! {
                        again = patience.again() => again,
                        () = self.draining.cancelled() => false,
                    };
                    if !again {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }

    /// The task that has come has used up its name: the recorded time gets a fresh one.
    async fn too_early(&self, mut job: Job) -> Visit {
        let Some(at) = job.next_visit_at else {
            return Visit::NothingToDo;
        };
        match self.services.ledger.replan(&job.id, job.wake.seq).await {
            Ok(Some(seq)) => job.wake.seq = seq,
            // Somebody was first, and plans it.
            Ok(None) => return Visit::NothingToDo,
            Err(error) => return unread(&error),
        }
        match self.plan_wake(&job).await {
            Ok(()) => Visit::Early { at },
            Err(visit) => visit,
        }
    }

    /// Whether somebody has to look at the job now.
    async fn is_due(&self, job: &Job, now: Timestamp) -> Result<Due, LedgerError> {
        if job.cancel_requested || job.next_visit_at.is_none_or(|at| at <= now) {
            return Ok(Due::Now);
        }
        // A callback is news until a visit was made for it. It is known by its name: moments that
        // two machines wrote down tell no order.
        let Some(intent) = job.awaited().map(|intent| &intent.id) else {
            return Ok(Due::Not);
        };
        if job.heard.as_ref() == Some(intent) {
            return Ok(Due::Not);
        }
        let callbacks = self.services.ledger.callbacks(&job.id).await?;
        let called = callbacks.iter().any(|callback| callback.intent == *intent);
        Ok(if called {
            Due::Called(intent.clone())
        } else {
            Due::Not
        })
    }

    /// Creates the task of the recorded wake-up, under a fresh number where the recorded one names
    /// a task that is over: of an earlier job under the same id, say.
    async fn plan_wake(&self, job: &Job) -> Result<(), Visit> {
        let Some(at) = job.next_visit_at else {
            return Ok(());
        };
        let mut seq = job.wake.seq;
        for _ in 0..sweep::NAMES {
            let task = Task::Job {
                id: job.id.clone(),
                seq,
                why: Why::Wake,
            };
            match self.services.queue.schedule(&task, at).await {
                Ok(Scheduled::Planned) => return Ok(()),
                Ok(Scheduled::Known) => {}
                Err(error) => {
                    return Err(Visit::Unavailable {
                        message: error.to_string(),
                    });
                }
            }
            seq = match self.services.ledger.replan(&job.id, seq).await {
                Ok(Some(seq)) => seq,
                // Somebody else moves it on.
                Ok(None) => return Ok(()),
                Err(error) => return Err(unread(&error)),
            };
        }
        Err(Visit::Unavailable {
            message: "no free name for the task".into(),
        })
    }

    /// Delivers one notice.
    pub async fn deliver(self: &Arc<Self>, id: String) -> OutboxVisit {
        if self.is_draining() {
            return OutboxVisit::Draining;
        }
        let worker = Arc::clone(self);
        let task = self.tracker.spawn(async move {
            // A second task of a notice whose delivery runs: that one plans what comes next.
            let Some(_entered) = worker.delivering.enter(&id) else {
                return OutboxVisit::NothingToDo;
            };
            outbox::deliver(&worker, &id).await
        });
        match task.await {
            Ok(visit) => visit,
            Err(error) => OutboxVisit::Unavailable {
                message: error.to_string(),
            },
        }
    }

    /// Deletes an ended job and everything that is its own: results, work files, our copies of
    /// its inputs, the provider's copies, the record with its callbacks and notices. Credit
    /// entries stay. What broke off is made good by doing it again. Goes on to its end even if
    /// the caller stops waiting.
    pub async fn delete(self: &Arc<Self>, id: JobId) -> Result<Deleted, Failure> {
        if self.is_draining() {
            return Err(Failure::new(Code::ShuttingDown, Code::ShuttingDown.about()));
        }
        let worker = Arc::clone(self);
        let task = self
            .tracker
            .spawn(async move { deletion::delete(&worker.services, &id).await });
        match task.await {
            Ok(deleted) => deleted,
            Err(error) => Err(Failure::new(Code::Internal, Code::Internal.about()).because(error)),
        }
    }

    /// Plans anew what is overdue: wake-ups and deliveries that were lost. What could not be done
    /// is counted; it fails only where the ledger does not even say what is overdue.
    pub async fn sweep(self: &Arc<Self>) -> Result<Swept, LedgerError> {
        let (swept, ()) = tokio::join!(self.sweep_all(), self.watch_balance());
        swept
    }

    /// Whether new visits are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Stops taking visits, cancels what runs, gives leases back; `false` where something was
    /// still running after `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.draining.cancel();
        self.running.stop_all(StopReason::Shutdown);
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_ok()
    }

    /// Resolves when native work did not stop in time: its thread is lost, and this process has
    /// to be replaced.
    pub async fn stuck(&self) {
        self.watchdog.barked().await;
    }

    /// Takes a place at the provider for one submission, if there is one.
    async fn admit(&self) -> Result<limiter::Admission<'_>, LedgerError> {
        let ledger = self.services.ledger.as_ref();
        self.limiter.admit(ledger, self.now()).await
    }

    fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// A moment `by` from now.
    fn after(&self, by: Duration) -> Timestamp {
        later(self.now(), by)
    }
}

fn unavailable(error: &LedgerError) -> Visit {
    tracing::warn!(%error, "the ledger does not answer");
    Visit::Unavailable {
        message: error.to_string(),
    }
}

/// What a task comes to whose job could not be read.
fn unread(error: &LedgerError) -> Visit {
    match error {
        // The sweep watches it, and ends it if it stays like this.
        LedgerError::Malformed { id, reason } => {
            tracing::warn!(job = id, reason, "the job's document cannot be read");
            metrics::not_swept("job", "unreadable");
            Visit::NothingToDo
        }
        LedgerError::Newer { id, reason } => {
            tracing::warn!(job = id, reason, "a job of a newer release is left alone");
            metrics::not_swept("job", "left_alone");
            Visit::LeftAlone
        }
        other => unavailable(other),
    }
}

/// Deliveries of a task for an unknown job or notice that are answered “not found”, since its
/// document may be on its way. The next one is taken for the last.
pub const UNKNOWN_JOB_DELIVERIES: u32 = 5;

/// Gives up a task of a job that is not there. A later wake-up was planned by a visit of the job,
/// so there was one: it was deleted since. The first one may be of a creator whose document never
/// came, and only a person can tell.
pub(crate) fn unknown_job(id: &JobId, seq: u64) {
    if seq > 1 {
        tracing::info!(job = %id, seq, "a task names a job that was deleted");
    } else {
        tracing::error!(job = %id, seq, "a task names a job that does not exist");
    }
}

/// The same for a notice: its task is planned after it was written, so it was deleted since.
pub(crate) fn unknown_notice(id: &str) {
    tracing::info!(notification = id, "a task names a notice that was deleted");
}

#[async_trait]
impl Receiver for Arc<Worker> {
    async fn receive(&self, task: Task, deliveries: u32) -> Delivery {
        match task {
            Task::Job { id, seq, .. } => match self.visit(id.clone(), seq).await {
                Visit::Advanced | Visit::NothingToDo | Visit::Early { .. } => {
                    Delivery::Acknowledged
                }
                Visit::NotFound if deliveries > UNKNOWN_JOB_DELIVERIES => {
                    unknown_job(&id, seq);
                    Delivery::Acknowledged
                }
                // Whoever died with the lease is not waited for any longer than it runs.
                Visit::Held { until } => Delivery::AgainBy(until),
                Visit::NotFound
                | Visit::Busy
                | Visit::LeftAlone
                | Visit::Draining
                | Visit::Unavailable { .. } => Delivery::Again,
            },
            Task::Outbox { id, .. } => match self.deliver(id.clone()).await {
                OutboxVisit::Delivered | OutboxVisit::NothingToDo | OutboxVisit::Planned { .. } => {
                    Delivery::Acknowledged
                }
                OutboxVisit::NotFound if deliveries > UNKNOWN_JOB_DELIVERIES => {
                    unknown_notice(&id);
                    Delivery::Acknowledged
                }
                OutboxVisit::NotFound
                | OutboxVisit::Busy
                | OutboxVisit::LeftAlone
                | OutboxVisit::Draining
                | OutboxVisit::Unavailable { .. } => Delivery::Again,
            },
        }
    }
}
