//! What a caller may want of an ended job: another round, or nothing more.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::job::{answer, find, wake};
use super::request;
use super::view::JobView;
use crate::clock::later;
use crate::http::caller::Caller;
use crate::http::refusals::problems;
use crate::http::routes::Routes;
use crate::http::{HttpState, Problem, api};
use crate::job::{Code, Job, JobId};
use crate::ledger::{Deleted, LedgerError, Retried};
use crate::queue::Why;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(retry))
        .routes(routes!(delete))
}

problems!(RetryProblems: InvalidRequest, Unauthorized, NotFound, Conflict, RequestTooLarge,
    UnsupportedMediaType, InvalidJob, LedgerUnavailable, StorageUnavailable, Overloaded, OwnerLimit,
    InvalidRequest as REQUEST_TIMEOUT);

/// Give an ended job another round
///
/// For a job that failed or was cancelled. It begins again with the same inputs; credits are held
/// anew, and the round has its own notification.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/retry",
    operation_id = "retryJob",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    request_body(content = ref("#/components/schemas/RetryOptions"),
        content_type = "application/json", example = json!({"deadline_s": 3600})),
    responses(
        (status = 202, description = "The job, in its new round.", body = JobView,
            headers(("Cache-Control" = String, description = "`no-store`"))),
        RetryProblems,
    ),
)]
async fn retry(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let body = api::optional_json(request, &state).await?;
    let deadline = request::read_retry(&body).map_err(Problem::faults)?;
    let job = find(&state, &caller, &id).await?;
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
            if !job.status.is_ended() {
                wake(&state, &job, Why::Wake).await;
            }
            answer(&state, &caller, &job, StatusCode::ACCEPTED).await
        }
        Retried::NotEnded(job) => Err(running(&job)),
        Retried::Completed(_) => Err(Problem::new(Code::Conflict)
            .detail("The job is completed. For another result create another job.")),
        Retried::NotFound => Err(Problem::new(Code::NotFound)),
    }
}

fn running(job: &Job) -> Problem {
    Problem::new(Code::Conflict).detail(format!(
        "The job has not ended: it is {}.",
        job.status.as_str()
    ))
}

problems!(DeleteProblems: Unauthorized, NotFound, Conflict, InvalidJob, LedgerUnavailable,
    StorageUnavailable, ProviderUnavailable, ProviderProtocol, ProviderBusy, ProviderUnauthorized,
    ProviderRejected, ShuttingDown);

/// Delete an ended job
///
/// With its result, its objects and the provider's copy.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    operation_id = "deleteJob",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 204, description = "It is gone."), DeleteProblems),
)]
async fn delete(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find(&state, &caller, &id).await?;
    if !job.status.is_ended() {
        return Err(running(&job));
    }
    let deleted = Arc::clone(&state.worker).delete(job.id.clone()).await;
    state.shared.links.forget(&job.id);
    match deleted {
        Ok(Deleted::Done) => Ok(StatusCode::NO_CONTENT.into_response()),
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
