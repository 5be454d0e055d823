//! Notices as push messages to an app, over Firebase Cloud Messaging's v1 API.
//!
//! A message says that a job has ended and which; the app reads the job for the rest. One call a
//! notice, by an account with `roles/firebasecloudmessaging.admin`. A repeat replaces the message
//! on the device: it carries the notice's id as collapse key and tag.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};
use url::Url;

use super::{Notifier, NotifyError};
use crate::google::{self, GoogleAccess, GoogleError};
use crate::job::{Channel, Event, Notice};
use crate::retry::retry_after;

const BASE: &str = "https://fcm.googleapis.com";
const TIMEOUT: Duration = Duration::from_secs(10);
/// FCM's bound for `notification` and `data` together.
const MOST_BYTES: usize = 4096;
/// What FCM advises to wait where 429 names no time.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// Why messages cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFcmSettings {
    #[error("{0:?} is not the id of a Firebase project")]
    Project(String),
    #[error(transparent)]
    Access(#[from] GoogleError),
}

/// Sends messages to devices by their registration token.
#[derive(Debug)]
pub struct FcmNotifier {
    client: ClientWithMiddleware,
    address: Url,
}

impl FcmNotifier {
    /// `endpoint` names another server than Google's own, for stand-ins.
    pub fn new(
        project: &str,
        endpoint: Option<&Url>,
        access: &GoogleAccess,
    ) -> Result<Self, InvalidFcmSettings> {
        let invalid = || InvalidFcmSettings::Project(project.to_owned());
        let known = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
        if project.is_empty() || !project.chars().all(known) {
            return Err(invalid());
        }
        let base = endpoint.map_or(BASE, Url::as_str).trim_end_matches('/');
        let address = format!("{base}/v1/projects/{project}/messages:send");
        Ok(Self {
            // The outbox repeats, under its own count: a message is not idempotent.
            client: access.client(TIMEOUT, None)?,
            address: address.parse().map_err(|_| invalid())?,
        })
    }
}

#[async_trait]
impl Notifier for FcmNotifier {
    fn serves(&self, notice: &Notice) -> bool {
        matches!(notice.channel, Channel::Fcm { .. })
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        let Channel::Fcm { token } = &notice.channel else {
            return Err(NotifyError::Refused("not a device".into()));
        };
        let answer = self
            .client
            .post(self.address.clone())
            .json(&message(notice, token))
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let asked = retry_after(answer.headers());
        Err(judge(status, asked, &google::body_start(answer).await))
    }
}

fn message(notice: &Notice, token: &str) -> Value {
    let (title, body) = words(notice.event);
    let mut data = json!({
        "id": notice.id,
        "type": notice.event.as_str(),
        "job_id": notice.job,
    });
    for name in ["kind", "status"] {
        if let Some(text) = notice.payload.pointer(&format!("/data/{name}"))
            && let Some(text) = text.as_str()
        {
            data[name] = text.into();
        }
    }
    if let Some(code) = notice.payload.pointer("/data/error/code")
        && let Some(code) = code.as_str()
    {
        data["error_code"] = code.into();
    }
    let shown = json!({"title": title, "body": body});
    if shown.to_string().len() + data.to_string().len() > MOST_BYTES {
        // Ids are short; should one ever not be, the app still learns of the end.
        data = json!({"type": notice.event.as_str()});
    }
    // Apple takes 64 bytes for the id that replaces a message.
    let collapse: String = notice.id.chars().filter(char::is_ascii).take(64).collect();
    json!({"message": {
        "token": token,
        "notification": shown,
        "data": data,
        "android": {"collapse_key": collapse, "notification": {"tag": collapse}},
        "apns": {"headers": {"apns-collapse-id": collapse}},
    }})
}

fn words(event: Event) -> (&'static str, &'static str) {
    match event {
        Event::Completed => ("Your video is ready", "Open the app to watch it."),
        Event::Failed => ("Your video could not be made", "Open the app to see why."),
        Event::Cancelled => ("Your video was cancelled", "Nothing more will happen."),
    }
}

fn judge(status: StatusCode, asked: Option<Duration>, body: &[u8]) -> NotifyError {
    let (word, said) = google::said(body);
    // The precise reason stands in the details; a token that is gone comes as 404.
    let unregistered = String::from_utf8_lossy(body).contains("\"UNREGISTERED\"");
    let message = format!("FCM answers {status} {word}: {said}");
    match status.as_u16() {
        _ if unregistered => NotifyError::Refused("the device is not registered any more".into()),
        404 | 400 => NotifyError::Refused(message),
        429 => NotifyError::Failed {
            message,
            retry_after: Some(asked.unwrap_or(QUOTA_PAUSE)),
        },
        // 401 and 403 are ours to mend, while the notice waits.
        _ => NotifyError::Failed {
            message,
            retry_after: asked,
        },
    }
}

fn failed(error: &reqwest_middleware::Error) -> NotifyError {
    let message = match error {
        reqwest_middleware::Error::Reqwest(error) if error.is_timeout() => {
            "FCM does not answer in time".to_owned()
        }
        reqwest_middleware::Error::Reqwest(error) if error.is_connect() => {
            "FCM cannot be reached".to_owned()
        }
        other => other.to_string(),
    };
    NotifyError::Failed {
        message,
        retry_after: None,
    }
}
