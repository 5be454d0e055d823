//! `/webhooks/wavespeed`: the provider says that a prediction is done.
//!
//! A hint: what it says is recorded and a visit planned, which asks the provider itself. For an
//! intent whose answer was lost it is the only proof, so it is recorded before it is answered.

use axum::extract::{Path, RawQuery, Request, State};
use axum::middleware;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::refusals::problems;
use super::routes::Routes;
use super::{HttpState, Problem, api};
use crate::job::{Code, JobId, Timestamp};
use crate::ledger::Callback;
use crate::provider::{CallbackError, Called, Signature};
use crate::queue::{Task, Why};
use crate::telemetry::metrics;

/// A prediction with its outputs is a few kilobytes; one with inputs in it may be far more.
const MAX_BYTES: usize = 1024 * 1024;
/// Ours are `{round}-{number}`.
const MAX_INTENT_CHARS: usize = 64;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(called_back))
        .layer(middleware::from_fn(api::in_time))
}

problems!(CallbackProblems: InvalidRequest, Unauthorized, NotFound, RequestTooLarge, InvalidJob,
    LedgerUnavailable, QueueUnavailable, Overloaded, InvalidRequest as REQUEST_TIMEOUT);

/// The provider calls back
///
/// A hint: it is recorded, and a visit asks the provider itself.
#[utoipa::path(
    post,
    path = "/webhooks/wavespeed/{job}/{intent}",
    operation_id = "callBack",
    tag = "callbacks",
    security(("callbackToken" = [])),
    params(
        ("job" = String, Path, description = "The job's id."),
        ("intent" = String, Path, description = "The submission it is about."),
    ),
    request_body(content = Object, content_type = "application/json",
        description = "A prediction, as the provider describes it.",
        example = json!({"id": "e6832d4abffb4d79bfbca19783fca133", "status": "completed"})),
    responses((status = 204, description = "Recorded."), CallbackProblems),
)]
async fn called_back(
    State(state): State<HttpState>,
    Path((job, intent)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<StatusCode, Problem> {
    let job: JobId = job.parse().map_err(|_| Problem::new(Code::NotFound))?;
    if intent.len() > MAX_INTENT_CHARS {
        return Err(Problem::new(Code::NotFound));
    }
    // The proof first: without it nobody has a body read, nor learns which jobs there are.
    let token = query.as_deref().and_then(token);
    if !state.callbacks.admits(&job, &intent, token.as_deref()) {
        return Err(refused(CallbackError::Token));
    }
    let headers = request.headers().clone();
    let body = api::body(request, &state, MAX_BYTES).await?;
    let now = state.clock.now();
    let read = state
        .callbacks
        .read(&job, &intent, token.as_deref(), &headers, &body, now);
    if let Ok(Called { signature, .. }) | Err(CallbackError::Signature(signature)) = &read {
        signed(&state, &job, *signature, now).await;
    }
    let prediction_id = read.map_err(refused)?.prediction_id;
    let Some(recorded) = state.ledger.read(&job).await? else {
        return Err(Problem::new(Code::NotFound));
    };
    let callback = Callback {
        intent,
        prediction_id,
        received_at: now,
    };
    let first = state.ledger.record_callback(&job, &callback).await?;
    tracing::info!(%job, intent = callback.intent, first, "the provider has called back");
    if !recorded.status.is_ended() {
        // A repeat plans again: the first may have been recorded without its visit.
        let task = Task::Job {
            id: job,
            seq: recorded.wake.seq,
            why: Why::Callback,
        };
        state.queue.schedule(&task, now).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Counts how the signature stands, and leaves a mark of it for `filmlab doctor`, which is another
/// process.
async fn signed(state: &HttpState, job: &JobId, signature: Signature, now: Timestamp) {
    metrics::called_back(signature.as_str());
    let mark = signature.mark(job);
    if let Err(error) = state.ledger.mark(&mark, now).await {
        tracing::debug!(%error, mark, "no mark of a callback's signature was left");
    }
}

fn token(query: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "t")
        .map(|(_, value)| value.into_owned())
}

fn refused(error: CallbackError) -> Problem {
    match error {
        CallbackError::Token | CallbackError::Signature(_) => {
            Problem::new(Code::Unauthorized).because(error)
        }
        CallbackError::Body(_) => Problem::new(Code::InvalidRequest)
            .detail("The callback cannot be understood.")
            .because(error),
    }
}
