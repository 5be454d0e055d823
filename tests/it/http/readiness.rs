//! Whether anything can be written, found out seldom and for all who ask.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use filmlab::storage::Storage;
use serde_json::Value;
use tower::ServiceExt as _;

use super::App;
use crate::support::disk::Unsynced;

/// What a service says: one router, as it has, in which answers are kept for a while.
async fn ask(router: &axum::Router) -> (u16, Value) {
    let request = Request::get("/readyz").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn strangers_who_ask_cost_nothing_and_writing_is_tried_seldom() {
    let app = App::new();
    let router = app.router();
    let (asked, marked) = (&app.ledger.pings, &app.ledger.marks);
    let seen = || (asked.load(Ordering::SeqCst), marked.load(Ordering::SeqCst));
    for _ in 0..200 {
        assert_eq!(ask(&router).await.0, 200);
    }
    assert_eq!(seen(), (1, 1));
    for _ in 0..9 {
        app.clock.advance(Duration::from_secs(3));
        ask(&router).await;
        ask(&router).await;
    }
    assert_eq!(seen(), (10, 1));
    app.clock.advance(Duration::from_secs(3));
    ask(&router).await;
    assert_eq!(seen(), (11, 2));
    // The mark is one object, however often it is made.
    assert_eq!(app.state.storage.list("service").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_not_ready() {
    let mut app = App::new();
    let disk = Unsynced::over(app.dir.path());
    let links = app.links();
    app.state.storage =
        Storage::in_directory_on(Arc::clone(&disk) as _, app.dir.path(), links).unwrap();
    let router = app.router();
    assert_eq!(ask(&router).await.0, 200);
    disk.refuse("service/", ErrorKind::ReadOnlyFilesystem);
    app.clock.advance(Duration::from_secs(30));
    let (status, said) = ask(&router).await;
    assert_eq!(
        (status, &said["parts"]["storage"]),
        (503, &"unavailable".into())
    );
    assert_eq!(said["parts"]["ledger"], "ok");
    disk.allow_all();
    app.clock.advance(Duration::from_secs(29));
    assert_eq!(ask(&router).await.0, 503, "it is not tried again yet");
    app.clock.advance(Duration::from_secs(1));
    // What was seen a second ago is said for three.
    app.clock.advance(Duration::from_secs(3));
    assert_eq!(ask(&router).await.0, 200);
}

#[tokio::test]
async fn a_full_disk_is_not_the_uploaders_fault() {
    for (why, words) in [
        (ErrorKind::StorageFull, "no room"),
        (ErrorKind::QuotaExceeded, "no room"),
        (ErrorKind::ReadOnlyFilesystem, "cannot be written"),
    ] {
        let mut app = App::new();
        let disk = Unsynced::over(app.dir.path());
        let links = app.links();
        app.state.storage =
            Storage::in_directory_on(Arc::clone(&disk) as _, app.dir.path(), links).unwrap();
        disk.refuse("sources/", why);
        let upload = || {
            let request = Request::post("/v1/sources?name=a.mp4")
                .header("authorization", "Bearer alice-token");
            app.send(request.body(Body::from("abc")).unwrap())
        };
        let problem = upload().await.problem(503, "storage_unavailable");
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{problem}"
        );
        assert!(app.files().is_empty());
        disk.allow_all();
        assert_eq!(upload().await.status, 201);
    }
}
