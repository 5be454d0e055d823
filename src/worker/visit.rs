//! One visit: stages in order, a heartbeat beside them, and an orderly leave.

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
use super::halt::{About, Halt, Step};
use super::outcome::Visit;
use super::patience::Patience;
use super::state::Worker;
use super::stop::{Stop, StopReason};
use super::writer::Writer;
use super::{end, stages};
use crate::clock::elapsed;
use crate::job::{
    Change, Claim, Code, Disposition, Failure, Job, MAX_CRASHES, Party, Stage, Status, WaitsFor,
};
use crate::ledger::LedgerError;
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

/// Whether nothing of the job itself keeps the visit from going on.
fn may_give_back(halt: &Halt) -> bool {
    matches!(
        halt,
        Halt::Stopped(StopReason::LeaseLost | StopReason::Shutdown)
            | Halt::Ledger(LedgerError::Unavailable(_) | LedgerError::Unknown(_))
    )
}

/// Leaves the job as it is, with its lease, so that no attempt is used: an outage of the ledger
/// is no failure of the job. Tried for as long as a visit may take, unless the service stops;
/// another claim ends it.
async fn give_back(context: &Context<'_>, halt: Halt) -> Result<Job, Halt> {
    let settings = context.settings();
    let patience = match context.stop.reason() {
        Some(StopReason::Shutdown) => Patience::short(settings.pauses),
        _ => Patience::until(context.started + settings.budget, settings.pauses),
    };
    let next_visit = context.now();
    let change = Change::GivenBack { next_visit };
    let given = tokio::select! {
        biased;
        given = context.writer.record_with(patience, &change) => given,
        () = context.worker.draining.cancelled(), if !context.worker.is_draining() => Err(halt),
    };
    if let Ok(job) = &given {
        tracing::info!(job = %job.id, stage = ?job.stage, "the job is left to another visit");
    }
    given
}

/// Records why the visit halts; gives the job as it was left.
async fn leave(context: &Context<'_>, halt: Halt) -> Result<Job, Halt> {
    match halt {
        Halt::Failed(failure) => fail(context, failure).await,
        Halt::Stopped(StopReason::Requested) => end::cancelled(context).await,
        Halt::Stopped(StopReason::Deadline) => {
            let deadline = Failure::new(Code::DeadlineExceeded, Code::DeadlineExceeded.about());
            // What the job was waiting for says more than that time ran out.
            let job = context.writer.job().await;
            let waited = |what: &str, party: Party| {
                let message = format!("{} It was waiting: {what}", deadline.message);
                Failure::new(Code::DeadlineExceeded, message).by(party)
            };
            let failure = match (context.awaited.now(), &job.error) {
                (Some(code), _) => waited(code.about(), code.party()),
                (None, Some(error)) => waited(&error.message, error.party),
                // Nothing failed, and it was not us who took so long.
                (None, None) if job.stage == Some(Stage::Generate) => {
                    let message = format!(
                        "{} The provider took it, and was not done by then.",
                        deadline.message
                    );
                    Failure::new(Code::DeadlineExceeded, message).by(Party::Provider)
                }
                (None, None) => deadline,
            };
            end::failed(context, failure).await
        }
        Halt::Stopped(StopReason::Budget) => {
            let failure = match context.awaited.now() {
                // Nobody of ours took the time.
                Some(code) => {
                    let message = format!("{} It was not done within one visit.", code.about());
                    Failure::new(code, message)
                }
                None => Failure::new(Code::TooLongToProcess, Code::TooLongToProcess.about())
                    .by(Party::Service),
            };
            fail(context, failure.with(Disposition::Retry)).await
        }
        Halt::Stopped(StopReason::Shutdown) => {
            let next_visit = context.now();
            context
                .writer
                .record(&Change::GivenBack { next_visit })
                .await
        }
        // Nothing of the job is wrong: no attempt is used.
        Halt::NoPlace => {
            let until = context.after(context.settings().busy_pause);
            let until = until.min(context.writer.job().await.deadline_at);
            let waited = Change::Waited {
                until,
                reason: None,
                what: WaitsFor::MediaPlace,
            };
            context.writer.record(&waited).await
        }
        Halt::Stuck(reason) => stuck(context, reason).await,
        Halt::Crashed { about, how } => crashed(context, about, &how).await,
        other => Err(other),
    }
}

/// A native call never came back: this process gives its other visits back and is replaced.
async fn stuck(context: &Context<'_>, reason: StopReason) -> Result<Job, Halt> {
    let job = context.writer.job().await;
    tracing::error!(
        job = %job.id, stage = ?job.stage, attempt = job.attempt, ?reason,
        "media work does not stop; the service gives its leases back and ends"
    );
    context.worker.watchdog.bark();
    match reason {
        StopReason::LeaseLost => Err(Halt::Lost),
        // Nothing is left to be tried for whoever does not want it any more.
        StopReason::Requested => end::cancelled(context).await,
        StopReason::Shutdown | StopReason::Deadline | StopReason::Budget => {
            fail(
                context,
                Failure::new(Code::MediaStuck, Code::MediaStuck.about()),
            )
            .await
        }
    }
}

/// A file ended the child that read it: no attempt of the job is used, and no other notices.
async fn crashed(context: &Context<'_>, about: About, how: &str) -> Result<Job, Halt> {
    let job = context.writer.job().await;
    let crashes = job.crashes + 1;
    tracing::warn!(
        phase = about.phase.as_str(),
        party = about.party.as_str(),
        crashes,
        "the child process that worked on the job {how}"
    );
    metrics::media_crashed(about.phase.as_str());
    if crashes >= MAX_CRASHES {
        context
            .writer
            .record(&Change::Crashed { next_visit: None })
            .await?;
        return end::failed(context, media_crashed(about.party)).await;
    }
    let settings = context.settings();
    let pause = settings.attempts.pause_after(crashes);
    let next_visit = context.after(pause.unwrap_or(settings.busy_pause));
    let next_visit = Some(next_visit.min(job.deadline_at));
    context.writer.record(&Change::Crashed { next_visit }).await
}

async fn fail(context: &Context<'_>, failure: Failure) -> Result<Job, Halt> {
    let job = context.writer.job().await;
    let source = failure.source.as_ref().map(ToString::to_string);
    tracing::warn!(
        code = failure.code.as_str(), party = failure.party.as_str(), stage = ?job.stage,
        attempt = job.attempt, source, "{}", failure.message
    );
    match failure.disposition {
        Disposition::Abort => end::failed(context, failure).await,
        Disposition::Wait | Disposition::Reconcile => {
            let mut error = error_of(context, &failure).await;
            let mut pause = context.settings().busy_pause;
            if failure.party == Party::Service {
                // It may be back in seconds, and may take hours. The error says since when.
                let known = job.error.as_ref();
                if let Some(known) = known.filter(|known| known.code == error.code) {
                    error.at = known.at;
                }
                let missing_for = elapsed(error.at, context.now());
                pause = context.settings().attempts.wait_after(missing_for);
            }
            let until = context.after(pause).min(job.deadline_at);
            let reason = Some(error);
            context
                .writer
                .record(&Change::Waited {
                    until,
                    reason,
                    what: WaitsFor::of(failure.code),
                })
                .await
        }
        Disposition::Retry => match context.settings().attempts.pause_after(job.attempt) {
            Some(pause) => {
                let error = error_of(context, &failure).await;
                let next_visit = context.after(pause).min(job.deadline_at);
                context
                    .writer
                    .record(&Change::AttemptFailed { error, next_visit })
                    .await
            }
            None => end::failed(context, failure).await,
        },
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
