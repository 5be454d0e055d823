//! Notices as their receivers get them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use filmlab::clock::SystemClock;
use filmlab::job::notice::DeliveryState;
use filmlab::job::{Channel, Event, Notice, Timestamp};
use filmlab::notify::log::LogNotifier;
use filmlab::notify::webhook::WebhookNotifier;
use filmlab::notify::{Notifier as _, NotifyError};
use serde_json::json;
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that keeps what it gets.
async fn receiver() -> (String, Seen) {
    let seen = Seen::default();
    let keep = Arc::clone(&seen);
    let good = move |headers: HeaderMap, body: Bytes| async move {
        keep.lock().unwrap().push((headers, body));
        StatusCode::NO_CONTENT
    };
    let router = Router::new()
        .route("/good", post(good))
        .route(
            "/redirect",
            post(|| async { (StatusCode::FOUND, [("location", "/good")]) }),
        )
        .route("/gone", post(|| async { StatusCode::GONE }))
        .route(
            "/broken",
            post(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route(
            "/busy",
            post(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "120")]) }),
        )
        .route(
            "/slow",
            post(|| async { std::future::pending::<()>().await }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), seen)
}

fn notice(url: &str) -> Notice {
    Notice {
        schema_version: 0,
        id: "j1:1:job.completed".into(),
        job: "j1".parse().unwrap(),
        owner: "u1".parse().unwrap(),
        event: Event::Completed,
        channel: Channel::Webhook {
            url: url.parse().unwrap(),
        },
        payload: json!({"type": "job.completed", "data": {"name": "é"}}),
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

fn notifier(allow_loopback: bool) -> WebhookNotifier {
    WebhookNotifier::with_timeout(
        SECRET,
        allow_loopback,
        Arc::new(SystemClock),
        Duration::from_millis(500),
    )
    .unwrap()
}

#[tokio::test]
async fn a_receiver_can_check_the_notice_and_drop_repeats() {
    let (base, seen) = receiver().await;
    let notice = notice(&format!("{base}/good"));
    for _ in 0..2 {
        notifier(true).deliver(&notice).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for (headers, body) in seen.iter() {
        assert_eq!(headers["webhook-id"], notice.id);
        assert_eq!(headers["content-type"], "application/json");
        Webhook::new(SECRET).unwrap().verify(body, headers).unwrap();
        assert!(
            Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
                .unwrap()
                .verify(body, headers)
                .is_err()
        );
        let payload: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(payload, notice.payload);
    }
}

/// A receiver that knows one of the two secrets takes the notice.
#[tokio::test]
async fn a_notice_carries_both_signatures_while_secrets_are_changed() {
    const OLD: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let (base, seen) = receiver().await;
    let both = notifier(true).signing_with(OLD).unwrap();
    both.deliver(&notice(&format!("{base}/good")))
        .await
        .unwrap();
    let (headers, body) = seen.lock().unwrap().remove(0);
    for secret in [SECRET, OLD] {
        Webhook::new(secret)
            .unwrap()
            .verify(&body, &headers)
            .unwrap();
    }
    let other = Webhook::new("whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB").unwrap();
    assert!(other.verify(&body, &headers).is_err());
    assert!(notifier(true).signing_with("whsec_short").is_err());
}

#[tokio::test]
async fn what_will_never_work_is_told_from_what_may() {
    let (base, seen) = receiver().await;
    let deliver = async |path: &str| {
        let notice = notice(&format!("{base}{path}"));
        notifier(true).deliver(&notice).await.unwrap_err()
    };
    match deliver("/gone").await {
        NotifyError::Refused(message) => assert!(message.contains("gone"), "{message}"),
        other => panic!("{other}"),
    }
    for (path, words, after) in [
        ("/redirect", "redirects", None),
        ("/broken", "500", None),
        ("/none", "404", None),
        ("/busy", "429", Some(Duration::from_secs(120))),
        ("/slow", "in time", None),
    ] {
        match deliver(path).await {
            NotifyError::Failed {
                message,
                retry_after,
            } => {
                assert!(message.contains(words), "{path}: {message}");
                assert_eq!(retry_after, after, "{path}");
            }
            other => panic!("{path}: {other}"),
        }
    }
    let nobody = notice("http://127.0.0.1:1/?token=secret");
    match notifier(true).deliver(&nobody).await.unwrap_err() {
        NotifyError::Failed { message, .. } => {
            assert!(message.contains("reached") && !message.contains("secret"));
        }
        other => panic!("{other}"),
    }
    assert!(seen.lock().unwrap().is_empty(), "no redirect was followed");
}

#[tokio::test]
async fn inside_addresses_are_never_called() {
    let (base, seen) = receiver().await;
    let strict = notifier(false);
    let port = base.rsplit(':').next().unwrap();
    for url in [
        format!("{base}/good"),
        format!("http://localhost:{port}/good"),
        format!("https://localhost:{port}/good"),
        "https://169.254.169.254/latest".into(),
        "https://[::ffff:10.0.0.1]/".into(),
        "http://example.com/plain".into(),
    ] {
        let refused = strict.deliver(&notice(&url)).await.unwrap_err();
        assert!(
            matches!(refused, NotifyError::Refused(_)),
            "{url}: {refused}"
        );
    }
    // The setting opens loopback, not the rest of the inside.
    let private = notice("https://10.0.0.1/");
    let refused = notifier(true).deliver(&private).await.unwrap_err();
    assert!(matches!(refused, NotifyError::Refused(_)), "{refused}");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_notifier_serves_its_channel() {
    let hook = notice("https://a.example/");
    let line = Notice {
        channel: Channel::Log,
        ..hook.clone()
    };
    let webhook = notifier(false);
    assert!(webhook.serves(&hook) && !webhook.serves(&line));
    assert!(LogNotifier.serves(&line) && !LogNotifier.serves(&hook));
    LogNotifier.deliver(&line).await.unwrap();
}

#[test]
fn a_bad_secret_is_refused_and_a_good_one_not_shown() {
    for bad in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_***"] {
        let made = WebhookNotifier::new(bad, false, Arc::new(SystemClock));
        assert!(made.is_err(), "{bad}");
    }
    assert!(!format!("{:?}", notifier(true)).contains("0123"));
}
