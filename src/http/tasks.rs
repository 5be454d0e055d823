//! `/tasks`: what the queue and the scheduler bring.
//!
//! Only the status is read by the queue: 2xx deletes the task, everything else brings it again.
//! 429 and 503 would make Cloud Tasks slow the whole queue down, so a job that somebody else
//! holds answers 409, as does one whose owner has no place now, and a ledger that does not answer
//! 500.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, middleware};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::refusals::problems;
use super::routes::Routes;
use super::{HttpState, Problem, api, auth};
use crate::fields;
use crate::job::{Code, JobId};
use crate::queue::Why;
use crate::worker::{self, Cleaned, DeliveryOutcome, Swept, UNKNOWN_JOB_DELIVERIES, Visit};

pub(super) fn routes(state: &HttpState) -> Routes {
    OpenApiRouter::new()
        .routes(routes!(job))
        .routes(routes!(outbox))
        .routes(routes!(sweep))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            auth::only_tasks,
        ))
}

/// The body of a job's task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobTask {
    #[serde(deserialize_with = "whole")]
    seq: u64,
    why: Why,
}

/// `3` and `3.0` are the same number to JSON.
fn whole<'de, D: serde::Deserializer<'de>>(value: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(value)?;
    fields::whole(&value)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| serde::de::Error::custom("seq must be a whole number from 0"))
}

/// What became of a task.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Advanced,
    NothingToDo,
    Early,
    Delivered,
    Planned,
    /// Given up: nothing has that name.
    Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
struct Done {
    outcome: Outcome,
}

/// Schemas that are no type of ours, by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let schema = json!({
        "type": "object",
        "description": "The body of a job's task.",
        "required": ["seq", "why"],
        "additionalProperties": false,
        "properties": {
            "seq": {"type": "integer", "minimum": 0, "maximum": i64::MAX,
                "description": "The number of the wake-up."},
            "why": {"type": "string", "enum": ["wake", "cancel", "callback"]},
        },
    });
    vec![("JobTask", schema)]
}

problems!(JobProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, NotFound, Conflict,
    ShuttingDown as CONFLICT, Overloaded as CONFLICT, RequestTooLarge, UnsupportedMediaType,
    LedgerUnavailable as INTERNAL_SERVER_ERROR, InvalidRequest as REQUEST_TIMEOUT);

/// Visit a job
///
/// Answers when the job has been moved as far as it goes, up to `worker.budget`. A job that
/// somebody else holds is a conflict: the queue brings the task again. An unknown one answers 404
/// five times, then 200, so that the queue forgets it.
#[utoipa::path(
    post,
    path = "/tasks/jobs/{id}",
    operation_id = "visitJob",
    tag = "tasks",
    security(("queueToken" = [])),
    params(
        ("id" = String, Path, description = "The job's id."),
        ("X-CloudTasks-TaskRetryCount" = Option<String>, Header,
            description = "How often the task was brought before; 0 where it is no number."),
    ),
    request_body(content = ref("#/components/schemas/JobTask"), content_type = "application/json",
        example = json!({"seq": 3, "why": "wake"})),
    responses((status = 200, description = "What came of it.", body = Done), JobProblems),
)]
async fn job(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let deliveries = deliveries(request.headers());
    let body = api::Json::from_request(request, &state).await;
    let api::Json(body) = body.map_err(|problem| match problem.code {
        Code::Overloaded => problem.status(StatusCode::CONFLICT),
        _ => problem,
    })?;
    let task: JobTask = serde_json::from_value(body)
        .map_err(|error| Problem::fault("body", format!("is not a job's task: {error}")))?;
    let Ok(id) = id.parse::<JobId>() else {
        unknown(deliveries)?;
        let id: String = id.chars().take(200).collect();
        tracing::error!(
            id,
            deliveries,
            "a task names what cannot be a job; it is given up"
        );
        return Ok(done(Outcome::Unknown));
    };
    tracing::debug!(job = %id, seq = task.seq, why = ?task.why, deliveries, "a task has come");
    answer_visit(
        state.worker.visit(id.clone(), task.seq).await,
        &id,
        task.seq,
        deliveries,
    )
}

fn answer_visit(visit: Visit, id: &JobId, seq: u64, deliveries: u32) -> Result<Response, Problem> {
    match visit {
        Visit::Advanced => Ok(done(Outcome::Advanced)),
        Visit::NothingToDo => Ok(done(Outcome::NothingToDo)),
        Visit::Early { .. } => Ok(done(Outcome::Early)),
        Visit::Leased { until } => {
            Err(Problem::new(Code::Conflict).detail(format!("The job is held until {until}.")))
        }
        Visit::NotFound => {
            unknown(deliveries)?;
            worker::unknown_job(id, seq);
            Ok(done(Outcome::Unknown))
        }
        Visit::LeftAlone => Err(left_alone()),
        Visit::Busy => Err(busy()),
        Visit::Draining => Err(draining()),
        Visit::Unavailable { message } => Err(unavailable(&message)),
    }
}

problems!(DeliveryProblems: Unauthorized, Unauthorized as FORBIDDEN, NotFound,
    ShuttingDown as CONFLICT, Overloaded as CONFLICT,
    LedgerUnavailable as INTERNAL_SERVER_ERROR);

/// Deliver a notification
#[utoipa::path(
    post,
    path = "/tasks/outbox/{id}",
    operation_id = "deliverNotification",
    tag = "tasks",
    security(("queueToken" = [])),
    params(
        ("id" = String, Path, description = "The notification's id."),
        ("X-CloudTasks-TaskRetryCount" = Option<String>, Header,
            description = "How often the task was brought before; 0 where it is no number."),
    ),
    responses((status = 200, description = "What came of it.", body = Done), DeliveryProblems),
)]
async fn outbox(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let visit = state.worker.deliver(id.clone()).await;
    answer_delivery(visit, &id, deliveries(&headers))
}

fn answer_delivery(visit: DeliveryOutcome, id: &str, deliveries: u32) -> Result<Response, Problem> {
    match visit {
        DeliveryOutcome::Delivered => Ok(done(Outcome::Delivered)),
        DeliveryOutcome::NothingToDo => Ok(done(Outcome::NothingToDo)),
        DeliveryOutcome::Planned { .. } => Ok(done(Outcome::Planned)),
        DeliveryOutcome::NotFound => {
            unknown(deliveries)?;
            worker::unknown_notice(id);
            Ok(done(Outcome::Unknown))
        }
        DeliveryOutcome::LeftAlone => Err(left_alone()),
        DeliveryOutcome::Busy => Err(busy()),
        DeliveryOutcome::Draining => Err(draining()),
        DeliveryOutcome::Unavailable { message } => Err(unavailable(&message)),
    }
}

problems!(SweepProblems: Unauthorized, Unauthorized as FORBIDDEN,
    LedgerUnavailable as INTERNAL_SERVER_ERROR);

/// Wake what is overdue
#[utoipa::path(
    post,
    path = "/tasks/sweep",
    operation_id = "sweep",
    tag = "tasks",
    security(("queueToken" = [])),
    responses((status = 200, description = "How much was woken and deleted.", body = Housekeeping), SweepProblems),
)]
async fn sweep(State(state): State<HttpState>) -> Result<Response, Problem> {
    // Neither waits for the other, nor stops where the other fails.
    let sweep = Arc::clone(&state.worker).sweep();
    let (swept, cleaned) = tokio::join!(sweep, state.worker.clone().clean());
    let swept = swept.map_err(|error| unavailable(&error.to_string()))?;
    Ok(Json(Housekeeping { swept, cleaned }).into_response())
}

/// What the scheduler gets to see.
#[derive(Debug, Serialize, ToSchema)]
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

fn done(outcome: Outcome) -> Response {
    Json(Done { outcome }).into_response()
}

/// What a task names may still be on its way.
fn unknown(deliveries: u32) -> Result<(), Problem> {
    if deliveries <= UNKNOWN_JOB_DELIVERIES {
        return Err(Problem::new(Code::NotFound));
    }
    Ok(())
}

fn left_alone() -> Problem {
    Problem::new(Code::Conflict).detail("It is of a newer release of this service.")
}

fn draining() -> Problem {
    Problem::new(Code::ShuttingDown).status(StatusCode::CONFLICT)
}

/// Not 503, which would slow the whole queue down: others' tasks find their places.
fn busy() -> Problem {
    let message = "There is no place for this owner's task now.";
    let problem = Problem::new(Code::Overloaded).detail(message);
    problem.status(StatusCode::CONFLICT)
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
            (Visit::Leased { until: at }, 1, 409),
            (Visit::NotFound, 1, 404),
            (Visit::NotFound, 5, 404),
            (Visit::NotFound, 6, 200),
            (Visit::Busy, 9, 409),
            (Visit::LeftAlone, 9, 409),
            (Visit::Draining, 1, 409),
            (unavailable(), 9, 500),
        ] {
            let text = format!("{visit:?} {deliveries}");
            let got = answer_visit(visit, &id, 2, deliveries)
                .map_or_else(|problem| problem.status, |response| response.status());
            assert_eq!(got.as_u16(), status, "{text}");
        }
        for (visit, deliveries, status) in [
            (DeliveryOutcome::Delivered, 1, 200),
            (DeliveryOutcome::NothingToDo, 1, 200),
            (DeliveryOutcome::Planned { at }, 1, 200),
            (DeliveryOutcome::NotFound, 5, 404),
            (DeliveryOutcome::NotFound, 6, 200),
            (DeliveryOutcome::Busy, 9, 409),
            (DeliveryOutcome::Draining, 1, 409),
            (
                DeliveryOutcome::Unavailable {
                    message: "x".into(),
                },
                1,
                500,
            ),
        ] {
            let text = format!("{visit:?} {deliveries}");
            let got = answer_delivery(visit, "n", deliveries)
                .map_or_else(|problem| problem.status, |response| response.status());
            assert_eq!(got.as_u16(), status, "{text}");
        }
    }
}
