//! The frame around every route: request id, trace, limits, and one form for failures.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequest, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::bodies::Taken;
use super::{HttpState, Problem, json};
use crate::job::Code;
use crate::telemetry::{self, TraceContext};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A request names a handful of fields, the longest a prompt of 4,000 characters.
pub(super) const MAX_JSON_BYTES: usize = 128 * 1024;
/// How long a route other than a task or an upload may take, reading the body included. A ledger
/// that takes longer is not answering.
pub(super) const API_TIMEOUT: Duration = Duration::from_secs(15);

/// Puts the frame around the routes.
pub(super) fn frame(routes: Router<HttpState>) -> Router<HttpState> {
    routes
        .fallback(|| async { Problem::new(Code::NotFound) })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(around))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer's signature wants the box"
)]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Problem::new(Code::Internal)
        .because(format!("a handler panicked: {message}"))
        .into_response()
}

async fn around(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    // The route, not the address: queries hold signatures and tokens.
    let span = tracing::info_span!(
        "http",
        method = %request.method(),
        route,
        request_id = id.to_str().unwrap_or("none"),
        trace_id = Empty,
        span_id = Empty,
        trace_sampled = Empty,
    );
    if let Some(trace) = TraceContext::read(request.headers()) {
        span.record("trace_id", trace.trace_id);
        span.record("span_id", trace.span_id);
        span.record("trace_sampled", trace.sampled);
    }
    request.headers_mut().insert(REQUEST_ID, id.clone());
    // What the body takes is given back here, once the answer is made.
    let taken = Taken::default();
    request.extensions_mut().insert(taken.clone());
    async move {
        let started = std::time::Instant::now();
        let response = finish(next.run(request).await, &id);
        drop(taken);
        tracing::debug!(
            target: telemetry::REQUEST,
            status = response.status().as_u16(),
            duration_ms = started.elapsed().as_millis() as u64,
            "answered"
        );
        response
    }
    .instrument(span)
    .await
}

/// The caller's own id where it is a sane one, else a fresh one.
fn request_id(request: &Request) -> HeaderValue {
    request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| {
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        })
        .cloned()
        .or_else(|| HeaderValue::from_str(&ulid::Ulid::new().to_string()).ok())
        .unwrap_or_else(|| HeaderValue::from_static("none"))
}

/// Marks an answer that is complete although its status tells of a failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsItIs;

/// Writes the problem, if the answer is one: ours by its marker, the framework's by its status.
fn finish(mut response: Response, id: &HeaderValue) -> Response {
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| {
        let status = response.status();
        let failed = status.is_client_error() || status.is_server_error();
        (failed && response.extensions().get::<AsItIs>().is_none())
            .then(|| Problem::of_status(status))
            .map(|problem| match response.headers().get(header::ALLOW) {
                Some(allow) => problem.header(header::ALLOW, allow.clone()),
                None => problem,
            })
    });
    if let Some(problem) = problem {
        let reason = problem.log.as_deref().unwrap_or(&problem.detail);
        if problem.status.is_server_error() {
            tracing::error!(code = %problem.code, reason, "the request failed");
        } else {
            tracing::info!(code = %problem.code, reason, "the request was refused");
        }
        response = problem.render(id.to_str().unwrap_or("none"));
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Ends a request that takes too long. Not for tasks: their visits take as long as they take.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(API_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::LedgerUnavailable)
            .detail("The service did not answer in time.")
            .because("a handler ran out of time")
            .into_response(),
    }
}

/// A JSON body as a value; what its fields must be is the handler's to say, all at once.
#[derive(Debug)]
pub(super) struct Json(pub(super) serde_json::Value);

impl FromRequest<HttpState> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        wants_json(request.headers())?;
        let body = body(request, state, MAX_JSON_BYTES).await?;
        json::read(&body).map(Self)
    }
}

fn wants_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim())
        .is_some_and(|value| value.eq_ignore_ascii_case("application/json"));
    if is_json {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType).detail("The body must be application/json."))
    }
}

/// A JSON body that may be left out.
pub(super) async fn optional_json(
    request: Request,
    state: &HttpState,
) -> Result<serde_json::Value, Problem> {
    let is_json = wants_json(request.headers());
    let body = body(request, state, MAX_JSON_BYTES).await?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(serde_json::Value::Null);
    }
    is_json?;
    json::read(&body)
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn body(
    request: Request,
    state: &HttpState,
    limit: usize,
) -> Result<Bytes, Problem> {
    state.shared.bodies.read(request, limit).await
}
