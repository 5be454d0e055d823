//! Google's identities, with keys made at test time: the metadata server, IAM's `signBlob`, the
//! certificates that ID tokens are checked with.

use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) const SERVICE_ACCOUNT: &str = "worker@demo.iam.gserviceaccount.com";
/// The token that the metadata server hands out.
pub(crate) const ACCESS_TOKEN: &str = "metadata-token";

/// An RSA key, as Google would hold one.
pub(crate) struct TestKey {
    pair: KeyPair,
    pub(crate) kid: String,
}

/// Made once: RSA keys take their time.
pub(crate) static KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::generate("key-1"));
pub(crate) static OTHER_KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::generate("key-2"));

impl TestKey {
    fn generate(kid: &str) -> Self {
        Self {
            pair: KeyPair::generate(KeySize::Rsa2048).unwrap(),
            kid: kid.to_owned(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        )
    }

    /// PKCS #1.
    pub(crate) fn public(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .unwrap();
        signature
    }

    pub(crate) fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": part(public.modulus().big_endian_without_leading_zero()),
            "e": part(public.exponent().big_endian_without_leading_zero()),
        })
    }

    /// A signed token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let head = json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"});
        let text = unsigned(&head, claims);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }

    /// The JSON file of a service account.
    pub(crate) fn file(&self) -> Value {
        json!({
            "type": "service_account",
            "project_id": "demo",
            "private_key_id": self.kid,
            "private_key": self.pem(),
            "client_email": SERVICE_ACCOUNT,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        })
    }
}

/// Head and claims, as a token's signature covers them.
pub(crate) fn unsigned(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(head), part(claims))
}

/// What Google puts into a task's token.
pub(crate) fn claims(audience: &str, email: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": "https://accounts.google.com", "aud": audience, "azp": "1", "sub": "1",
        "email": email, "email_verified": true, "iat": now, "exp": now + 3600,
    })
}

/// Keys, and how long they may be kept, in seconds.
type Published = (Vec<Value>, u64);

/// Metadata server, IAM and certificates under one address.
#[derive(Clone, Default)]
pub(crate) struct FakeGoogle {
    /// What is published now.
    pub(crate) certs: Arc<Mutex<Option<Published>>>,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
}

impl FakeGoogle {
    /// Starts it; gives its address.
    pub(crate) async fn start(&self) -> url::Url {
        let router = Router::new()
            .route(
                "/computeMetadata/v1/instance/service-accounts/default/{what}",
                get(metadata),
            )
            .route("/v1/projects/-/serviceAccounts/{call}", post(sign_blob))
            .route("/oauth2/v3/certs", get(certs))
            .with_state(self.clone());
        serve(router).await
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

pub(crate) async fn serve(router: Router) -> url::Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/").parse().unwrap()
}

async fn metadata(
    State(google): State<FakeGoogle>,
    Path(what): Path<String>,
    headers: HeaderMap,
) -> impl IntoResponse {
    google
        .calls
        .lock()
        .unwrap()
        .push(format!("metadata {what}"));
    if headers
        .get("metadata-flavor")
        .is_none_or(|flavor| flavor != "Google")
    {
        return (StatusCode::FORBIDDEN, String::new());
    }
    let text = match what.as_str() {
        "email" => SERVICE_ACCOUNT.to_owned(),
        "token" => json!({
            "access_token": ACCESS_TOKEN, "expires_in": 3600, "token_type": "Bearer",
        })
        .to_string(),
        _ => return (StatusCode::NOT_FOUND, String::new()),
    };
    (StatusCode::OK, text)
}

async fn sign_blob(
    State(google): State<FakeGoogle>,
    Path(call): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    google.calls.lock().unwrap().push(call.clone());
    if headers.get("authorization").is_none() || !call.ends_with(":signBlob") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let payload = STANDARD.decode(body["payload"].as_str().unwrap()).unwrap();
    Ok(Json(json!({
        "keyId": KEY.kid, "signedBlob": STANDARD.encode(KEY.sign(&payload)),
    })))
}

async fn certs(State(google): State<FakeGoogle>) -> impl IntoResponse {
    google.calls.lock().unwrap().push("certs".into());
    match google.certs.lock().unwrap().clone() {
        Some((keys, age)) => (
            [("cache-control", format!("public, max-age={age}"))],
            Json(json!({ "keys": keys })),
        )
            .into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
