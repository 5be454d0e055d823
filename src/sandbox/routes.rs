//! The API's addresses.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Request, State as Extract};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, busy, gateway, not_found, refusal};
use super::faults::{FaultRule, Faults};
use super::state::{RequestRecord, State, SubmissionRecord, prediction_folder, record, remove};
use super::{files, listing, prices, submit};

/// What a multipart form adds to the file in it.
const FORM_MARGIN: usize = 64 * 1024;
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// More rules than a person writes.
const MAX_RULES: usize = 1000;

pub(super) fn router(state: &Arc<State>) -> Router {
    let form_limit = usize::try_from(state.config.max_upload_bytes)
        .unwrap_or(usize::MAX)
        .saturating_add(FORM_MARGIN);
    let api = Router::new()
        .route("/balance", get(prices::balance))
        .route("/model/price", post(prices::price))
        .route("/models", get(listing::models))
        .route("/webhook/secret", get(webhook_secret))
        .route("/predictions", post(history))
        .route("/predictions/delete", post(delete))
        .route("/predictions/{id}", get(prediction))
        .route("/predictions/{id}/result", get(prediction))
        .route("/media/uploads", post(files::place))
        .route(
            "/media/upload/binary",
            post(files::form).layer(DefaultBodyLimit::max(form_limit)),
        )
        .route("/{*model}", post(submit::submit))
        .layer(middleware::from_fn_with_state(Arc::clone(state), authorize));
    Router::new()
        .nest("/api/v3", api)
        .route(
            "/storage/{id}",
            put(files::put).layer(DefaultBodyLimit::disable()),
        )
        .route("/files/{id}/{name}", get(files::uploaded))
        .route("/outputs/{id}/1.mp4", get(files::output))
        .route(
            "/sandbox/faults",
            get(faults).post(add_faults).delete(clear_faults),
        )
        .route(
            "/sandbox/drifts",
            get(listing::drifts)
                .post(listing::add)
                .delete(listing::clear),
        )
        .route("/sandbox/submissions", get(submissions))
        .fallback(async || not_found("not found"))
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(state), note))
        .with_state(Arc::clone(state))
}

/// Keeps a record of every request.
async fn note(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let authorized = request.headers().contains_key(AUTHORIZATION);
    let response = next.run(request).await;
    record(
        &mut state.lock().requests,
        RequestRecord {
            method,
            path,
            authorized,
            status: response.status().as_u16(),
        },
    );
    response
}

async fn authorize(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let key = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Bearer "));
    if key == Some(state.config.api_key.as_str()) {
        next.run(request).await
    } else {
        answers::unauthorized()
    }
}

async fn webhook_secret(Extract(state): Extract<Arc<State>>) -> Response {
    answers::ok(&json!({"secret": state.config.webhook_secret}))
}

async fn prediction(Extract(state): Extract<Arc<State>>, Path(id): Path<String>) -> Response {
    let answer = look(&state, &id);
    // Whoever waits for the outcome to show may find it so now.
    state.changed.notify_waiters();
    answer
}

fn look(state: &State, id: &str) -> Response {
    let mut inner = state.lock();
    let held = inner.held;
    let Some(prediction) = inner.predictions.get_mut(id) else {
        return not_found("prediction not found");
    };
    if prediction.poll_errors.times > 0 {
        prediction.poll_errors.times -= 1;
        let errors = prediction.poll_errors;
        return match errors.status {
            429 => busy(errors.retry_after, "Too many requests"),
            401 => answers::unauthorized(),
            404 if errors.envelope => not_found("prediction not found"),
            status => match StatusCode::from_u16(status) {
                Ok(status) if errors.envelope => refusal(status, None, "an error"),
                _ => gateway(status),
            },
        };
    }
    prediction.polls = prediction.polls.saturating_add(1);
    prediction.show_if_due(held, state.config.min_time);
    let mut data = prediction.data(&state.base);
    if prediction.polls <= prediction.unknown_polls {
        data["status"] = json!("pondering");
    }
    answers::ok(&data)
}

#[derive(Debug, Deserialize)]
struct Page {
    page: Option<usize>,
    page_size: Option<usize>,
    model: Option<String>,
    status: Option<String>,
}

async fn history(Extract(state): Extract<Arc<State>>, Json(asked): Json<Page>) -> Response {
    let (Some(page @ 1..), Some(size @ 1..=100)) = (asked.page, asked.page_size) else {
        return refusal(
            StatusCode::BAD_REQUEST,
            Some(1400),
            "page and page_size (1 to 100) are required",
        );
    };
    let inner = state.lock();
    let mut found: Vec<_> = inner.predictions.values().collect();
    found.sort_by_key(|prediction| std::cmp::Reverse(prediction.accepted));
    let items: Vec<Value> = found
        .into_iter()
        .map(|prediction| prediction.data(&state.base))
        .filter(|data| asked.model.is_none() || data["model"].as_str() == asked.model.as_deref())
        .filter(|data| asked.status.is_none() || data["status"].as_str() == asked.status.as_deref())
        .skip((page - 1).saturating_mul(size))
        .take(size)
        .collect();
    answers::ok(&json!({"page": page, "items": items}))
}

#[derive(Debug, Deserialize)]
struct Ids {
    ids: Vec<String>,
}

async fn delete(Extract(state): Extract<Arc<State>>, Json(Ids { ids }): Json<Ids>) -> Response {
    let gone: Vec<_> = {
        let mut inner = state.lock();
        ids.iter()
            .filter_map(|id| inner.predictions.remove(id))
            .collect()
    };
    state.changed.notify_waiters();
    let count = gone.len();
    let folders = gone
        .into_iter()
        .map(|gone| prediction_folder(&state.folder, &gone.id));
    remove(folders.collect()).await;
    answers::ok(&json!({"deleted_count": count}))
}

async fn faults(Extract(state): Extract<Arc<State>>) -> Json<Faults> {
    Json(state.lock().faults.clone())
}

/// What was taken, oldest first: a caller can be held to what it knows of these.
async fn submissions(Extract(state): Extract<Arc<State>>) -> Json<Vec<SubmissionRecord>> {
    Json(state.lock().submissions.iter().cloned().collect())
}

/// One rule or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<FaultRule>),
    One(FaultRule),
}

async fn add_faults(
    Extract(state): Extract<Arc<State>>,
    Json(rules): Json<Value>,
) -> Result<Json<Faults>, Response> {
    let rules = match serde_json::from_value(rules) {
        Ok(Rules::Many(rules)) => rules,
        Ok(Rules::One(rule)) => vec![rule],
        Err(_) => {
            return Err(refusal(
                StatusCode::BAD_REQUEST,
                Some(1401),
                "a rule is {\"fault\": name, \"kind\"?, \"model\"?, \"times\"?, \"probability\"?}, \
                 or a list of them",
            ));
        }
    };
    let mut inner = state.lock();
    inner.faults.0.extend(rules);
    inner.faults.0.truncate(MAX_RULES);
    Ok(Json(inner.faults.clone()))
}

async fn clear_faults(Extract(state): Extract<Arc<State>>) -> StatusCode {
    state.lock().faults = Faults::default();
    StatusCode::NO_CONTENT
}
