//! Answers in the documented shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// Success, in the envelope.
pub(super) fn ok(data: &Value) -> Response {
    Json(json!({"code": 200, "message": "success", "data": data})).into_response()
}

/// A refusal. `error_code` is what official clients look for besides `code`.
pub(super) fn refusal(status: StatusCode, business: Option<i64>, message: &str) -> Response {
    let mut body = json!({"code": status.as_u16(), "message": message});
    if let Some(code) = business {
        body["error_code"] = json!(code.to_string());
    }
    (status, Json(body)).into_response()
}

pub(super) fn not_found(message: &str) -> Response {
    refusal(StatusCode::NOT_FOUND, None, message)
}

pub(super) fn unauthorized() -> Response {
    refusal(StatusCode::UNAUTHORIZED, None, "invalid authentication")
}

/// 429, with `Retry-After` in seconds if given.
pub(super) fn busy(retry_after: Option<u64>, message: &str) -> Response {
    let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, None, message);
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What a gateway in front of the API says: a page, not JSON.
pub(super) fn gateway(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!("<html><body><h1>{status}</h1></body></html>");
    (status, [(http::header::CONTENT_TYPE, "text/html")], page).into_response()
}
