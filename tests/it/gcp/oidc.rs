//! Who gets into `/tasks`, by every kind of token.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filmlab::http::{OidcCheck, TasksAuth};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::http::App;
use crate::support::google::{FakeGoogle, KEY, OTHER_KEY, claims, unsigned};

const AUDIENCE: &str = "https://worker.example";
const ACCOUNT: &str = "tasks@demo.iam.gserviceaccount.com";

async fn verifying(google: &FakeGoogle) -> App {
    let certs = google.start().await.join("/oauth2/v3/certs").unwrap();
    let check = OidcCheck::new(AUDIENCE, ACCOUNT, Some(certs)).unwrap();
    App::with(|settings| settings.tasks_auth = TasksAuth::Verify(Arc::new(check)))
}

fn platform() -> App {
    App::with(|settings| {
        settings.tasks_auth = TasksAuth::Platform {
            service_account: ACCOUNT.into(),
        };
    })
}

fn publishing(keys: Vec<Value>, age_s: u64) -> FakeGoogle {
    let google = FakeGoogle::default();
    *google.certs.lock().unwrap() = Some((keys, age_s));
    google
}

async fn status(app: &App, token: Option<&str>) -> u16 {
    let mut request = Request::post("/tasks/sweep");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    app.send(request.body(Body::empty()).unwrap())
        .await
        .status
        .as_u16()
}

/// A token whose claims were changed before it was signed.
fn changed(name: &str, value: Value) -> String {
    let mut claims = claims(AUDIENCE, ACCOUNT);
    claims[name] = value;
    KEY.token(&claims)
}

/// A token with another head, signed by `sign`.
fn with_head(head: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = unsigned(head, &claims(AUDIENCE, ACCOUNT));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn bad_tokens() -> Vec<(&'static str, String, u16)> {
    let now = jiff::Timestamp::now().as_second();
    let good = KEY.token(&claims(AUDIENCE, ACCOUNT));
    let (text, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = text.split_once('.').unwrap();
    let mut others = claims(AUDIENCE, ACCOUNT);
    others["email"] = "evil@demo.iam.gserviceaccount.com".into();
    let swapped = URL_SAFE_NO_PAD.encode(others.to_string());
    let mut no_email = claims(AUDIENCE, ACCOUNT);
    no_email.as_object_mut().unwrap().remove("email");
    let hs256 = |key: Vec<u8>| {
        with_head(
            &json!({"alg": "HS256", "kid": "key-1", "typ": "JWT"}),
            |text| {
                let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
                mac.chain_update(text).finalize().into_bytes().to_vec()
            },
        )
    };
    let forged = with_head(&json!({"alg": "RS256", "kid": "key-1"}), |text| {
        OTHER_KEY.sign(text)
    });
    let unknown = with_head(&json!({"alg": "RS256", "kid": "key-9"}), |text| {
        KEY.sign(text)
    });
    let no_kid = with_head(&json!({"alg": "RS256"}), |text| KEY.sign(text));
    vec![
        ("forged", forged, 401),
        (
            "changed after signing",
            format!("{head}.{swapped}.{signature}"),
            401,
        ),
        ("expired", changed("exp", json!(now - 60)), 401),
        ("not yet made", changed("iat", json!(now + 600)), 401),
        ("no expiry", changed("exp", Value::Null), 401),
        (
            "wrong audience",
            changed("aud", json!("https://other.example")),
            401,
        ),
        (
            "audience as prefix",
            changed("aud", json!("https://worker.example/x")),
            401,
        ),
        (
            "wrong issuer",
            changed("iss", json!("https://accounts.evil.example")),
            401,
        ),
        (
            "wrong email",
            changed("email", json!("evil@demo.iam.gserviceaccount.com")),
            403,
        ),
        ("no email", KEY.token(&no_email), 403),
        (
            "email not verified",
            changed("email_verified", json!(false)),
            403,
        ),
        (
            "email perhaps verified",
            changed("email_verified", Value::Null),
            403,
        ),
        (
            "unsigned",
            with_head(&json!({"alg": "none", "kid": "key-1"}), |_| Vec::new()),
            401,
        ),
        ("HS256 with the public key", hs256(KEY.public()), 401),
        (
            "HS256 with the key as text",
            hs256(KEY.pem().into_bytes()),
            401,
        ),
        ("unknown key", unknown, 401),
        ("no key named", no_kid, 401),
        (
            "signature removed",
            format!("{text}.SIGNATURE_REMOVED_BY_GOOGLE"),
            401,
        ),
        ("two parts", text.to_owned(), 401),
        ("no token at all", "abc".to_owned(), 401),
        ("endless", format!("{good}{}", "A".repeat(20_000)), 401),
    ]
}

#[tokio::test]
async fn the_full_check_lets_in_the_queue_s_account_alone() {
    let google = publishing(vec![KEY.jwk()], 3600);
    let app = verifying(&google).await;
    let good = KEY.token(&claims(AUDIENCE, ACCOUNT));
    assert_eq!(status(&app, Some(&good)).await, 200);
    // At least once is the queue's promise, and visits are idempotent: a repeat is let in.
    assert_eq!(status(&app, Some(&good)).await, 200);
    let plain_issuer = changed("iss", json!("accounts.google.com"));
    assert_eq!(status(&app, Some(&plain_issuer)).await, 200);
    for (what, token, expected) in bad_tokens() {
        assert_eq!(status(&app, Some(&token)).await, expected, "{what}");
    }
    assert_eq!(status(&app, None).await, 401);
    assert_eq!(status(&app, Some("")).await, 401);
    // No made-up key name makes this service ask Google again.
    assert_eq!(google.calls(), ["certs"]);
}

#[tokio::test]
async fn every_route_is_guarded() {
    let app = verifying(&publishing(vec![KEY.jwk()], 3600)).await;
    for path in ["/tasks/jobs/j1", "/tasks/outbox/n", "/tasks/sweep"] {
        let request = Request::post(path).body(Body::from(r#"{"seq":1,"why":"wake"}"#));
        let answer = app.send(request.unwrap()).await;
        answer.problem(401, "unauthorized");
    }
    assert!(app.worker.visits.lock().unwrap().is_empty());
}

#[tokio::test]
async fn keys_may_change() {
    // Keys that may not be kept are fetched anew for each token.
    let google = publishing(vec![KEY.jwk()], 0);
    let app = verifying(&google).await;
    let old = KEY.token(&claims(AUDIENCE, ACCOUNT));
    let new = OTHER_KEY.token(&claims(AUDIENCE, ACCOUNT));
    assert_eq!(
        (
            status(&app, Some(&old)).await,
            status(&app, Some(&new)).await
        ),
        (200, 401)
    );
    // Both, while Google changes over; then the new one alone.
    *google.certs.lock().unwrap() = Some((vec![KEY.jwk(), OTHER_KEY.jwk()], 0));
    assert_eq!(
        (
            status(&app, Some(&old)).await,
            status(&app, Some(&new)).await
        ),
        (200, 200)
    );
    *google.certs.lock().unwrap() = Some((vec![OTHER_KEY.jwk()], 0));
    assert_eq!(
        (
            status(&app, Some(&old)).await,
            status(&app, Some(&new)).await
        ),
        (401, 200)
    );
}

#[tokio::test]
async fn keys_that_cannot_be_had_do_not_slow_the_queue_down() {
    let google = FakeGoogle::default();
    let app = verifying(&google).await;
    let good = KEY.token(&claims(AUDIENCE, ACCOUNT));
    // 429 and 503 would; any failure brings the task again.
    assert_eq!(status(&app, Some(&good)).await, 500);
    // And nobody gets in meanwhile, nor is Google asked by every request.
    assert_eq!(status(&app, Some(&good)).await, 500);
    assert_eq!(google.calls(), ["certs"]);
}

#[tokio::test]
async fn cold_keys_are_fetched_once_for_all() {
    let google = publishing(vec![KEY.jwk()], 3600);
    let app = verifying(&google).await;
    let good = KEY.token(&claims(AUDIENCE, ACCOUNT));
    let all = (0..16).map(|_| status(&app, Some(&good)));
    assert_eq!(futures::future::join_all(all).await, vec![200; 16]);
    assert_eq!(google.calls(), ["certs"]);
}

#[tokio::test]
async fn behind_the_platform_only_the_name_is_looked_at() {
    let app = platform();
    let good = KEY.token(&claims(AUDIENCE, ACCOUNT));
    let (text, _) = good.rsplit_once('.').unwrap();
    let removed = format!("{text}.SIGNATURE_REMOVED_BY_GOOGLE");
    assert_eq!(status(&app, Some(&removed)).await, 200);
    assert_eq!(status(&app, Some(&good)).await, 200);
    for (what, token, _) in bad_tokens() {
        let expected = match what {
            "wrong email"
            | "no email"
            | "email not verified"
            | "email perhaps verified"
            | "changed after signing" => 403,
            "two parts" | "no token at all" => 401,
            // What the platform is there to refuse.
            _ => 200,
        };
        assert_eq!(status(&app, Some(&token)).await, expected, "{what}");
    }
    assert_eq!(status(&app, None).await, 401);
}
