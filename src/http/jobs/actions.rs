//! What may be done about a job, for whichever way in: each is found for its caller, done, and
//! written down.

use std::sync::Arc;
use std::time::Duration;

use super::job::{find, wake};
use super::request::Wanted;
use crate::clock::later;
use crate::http::audit::audit;
use crate::http::caller::Caller;
use crate::http::{HttpState, Problem};
use crate::job::{Code, Idempotency, Job, JobId, NewJob, Notice, Status};
use crate::ledger::{CancelRequest, Created, Deleted, LedgerError, Retried};
use crate::queue::{Task, Why};
use crate::telemetry::TraceContext;

/// Makes a job, and has it begun at once.
pub(in crate::http) async fn create(
    state: &HttpState,
    caller: &Caller,
    wanted: Wanted,
    idempotency: Option<Idempotency>,
    trace: Option<&TraceContext>,
) -> Result<Created, Problem> {
    let now = state.clock.now();
    let deadline = wanted.deadline.unwrap_or(state.settings.default_deadline);
    let mut provenance = state.settings.provenance.clone();
    provenance.label = wanted.label(&state.settings);
    let new = NewJob {
        id: JobId::generate(),
        owner: wanted.owner,
        params: wanted.params,
        source: wanted.source,
        output: wanted.output,
        notify: wanted.notify,
        cost: None,
        tags: wanted.tags,
        max_price: wanted.max_price,
        traceparent: trace.and_then(TraceContext::traceparent),
        cancel_after_submit: Some(state.settings.cancel_after_submit),
        provenance: Some(provenance),
        deadline_at: later(now, deadline),
        created_at: now,
        idempotency,
    };
    let created = state.ledger.create(new).await?;
    if let Created::New(job) = &created {
        audit(caller, "create", &job.id);
        wake(state, job, Why::Wake).await;
    }
    Ok(created)
}

/// Notes that the job is to end. One that was cancelled before is no fault.
pub(in crate::http) async fn cancel(
    state: &HttpState,
    caller: &Caller,
    id: &str,
) -> Result<Box<Job>, Problem> {
    let job = find(state, caller, id).await?;
    let now = state.clock.now();
    match state.ledger.request_cancel(&job.id, now).await? {
        CancelRequest::Noted(job) => {
            audit(caller, "cancel", &job.id);
            wake(state, &job, Why::Cancel).await;
            Ok(job)
        }
        CancelRequest::Ended(job) if job.status == Status::Cancelled => Ok(job),
        CancelRequest::Ended(job) => Err(Problem::new(Code::Conflict).detail(format!(
            "The job has ended already: it is {}.",
            job.status.as_str()
        ))),
        CancelRequest::NotFound => Err(Problem::new(Code::NotFound)),
    }
}

/// Begins another round of a job that failed or was cancelled.
pub(in crate::http) async fn retry(
    state: &HttpState,
    caller: &Caller,
    id: &str,
    deadline: Option<Duration>,
) -> Result<Box<Job>, Problem> {
    let job = find(state, caller, id).await?;
    let now = state.clock.now();
    let deadline_at = later(now, deadline.unwrap_or(state.settings.default_deadline));
    let ledger = &state.ledger;
    let retried = match ledger.retry(&job.id, job.round, now, deadline_at).await {
        // Asking again tells, since the round is named.
        Err(LedgerError::Unknown(_)) => ledger.retry(&job.id, job.round, now, deadline_at).await?,
        other => other?,
    };
    match retried {
        Retried::Done(job) | Retried::Begun(job) => {
            audit(caller, "retry", &job.id);
            if !job.status.is_ended() {
                wake(state, &job, Why::Wake).await;
            }
            Ok(job)
        }
        Retried::NotEnded(job) => Err(running(&job)),
        Retried::Completed(_) => Err(Problem::new(Code::Conflict)
            .detail("The job is completed. For another result create another job.")),
        Retried::NotFound => Err(Problem::new(Code::NotFound)),
    }
}

/// Deletes an ended job, its objects and the provider's copy.
pub(in crate::http) async fn delete(
    state: &HttpState,
    caller: &Caller,
    id: &str,
) -> Result<(), Problem> {
    let job = find(state, caller, id).await?;
    if !job.status.is_ended() {
        return Err(running(&job));
    }
    let deleted = Arc::clone(&state.worker).delete(job.id.clone()).await;
    state.shared.links.forget(&job.id);
    match deleted {
        Ok(Deleted::Done) => {
            audit(caller, "delete", &job.id);
            Ok(())
        }
        Ok(Deleted::NotEnded(job)) => Err(running(&job)),
        Ok(Deleted::NotFound) => Err(Problem::new(Code::NotFound)),
        Err(failure) => {
            let reason = match &failure.source {
                Some(source) => format!("{failure}: {source}"),
                None => failure.to_string(),
            };
            Err(Problem::new(failure.code).because(reason))
        }
    }
}

/// Sends the notice of a round on its way once more; by default the last one's.
pub(in crate::http) async fn replay(
    state: &HttpState,
    caller: &Caller,
    id: &str,
    round: Option<u32>,
) -> Result<Notice, Problem> {
    let job = find(state, caller, id).await?;
    let notices = state.ledger.notices(&job.id).await?;
    let wanted = match round {
        Some(round) => notices.iter().find(|notice| notice.round() == Some(round)),
        None => notices.last(),
    };
    let Some(wanted) = wanted else {
        return Err(match round {
            Some(round) => Problem::new(Code::NotFound)
                .detail(format!("There is no notification of round {round}.")),
            None => Problem::new(Code::Conflict).detail("No round of the job has ended yet."),
        });
    };
    let now = state.clock.now();
    let Some(notice) = state.ledger.replay(&wanted.id, now).await? else {
        return Err(Problem::new(Code::NotFound));
    };
    audit(caller, "replay", &job.id);
    let task = Task::deliver(&notice);
    if let Err(error) = state.queue.schedule(&task, now).await {
        tracing::error!(%task, %error, "a delivery was not planned; the sweeper will");
    }
    Ok(notice)
}

fn running(job: &Job) -> Problem {
    Problem::new(Code::Conflict).detail(format!(
        "The job has not ended: it is {}.",
        job.status.as_str()
    ))
}
