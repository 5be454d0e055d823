//! The end of a round: one commit, then what may be lost without harm.

use super::cleaning;
use super::context::{Context, error_of};
use super::halt::Halt;
use super::stages::unanswered;
use crate::job::credits::CancelAfterSubmit;
use crate::job::{
    Code, CreditEntry, CreditState, Credits, CreditsMode, Ending, EntryKind, Failure, Job, Notice,
    Status,
};
use crate::ledger::{Settled, Settlement};
use crate::queue::Task;
use crate::telemetry::{metrics, spans};

/// The result stands: publish it, take the credits, tell the user.
pub(super) async fn completed(context: &Context<'_>) -> Result<Job, Halt> {
    settle(context, Status::Completed, None).await
}

pub(super) async fn failed(context: &Context<'_>, failure: Failure) -> Result<Job, Halt> {
    settle(context, Status::Failed, Some(failure)).await
}

/// Ends the round, or has it wait for what decides about its credits.
pub(super) async fn cancelled(context: &Context<'_>) -> Result<Job, Halt> {
    let job = context.writer.job().await;
    if job.credits.state == CreditState::Held
        && cost_of_cancelling(context, &job) == CancelAfterSubmit::Capture
        && let Some(waiting) = unanswered::await_proof(context).await?
    {
        return Ok(waiting);
    }
    let failure = Failure::new(Code::Cancelled, Code::Cancelled.about());
    settle(context, Status::Cancelled, Some(failure)).await
}

async fn settle(
    context: &Context<'_>,
    status: Status,
    failure: Option<Failure>,
) -> Result<Job, Halt> {
    unanswered::account_for(context).await?;
    let job = context.writer.job().await;
    let error = match &failure {
        Some(failure) => Some(error_of(context, failure).await),
        None => None,
    };
    let now = context.now();
    let (state, moves) = credits(context, &job, status);
    let channel = job
        .notify
        .channel()
        .unwrap_or_else(|| context.settings().channel.clone());
    let mut settlement = Settlement {
        ending: Ending {
            status,
            error,
            credits: state,
            at: now,
        },
        entry: moves
            .map(|(kind, amount)| CreditEntry::for_job(&job.id, job.round, kind, amount, now)),
        channel,
    };
    let mut settled = context.writer.settle(&settlement).await?;
    if settled == Settled::NoAccount {
        // Nothing was held on an account that is not there; a job that was to pay at its end
        // cannot, and is not given away.
        if status == Status::Completed && moves.is_some_and(|(kind, _)| kind == EntryKind::Deduct) {
            let failure = Failure::new(Code::InsufficientCredits, "The account does not exist.");
            settlement.ending.status = Status::Failed;
            settlement.ending.error = Some(error_of(context, &failure).await);
        } else {
            tracing::error!(job = %job.id, owner = %job.owner, "the account that held the credits is gone");
        }
        settlement.ending.credits = CreditState::None;
        settlement.entry = None;
        settled = context.writer.settle(&settlement).await?;
    }
    let Settled::Done { job, notice } = settled else {
        return Err(Halt::Lost);
    };
    tracing::info!(
        status = job.status.as_str(),
        round = job.round,
        attempt = job.attempt,
        "the job has ended"
    );
    let code = job
        .error
        .as_ref()
        .map_or("none", |error| error.code.as_str());
    spans::job_ended(&job, now);
    metrics::job_ended(job.params.kind().as_str(), job.status.as_str(), code);
    after_end(context, &job, &notice).await;
    Ok(*job)
}

/// What was agreed on when the job was created.
fn cost_of_cancelling(context: &Context<'_>, job: &Job) -> CancelAfterSubmit {
    let agreed = job.credits.cancel_after_submit;
    agreed.unwrap_or(context.settings().cancel_unsaid)
}

/// Where the credits go at the end of a round, and the entry that moves them.
fn credits(
    context: &Context<'_>,
    job: &Job,
    status: Status,
) -> (CreditState, Option<(EntryKind, Credits)>) {
    let amount = job.credits.cost.unwrap_or_default();
    let (state, kind) = match (job.credits.state, status) {
        (CreditState::Held, Status::Completed) => (CreditState::Captured, EntryKind::Capture),
        (CreditState::Held, Status::Cancelled)
            if job.has_paid() && cost_of_cancelling(context, job) == CancelAfterSubmit::Capture =>
        {
            (CreditState::Captured, EntryKind::Capture)
        }
        (CreditState::Held, _) => (CreditState::Released, EntryKind::Release),
        (CreditState::None, Status::Completed)
            if context.settings().credits == CreditsMode::DeductOnCompletion =>
        {
            (CreditState::Captured, EntryKind::Deduct)
        }
        (state, _) => return (state, None),
    };
    if amount == Credits(0) {
        (state, None)
    } else {
        (state, Some((kind, amount)))
    }
}

/// What is swept anyway if it does not happen now: the notice's task, work files.
async fn after_end(context: &Context<'_>, job: &Job, notice: &Notice) {
    let task = Task::deliver(notice);
    if let Err(error) = context.services.queue.schedule(&task, context.now()).await {
        tracing::warn!(%error, "the notice waits for the sweeper");
    }
    if let Err(error) = cleaning::after_round(context.services, job).await {
        tracing::warn!(%error, "work files stay until they are swept");
    }
}
