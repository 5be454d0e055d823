//! Push messages as FCM gets them, and what its answers mean.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use filmlab::google::{GoogleAccess, Identity};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{Channel, Event, Notice, Notify, Timestamp};
use filmlab::notify::fcm::FcmNotifier;
use filmlab::notify::{Notifier as _, NotifyError};
use serde_json::{Value, json};

use crate::support::google::{ACCESS_TOKEN, FakeGoogle, serve};

type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// Answers by the device's token.
async fn send(State(seen): State<Seen>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let token = body["message"]["token"].as_str().unwrap().to_owned();
    seen.lock().unwrap().push((headers, body));
    let error = |code: u16, status: &str, detail: &str| {
        let body = json!({"error": {
            "code": code, "status": status, "message": "told so",
            "details": [{"errorCode": detail}],
        }});
        (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
    };
    let later = |mut response: Response| {
        response
            .headers_mut()
            .insert("retry-after", "120".parse().unwrap());
        response
    };
    match token.as_str() {
        "gone" => error(404, "NOT_FOUND", "UNREGISTERED"),
        "of-another-app" => error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
        "nonsense" => error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        "busy" => later(error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")),
        "busy-without-a-word" => error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
        "down" => later(error(503, "UNAVAILABLE", "UNAVAILABLE")),
        "broken" => error(500, "INTERNAL", "INTERNAL"),
        _ => Json(json!({"name": "projects/demo/messages/1"})).into_response(),
    }
}

async fn notifier() -> (FcmNotifier, Seen) {
    let seen = Seen::default();
    let router = Router::new()
        .route("/v1/projects/demo/messages:send", post(send))
        .with_state(Arc::clone(&seen));
    let endpoint = serve(router).await;
    let identity = Identity::Metadata {
        endpoint: Some(FakeGoogle::default().start().await),
    };
    let access = GoogleAccess::new(&identity);
    let access = access.await.unwrap();
    (
        FcmNotifier::new("demo", Some(&endpoint), &access).unwrap(),
        seen,
    )
}

fn notice(token: &str) -> Notice {
    Notice {
        schema_version: 0,
        id: "j1:1:job.failed".into(),
        job: "j1".parse().unwrap(),
        owner: "u1".parse().unwrap(),
        event: Event::Failed,
        channel: Channel::Fcm {
            token: token.into(),
        },
        payload: json!({"data": {
            "kind": "upscale", "status": "failed", "error": {"code": "too_long"},
            "result": {"video": "v".repeat(9000)},
        }}),
        traceparent: None,
        state: DeliveryState::Pending,
        deliveries: 0,
        replays: 0,
        replayed_after: 0,
        wake: 0,
        next_at: None,
        last_error: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_message_says_what_happened_in_few_words() {
    let (notifier, seen) = notifier().await;
    for event in [Event::Completed, Event::Failed, Event::Cancelled] {
        let notice = Notice {
            event,
            ..notice("device-1")
        };
        assert!(notifier.serves(&notice));
        notifier.deliver(&notice).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    for (headers, body) in seen.iter() {
        assert_eq!(headers["authorization"], format!("Bearer {ACCESS_TOKEN}"));
        let message = &body["message"];
        assert_eq!(message["token"], "device-1");
        let data = message["data"].as_object().unwrap();
        assert!(data.values().all(Value::is_string), "{data:?}");
        assert_eq!(
            (
                &data["job_id"],
                &data["kind"],
                &data["error_code"],
                &data["id"]
            ),
            (
                &"j1".into(),
                &"upscale".into(),
                &"too_long".into(),
                &"j1:1:job.failed".into()
            )
        );
        let title = message["notification"]["title"].as_str().unwrap();
        assert!(!title.is_empty() && title.len() < 50);
        assert!(body.to_string().len() < 4096);
        assert_eq!(
            message["apns"]["headers"]["apns-collapse-id"],
            "j1:1:job.failed"
        );
    }
}

#[tokio::test]
async fn answers_are_told_apart_by_what_can_be_done() {
    let (notifier, seen) = notifier().await;
    for (token, words) in [("gone", "not registered"), ("nonsense", "INVALID_ARGUMENT")] {
        match notifier.deliver(&notice(token)).await {
            Err(NotifyError::Refused(message)) => assert!(message.contains(words), "{message}"),
            other => panic!("{token}: {other:?}"),
        }
    }
    for (token, after) in [
        ("busy", Some(120)),
        ("busy-without-a-word", Some(60)),
        ("down", Some(120)),
        ("broken", None),
        ("of-another-app", None),
    ] {
        match notifier.deliver(&notice(token)).await {
            Err(NotifyError::Failed { retry_after, .. }) => {
                assert_eq!(retry_after, after.map(Duration::from_secs), "{token}");
            }
            other => panic!("{token}: {other:?}"),
        }
    }
    // The outbox counts the tries: nothing is repeated behind its back.
    assert_eq!(seen.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn nobody_there_is_a_failure_that_may_pass() {
    let access = GoogleAccess::new(&Identity::Token("t".into()))
        .await
        .unwrap();
    let nowhere = "http://127.0.0.1:1".parse().unwrap();
    let notifier = FcmNotifier::new("demo", Some(&nowhere), &access).unwrap();
    let failed = notifier.deliver(&notice("device-1")).await;
    assert!(
        matches!(failed, Err(NotifyError::Failed { .. })),
        "{failed:?}"
    );
    for project in ["", "a/b", "a b"] {
        assert!(FcmNotifier::new(project, None, &access).is_err());
    }
}

#[test]
fn a_job_names_one_channel() {
    let both = Notify {
        webhook: Some("https://a.example/".parse().unwrap()),
        fcm_token: Some("t".into()),
    };
    assert_eq!(both.channel().unwrap().name(), "webhook");
    let device = Notify {
        webhook: None,
        ..both
    };
    assert_eq!(device.channel(), Some(Channel::Fcm { token: "t".into() }));
    assert_eq!(Notify::default().channel(), None);
}

#[tokio::test]
async fn a_request_may_name_a_device_and_nothing_beside() {
    let app = crate::http::App::new();
    let post = async |notify: Value| {
        let mut body = crate::http::upscale();
        body["notify"] = notify;
        app.post("/v1/jobs", body).await
    };
    let answer = post(json!({"fcm_token": "device-1"})).await;
    assert_eq!(answer.status, 201);
    let job = app.ledger.only().unwrap();
    assert_eq!(job.notify.fcm_token.as_deref(), Some("device-1"));
    for notify in [
        json!({"fcm_token": ""}),
        json!({"fcm_token": 7}),
        json!({"fcm_token": "x".repeat(4097)}),
        json!({"fcm_token": "device-1", "webhook": "https://a.example/"}),
    ] {
        post(notify).await.problem(400, "invalid_request");
    }
}
