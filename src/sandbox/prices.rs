//! What a run would cost, and what the account has.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, refusal};
use super::catalog;
use super::length;
use super::state::State;
use super::work;
use crate::job::Kind;

/// Quoted where the inputs do not say how long the video is.
const UNTOLD_S: f64 = 5.0;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    model_id: Option<String>,
    #[serde(default)]
    inputs: Value,
}

pub(super) async fn balance(Extract(state): Extract<Arc<State>>) -> Response {
    answers::ok(&json!({"balance": state.config.balance}))
}

/// Nothing is checked beyond the model, as the real service quotes the floor of what it is not
/// told.
pub(super) async fn price(
    Extract(state): Extract<Arc<State>>,
    Json(asked): Json<Asked>,
) -> Response {
    let Some(id) = asked.model_id else {
        return refusal(
            StatusCode::BAD_REQUEST,
            Some(1400),
            "Missing required parameter: model_id.",
        );
    };
    let (is_gone, factor) = {
        let drifts = &state.lock().drifts;
        (drifts.is_gone(&id), drifts.price_factor(&id))
    };
    let Some(model) = catalog::find(&id).filter(|_| !is_gone) else {
        return answers::not_found("model not found");
    };
    let seconds = if model.kind == Kind::Extend && !model.bills_source {
        None
    } else {
        video_seconds(&state, &asked.inputs).await
    };
    let price = factor * model.price(&asked.inputs, seconds.unwrap_or(UNTOLD_S));
    // To a hundredth of a cent, as a bill would be.
    let price = (price * 10_000.0).round() / 10_000.0;
    answers::ok(&json!({
        "model_id": id,
        "price": price,
        "discounted_price": price,
        "discount_rate": 0,
        "currency": "USD",
    }))
}

/// `None` where there is no video, or none that can be read.
async fn video_seconds(state: &State, inputs: &Value) -> Option<f64> {
    inputs["video"].as_str()?;
    let folder = tempfile::tempdir_in(&state.folder).ok()?;
    let file = work::obtain(state, inputs, "video", folder.path())
        .await
        .ok()?;
    tokio::task::spawn_blocking(move || length::seconds(&file))
        .await
        .ok()?
}
