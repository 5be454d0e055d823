//! `/livez` and `/readyz`. (`/healthz` is taken by Google's front end.)

use std::future::Future;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::HttpState;

/// Probes usually wait for a few seconds at most.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
}

/// Answers while the event loop turns. What the service depends on is no reason to restart it.
async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(state): State<HttpState>) -> Response {
    let (ledger, queue, storage) = tokio::join!(
        ping("ledger", state.ledger.ping()),
        ping("queue", state.queue.ping()),
        ping("storage", state.storage.ping()),
    );
    let draining = state.worker.is_draining();
    let is_ready = ledger && queue && storage && !draining;
    let part = |up: bool| if up { "ok" } else { "unavailable" };
    let body = json!({
        "status": if is_ready { "ok" } else { "unavailable" },
        "parts": {
            "ledger": part(ledger),
            "queue": part(queue),
            "storage": part(storage),
            "worker": if draining { "draining" } else { "ok" },
        },
    });
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut response = (status, Json(body)).into_response();
    // The parts are the answer, not a failure of the request.
    response.extensions_mut().insert(super::api::AsItIs);
    response
}

async fn ping<E: std::fmt::Display>(
    part: &str,
    answer: impl Future<Output = Result<(), E>>,
) -> bool {
    match tokio::time::timeout(PING_TIMEOUT, answer).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(part, %error, "not ready");
            false
        }
        Err(_) => {
            tracing::warn!(
                part,
                timeout_ms = PING_TIMEOUT.as_millis() as u64,
                "not ready"
            );
            false
        }
    }
}
