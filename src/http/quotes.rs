//! `POST /v1/quotes`: what a job would cost. Creates nothing and spends nothing.

use std::time::Duration;

use axum::extract::{FromRequest as _, Request, State};
use axum::routing::post;
use axum::{Json, Router};

use super::auth::Caller;
use super::jobs::request;
use super::{HttpState, Problem, api};
use crate::job::Code;
use crate::worker::{Quote, QuoteError, QuoteRequest};

/// The source is fetched and looked at, and the provider asked.
const QUOTE_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) fn routes() -> Router<HttpState> {
    Router::new().route("/v1/quotes", post(quote))
}

async fn quote(
    State(state): State<HttpState>,
    caller: Caller,
    request: Request,
) -> Result<Json<Quote>, Problem> {
    let body = tokio::time::timeout(api::API_TIMEOUT, api::Json::from_request(request, &state));
    let api::Json(body) = body.await.map_err(|_| slow("the body did not come"))??;
    let wanted = request::read(&body, &caller, &state).map_err(Problem::faults)?;
    let asked = QuoteRequest {
        owner: wanted.owner,
        params: wanted.params,
        source: wanted.source,
        output: wanted.output,
    };
    match tokio::time::timeout(QUOTE_TIMEOUT, state.worker.quote(asked)).await {
        Ok(Ok(quote)) => Ok(Json(quote)),
        Ok(Err(QuoteError::Faults(faults))) => Err(Problem::faults(faults)),
        Ok(Err(QuoteError::Failed(failure))) => {
            let problem = Problem::new(failure.code).detail(failure.message);
            Err(match failure.source {
                Some(source) => problem.because(source),
                None => problem,
            })
        }
        Err(_) => Err(slow("a quote ran out of time")),
    }
}

fn slow(log: &str) -> Problem {
    Problem::new(Code::Overloaded)
        .detail("The service did not answer in time.")
        .because(log)
}
