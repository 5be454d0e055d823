//! One visit: stages in order, and a heartbeat beside them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{Fuse, FusedFuture as _};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::Instrument as _;

use super::awaited::Awaited;
use super::context::{Context, error_of};
use super::deadline::Deadline;
use super::failures::media_crashed;
use super::halt::{Halt, Step};
use super::leave::{give_back, leave, may_give_back};
use super::outcome::Visit;
use super::state::Worker;
use super::stop::{Stop, StopReason};
use super::writer::Writer;
use super::{end, stages};
use crate::clock::elapsed;
use crate::job::{Change, Claim, Code, Failure, Job, MAX_CRASHES, Stage, Status};
use crate::telemetry::{metrics, spans};

/// Runs a claimed job as far as it goes.
pub(super) async fn run(
    worker: &Arc<Worker>,
    claim: Claim,
    job: Job,
    fetches: bool,
    heard: Option<String>,
) -> Visit {
    let services = Arc::clone(&worker.services);
    let stop = Stop::default();
    let _entered = worker.running.enter(&job.id, stop.clone());
    if worker.is_draining() {
        stop.stop(StopReason::Shutdown);
    }
    let owner = job.owner.clone();
    let writer = Writer::new(&services, claim, job, stop.clone());
    let context = Context {
        worker,
        services: &services,
        writer,
        stop,
        owner,
        fetches,
        heard,
        awaited: Awaited::default(),
        pass: Mutex::default(),
        started: Instant::now(),
        deadline: Deadline::default(),
    };
    let outcome = tokio::select! {
        biased;
        outcome = AssertUnwindSafe(go(&context)).catch_unwind() => outcome,
        () = heartbeat(&context) => Ok(Err(Halt::Lost)),
    };
    let outcome = outcome.unwrap_or_else(|panic| Err(internal_panic(&*panic).into()));
    let left = match outcome {
        Ok(job) => Ok(job),
        Err(halt) => leave(&context, halt).await,
    };
    let left = match left {
        Err(halt) if may_give_back(&halt) => give_back(&context, halt).await,
        left => left,
    };
    match left {
        Ok(job) => planned(worker, &job).await,
        Err(halt) => halted(&halt),
    }
}

fn internal_panic(panic: &(dyn Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    Failure::new(Code::Internal, Code::Internal.about()).because(said)
}

/// Runs stages until the job ends or waits; gives the job as it was left.
async fn go(context: &Context<'_>) -> Result<Job, Halt> {
    loop {
        let job = context.writer.job().await;
        // What is made and verified is not thrown away for the moment that is left to record it.
        let is_made = job.stage == Some(Stage::Settle);
        match context.stop.reason() {
            Some(StopReason::Deadline) if is_made || context.deadline.is_lifted() => {}
            Some(reason) => return Err(Halt::Stopped(reason)),
            None => {}
        }
        if job.cancel_requested {
            return Err(Halt::Stopped(StopReason::Requested));
        }
        let is_late = context.now() >= job.deadline_at && !is_made && !context.deadline.is_lifted();
        // What was paid for is asked about first.
        let asks = context.deadline.enters(&job);
        if is_late && !asks {
            return Err(Halt::Stopped(StopReason::Deadline));
        }
        // Deaths of this process; those of a child end the job when they are seen.
        if job.crashes >= MAX_CRASHES {
            return end::failed(context, media_crashed(job.crashed_by())).await;
        }
        if job.attempt > context.settings().attempts.max() {
            return end::failed(context, worn_out(&job)).await;
        }
        let stage = job.stage.unwrap_or(Stage::Submit);
        if stage == Stage::Settle {
            return end::completed(context).await;
        }
        let started = Instant::now();
        let kind = job.params.kind().as_str();
        // A fresh address of what was made before took no time to make.
        let is_new = job.provider.closed_addresses == 0;
        let submitted_at = job.provider.submitted_at.filter(|_| is_new);
        let span = tracing::info_span!("stage", stage = stage.as_str(), attempt = job.attempt);
        let traced = spans::stage(stage.as_str());
        let step = stages::run(context, stage, job).instrument(span).await;
        drop(traced);
        // What generating takes is the provider's time, not that of our questions.
        let took = match (stage, &step, submitted_at) {
            (Stage::Generate, Ok(Step::Next | Step::Done(_)), Some(at)) => {
                elapsed(at, context.now())
            }
            (Stage::Generate, _, _) => Duration::ZERO,
            _ => started.elapsed(),
        };
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match step? {
            // Nothing is waited for once the deadline has passed, let pass or not.
            Step::Wait { .. } if is_late || context.deadline.is_lifted() => {
                return Err(Halt::Stopped(StopReason::Deadline));
            }
            passed @ (Step::Next | Step::Done(_)) => {
                if is_late {
                    tracing::info!("the provider is done after all; the deadline is let pass");
                    context.deadline.lift();
                }
                metrics::stage_took(kind, stage.as_str(), took);
                context.writer.later(Change::Timed { stage, ms });
                if let Step::Done(change) = passed {
                    context.writer.record(&change).await?;
                }
            }
            Step::Wait {
                until,
                reason,
                what,
            } => {
                let until = until.min(context.writer.job().await.deadline_at);
                let reason = match reason {
                    Some(failure) => Some(error_of(context, &failure).await),
                    None => None,
                };
                let mut changes = vec![Change::Timed { stage, ms }];
                if let Some(intent) = context.heard.clone() {
                    changes.push(Change::Heard { intent });
                }
                changes.push(Change::Waited {
                    until,
                    reason,
                    what,
                });
                return context.writer.record(&Change::Many(changes)).await;
            }
        }
    }
}

/// What a job fails with whose last attempt died without a word.
fn worn_out(job: &Job) -> Failure {
    match &job.error {
        Some(error) => Failure::new(error.code, error.message.clone()).by(error.party),
        None => Failure::new(Code::WorkerDied, Code::WorkerDied.about()),
    }
}

/// Keeps the lease, writes progress, watches deadline, budget and lease. Never ends by itself:
/// stages are told by the stop, and it is dropped with the visit. A renewal is polled beside the
/// checks, since it may hang for longer than the lease lasts.
async fn heartbeat(context: &Context<'_>) {
    let settings = context.settings();
    let mut tick = tokio::time::interval(settings.progress_every.min(settings.heartbeat));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deadline = context.writer.job().await.deadline_at;
    let renewal = Fuse::terminated();
    tokio::pin!(renewal);
    let mut is_stopped = false;
    loop {
        tokio::select! {
            biased;
            kept = &mut renewal => match kept {
                // The stage is told by the stop; it may still have to collect native work.
                Ok(()) | Err(Halt::Lost) => {}
                Err(halt) => tracing::warn!(?halt, "the lease was not renewed"),
            },
            _ = tick.tick() => {
                if context.deadline.is_over(context.now(), deadline, settings.heartbeat) {
                    context.stop.stop(StopReason::Deadline);
                }
                if context.started.elapsed() > settings.budget {
                    context.stop.stop(StopReason::Budget);
                }
                if context.writer.since_kept() > settings.lease * 2 / 3 {
                    context.stop.stop(StopReason::LeaseLost);
                }
                // It keeps other writes waiting, the last one too.
                if is_stopped && !renewal.is_terminated() {
                    tracing::warn!("a renewal of the lease hangs; it is given up");
                    renewal.set(Fuse::terminated());
                }
                is_stopped = context.stop.reason().is_some();
                let is_time = context.writer.since_kept() >= settings.heartbeat;
                if renewal.is_terminated() && (is_time || context.writer.has_progress()) {
                    renewal.set(context.writer.keep(settings.lease).fuse());
                }
            }
        }
    }
}

/// Plans what comes after the visit.
async fn planned(worker: &Worker, job: &Job) -> Visit {
    if matches!(job.status, Status::Queued | Status::Processing)
        && let Err(visit) = worker.plan_wake(job).await
    {
        return visit;
    }
    Visit::Advanced
}

fn halted(halt: &Halt) -> Visit {
    match halt {
        Halt::Lost => {
            tracing::info!("another claim was made; leaving the job to it");
            Visit::NothingToDo
        }
        Halt::Ledger(error) => {
            tracing::warn!(%error, "the visit ends unrecorded; its lease runs out");
            Visit::Unavailable {
                message: error.to_string(),
            }
        }
        Halt::Failed(failure) => {
            tracing::error!(%failure, "the visit's end could not be recorded; its lease runs out");
            Visit::Unavailable {
                message: failure.to_string(),
            }
        }
        Halt::Crashed { how, .. } => {
            tracing::error!(how, "a crash could not be recorded; the lease runs out");
            Visit::Unavailable {
                message: "a crash could not be recorded".into(),
            }
        }
        Halt::NoPlace => Visit::Unavailable {
            message: "there is no place for media work".into(),
        },
        Halt::Stopped(reason) | Halt::Stuck(reason) => {
            tracing::warn!(?reason, "the visit was stopped while it ended");
            Visit::Unavailable {
                message: "the visit was stopped while it ended".into(),
            }
        }
    }
}
