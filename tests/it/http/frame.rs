//! What holds for every route.

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Method, Request};
use filmlab::http::CheckMarks;
use filmlab::job::{Published, Status};
use filmlab::storage::{self, LinkSigner, Storage, StorageError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{App, upscale};

fn create() -> Builder {
    Request::post("/v1/jobs").header("authorization", "Bearer alice-token")
}

#[tokio::test]
async fn the_framework_s_own_refusals_have_our_form() {
    let app = App::new();
    app.get("/v2/jobs").await.problem(404, "not_found");
    let answer = app
        .call("alice", Method::DELETE, "/v1/jobs", None, &[])
        .await;
    answer.problem(405, "method_not_allowed");
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");

    let json = ("content-type", "application/json; charset=utf-8");
    for (headers, body, status, code) in [
        (vec![json], "{".to_owned(), 400, "invalid_request"),
        (vec![json], String::new(), 400, "invalid_request"),
        (vec![], upscale().to_string(), 415, "unsupported_media_type"),
        (
            vec![("content-type", "text/plain")],
            upscale().to_string(),
            415,
            "unsupported_media_type",
        ),
        (
            vec![json],
            format!("\"{}\"", "x".repeat(200_000)),
            413,
            "request_too_large",
        ),
    ] {
        let mut request = create();
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = app.send(request.body(Body::from(body)).unwrap()).await;
        answer.problem(status, code);
    }
    let good = create()
        .header(json.0, json.1)
        .body(Body::from(upscale().to_string()));
    assert_eq!(app.send(good.unwrap()).await.status, 201);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_service_goes_on() {
    let mut app = App::new();
    app.state.check_marks = CheckMarks::new(|_, _| panic!("inside words"));
    let mut body = upscale();
    body["output"] = serde_json::json!({"watermark": {}});
    let problem = app.post("/v1/jobs", body).await.problem(500, "internal");
    assert!(!problem.to_string().contains("inside words"));
    assert_eq!(app.post("/v1/jobs", upscale()).await.status, 201);
}

#[tokio::test]
async fn a_request_keeps_its_own_id_if_it_is_sane() {
    let app = App::new();
    let given = |id: &str| {
        let request = Request::get("/livez").header("x-request-id", id.to_owned());
        app.send(request.body(Body::empty()).unwrap())
    };
    let answer = given("abc-1").await;
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    for bad in ["has space", &"x".repeat(129), ""] {
        let answer = given(bad).await;
        let id = answer.header("x-request-id").unwrap();
        assert!(id != bad && id.len() == 26, "{id}");
    }
}

#[tokio::test]
async fn readiness_names_the_part_that_fails() {
    let app = App::new();
    // Each time after the answer before has gone stale.
    let ready = async || {
        app.clock.advance(Duration::from_secs(5));
        app.get("/readyz").await
    };
    let answer = ready().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["status"]),
        (200, &"ok".into())
    );

    app.queue.down.store(true, Ordering::SeqCst);
    let answer = ready().await;
    assert_eq!(answer.status, 503);
    let parts = answer.json()["parts"].clone();
    assert_eq!(
        (&parts["queue"], &parts["ledger"]),
        (&"unavailable".into(), &"ok".into())
    );
    app.queue.down.store(false, Ordering::SeqCst);

    app.worker.draining.store(true, Ordering::SeqCst);
    let answer = ready().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["parts"]["worker"]),
        (503, &"draining".into())
    );
    app.worker.draining.store(false, Ordering::SeqCst);

    // A part that hangs is a part that fails, and the process itself is alive all the while.
    app.ledger.hangs.store(true, Ordering::SeqCst);
    let started = std::time::Instant::now();
    let answer = ready().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["parts"]["ledger"]),
        (503, &"unavailable".into())
    );
    assert!(started.elapsed().as_secs() < 5);
    assert_eq!(app.get("/livez").await.status, 200);
}

#[tokio::test]
async fn links_that_cannot_be_signed_are_the_store_s_fault() {
    #[derive(Debug)]
    struct NoLinks;
    #[async_trait::async_trait]
    impl LinkSigner for NoLinks {
        async fn sign(&self, _: &str, _: Duration, _: Option<&str>) -> storage::Result<url::Url> {
            Err(StorageError::Unavailable("kms-1.internal".into()))
        }
    }
    let mut app = App::new();
    let store = Arc::new(object_store::memory::InMemory::new());
    app.state.storage = Storage::new(store, Arc::new(NoLinks), true);
    let id = app.create().await;
    app.change(&id, |job| {
        job.status = Status::Completed;
        job.result = Some(Published {
            video: "v".into(),
            poster: "p".into(),
            metadata: "m".into(),
            storyboard: None,
            storyboard_vtt: None,
            bytes: 1,
            duration_ms: 1,
            width: 1,
            height: 1,
            provenance: None,
        });
    });
    let answer = app.get(&format!("/v1/jobs/{id}")).await;
    let problem = answer.problem(503, "storage_unavailable");
    assert!(!problem.to_string().contains("kms-1"));
}
