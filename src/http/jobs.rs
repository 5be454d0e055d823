//! `/v1`: jobs from their creation to their deletion, and uploading their inputs.

pub(super) mod actions;
pub(super) mod events;
mod idempotency;
pub(super) mod job;
pub(super) mod link_cache;
mod links;
mod notifications;
pub(super) mod query;
pub(super) mod request;
mod rounds;
mod shape;
pub(super) mod sources;
pub(super) mod streams;
mod texts;
pub(super) mod uploads;
pub(super) mod view;

use axum::extract::{FromRequest as _, Path, RawQuery, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use notifications::{NotificationList, NotificationView};
pub(super) use request::schemas;
pub use streams::{EventPace, EventStreams};
pub use view::{JobPage, JobView, ResultView, WaitingView};

use self::job::{answer, find};
use self::query::{read_query, write_token};
use super::caller::Caller;
use super::refusals::problems;
use super::routes::Routes;
use super::{HttpState, Problem, api};
use crate::job::{Code, Fault, Idempotency, JobId};
use crate::ledger::{Created, PageToken};
use crate::telemetry::TraceContext;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(read))
        .routes(routes!(cancel))
        .merge(rounds::routes())
        .merge(notifications::routes())
        .merge(links::routes())
        .layer(middleware::from_fn(api::in_time))
        // An upload takes as long as its bytes do; it has limits of its own.
        .merge(sources::routes())
        // A stream lasts as long as the job does.
        .merge(events::routes())
}

problems!(CreateProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, InvalidJob, RequestTooLarge,
    UnsupportedMediaType, IdempotencyConflict, LedgerUnavailable, StorageUnavailable, Overloaded,
    OwnerLimit, InvalidRequest as REQUEST_TIMEOUT);

/// Create a job
///
/// It is recorded, and begun at once. Faults of the request are told all at once. With an
/// `Idempotency-Key` the same request may be sent again without a second job.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "createJob",
    tag = "jobs",
    security(("apiToken" = [])),
    params(
        idempotency::IdempotencyKey,
    ),
    request_body(
        content = ref("#/components/schemas/NewJob"),
        content_type = "application/json",
        examples(
            ("upscale" = (value = json!({
                "kind": "upscale",
                "source": {"video": "https://media.example.com/clip.mp4"},
                "params": {"target": "1080p"},
            }))),
            ("extend" = (value = json!({
                "kind": "extend",
                "source": {"video": "https://media.example.com/clip.mp4"},
                "params": {"prompt": "the camera moves on", "seconds": 5, "resolution": "720p"},
                "deadline_s": 3600,
            }))),
            ("character_replace" = (value = json!({
                "kind": "character_replace",
                "source": {
                    "video": "https://media.example.com/clip.mp4",
                    "image": "https://media.example.com/hero.png",
                },
                "params": {"resolution": "480p", "seed": 7},
                "output": {"profile": "small", "watermark": {"anchor": "top-left", "scale": "12%"}},
                "notify": {"webhook": "https://app.example.com/hooks/filmlab"},
            }))),
        ),
    ),
    responses(
        (status = 201, description = "The job was created.", body = JobView,
            headers(("Location" = String, description = "Where the job is read."),
                    ("Cache-Control" = String, description = "`no-store`"))),
        (status = 200, description = "This key was used before, for the same request: the job it \
                                      made.", body = JobView,
            headers(("Cache-Control" = String, description = "`no-store`"))),
        CreateProblems,
    ),
)]
async fn create(
    State(state): State<HttpState>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency::idempotency_key(request.headers());
    let trace = TraceContext::read(request.headers());
    let api::Json(body) = api::Json::from_request(request, &state).await?;
    let wanted = request::read(&body, &caller, &state).await;
    let (key, wanted) = match (key, wanted) {
        (Ok(key), Ok(wanted)) => (key, wanted),
        (key, wanted) => {
            let mut faults: Vec<Fault> = key.err().into_iter().collect();
            faults.extend(wanted.err().unwrap_or_default());
            return Err(Problem::faults(faults));
        }
    };
    let idempotency = key.map(|key| Idempotency {
        key,
        request_sha256: idempotency::digest(&body, &wanted.owner),
    });
    match actions::create(&state, &caller, wanted, idempotency, trace.as_ref()).await? {
        Created::New(job) => answer(&state, &caller, &job, StatusCode::CREATED).await,
        Created::Existing(job) => answer(&state, &caller, &job, StatusCode::OK).await,
        Created::KeyReused => Err(Problem::new(Code::IdempotencyConflict)),
        Created::IdTaken => {
            Err(Problem::new(Code::Internal).because("a fresh job id was taken already"))
        }
    }
}

problems!(ReadProblems: Unauthorized, NotFound, InvalidJob, LedgerUnavailable,
    StorageUnavailable);

/// Read a job
///
/// With fresh links to its result once it is completed.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "getJob",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job.", body = JobView,
            headers(("Cache-Control" = String, description = "`no-store`"))),
        ReadProblems,
    ),
)]
async fn read(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find(&state, &caller, &id).await?;
    answer(&state, &caller, &job, StatusCode::OK).await
}

problems!(CancelProblems: Unauthorized, Unauthorized as FORBIDDEN, NotFound, Conflict, InvalidJob, LedgerUnavailable,
    StorageUnavailable);

/// Cancel a job
///
/// The wish is recorded; the worker acts on it at its next step. A job that was cancelled before
/// answers the same; one that ended otherwise is a conflict.
///
/// Before the provider has taken the job its credits come back. Afterwards they are charged if
/// `credits.cancel_after_submit` of the job is `capture`. While nobody knows whether the provider
/// took it, the job goes on waiting for the answer, some minutes at most, and is cancelled then.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    operation_id = "cancelJob",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 202, description = "The job, as it is now.", body = JobView,
            headers(("Cache-Control" = String, description = "`no-store`"))),
        CancelProblems,
    ),
)]
async fn cancel(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = actions::cancel(&state, &caller, &id).await?;
    answer(&state, &caller, &job, StatusCode::ACCEPTED).await
}

problems!(ListProblems: InvalidRequest, Unauthorized, InvalidJob, LedgerUnavailable);

/// List jobs
///
/// Newest first; an owner's token lists that owner's. Without links: reading a job gives them.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "listJobs",
    tag = "jobs",
    security(("apiToken" = [])),
    params(
        query::ListParameters,
    ),
    responses(
        (status = 200, description = "A page of jobs.", body = JobPage),
        ListProblems,
    ),
)]
async fn list(
    State(state): State<HttpState>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.as_deref().unwrap_or_default();
    let query = read_query(query, &caller).map_err(Problem::faults)?;
    let jobs = state.ledger.list(&query).await?;
    // A full page may be the last one; the next is then empty.
    let next_page_token = jobs
        .last()
        .filter(|_| jobs.len() >= query.limit as usize)
        .map(|last| {
            write_token(&PageToken {
                created_at: last.created_at,
                id: last.id.clone(),
            })
        });
    let page = JobPage {
        jobs: jobs
            .iter()
            .map(|job| JobView::without_links(job, &state))
            .collect(),
        next_page_token,
    };
    Ok(axum::Json(page).into_response())
}
