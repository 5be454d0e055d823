//! The catalogue's address, and the one that makes it drift.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::answers::{self, refusal};
use super::drift::{Drift, Drifts};
use super::state::State;

/// More than a person writes.
const MAX_DRIFTS: usize = 100;

/// `GET /models`
pub(super) async fn models(Extract(state): Extract<Arc<State>>) -> Response {
    let drifts = state.lock().drifts.clone();
    for drift in &drifts.0 {
        match drift {
            Drift::Late { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Drift::Unreachable => return answers::gateway(503),
            Drift::Malformed => return "{\"code\":200,\"data\":[{\"model_id\":".into_response(),
            _ => {}
        }
    }
    answers::ok(&json!(drifts.listing()))
}

pub(super) async fn drifts(Extract(state): Extract<Arc<State>>) -> Json<Drifts> {
    Json(state.lock().drifts.clone())
}

/// One or several, added to those in force.
pub(super) async fn add(
    Extract(state): Extract<Arc<State>>,
    Json(given): Json<Value>,
) -> Result<Json<Drifts>, Response> {
    let given = if given.is_array() {
        given
    } else {
        json!([given])
    };
    let Ok(Drifts(more)) = serde_json::from_value(given) else {
        let said = "a drift is {\"drift\": name, …}, or a list of them";
        return Err(refusal(StatusCode::BAD_REQUEST, Some(1401), said));
    };
    let mut inner = state.lock();
    inner.drifts.0.extend(more);
    inner.drifts.0.truncate(MAX_DRIFTS);
    Ok(Json(inner.drifts.clone()))
}

pub(super) async fn clear(Extract(state): Extract<Arc<State>>) -> StatusCode {
    state.lock().drifts = Drifts::default();
    StatusCode::NO_CONTENT
}
