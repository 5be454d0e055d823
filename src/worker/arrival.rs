//! From a task to a visit: whether somebody has to look at the job, whether there is a place for
//! it, and the claim.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::outcome::Visit;
use super::patience::Patience;
use super::stages;
use super::state::Worker;
use super::stop::{Stop, StopReason};
use super::sweep::NAMES;
use super::visit;
use crate::job::{Claim, Job, JobId, Lease, Timestamp};
use crate::ledger::{Claimed, LedgerError};
use crate::queue::{Scheduled, Task};
use crate::telemetry::{metrics, spans};

/// Whether a job is to be visited.
enum Due {
    Now,
    /// Before its time: the provider has called back about this submission.
    Called(String),
    Not,
}

impl Worker {
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
        let dead = job.lease.clone();
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
                self.run(&dead, seq, claim, *job, fetches, heard).await
            }
            Ok(Claimed::Leased { until }) => Visit::Leased { until },
            Ok(Claimed::Ended) => Visit::NothingToDo,
            Ok(Claimed::NotFound) => Visit::NotFound,
            Err(error @ LedgerError::Unknown(_)) => {
                // Until it is known, no other visit from here claims it a second time.
                let _entered = self.running.enter(id, Stop::default());
                match self.claimed_after_all(id, &holder).await {
                    Some((claim, job)) => self.run(&dead, seq, claim, job, fetches, heard).await,
                    None => unavailable(&error),
                }
            }
            Err(error) => unread(&error),
        }
    }

    /// The visit of a claimed job, whose lease was `dead` before if it named a holder.
    async fn run(
        self: &Arc<Self>,
        dead: &Lease,
        seq: u64,
        claim: Claim,
        job: Job,
        fetches: bool,
        heard: Option<String>,
    ) -> Visit {
        // Nobody else ends the span of a visit whose process died.
        if let (Some(_), Some(until)) = (&dead.holder, dead.expires_at)
            && dead.fence.next() == job.lease.fence
        {
            let lease = self.services.settings.lease;
            let since = until.checked_sub(lease).unwrap_or(until);
            spans::lost_visit(&job, dead.fence, since, until);
        }
        let span = spans::visit(&job, seq);
        let visit = visit::run(self, claim, job, fetches, heard);
        let visit = Box::pin(visit.instrument(span.clone())).await;
        span.record("outcome", visit.name());
        visit
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
            return Err(Visit::Leased {
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
        let mut patience = Patience::until(until, settings.pauses);
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
    pub(super) async fn plan_wake(&self, job: &Job) -> Result<(), Visit> {
        let Some(at) = job.next_visit_at else {
            return Ok(());
        };
        let mut seq = job.wake.seq;
        for _ in 0..NAMES {
            let task = Task::wake(&job.id, seq);
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
