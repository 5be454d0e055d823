//! `/tasks`: what the queue and the scheduler bring.
//!
//! Only the status is read by the queue: 2xx deletes the task, everything else brings it again.
//! 429 and 503 would make Cloud Tasks slow the whole queue down, so a job that somebody else
//! holds answers 409, and a ledger that does not answer 500.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, middleware};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{HttpState, Problem, api, auth};
use crate::job::{Code, JobId};
use crate::queue::Why;
use crate::worker::{Cleaned, OutboxVisit, Swept, UNKNOWN_JOB_DELIVERIES, Visit};

pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/tasks/jobs/{id}", post(job))
        .route("/tasks/outbox/{id}", post(outbox))
        .route("/tasks/sweep", post(sweep))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            auth::only_tasks,
        ))
}

/// The body of a job's task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobTask {
    seq: u64,
    why: Why,
}

async fn job(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let deliveries = deliveries(request.headers());
    let api::Json(body) = api::Json::from_request(request, &state).await?;
    let task: JobTask = serde_json::from_value(body)
        .map_err(|error| Problem::fault("body", format!("is not a job's task: {error}")))?;
    let Ok(id) = id.parse::<JobId>() else {
        return unknown("a task names what cannot be a job", &id, deliveries);
    };
    tracing::debug!(job = %id, seq = task.seq, why = ?task.why, deliveries, "a task has come");
    answer_visit(
        state.worker.visit(id.clone(), task.seq).await,
        &id,
        deliveries,
    )
}

fn answer_visit(visit: Visit, id: &JobId, deliveries: u32) -> Result<Response, Problem> {
    match visit {
        Visit::Advanced => Ok(done("advanced")),
        Visit::NothingToDo => Ok(done("nothing_to_do")),
        Visit::Early { .. } => Ok(done("early")),
        Visit::Held { until } => {
            Err(Problem::new(Code::Conflict).detail(format!("The job is held until {until}.")))
        }
        Visit::NotFound => unknown("a task names no job", id.as_str(), deliveries),
        Visit::Draining => Err(draining()),
        Visit::Unavailable { message } => Err(unavailable(&message)),
    }
}

async fn outbox(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let visit = state.worker.deliver(id.clone()).await;
    answer_outbox(visit, &id, deliveries(&headers))
}

fn answer_outbox(visit: OutboxVisit, id: &str, deliveries: u32) -> Result<Response, Problem> {
    match visit {
        OutboxVisit::Delivered => Ok(done("delivered")),
        OutboxVisit::NothingToDo => Ok(done("nothing_to_do")),
        OutboxVisit::Planned { .. } => Ok(done("planned")),
        OutboxVisit::NotFound => unknown("a task names no notice", id, deliveries),
        OutboxVisit::Draining => Err(draining()),
        OutboxVisit::Unavailable { message } => Err(unavailable(&message)),
    }
}

async fn sweep(State(state): State<HttpState>) -> Result<Response, Problem> {
    let swept = Arc::clone(&state.worker).sweep().await;
    let swept = swept.map_err(|error| unavailable(&error.to_string()))?;
    // Afterwards: what is overdue does not wait for files to be deleted.
    let cleaned = state.worker.clean().await;
    Ok(Json(Housekeeping { swept, cleaned }).into_response())
}

/// What the scheduler gets to see.
#[derive(Debug, Serialize)]
struct Housekeeping {
    #[serde(flatten)]
    swept: Swept,
    /// Absent where it was done a short while ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    cleaned: Option<Cleaned>,
}

/// Counts from 1. Cloud Tasks tells how often it tried before.
fn deliveries(headers: &HeaderMap) -> u32 {
    headers
        .get("x-cloudtasks-taskretrycount")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u32>().ok())
        .unwrap_or(0)
        .saturating_add(1)
}

fn done(outcome: &str) -> Response {
    Json(json!({ "outcome": outcome })).into_response()
}

fn unknown(what: &str, id: &str, deliveries: u32) -> Result<Response, Problem> {
    if deliveries <= UNKNOWN_JOB_DELIVERIES {
        return Err(Problem::new(Code::NotFound));
    }
    let id: String = id.chars().take(200).collect();
    tracing::error!(id, deliveries, "{what}; the task is given up");
    Ok(done("unknown"))
}

fn draining() -> Problem {
    Problem::new(Code::ShuttingDown).status(StatusCode::CONFLICT)
}

fn unavailable(message: &str) -> Problem {
    Problem::new(Code::LedgerUnavailable)
        .status(StatusCode::INTERNAL_SERVER_ERROR)
        .because(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Timestamp;

    #[test]
    fn the_queue_reads_each_outcome_from_the_status() {
        let id: JobId = "j1".parse().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let unavailable = || Visit::Unavailable {
            message: "x".into(),
        };
        for (visit, deliveries, status) in [
            (Visit::Advanced, 1, 200),
            (Visit::NothingToDo, 1, 200),
            (Visit::Early { at }, 1, 200),
            (Visit::Held { until: at }, 1, 409),
            (Visit::NotFound, 1, 404),
            (Visit::NotFound, 5, 404),
            (Visit::NotFound, 6, 200),
            (Visit::Draining, 1, 409),
            (unavailable(), 9, 500),
        ] {
            let text = format!("{visit:?} {deliveries}");
            let got = answer_visit(visit, &id, deliveries)
                .map_or_else(|problem| problem.status, |response| response.status());
            assert_eq!(got.as_u16(), status, "{text}");
        }
        for (visit, deliveries, status) in [
            (OutboxVisit::Delivered, 1, 200),
            (OutboxVisit::NothingToDo, 1, 200),
            (OutboxVisit::Planned { at }, 1, 200),
            (OutboxVisit::NotFound, 5, 404),
            (OutboxVisit::NotFound, 6, 200),
            (OutboxVisit::Draining, 1, 409),
            (
                OutboxVisit::Unavailable {
                    message: "x".into(),
                },
                1,
                500,
            ),
        ] {
            let text = format!("{visit:?} {deliveries}");
            let got = answer_outbox(visit, "n", deliveries)
                .map_or_else(|problem| problem.status, |response| response.status());
            assert_eq!(got.as_u16(), status, "{text}");
        }
    }
}
