//! `POST /v1/quotes`: what a job would cost. Creates nothing and spends nothing.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::jobs::request;
use super::refusals::problems;
use super::routes::Routes;
use super::{HttpState, Problem, api};
use crate::job::Code;
use crate::worker::{Quote, QuoteError, QuoteRequest};

/// The source is fetched and looked at, and the provider asked.
const QUOTE_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(quote))
}

problems!(QuoteProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, RequestTooLarge, UnsupportedMediaType,
    // What the source shows.
    SourceUnreachable, SourceMissing, InputUnreadable, EmptyFile, UnsupportedFormat,
    UnsupportedCodec, NotAVideo, NotAPicture, NoVideoStream, DamagedMedia, InputTooLarge,
    TooManyStreams, ProbeLimit, TooManyPixels, FrameRateTooHigh, TooLong, TooManyFrames,
    MediaCrashed, MemoryLimit,
    TooLongToProcess, HdrNotSupported, InvalidWatermark, InvalidProfile,
    // What the provider says.
    ProviderRejected, ProviderInputUnreachable, ContentRefused, ProviderFailed,
    ProviderUnavailable, ProviderProtocol, ProviderBusy, ProviderUnauthorized, ProviderBalance,
    ModelUnknown,
    LedgerUnavailable, StorageUnavailable, DeadlineExceeded, MediaStuck, Overloaded,
    ShuttingDown, InvalidRequest as REQUEST_TIMEOUT);

/// Say what a job would cost
///
/// The body is a creation's. The source is fetched and looked at, and the provider asked;
/// nothing is created and nothing spent.
#[utoipa::path(
    post,
    path = "/v1/quotes",
    operation_id = "quoteJob",
    tag = "jobs",
    security(("apiToken" = [])),
    request_body(
        content = ref("#/components/schemas/NewJob"),
        content_type = "application/json",
        example = json!({
            "kind": "upscale",
            "source": {"video": "https://media.example.com/clip.mp4"},
            "params": {"target": "1080p"},
        }),
    ),
    responses((status = 200, description = "What it would cost.", body = Quote), QuoteProblems),
)]

async fn quote(
    State(state): State<HttpState>,
    caller: Caller,
    request: Request,
) -> Result<Json<Quote>, Problem> {
    let body = tokio::time::timeout(api::API_TIMEOUT, api::Json::from_request(request, &state));
    let api::Json(body) = body.await.map_err(|_| slow("the body did not come"))??;
    let wanted = request::read(&body, &caller, &state).await;
    let wanted = wanted.map_err(Problem::faults)?;
    ask(&state, wanted).await.map(Json)
}

/// What it would cost, for whichever way in.
pub(super) async fn ask(state: &HttpState, wanted: request::Wanted) -> Result<Quote, Problem> {
    let asked = QuoteRequest {
        label: wanted.label(&state.settings),
        owner: wanted.owner,
        params: wanted.params,
        source: wanted.source,
        output: wanted.output,
    };
    match tokio::time::timeout(QUOTE_TIMEOUT, state.worker.quote(asked)).await {
        Ok(Ok(quote)) => Ok(quote),
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
