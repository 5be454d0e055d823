use axum::body::Body;
use axum::http::Request;
use filmlab::http::TasksAuth;
use filmlab::worker::{DeliveryOutcome, Visit};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

use super::{Answer, App, TASK_TOKEN, until};

async fn task(app: &App, path: &str, body: &str, token: &str, retries: u32) -> Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("x-cloudtasks-taskretrycount", retries.to_string())
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()));
    app.send(request.unwrap()).await
}

const BODY: &str = r#"{"seq": 3, "why": "wake"}"#;

#[tokio::test]
async fn a_task_visits_its_job() {
    let app = App::new();
    let answer = task(&app, "/tasks/jobs/j1", BODY, TASK_TOKEN, 0).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"outcome": "advanced"}));
    let answer = task(&app, "/tasks/outbox/j1:1:job.completed", "", TASK_TOKEN, 0).await;
    assert_eq!(answer.status, 200);
    let visits = app.worker.visits.lock().unwrap().clone();
    assert_eq!(visits, [("j1".into(), 3), ("j1:1:job.completed".into(), 0)]);
    let answer = task(&app, "/tasks/sweep", "", TASK_TOKEN, 0).await;
    let cleaned = json!({"leftovers": 0, "results": 3, "generated": 0, "sources": 0, "failed": 0});
    assert_eq!(
        answer.json(),
        json!({"jobs": 2, "notifications": 1, "faults": 0, "unreadable": 0, "buried": 0,
            "left_alone": 0, "cleaned": cleaned})
    );
    let answer = task(&app, "/tasks/sweep", "", TASK_TOKEN, 0).await;
    assert_eq!(answer.json().get("cleaned"), None, "a moment ago");
    // What cannot be swept is cleaned all the same.
    let down = App::new();
    down.worker.sweep_fails.store(true, Ordering::SeqCst);
    task(&down, "/tasks/sweep", "", TASK_TOKEN, 0)
        .await
        .problem(500, "ledger_unavailable");
    assert!(down.worker.cleaned.load(Ordering::SeqCst));
}

#[tokio::test]
async fn outcomes_answer_so_that_the_queue_does_the_right_thing() {
    let app = App::new();
    let until = app.now();
    let unavailable = Visit::Unavailable {
        message: "db-7".into(),
    };
    for (outcome, status, code) in [
        (Visit::Leased { until }, 409, "conflict"),
        (Visit::NotFound, 404, "not_found"),
        (Visit::Draining, 409, "shutting_down"),
        (unavailable, 500, "ledger_unavailable"),
    ] {
        *app.worker.outcome.lock().unwrap() = Some(outcome);
        let problem = task(&app, "/tasks/jobs/j1", BODY, TASK_TOKEN, 0)
            .await
            .problem(status, code);
        assert!(!problem.to_string().contains("db-7"));
    }
    *app.worker.outcome.lock().unwrap() = Some(Visit::NotFound);
    *app.worker.outbox.lock().unwrap() = Some(DeliveryOutcome::NotFound);
    for path in ["/tasks/jobs/j1", "/tasks/jobs/no%20job", "/tasks/outbox/n"] {
        let fifth = task(&app, path, BODY, TASK_TOKEN, 4).await;
        fifth.problem(404, "not_found");
        let sixth = task(&app, path, BODY, TASK_TOKEN, 5).await;
        assert_eq!(sixth.status, 200, "{path}");
    }
}

#[tokio::test]
async fn only_the_queue_gets_in() {
    let app = App::new();
    for path in ["/tasks/jobs/j1", "/tasks/outbox/n", "/tasks/sweep"] {
        for token in ["", "wrong", "alice-token", &TASK_TOKEN[1..]] {
            task(&app, path, BODY, token, 0)
                .await
                .problem(401, "unauthorized");
        }
    }
    assert!(app.worker.visits.lock().unwrap().is_empty());
    let closed = App::with(|settings| settings.tasks_auth = TasksAuth::Closed);
    task(&closed, "/tasks/sweep", "", TASK_TOKEN, 0)
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_task_that_says_nothing_sensible_is_refused() {
    let app = App::new();
    for body in [
        "{}",
        r#"{"seq":1}"#,
        r#"{"seq":-1,"why":"wake"}"#,
        r#"{"seq":1,"why":"wake","x":1}"#,
        "[",
    ] {
        task(&app, "/tasks/jobs/j1", body, TASK_TOKEN, 0)
            .await
            .problem(400, "invalid_request");
    }
    assert!(app.worker.visits.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_visit_goes_on_when_the_queue_hangs_up() {
    let app = App::new();
    *app.worker.takes.lock().unwrap() = Duration::from_millis(300);
    let address = app.serve().await;
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /tasks/jobs/j1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TASK_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    until("the visit began", || {
        !app.worker.visits.lock().unwrap().is_empty()
    })
    .await;
    drop(socket);
    assert!(!app.worker.finished.load(Ordering::SeqCst));
    until("the visit ended", || {
        app.worker.finished.load(Ordering::SeqCst)
    })
    .await;
}
