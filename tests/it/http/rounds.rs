//! What may be asked for once a round is over.

use std::sync::atomic::Ordering;

use axum::http::Method;
use filmlab::http::{JobView, NotificationList, NotificationView};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{Channel, Code, Failure, JobId, Notice, Status};
use filmlab::ledger::Deleted;
use serde_json::{Value, json};

use super::App;

async fn ended(app: &App, status: Status) -> JobId {
    let id = app.create().await;
    app.change(&id, |job| {
        job.status = status;
        job.next_visit_at = None;
        job.cancel_requested = status == Status::Cancelled;
    });
    app.queue.take();
    id
}

#[tokio::test]
async fn a_failed_job_is_retried_with_a_deadline_of_its_own() {
    let app = App::new();
    for (body, deadline) in [
        (Value::Null, 7200),
        (json!({}), 7200),
        (json!({"deadline_s": 60}), 60),
    ] {
        for status in [Status::Failed, Status::Cancelled] {
            let id = ended(&app, status).await;
            let path = format!("/v1/jobs/{id}/retry");
            let answer = app.expect(Method::POST, &path, body.clone(), 202).await;
            let view: JobView = serde_json::from_value(answer.json()).unwrap();
            assert_eq!(
                (view.status, view.round, view.attempt),
                (Status::Queued, 2, 1)
            );
            assert!(!view.cancel_requested);
            assert_eq!(
                view.deadline_at.duration_since(app.now()).as_secs(),
                deadline
            );
            assert_eq!(app.queue.take(), [format!("{id}-2-wake")]);
            // The same request again finds the round running.
            app.post(&path, body.clone()).await.problem(409, "conflict");
        }
    }
}

#[tokio::test]
async fn a_retry_whose_outcome_is_unknown_begins_one_round() {
    let app = App::new();
    let id = ended(&app, Status::Failed).await;
    app.ledger.loses_retry.store(true, Ordering::SeqCst);
    let path = format!("/v1/jobs/{id}/retry");
    let answer = app.expect(Method::POST, &path, Value::Null, 202).await;
    assert_eq!(answer.json()["round"], 2);
    assert_eq!(app.queue.take(), [format!("{id}-2-wake")]);
    assert_eq!(app.ledger.job(&id).round, 2);
}

#[tokio::test]
async fn only_what_has_ended_badly_is_retried() {
    let app = App::new();
    let running = app.create().await;
    let done = ended(&app, Status::Completed).await;
    for id in [running, done] {
        let answer = app.post(&format!("/v1/jobs/{id}/retry"), Value::Null).await;
        answer.problem(409, "conflict");
        assert_eq!(app.ledger.job(&id).round, 1);
    }
    let failed = ended(&app, Status::Failed).await;
    let path = format!("/v1/jobs/{failed}/retry");
    let others = app.call("bob", Method::POST, &path, None, &[]).await;
    others.problem(404, "not_found");
    for (body, field) in [
        (json!({"deadline_s": 1}), "deadline_s"),
        (json!({"deadline_s": "x"}), "deadline_s"),
        (json!({"dead": 1}), "dead"),
        (json!([]), "body"),
    ] {
        let problem = app.post(&path, body).await.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let text = app
        .call(
            "alice",
            Method::POST,
            &path,
            None,
            &[("content-type", "text/plain")],
        )
        .await;
    assert_eq!(text.status, 202, "no body has no type");
    app.post("/v1/jobs/nobody/retry", Value::Null)
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn an_ended_job_is_deleted_by_its_owner() {
    let app = App::new();
    let delete = async |who: &str, id: &JobId| {
        let path = format!("/v1/jobs/{id}");
        app.call(who, Method::DELETE, &path, None, &[]).await
    };
    let running = app.create().await;
    delete("alice", &running).await.problem(409, "conflict");
    let id = ended(&app, Status::Completed).await;
    delete("bob", &id).await.problem(404, "not_found");
    assert!(app.worker.deleted.lock().unwrap().is_empty());

    let answer = delete("alice", &id).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    assert_eq!(*app.worker.deleted.lock().unwrap(), [id.to_string()]);

    // What the deletion finds on its way.
    let job = Box::new(app.ledger.job(&running));
    for (outcome, status, code) in [
        (Ok(Deleted::NotEnded(job)), 409, "conflict"),
        (Ok(Deleted::NotFound), 404, "not_found"),
        (
            Err(Failure::new(Code::ProviderUnavailable, "x")),
            502,
            "provider_unavailable",
        ),
        (
            Err(Failure::new(Code::StorageUnavailable, "bucket-7.internal")),
            503,
            "storage_unavailable",
        ),
    ] {
        *app.worker.deletion.lock().unwrap() = Some(outcome);
        let problem = delete("alice", &id).await.problem(status, code);
        assert!(!problem.to_string().contains("internal"), "{problem}");
    }
}

fn notice(app: &App, id: &JobId, round: u32, state: DeliveryState) -> String {
    let mut job = app.ledger.job(id);
    job.round = round;
    let channel = Channel::Webhook {
        url: "https://hooks.example/secret-path".parse().unwrap(),
    };
    let mut notice = Notice::terminal(&job, channel, app.now()).unwrap();
    notice.state = state;
    notice.deliveries = 3;
    notice.next_at = (state == DeliveryState::Pending).then(|| app.now());
    notice.last_error = Some("503".into());
    let name = notice.id.clone();
    app.ledger.notices.lock().unwrap().push(notice);
    name
}

#[tokio::test]
async fn notices_are_listed_and_replayed() {
    let app = App::new();
    let id = ended(&app, Status::Failed).await;
    let list = format!("/v1/jobs/{id}/notifications");
    let replay = format!("{list}/replay");
    app.post(&replay, Value::Null)
        .await
        .problem(409, "conflict");
    let first = notice(&app, &id, 1, DeliveryState::Delivered);
    let second = notice(&app, &id, 2, DeliveryState::Undeliverable);

    let answer = app.get(&list).await;
    let got: NotificationList = serde_json::from_value(answer.json()).unwrap();
    let seen: Vec<_> = got
        .notifications
        .iter()
        .map(|notice| {
            (
                notice.id.clone(),
                notice.round,
                notice.state,
                notice.deliveries,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (first.clone(), Some(1), DeliveryState::Delivered, 3),
            (second.clone(), Some(2), DeliveryState::Undeliverable, 3),
        ]
    );
    assert_eq!(answer.json()["notifications"][1]["channel"], "webhook");
    assert_eq!(answer.json()["notifications"][1]["event"], "job.failed");
    assert_eq!(answer.json()["notifications"][1]["last_error"], "503");
    assert!(!answer.json().to_string().contains("secret-path"));

    for (body, wanted) in [
        (Value::Null, &second),
        (json!({"round": 1}), &first),
        (json!({"round": 2}), &second),
    ] {
        let answer = app.expect(Method::POST, &replay, body, 202).await;
        let view: NotificationView = serde_json::from_value(answer.json()).unwrap();
        assert_eq!(
            (&view.id, view.state, view.next_at),
            (wanted, DeliveryState::Pending, Some(app.now()))
        );
    }
    let names = app.queue.take();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(
        (names.len(), unique.len()),
        (3, 3),
        "each has a fresh name: {names:?}"
    );

    let gone = app.post(&replay, json!({"round": 9})).await;
    gone.problem(404, "not_found");
    for body in [
        json!({"round": 0}),
        json!({"round": "x"}),
        json!({"turn": 1}),
    ] {
        app.post(&replay, body)
            .await
            .problem(400, "invalid_request");
    }
    for (method, path) in [(Method::GET, &list), (Method::POST, &replay)] {
        let others = app.call("bob", method, path, None, &[]).await;
        others.problem(404, "not_found");
    }
    // The queue may be down: the sweep finds what is due.
    app.queue.down.store(true, Ordering::SeqCst);
    app.expect(Method::POST, &replay, Value::Null, 202).await;
}
