//! Wake-ups as Google Cloud Tasks, over its REST API.
//!
//! One call creates one task. Its name holds what it is for, so planning it twice is one task;
//! a name stays reserved for up to a day after its task has ended. Names begin with a hash,
//! since Google spreads tasks by the start of their names. Nothing here decides when a job has
//! failed: the queue deletes a task that used up its tries and tells nobody, so it should be set
//! to try without end, and the sweep over the ledger finds what is lost.
//!
//! The creating account needs `roles/cloudtasks.enqueuer` on the queue and
//! `roles/iam.serviceAccountUser` on the account whose tokens the tasks bring.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Queue, QueueError, Scheduled, Task};
use crate::clock::{SharedClock, Timestamp, later, whole_micros};
use crate::google::{self, GoogleAccess, GoogleError};
use crate::retry::{RetryLimits, RetryPassing};

/// Google's own address.
const BASE: &str = "https://cloudtasks.googleapis.com";
/// The API answers in some tens of milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Cloud Tasks' own bound; a visit's budget lies below it.
pub const DISPATCH_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Cloud Tasks refuses tasks further ahead than 30 days.
const FURTHEST: Duration = Duration::from_secs(30 * 24 * 3600 - 60);
/// Clocks of two machines differ by less. A visit that came before its time by this machine's
/// clock could not be planned again: its name is taken by the task that runs.
const MARGIN: Duration = Duration::from_secs(1);
/// Cloud Tasks' own bound.
const LONGEST_NAME: usize = 500;

/// How the receiver knows that a task is ours.
#[derive(Clone)]
pub enum TaskCredentials {
    /// Google signs a token of this service account for this audience.
    Oidc {
        service_account: String,
        audience: String,
    },
    /// A secret of our own.
    Bearer(String),
}

impl fmt::Debug for TaskCredentials {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oidc {
                service_account,
                audience,
            } => write!(f, "Oidc({service_account}, {audience})"),
            Self::Bearer(_) => f.write_str("Bearer(…)"),
        }
    }
}

/// Which queue, and whom its tasks call.
#[derive(Debug, Clone)]
pub struct CloudTasksConfig {
    /// `projects/P/locations/L/queues/Q`.
    pub queue: String,
    /// The service's own address; tasks go to `/tasks/…` below it.
    pub target: Url,
    pub credentials: TaskCredentials,
    /// Another server than Google's own, for stand-ins.
    pub endpoint: Option<Url>,
    pub retry: RetryLimits,
}

/// Why the queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCloudTasksSettings {
    #[error("{0:?} is not projects/P/locations/L/queues/Q")]
    Queue(String),
    #[error("{0} cannot be the address of tasks")]
    Target(Url),
    #[error(transparent)]
    Access(#[from] GoogleError),
}

/// A Cloud Tasks queue.
#[derive(Debug)]
pub struct CloudTasksQueue {
    client: ClientWithMiddleware,
    /// The queue's address in the API.
    address: Url,
    queue: String,
    target: Url,
    credentials: TaskCredentials,
    clock: SharedClock,
}

impl CloudTasksQueue {
    /// Asks nobody anything yet.
    pub fn new(
        config: CloudTasksConfig,
        access: &GoogleAccess,
        clock: SharedClock,
    ) -> Result<Self, InvalidCloudTasksSettings> {
        let parts: Vec<&str> = config.queue.split('/').collect();
        let sound = matches!(
            parts.as_slice(),
            ["projects", _, "locations", _, "queues", _]
        ) && parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
        });
        if !sound {
            return Err(InvalidCloudTasksSettings::Queue(config.queue));
        }
        if !matches!(config.target.scheme(), "http" | "https") {
            return Err(InvalidCloudTasksSettings::Target(config.target));
        }
        let base = match config.endpoint {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => BASE.to_owned(),
        };
        let address = format!("{base}/v2/{}", config.queue)
            .parse()
            .map_err(|_| InvalidCloudTasksSettings::Queue(config.queue.clone()))?;
        // A repeated creation is recognised by its name.
        let retry = RetryPassing::everything(config.retry);
        Ok(Self {
            client: access.client(TIMEOUT, Some(retry))?,
            address,
            queue: config.queue,
            target: config.target,
            credentials: config.credentials,
            clock,
        })
    }

    /// The `Task` of the REST API.
    fn wire(&self, task: &Task, at: Timestamp) -> Value {
        let (segments, body) = match task {
            Task::Job { id, seq, why } => (
                ["jobs", id.as_str()],
                json!({"seq": seq, "why": why}).to_string(),
            ),
            Task::Notice { id, .. } => (["outbox", id.as_str()], "{}".to_owned()),
        };
        let target = self.target.as_str().trim_end_matches('/');
        let [kind, id] = segments;
        let mut request = json!({
            "url": format!("{target}/tasks/{kind}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)),
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": STANDARD.encode(body),
        });
        match &self.credentials {
            TaskCredentials::Oidc {
                service_account,
                audience,
            } => {
                request["oidcToken"] =
                    json!({"serviceAccountEmail": service_account, "audience": audience});
            }
            TaskCredentials::Bearer(token) => {
                request["headers"]["Authorization"] = format!("Bearer {token}").into();
            }
        }
        let mut wire = json!({
            "name": format!("{}/tasks/{}", self.queue, name(task)),
            "dispatchDeadline": format!("{}s", DISPATCH_DEADLINE.as_secs()),
            "httpRequest": request,
        });
        let now = self.clock.now();
        // What is due runs at once.
        if at > now {
            let at = later(at, MARGIN).min(later(now, FURTHEST));
            wire["scheduleTime"] = whole_micros(at).to_string().into();
        }
        wire
    }
}

/// `{hash}-{what it is for}`, within what Cloud Tasks takes. The hash tells apart tasks whose
/// names differ only in characters that a name must not hold, or in what was cut off.
fn name(task: &Task) -> String {
    let plain = serde_json::to_string(task).unwrap_or_else(|_| task.name());
    let mut name = hex::encode(&Sha256::digest(plain)[..8]);
    name.push('-');
    name.extend(task.name().chars().map(|c| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    }));
    name.truncate(LONGEST_NAME);
    name
}

#[async_trait]
impl Queue for CloudTasksQueue {
    async fn schedule(&self, task: &Task, at: Timestamp) -> Result<Scheduled, QueueError> {
        let mut url = self.address.clone();
        url.set_path(&format!("{}/tasks", url.path()));
        let body = json!({"task": self.wire(task, at)});
        let answer = self
            .client
            .post(url)
            .json(&body)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Scheduled::Planned);
        }
        // It exists, or existed. A creation that was answered late and sent again lands here too.
        if status == StatusCode::CONFLICT {
            return Ok(Scheduled::Known);
        }
        Err(refused(status, &google::body_start(answer).await))
    }

    /// Whether the API answers our token. That the queue may be looked at is a permission which
    /// creating tasks does not need, so 403 passes.
    async fn ping(&self) -> Result<(), QueueError> {
        let answer = self
            .client
            .get(self.address.clone())
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::FORBIDDEN {
            return Ok(());
        }
        Err(refused(status, &google::body_start(answer).await))
    }
}

fn unavailable(error: &reqwest_middleware::Error) -> QueueError {
    QueueError::Unavailable(match error {
        reqwest_middleware::Error::Reqwest(error) if error.is_timeout() => {
            "Cloud Tasks does not answer in time".to_owned()
        }
        reqwest_middleware::Error::Reqwest(error) if error.is_connect() => {
            "Cloud Tasks cannot be reached".to_owned()
        }
        other => other.to_string(),
    })
}

/// By what can be done about it: wait, or mend the settings.
fn refused(status: StatusCode, body: &[u8]) -> QueueError {
    let (word, message) = google::said(body);
    let text = format!("Cloud Tasks answers {status} {word}: {message}");
    match status.as_u16() {
        400 | 401 | 403 | 404 => QueueError::Refused(text),
        _ => QueueError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Why;

    #[test]
    fn names_are_what_cloud_tasks_takes_and_tell_tasks_apart() {
        let job = |id: &str, seq| Task::Job {
            id: id.parse().unwrap(),
            seq,
            why: Why::Wake,
        };
        let outbox = |id: &str| Task::Notice {
            id: id.into(),
            delivery: 1,
        };
        let tasks = [
            job("j1", 1),
            job("j1", 2),
            job("j-1", 1),
            outbox("j1:1:job.completed"),
            outbox("j1_1_job.completed"),
            outbox(&"x".repeat(600)),
            outbox(&"x".repeat(601)),
            outbox("ü"),
        ];
        let names: std::collections::BTreeSet<String> = tasks.iter().map(name).collect();
        assert_eq!(names.len(), tasks.len());
        for name in names {
            assert!((1..=500).contains(&name.len()), "{name}");
            assert!(
                name.chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
                "{name}"
            );
        }
        assert_eq!(name(&tasks[0]), name(&job("j1", 1)));
        // Names of one job's visits do not begin alike.
        assert_ne!(name(&tasks[0])[..8], name(&tasks[1])[..8]);
    }
}
