//! Notices as signed webhooks, after Standard Webhooks.
//!
//! The body is the payload; `webhook-id`, `webhook-timestamp` and `webhook-signature` let the
//! receiver check it and drop repeats: the id is the notice's own and stays the same over all
//! tries. Receivers are addresses that users chose, so the rule for outgoing requests holds.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};

use super::{Notifier, NotifyError};
use crate::clock::SharedClock;
use crate::job::{Channel, Notice};
use crate::outgoing::{self, OutgoingRules};

/// Standard Webhooks advises receivers to answer within 15 to 30 s; ten keep a visit short, and
/// whoever is slower gets the notice again.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A receiver that asks for more patience than this gets the notice earlier.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Why the notifier cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InvalidWebhookSettings {
    /// Standard Webhooks asks for 24 to 64 bytes.
    #[error("the webhook secret must be whsec_ and the base64 of 24 to 64 bytes")]
    Secret,
    #[error("the client for webhooks cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// Sends notices to the address a job names.
pub struct WebhookNotifier {
    client: reqwest::Client,
    secret: Webhook,
    /// Signs too, for receivers that do not know the new one yet.
    old: Option<Webhook>,
    allow_loopback: bool,
    clock: SharedClock,
}

impl fmt::Debug for WebhookNotifier {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNotifier")
            .field("allow_loopback", &self.allow_loopback)
            .finish_non_exhaustive()
    }
}

impl WebhookNotifier {
    /// `secret` is the operator's, as `whsec_…`.
    pub fn new(
        secret: &str,
        allow_loopback: bool,
        clock: SharedClock,
    ) -> Result<Self, InvalidWebhookSettings> {
        Self::with_timeout(secret, allow_loopback, clock, TIMEOUT)
    }

    /// As [`WebhookNotifier::new`], with another limit for one delivery.
    pub fn with_timeout(
        secret: &str,
        allow_loopback: bool,
        clock: SharedClock,
        timeout: Duration,
    ) -> Result<Self, InvalidWebhookSettings> {
        let secret = signer(secret)?;
        let client = outgoing::client(&OutgoingRules {
            allow_loopback,
            // The receiver's name stands in the job; a redirect would send it elsewhere.
            max_redirects: 0,
            connect_timeout: timeout,
            read_timeout: timeout,
            total_timeout: timeout,
        })
        .build()?;
        Ok(Self {
            client,
            secret,
            old: None,
            allow_loopback,
            clock,
        })
    }

    /// Signs with this secret as well: Standard Webhooks lets signatures stand side by side.
    pub fn signing_with(mut self, old: &str) -> Result<Self, InvalidWebhookSettings> {
        self.old = Some(signer(old)?);
        Ok(self)
    }
}

fn signer(secret: &str) -> Result<Webhook, InvalidWebhookSettings> {
    use base64::Engine as _;
    let key = secret
        .strip_prefix("whsec_")
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .filter(|key| (24..=64).contains(&key.len()))
        .ok_or(InvalidWebhookSettings::Secret)?;
    Webhook::from_bytes(key).map_err(|_| InvalidWebhookSettings::Secret)
}

#[async_trait]
impl Notifier for WebhookNotifier {
    fn serves(&self, notice: &Notice) -> bool {
        matches!(notice.channel, Channel::Webhook { .. })
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        let Channel::Webhook { url } = &notice.channel else {
            return Err(NotifyError::Refused("not a webhook".into()));
        };
        outgoing::check_url(url, self.allow_loopback)
            .map_err(|refused| NotifyError::Refused(refused.to_string()))?;
        let body = notice.payload.to_string();
        let timestamp = self.clock.now().as_second();
        let signed = [Some(&self.secret), self.old.as_ref()]
            .into_iter()
            .flatten()
            .map(|secret| secret.sign(&notice.id, timestamp, body.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| NotifyError::Refused(error.to_string()))?;
        let signature = signed.join(" ");
        let mut request = self.client.post(url.clone());
        if let Some(traceparent) = &notice.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let answer = request
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, &notice.id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(body)
            .send()
            .await;
        match answer {
            Ok(response) => judge(&response),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The body of the answer is never read: nothing in it matters, and it may be endless.
fn judge(response: &Response) -> Result<(), NotifyError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(NotifyError::Refused("the receiver is gone (410)".into()));
    }
    // A redirect is not final: a proxy sends one while the receiver is being replaced.
    let unfollowed = if status.is_redirection() {
        "; redirects are not followed"
    } else {
        ""
    };
    Err(NotifyError::Failed {
        message: format!("the receiver answers {status}{unfollowed}"),
        retry_after: retry_after(response),
    })
}

/// `Retry-After` in seconds; its date form is rare with webhooks, and the outbox has a pause of
/// its own.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

fn failed(error: reqwest::Error) -> NotifyError {
    if let Some(refused) = outgoing::refusal(&error) {
        return NotifyError::Refused(refused.to_string());
    }
    let message = if error.is_timeout() {
        "the receiver does not answer in time".to_owned()
    } else if error.is_connect() {
        "the receiver cannot be reached".to_owned()
    } else {
        // Without the address: it may hold the user's own secret.
        error.without_url().to_string()
    };
    NotifyError::Failed {
        message,
        retry_after: None,
    }
}
