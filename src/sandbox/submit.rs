//! Taking submissions, or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answers::{self, busy, refusal};
use super::catalog::{self, CatalogModel};
use super::connection::Switch;
use super::faults::Fault;
use super::state::{Inner, PollErrors, Prediction, State, SubmissionRecord, record, remove};
use super::work;
use crate::clock::{Clock, SystemClock};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    webhook: Option<String>,
}

pub(super) async fn submit(
    Extract(state): Extract<Arc<State>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    Path(model): Path<String>,
    Query(asked): Query<Asked>,
    body: Bytes,
) -> Response {
    let listed = |id: &&CatalogModel| !state.lock().drifts.is_gone(id.id);
    let Some(model) = catalog::find(&model).filter(listed) else {
        return answers::not_found("model not found");
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, Some(1401), "invalid JSON");
    };
    let (answer, faults) = match take(&state, model, body, asked.webhook.as_deref()) {
        Ok(taken) => taken,
        Err(refused) => return refused.answer(),
    };
    for fault in &faults {
        match fault {
            Fault::AnswerLost => switch.cut(),
            Fault::AcceptedThen5xx { status } => return answers::gateway(*status),
            Fault::GarbageAnswer => return "{\"code\":200,\"data\":{\"id\":".into_response(),
            Fault::AnswerLate { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            _ => {}
        }
    }
    answers::ok(&answer)
}

/// Why a submission is not taken.
enum Refused {
    Fault(Fault),
    Parameter(catalog::Invalid),
    Full,
}

impl Refused {
    fn answer(self) -> Response {
        match self {
            Self::Full => busy(None, "You have reached your concurrency limit"),
            Self::Parameter((code, message)) => {
                refusal(StatusCode::BAD_REQUEST, Some(code), &message)
            }
            Self::Fault(fault) => refuse(fault),
        }
    }
}

/// The answer to a fault that refuses.
fn refuse(fault: Fault) -> Response {
    match fault {
        Fault::TooManyRequests { retry_after } => busy(retry_after, "Too many requests"),
        Fault::Unauthorized => answers::unauthorized(),
        Fault::NoFunds => refusal(
            StatusCode::PAYMENT_REQUIRED,
            Some(1407),
            "Insufficient credits.",
        ),
        Fault::Reject { code, message } => refusal(StatusCode::BAD_REQUEST, Some(code), &message),
        Fault::UnknownModel => answers::not_found("model not found"),
        Fault::RefuseContent => refusal(
            StatusCode::BAD_REQUEST,
            Some(1200),
            "The content was refused by moderation.",
        ),
        Fault::EnvelopeError { code, message } => {
            Json(json!({"code": code, "message": message, "data": null})).into_response()
        }
        Fault::Redirect { to } => (
            StatusCode::TEMPORARY_REDIRECT,
            [(http::header::LOCATION, to)],
        )
            .into_response(),
        // The others take the submission first.
        _ => answers::gateway(500),
    }
}

/// Checks, records and starts a submission; gives its answer and the faults that follow it.
fn take(
    state: &Arc<State>,
    model: &CatalogModel,
    body: Value,
    webhook: Option<&str>,
) -> Result<(Value, Vec<Fault>), Refused> {
    let mut inner = state.lock();
    let Inner { faults, rng, .. } = &mut *inner;
    if let Some(fault) = faults.refusal(model.kind, model.id, rng) {
        return Err(Refused::Fault(fault));
    }
    model.check(&body).map_err(Refused::Parameter)?;
    let moved = inner.drifts.check(model.id, &body);
    moved.map_err(Refused::Parameter)?;
    if inner.running() >= state.config.max_running {
        return Err(Refused::Full);
    }
    let Inner { faults, rng, .. } = &mut *inner;
    let faults = faults.rest(model.kind, model.id, rng);
    let prediction = prediction(
        inner.new_id(),
        model,
        body,
        webhook,
        faults.clone(),
        state.config.polls_until_done,
    );
    record(
        &mut inner.submissions,
        SubmissionRecord {
            model: prediction.model.clone(),
            body: prediction.input.clone(),
            prediction_id: prediction.id.clone(),
            webhook: webhook.map(ToOwned::to_owned),
            faults: faults.clone(),
        },
    );
    let answer = prediction.data(&state.base);
    let id = prediction.id.clone();
    inner.predictions.insert(id.clone(), prediction);
    let gone = inner.forget_oldest(&state.folder);
    drop(inner);
    state.tasks.spawn(remove(gone));
    // Its own task: whatever becomes of this connection, the prediction goes on.
    state.tasks.spawn(work::run(Arc::clone(state), id));
    Ok((answer, faults))
}

fn prediction(
    id: String,
    model: &CatalogModel,
    input: Value,
    webhook: Option<&str>,
    faults: Vec<Fault>,
    polls_until_done: u32,
) -> Prediction {
    let mut prediction = Prediction {
        id,
        model: model.id.to_owned(),
        kind: model.kind,
        input,
        created_at: SystemClock.now(),
        accepted: Instant::now(),
        took: Duration::ZERO,
        webhook: webhook.and_then(|text| Url::parse(text).ok()),
        faults,
        polls: 0,
        polls_needed: polls_until_done,
        poll_errors: PollErrors::default(),
        closed_downloads: (0, 0),
        unknown_polls: 0,
        started: false,
        outcome: None,
        shown: false,
    };
    for fault in &prediction.faults {
        match fault {
            Fault::Slow { polls } => prediction.polls_needed += polls,
            Fault::UnknownStatus { polls } => {
                prediction.unknown_polls = *polls;
                prediction.polls_needed = prediction.polls_needed.max(*polls);
            }
            Fault::PollErrors {
                polls,
                status,
                retry_after,
                envelope,
            } => {
                prediction.poll_errors = PollErrors {
                    times: *polls,
                    status: *status,
                    retry_after: *retry_after,
                    envelope: *envelope,
                };
            }
            Fault::OutputGone { downloads, status } => {
                prediction.closed_downloads = (downloads.unwrap_or(u32::MAX), *status);
            }
            _ => {}
        }
    }
    prediction
}
