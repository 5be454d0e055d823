//! `filmlab jobs` against the real routes, and against a service that only listens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use filmlab::clock::later;
use filmlab::job::{Code, JobError, Party, Stage, Status};
use serde_json::{Value, json};

use super::{Ran, Workdir};
use crate::http::App;

async fn run(server: &str, words: &[&str]) -> Ran {
    let mut line: Vec<String> = vec!["jobs".into()];
    line.extend(words.iter().map(|&word| word.to_owned()));
    line.extend(["--server", server, "--token", "alice-token"].map(str::to_owned));
    tokio::task::spawn_blocking(move || Workdir::new().run(line))
        .await
        .unwrap()
}

#[tokio::test]
async fn jobs_are_listed_shown_and_cancelled() {
    let app = App::new();
    let server = format!("http://{}", app.serve().await);
    let empty = run(&server, &["list"]).await.succeeded();
    assert_eq!(empty.out, "no jobs\n");
    let (first, second) = (app.create().await, app.create().await);
    let listed = run(&server, &["list"]).await.succeeded();
    assert_eq!(listed.out.lines().count(), 3, "{listed:?}");
    for words in [
        first.as_str(),
        second.as_str(),
        "upscale",
        "alice",
        "queued",
    ] {
        assert!(listed.out.contains(words), "{words}: {listed:?}");
    }
    let page = run(
        &server,
        &["list", "--limit", "1", "--status", "queued", "--json"],
    )
    .await;
    let page: Value = serde_json::from_str(&page.succeeded().out).unwrap();
    assert_eq!(page["jobs"].as_array().unwrap().len(), 1);
    let token = page["next_page_token"].as_str().unwrap();
    let rest = run(&server, &["list", "--page-token", token])
        .await
        .succeeded();
    assert!(
        !rest.out.contains(page["jobs"][0]["id"].as_str().unwrap()),
        "{rest:?}"
    );

    let shown = run(&server, &["show", first.as_str()]).await.succeeded();
    assert!(
        shown.out.contains("queued") && shown.out.contains("deadline"),
        "{shown:?}"
    );
    let cancelled = run(&server, &["cancel", first.as_str()]).await.succeeded();
    assert!(cancelled.out.contains("asked for"), "{cancelled:?}");
    assert!(app.ledger.job(&first).cancel_requested);

    run(&server, &["show", "nobody"])
        .await
        .failed(65, "not_found");
    let refused = run(&server, &["list", "--limit", "1000"]).await;
    refused.failed(65, "invalid_request");
    let usage = run(&server, &["list", "--status", "sleepy"]).await;
    assert_eq!(usage.status, Some(64), "{usage:?}");
}

#[tokio::test]
async fn a_job_that_waits_says_for_what_wherever_it_is_shown() {
    let app = App::new();
    let server = format!("http://{}", app.serve().await);
    let id = app.create().await;
    app.change(&id, |job| {
        job.status = Status::Processing;
        job.stage = Some(Stage::Submit);
        job.attempt_failed = true;
        job.next_visit_at = Some(later(job.created_at, Duration::from_secs(7)));
        job.error = Some(JobError {
            code: Code::ProviderFailed,
            message: "it broke".into(),
            party: Party::Provider,
            stage: None,
            attempt: 1,
            at: job.created_at,
        });
    });
    let listed = run(&server, &["list"]).await.succeeded();
    assert!(listed.out.contains("WAITS FOR"), "{listed:?}");
    assert!(listed.out.contains("attempt"), "{listed:?}");
    let shown = run(&server, &["show", id.as_str()]).await.succeeded();
    for words in ["waits for", "attempt, since 20", "next look", "it broke"] {
        assert!(shown.out.contains(words), "{words}: {shown:?}");
    }
    let json = run(&server, &["show", id.as_str(), "--json"]).await;
    let json: Value = serde_json::from_str(&json.succeeded().out).unwrap();
    let job = app.ledger.job(&id);
    assert_eq!(
        json["waiting"],
        json!({
            "for": "attempt",
            "since": job.created_at,
            "until": job.next_visit_at,
            "attempt": 2,
            "attempts": 3,
            "reason": "it broke",
        })
    );
    let watching = {
        let id = id.clone();
        tokio::spawn(async move { run(&server, &["watch", id.as_str()]).await })
    };
    tokio::time::sleep(Duration::from_millis(1500)).await;
    app.change(&id, |job| job.status = Status::Cancelled);
    let ran = watching.await.unwrap();
    assert!(ran.err.contains("waiting: attempt 2 of 3 at "), "{ran:?}");
    assert!(ran.err.contains(": it broke"), "{ran:?}");
}

#[tokio::test]
async fn a_watched_job_fails_the_command_as_it_fails() {
    let app = App::new();
    let server = format!("http://{}", app.serve().await);
    let id = app.create().await;
    let watching = {
        let id = id.clone();
        tokio::spawn(async move { run(&server, &["watch", id.as_str()]).await })
    };
    app.change(&id, |job| {
        job.status = Status::Failed;
        job.error = Some(JobError {
            code: Code::ProviderFailed,
            message: "it broke".into(),
            party: Party::Provider,
            stage: None,
            attempt: 3,
            at: job.created_at,
        });
    });
    let ran = watching.await.unwrap();
    assert_eq!(ran.status, Some(69), "{ran:?}");
    assert!(ran.err.contains("provider_failed: it broke"), "{ran:?}");
    assert!(ran.out.contains("failed"), "{ran:?}");
}

type Seen = Arc<Mutex<Vec<(Method, Uri, String)>>>;

/// A service that answers `answer` to everything, and remembers what it was asked.
async fn listener(status: StatusCode, answer: Value) -> (String, Seen) {
    let seen = Seen::default();
    let remembered = Arc::clone(&seen);
    let listen = move |method: Method, uri: Uri, body: Bytes| async move {
        let body = String::from_utf8(body.to_vec()).unwrap();
        remembered.lock().unwrap().push((method, uri, body));
        let body = if answer.is_null() {
            String::new()
        } else {
            answer.to_string()
        };
        (status, [("content-type", "application/json")], body).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().fallback(listen);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, seen)
}

#[tokio::test]
async fn each_command_asks_for_what_it_says() {
    let notice = json!({"id": "j1:1:job.completed", "round": 1, "event": "job.completed",
        "channel": "webhook", "state": "undeliverable", "deliveries": 12, "last_error": "410 Gone",
        "created_at": "2026-11-23T12:00:00Z"});
    let links = json!({"video": "https://a.example/v", "poster": "https://a.example/p",
        "metadata": "https://a.example/m", "expires_at": "2026-11-23T12:00:00Z"});
    let table = [
        (
            vec!["delete", "j1"],
            StatusCode::NO_CONTENT,
            Value::Null,
            "DELETE /v1/jobs/j1 ",
            "j1 is deleted",
        ),
        (
            vec!["links", "j1"],
            StatusCode::OK,
            links.clone(),
            "POST /v1/jobs/j1/links ",
            "https://a.example/v",
        ),
        (
            vec!["links", "j1", "--ttl", "10m"],
            StatusCode::OK,
            links,
            "POST /v1/jobs/j1/links {\"ttl_s\":600}",
            "2026-11-23",
        ),
        (
            vec!["notifications", "j1"],
            StatusCode::OK,
            json!({"notifications": [notice]}),
            "GET /v1/jobs/j1/notifications ",
            "410 Gone",
        ),
        (
            vec!["replay", "j1"],
            StatusCode::ACCEPTED,
            notice.clone(),
            "POST /v1/jobs/j1/notifications/replay ",
            "undeliverable",
        ),
        (
            vec!["replay", "j1", "--round", "2"],
            StatusCode::ACCEPTED,
            notice,
            "POST /v1/jobs/j1/notifications/replay {\"round\":2}",
            "webhook",
        ),
        (
            vec![
                "list",
                "--owner",
                "bob",
                "--kind",
                "upscale",
                "--created-after",
                "2026-11-23T00:00:00Z",
                "--created-before",
                "2026-11-24T00:00:00Z",
            ],
            StatusCode::OK,
            json!({"jobs": []}),
            "GET /v1/jobs?kind=upscale&owner=bob&created_after=2026-11-23T00%3A00%3A00Z&created_before=2026-11-24T00%3A00%3A00Z ",
            "no jobs",
        ),
    ];
    for (words, status, answer, asked, said) in table {
        let (server, seen) = listener(status, answer).await;
        let ran = run(&server, &words).await.succeeded();
        assert!(ran.out.contains(said), "{ran:?}");
        let (method, uri, body) = seen.lock().unwrap().remove(0);
        assert_eq!(format!("{method} {uri} {body}"), asked, "{words:?}");
    }
}

#[tokio::test]
async fn another_round_is_asked_for_and_refusals_are_told() {
    let app = App::new();
    let id = app.create().await;
    let view = app.get(&format!("/v1/jobs/{id}")).await.json();
    let (server, seen) = listener(StatusCode::ACCEPTED, view).await;
    let ran = run(&server, &["retry", id.as_str()]).await.succeeded();
    assert!(ran.out.contains(id.as_str()), "{ran:?}");
    let (method, uri, _) = seen.lock().unwrap().remove(0);
    assert_eq!(
        format!("{method} {uri}"),
        format!("POST /v1/jobs/{id}/retry")
    );

    let problem = json!({"code": "conflict", "detail": "The job has not ended."});
    let (server, _) = listener(StatusCode::CONFLICT, problem).await;
    let refused = run(&server, &["delete", "j1"]).await;
    refused.failed(65, "conflict");
    let (server, _) = listener(StatusCode::BAD_GATEWAY, json!("?")).await;
    let away = run(&server, &["notifications", "j1"]).await;
    away.failed(69, "service_unreachable");
}
