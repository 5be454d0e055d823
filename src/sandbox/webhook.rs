//! Calling back.
//!
//! As documented: the prediction without envelope and with its input, signed `v3`, tried up to
//! three times, on `completed` and `failed` only.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

use super::faults::Fault;
use super::state::{DeliveryRecord, State, record};
use crate::clock::{Clock, SystemClock};

const TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn deliver(state: &State, id: &str) {
    let Some((url, body, faults)) = due(state, id) else {
        return;
    };
    let mut copies = 1;
    let mut spoil = false;
    for fault in &faults {
        match fault {
            Fault::WebhookLost => return,
            Fault::WebhookLate { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Fault::WebhookDuplicate => copies = 2,
            Fault::WebhookBadSignature => spoil = true,
            _ => {}
        }
    }
    let body = body.to_string();
    for _ in 0..copies {
        let mut pause = state.config.webhook_backoff;
        for attempt in 1..=TRIES {
            if send(state, id, &url, &body, spoil).await || attempt == TRIES {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

fn due(state: &State, id: &str) -> Option<(Url, Value, Vec<Fault>)> {
    let inner = state.lock();
    let prediction = inner.predictions.get(id)?;
    let url = prediction.webhook.clone()?;
    let mut body = prediction.data(&state.base);
    let told = matches!(body["status"].as_str(), Some("completed" | "failed"));
    body["input"] = prediction.input.clone();
    told.then(|| (url, body, prediction.faults.clone()))
}

/// Says whether it was taken.
async fn send(state: &State, id: &str, url: &Url, body: &str, spoil: bool) -> bool {
    let at = SystemClock.now().as_second().to_string();
    let mut signature = signature(&state.config.webhook_secret, id, &at, body).unwrap_or_default();
    if spoil {
        signature = "0".repeat(64);
    }
    let answer = state
        .client
        .post(url.clone())
        .timeout(TIMEOUT)
        .header(http::header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v3,{signature}"))
        .body(body.to_owned())
        .send()
        .await;
    let status = answer.ok().map(|response| response.status());
    record(
        &mut state.lock().deliveries,
        DeliveryRecord {
            prediction_id: id.to_owned(),
            url: url.to_string(),
            status: status.map(|status| status.as_u16()),
        },
    );
    status.is_some_and(|status| status.is_success())
}

/// Hexadecimal HMAC-SHA256 over id, time and body, with the secret after its prefix as key.
fn signature(secret: &str, id: &str, at: &str, body: &str) -> Option<String> {
    let key = secret.strip_prefix("whsec_").unwrap_or(secret);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}
