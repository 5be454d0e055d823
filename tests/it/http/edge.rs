//! Strangers cost nothing: what is asked without a right to it is answered at once, from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Version};
use filmlab::http::Shared;
use filmlab::job::{Published, Status};
use filmlab::storage::{self, LinkSigner, Storage};

use super::{App, TASK_TOKEN, upscale};

/// A body that begins and never ends; whether it was asked for is seen.
fn endless(asked: &Arc<AtomicU32>) -> Body {
    let asked = Arc::clone(asked);
    Body::from_stream(futures::stream::poll_fn(move |_| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => std::task::Poll::Ready(Some(Ok::<_, std::io::Error>(Bytes::from_static(b"{")))),
            _ => std::task::Poll::Pending,
        }
    }))
}

#[tokio::test]
async fn a_stranger_is_turned_away_before_its_body_is_read() {
    let app = App::new();
    let id = app.create().await;
    let callback = format!("/webhooks/wavespeed/{id}/1-1?t=aaa");
    let task = format!("/tasks/jobs/{id}");
    let links = format!("/v1/jobs/{id}/links");
    let retry = format!("/v1/jobs/{id}/retry");
    for path in [
        callback.as_str(),
        task.as_str(),
        "/v1/jobs",
        "/v1/quotes",
        links.as_str(),
        retry.as_str(),
    ] {
        let asked = Arc::default();
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", "Bearer guessed")
            .body(endless(&asked))
            .unwrap();
        app.send(request).await.problem(401, "unauthorized");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_with_a_token_too() {
    let app = App::with(|settings| settings.body_time = Duration::from_millis(20));
    let id = app.create().await;
    for (path, token) in [
        ("/v1/jobs".to_owned(), "alice-token"),
        (format!("/tasks/jobs/{id}"), TASK_TOKEN),
        (format!("/webhooks/wavespeed/{id}/1-1?t=good"), ""),
    ] {
        let asked = Arc::default();
        let request = Request::post(&path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(endless(&asked))
            .unwrap();
        let answer = app.send(request).await;
        answer.problem(408, "invalid_request");
        assert!(asked.load(Ordering::SeqCst) > 0, "{path}");
    }
}

#[tokio::test]
async fn however_many_ask_for_readiness_the_parts_are_asked_once() {
    let app = App::new();
    let pings = || app.ledger.pings.load(Ordering::SeqCst);
    let many = (0..50).map(|_| app.get("/readyz"));
    for answer in futures::future::join_all(many).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(pings(), 1);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(app.get("/readyz").await.status, 200);
    assert_eq!(pings(), 1);
    app.clock.advance(Duration::from_secs(1));
    app.get("/readyz").await;
    assert_eq!(pings(), 2);
    // Whether we stop is no secret and costs nothing: it is told at once.
    app.worker.draining.store(true, Ordering::SeqCst);
    assert_eq!(app.get("/readyz").await.status, 503);
    assert_eq!(pings(), 2);
}

/// Whoever asks and hangs up does not make the next one ask anew.
#[tokio::test]
async fn a_question_goes_on_when_the_one_who_asked_is_gone() {
    let app = App::new();
    app.ledger.hangs.store(true, Ordering::SeqCst);
    let router = app.router();
    for _ in 0..20 {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        let asked = tower::ServiceExt::oneshot(router.clone(), request);
        assert!(
            tokio::time::timeout(Duration::from_millis(10), asked)
                .await
                .is_err()
        );
    }
    assert_eq!(app.ledger.pings.load(Ordering::SeqCst), 1);
    assert_eq!(app.get("/readyz").await.status, 503);
    assert_eq!(app.ledger.pings.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn behind_a_proxy_without_tokens_only_what_proves_itself_is_answered() {
    let app = App::with(|settings| {
        settings.api_tokens.clear();
        settings.behind_proxy = true;
    });
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let body = (method == Method::POST).then(upscale);
        let mut all = vec![("host", "127.0.0.1:8080")];
        all.extend_from_slice(headers);
        app.call("no", method, path, body, &all)
            .await
            .status
            .as_u16()
    };
    let created = app
        .call(
            "no",
            Method::POST,
            "/v1/jobs",
            Some(upscale()),
            &[("host", "127.0.0.1:8080")],
        )
        .await;
    assert_eq!(created.status, 201, "direct requests are answered");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let job = format!("/v1/jobs/{id}");
    let forwarded = [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("via", "1.1 proxy"),
    ];
    for header in forwarded {
        for (method, path) in [
            (Method::GET, "/v1/jobs"),
            (Method::POST, "/v1/jobs"),
            (Method::POST, "/v1/quotes"),
            (Method::GET, job.as_str()),
            (Method::DELETE, job.as_str()),
            (Method::PUT, "/v1/sources?name=a"),
            (Method::GET, "/metrics"),
            (Method::GET, "/openapi.json"),
        ] {
            assert_eq!(ask(method, path, &[header]).await, 401, "{path} {header:?}");
        }
        for path in ["/livez", "/readyz"] {
            assert_eq!(ask(Method::GET, path, &[header]).await, 200, "{path}");
        }
        // These have a proof of their own, and say what is wrong with it.
        let callback = format!("/webhooks/wavespeed/{id}/1-1?t=good");
        assert_eq!(ask(Method::POST, &callback, &[header]).await, 204);
        let token = format!("Bearer {TASK_TOKEN}");
        let task = Request::post("/tasks/sweep")
            .header("authorization", token)
            .header(header.0, header.1)
            .body(Body::empty());
        assert_eq!(app.send(task.unwrap()).await.status, 200);
        let file = "/files/results/a?exp=1&sig=x";
        assert_eq!(ask(Method::GET, file, &[header]).await, 403);
    }
    // nginx with no settings of its own adds nothing, and speaks as nobody else does.
    let bare = Request::get("/v1/jobs")
        .version(Version::HTTP_10)
        .header("host", "127.0.0.1:8080")
        .body(Body::empty());
    app.send(bare.unwrap()).await.problem(401, "unauthorized");
}

/// Counts what it signs.
#[derive(Debug, Default)]
struct Counted(AtomicU32);

#[async_trait::async_trait]
impl LinkSigner for Counted {
    async fn sign(&self, object: &str, _: Duration, _: Option<&str>) -> storage::Result<url::Url> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(format!("https://cloud.example/{object}?{number}")
            .parse()
            .unwrap())
    }
}

fn published(video: &str) -> Published {
    Published {
        video: video.into(),
        poster: "p".into(),
        metadata: "m".into(),
        storyboard: None,
        storyboard_vtt: None,
        bytes: 1,
        duration_ms: 1,
        width: 1,
        height: 1,
        provenance: None,
    }
}

#[tokio::test]
async fn links_are_signed_once_for_a_while_and_for_each_caller() {
    let mut app = App::new();
    let signer = Arc::new(Counted::default());
    let store = Arc::new(object_store::memory::InMemory::new());
    app.state.storage = Storage::new(store, Arc::clone(&signer) as _, true);
    app.state.shared = Shared::new(&app.state.settings);
    let id = app.create().await;
    app.change(&id, |job| {
        job.status = Status::Completed;
        job.result = Some(published("v1"));
    });
    let signed = || signer.0.load(Ordering::SeqCst);
    let path = format!("/v1/jobs/{id}");
    let read = async |who: &str| {
        let answer = app.call(who, Method::GET, &path, None, &[]).await;
        answer.json()["result"].clone()
    };
    // All at once, and one after the other.
    let all = futures::future::join_all((0..25).map(|_| read("alice"))).await;
    let first = all[0].clone();
    assert!(all.iter().all(|links| *links == first));
    for _ in 0..25 {
        assert_eq!(read("alice").await, first);
    }
    assert_eq!(signed(), 3);
    // Another scope has links of its own; whoever asks for fresh ones gets them.
    let operators = read("operator").await;
    assert_ne!(operators["video"], first["video"]);
    assert_eq!(signed(), 6);
    app.post(&format!("{path}/links"), serde_json::json!({}))
        .await;
    assert_eq!(signed(), 9);
    // Links live for an hour here: no older than ten minutes are shown.
    app.clock.advance(Duration::from_secs(599));
    assert_eq!(read("alice").await, first);
    app.clock.advance(Duration::from_secs(1));
    let second = read("alice").await;
    assert_ne!(second["expires_at"], first["expires_at"]);
    assert_eq!(signed(), 12);
    // Another round's result is another result, and a deletion leaves nothing.
    app.change(&id, |job| job.result = Some(published("v2")));
    read("alice").await;
    assert_eq!(signed(), 15);
    let deleted = app.call("alice", Method::DELETE, &path, None, &[]).await;
    assert_eq!(deleted.status, 204);
    read("alice").await;
    assert_eq!(signed(), 18, "the double's job is still there");
}
