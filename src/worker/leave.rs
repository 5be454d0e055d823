//! How a visit leaves a job that did not go on: what is recorded, and when the next visit is.

use super::context::{Context, error_of};
use super::end;
use super::failures::media_crashed;
use super::halt::{About, Halt};
use super::patience::Patience;
use super::stop::StopReason;
use crate::clock::elapsed;
use crate::job::{Change, Code, Disposition, Failure, Job, MAX_CRASHES, Party, Stage, WaitsFor};
use crate::ledger::LedgerError;
use crate::telemetry::metrics;

/// Whether nothing of the job itself keeps the visit from going on.
pub(super) fn may_give_back(halt: &Halt) -> bool {
    matches!(
        halt,
        Halt::Stopped(StopReason::LeaseLost | StopReason::Shutdown)
            | Halt::Ledger(LedgerError::Unavailable(_) | LedgerError::Unknown(_))
    )
}

/// Leaves the job as it is, with its lease, so that no attempt is used: an outage of the ledger
/// is no failure of the job. Tried for as long as a visit may take, unless the service stops;
/// another claim ends it.
pub(super) async fn give_back(context: &Context<'_>, halt: Halt) -> Result<Job, Halt> {
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
pub(super) async fn leave(context: &Context<'_>, halt: Halt) -> Result<Job, Halt> {
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
