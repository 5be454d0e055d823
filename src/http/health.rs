//! `/livez` and `/readyz`. (`/healthz` is taken by Google's front end.)

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::readiness;
use super::refusals::problems;
use super::routes::Routes;
use super::state::HttpState;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
}

#[derive(Debug, Serialize, ToSchema)]
struct Live {
    status: Part,
}

/// Whether a part can be used.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Part {
    Ok,
    Unavailable,
    Draining,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
struct Ready {
    status: Part,
    parts: Parts,
}

#[derive(Debug, Serialize, ToSchema)]
struct Parts {
    ledger: Part,
    queue: Part,
    storage: Part,
    /// `draining` once the service was told to stop.
    worker: Part,
}

pub(super) fn looked_at(state: &HttpState) -> readiness::Parts {
    readiness::Parts {
        ledger: Arc::clone(&state.ledger),
        queue: Arc::clone(&state.queue),
        storage: state.storage.clone(),
        clock: Arc::clone(&state.clock),
    }
}

problems!(HealthProblems:);

/// Whether the process lives
///
/// Answers while the event loop turns. What the service depends on is no reason to restart it.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "getLiveness",
    tag = "health",
    responses((status = 200, description = "It lives.", body = Live), HealthProblems),
)]
async fn live() -> Json<Live> {
    Json(Live { status: Part::Ok })
}

/// Whether the service can take work
///
/// Every part is asked, and now and then written to. Answers are a few seconds old at most.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "getReadiness",
    tag = "health",
    responses(
        (status = 200, description = "It can.", body = Ready),
        (status = 503, description = "It cannot, for the part that is not `ok`.", body = Ready),
        HealthProblems,
    ),
)]
async fn ready(State(state): State<HttpState>) -> Response {
    let up = state.shared.readiness.look(looked_at(&state)).await;
    let draining = state.worker.is_draining();
    let is_ready = up.ledger && up.queue && up.storage && !draining;
    let part = |up: bool| if up { Part::Ok } else { Part::Unavailable };
    let body = Ready {
        status: part(is_ready),
        parts: Parts {
            ledger: part(up.ledger),
            queue: part(up.queue),
            storage: part(up.storage),
            worker: if draining { Part::Draining } else { Part::Ok },
        },
    };
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
