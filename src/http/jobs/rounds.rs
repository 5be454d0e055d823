//! What a caller may want of an ended job: another round, or nothing more.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::job::answer;
use super::view::JobView;
use super::{actions, request};
use crate::http::caller::Caller;
use crate::http::refusals::problems;
use crate::http::routes::Routes;
use crate::http::{HttpState, Problem, api};
use crate::job::JobId;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(retry))
        .routes(routes!(delete))
}

problems!(RetryProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, NotFound, Conflict, RequestTooLarge,
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
    let job = actions::retry(&state, &caller, &id, deadline).await?;
    answer(&state, &caller, &job, StatusCode::ACCEPTED).await
}

problems!(DeleteProblems: Unauthorized, Unauthorized as FORBIDDEN, NotFound, Conflict, InvalidJob, LedgerUnavailable,
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
    actions::delete(&state, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
