//! One address for several workers, as Cloud Run has it: each request goes to the next worker
//! that is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

#[derive(Clone)]
struct Front {
    workers: Arc<Vec<SocketAddr>>,
    next: Arc<AtomicUsize>,
    client: reqwest::Client,
}

pub(super) async fn start(workers: Vec<SocketAddr>) -> url::Url {
    let front = Front {
        workers: Arc::new(workers),
        next: Arc::default(),
        client: reqwest::Client::new(),
    };
    crate::support::google::serve(Router::new().fallback(pass).with_state(front)).await
}

async fn pass(State(front): State<Front>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 4 << 20).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    for _ in 0..front.workers.len() {
        let turn = front.next.fetch_add(1, Ordering::Relaxed) % front.workers.len();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let address = format!("http://{}{path}", front.workers[turn]);
        let sent = front
            .client
            .request(parts.method.clone(), address)
            .headers(parts.headers.clone())
            .body(body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let status = answer.status();
                let body: Bytes = answer.bytes().await.unwrap_or_default();
                return (status, Body::from(body)).into_response();
            }
            // Nobody listens there: it was never sent.
            Err(error) if error.is_connect() => {}
            // It died with the request in its hands.
            Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
        }
    }
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
