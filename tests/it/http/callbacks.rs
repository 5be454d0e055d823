use axum::body::Body;
use axum::http::Request;
use filmlab::job::Status;
use filmlab::ledger::Ledger as _;
use std::sync::atomic::Ordering;

use super::{Answer, App};

async fn call(app: &App, path: &str, body: impl Into<Body>) -> Answer {
    app.send(Request::post(path).body(body.into()).unwrap())
        .await
}

#[tokio::test]
async fn a_callback_is_recorded_once_and_plans_a_visit_each_time() {
    let app = App::new();
    let id = app.create().await;
    app.queue.take();
    app.change(&id, |job| job.wake.seq = 4);
    let path = format!("/webhooks/wavespeed/{id}/1-1?t=good");
    for _ in 0..2 {
        let answer = call(&app, &path, "prediction-9").await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
        assert_eq!(app.queue.take(), [format!("{id}-4-callback")]);
    }
    let callbacks = app.ledger.callbacks(&id).await.unwrap();
    assert_eq!(callbacks.len(), 1);
    assert_eq!(callbacks[0].prediction_id, "prediction-9");
    assert_eq!(callbacks[0].intent, "1-1");

    // An ended job is not visited for it.
    app.change(&id, |job| job.status = Status::Completed);
    assert_eq!(call(&app, &path, "prediction-9").await.status, 204);
    assert!(app.queue.take().is_empty());
}

#[tokio::test]
async fn a_callback_without_proof_is_not_believed() {
    let app = App::new();
    let id = app.create().await;
    app.queue.take();
    let path = |query: &str| format!("/webhooks/wavespeed/{id}/1-1{query}");
    for query in ["", "?t=", "?t=bad", "?x=good", "?t=Good"] {
        call(&app, &path(query), "p")
            .await
            .problem(401, "unauthorized");
        // Nor does it tell which jobs there are.
        let unknown = format!("/webhooks/wavespeed/other/1-1{query}");
        call(&app, &unknown, "p").await.problem(401, "unauthorized");
    }
    let signed = Request::post(path("?t=good"))
        .header("x-bad-signature", "1")
        .body(Body::from("p"));
    app.send(signed.unwrap()).await.problem(401, "unauthorized");
    call(&app, &path("?t=good"), "")
        .await
        .problem(400, "invalid_request");
    let unknown = "/webhooks/wavespeed/other/1-1?t=good";
    call(&app, unknown, "p").await.problem(404, "not_found");
    let large = vec![b'x'; (1 << 20) + 1];
    call(&app, &path("?t=good"), large)
        .await
        .problem(413, "request_too_large");
    assert!(app.ledger.callbacks(&id).await.unwrap().is_empty());
    assert!(app.queue.take().is_empty());
    // A body of a megabyte is fine.
    let full = vec![b'x'; 1 << 20];
    assert_eq!(call(&app, &path("?t=good"), full).await.status, 204);
}

#[tokio::test]
async fn what_was_not_kept_is_asked_for_again() {
    let app = App::new();
    let id = app.create().await;
    let path = format!("/webhooks/wavespeed/{id}/1-1?t=good");
    app.queue.down.store(true, Ordering::SeqCst);
    call(&app, &path, "p")
        .await
        .problem(503, "queue_unavailable");
    app.queue.down.store(false, Ordering::SeqCst);
    app.queue.take();
    // The repeat finds the record and still plans the visit.
    assert_eq!(call(&app, &path, "p").await.status, 204);
    assert_eq!(app.queue.take().len(), 1);
    app.ledger.down.store(true, Ordering::SeqCst);
    call(&app, &path, "p")
        .await
        .problem(503, "ledger_unavailable");
}
