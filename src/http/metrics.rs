//! `GET /metrics`, for Prometheus.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use strum::IntoEnumIterator as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::refusals::problems;
use super::routes::Routes;
use super::{HttpState, Problem};
use crate::job::Code;
use crate::ledger::Tally;
use crate::telemetry::metrics;

/// A scrape usually has ten seconds; what the ledger cannot count in time keeps its last number.
const COUNT_TIMEOUT: Duration = Duration::from_secs(3);
/// More than this needs somebody's attention, however many there are.
const COUNT_MOST: u32 = 10_000;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(scrape))
}

problems!(MetricsProblems: Unauthorized, NotFound);

/// Numbers for Prometheus
///
/// For the operator: if API tokens are configured, it needs one without `owner`.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "health",
    security(("apiToken" = [])),
    responses(
        (status = 200, description = "The text format of Prometheus.", body = String,
            content_type = "text/plain"),
        MetricsProblems,
    ),
)]
async fn scrape(State(state): State<HttpState>, caller: Caller) -> Result<Response, Problem> {
    if !caller.is_operator() {
        return Err(
            Problem::new(Code::Unauthorized).detail("Metrics are for the operator's token.")
        );
    }
    let counts = Tally::iter().map(|what| count(&state, what));
    futures::future::join_all(counts).await;
    let text = metrics::render().ok_or_else(|| Problem::new(Code::NotFound))?;
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

async fn count(state: &HttpState, what: Tally) {
    let counted = state.ledger.count(what, COUNT_MOST);
    let number = match tokio::time::timeout(COUNT_TIMEOUT, counted).await {
        Ok(Ok(number)) => number,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the ledger could not be counted");
            return;
        }
        Err(_) => {
            tracing::warn!("the ledger could not be counted in time");
            return;
        }
    };
    match what {
        Tally::Queued => metrics::jobs("queued", number),
        Tally::Processing => metrics::jobs("processing", number),
        Tally::Generating => metrics::jobs("generating", number),
        Tally::NoticesPending => metrics::notices("pending", number),
        Tally::NoticesUndeliverable => metrics::notices("undeliverable", number),
    }
}
