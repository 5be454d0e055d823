//! A Cloud Tasks that keeps its promises and its bad habits: names once and reserved after the
//! task's end, schedule times, growing pauses, the deadline that hangs up while the handler goes
//! on, deliveries that come twice, ID tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filmlab::clock::{SharedClock, Timestamp};
use serde_json::{Value, json};

use super::google::{KEY, claims, serve};

pub(crate) const QUEUE: &str = "projects/demo/locations/here/queues/jobs";

#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) due: Timestamp,
    /// As the API got it.
    pub(crate) wire: Value,
    pub(crate) retries: u32,
    /// The last status the target gave; none where it gave none in time.
    pub(crate) answered: Option<u16>,
    running: bool,
}

#[derive(Debug, Default)]
struct Inner {
    tasks: BTreeMap<String, Waiting>,
    /// Names of tasks that have ended.
    reserved: BTreeSet<String>,
    creations: u32,
    /// Statuses of the next creations, and whether the task is made all the same.
    faults: Vec<(u16, bool)>,
    twice: bool,
}

#[derive(Clone)]
pub(crate) struct FakeCloudTasks {
    inner: Arc<Mutex<Inner>>,
    clock: SharedClock,
    client: reqwest::Client,
}

impl FakeCloudTasks {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self {
            inner: Arc::default(),
            clock,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) async fn start(&self) -> url::Url {
        let router = Router::new()
            .route(
                "/v2/projects/demo/locations/here/queues/{queue}",
                get(queue),
            )
            .route(
                "/v2/projects/demo/locations/here/queues/{queue}/tasks",
                axum::routing::post(create),
            )
            .route(
                "/v2/projects/demo/locations/here/queues/{queue}/tasks/{task}",
                axum::routing::delete(delete),
            )
            .with_state(self.clone());
        serve(router).await
    }

    /// Answers the next creation so; `done`: and makes the task.
    pub(crate) fn fail_next(&self, status: u16, done: bool) {
        self.inner.lock().unwrap().faults.push((status, done));
    }

    /// Brings each task of the next round twice at once.
    pub(crate) fn duplicate_next(&self) {
        self.inner.lock().unwrap().twice = true;
    }

    /// What waits, by short name.
    pub(crate) fn waiting(&self) -> BTreeMap<String, Waiting> {
        self.inner.lock().unwrap().tasks.clone()
    }

    /// Makes all that waits due now, as if its time had come.
    pub(crate) fn hasten(&self) {
        let now = self.clock.now();
        for task in self.inner.lock().unwrap().tasks.values_mut() {
            task.due = now;
        }
    }

    /// Drops what waits; names stay reserved.
    pub(crate) fn purge(&self) {
        let mut inner = self.inner.lock().unwrap();
        let names: Vec<String> = std::mem::take(&mut inner.tasks).into_keys().collect();
        inner.reserved.extend(names);
    }

    pub(crate) fn creations(&self) -> u32 {
        self.inner.lock().unwrap().creations
    }

    /// Brings what is due; gives the number of tasks. `deadline` stands for the task's own, which
    /// is half an hour.
    pub(crate) async fn deliver_due(&self, deadline: Duration) -> usize {
        let now = self.clock.now();
        let (due, times) = {
            let mut inner = self.inner.lock().unwrap();
            let times = if std::mem::take(&mut inner.twice) {
                2
            } else {
                1
            };
            let due: Vec<(String, Waiting)> = inner
                .tasks
                .iter_mut()
                .filter(|(_, task)| task.due <= now && !task.running)
                .map(|(name, task)| {
                    task.running = true;
                    (name.clone(), task.clone())
                })
                .collect();
            (due, times)
        };
        let sent = due.iter().flat_map(|(name, task)| {
            (0..times).map(move |_| async move {
                let send = self.send(name, task);
                (
                    name,
                    tokio::time::timeout(deadline, send).await.ok().flatten(),
                )
            })
        });
        for (name, status) in futures::future::join_all(sent).await {
            let mut inner = self.inner.lock().unwrap();
            if status.is_some_and(|status| (200..300).contains(&status)) {
                inner.tasks.remove(name);
                inner.reserved.insert(name.clone());
            } else if let Some(task) = inner.tasks.get_mut(name) {
                task.retries += 1;
                task.answered = status;
                task.running = false;
                // minBackoff 1 s, maxDoublings enough, maxBackoff 60 s.
                let pause = Duration::from_secs(1 << (task.retries - 1).min(5));
                task.due = filmlab::clock::later(now, pause);
            }
        }
        due.len()
    }

    async fn send(&self, short: &str, task: &Waiting) -> Option<u16> {
        let request = &task.wire["httpRequest"];
        let body = STANDARD.decode(request["body"].as_str()?).ok()?;
        let mut sent = self
            .client
            .post(request["url"].as_str()?)
            .header("user-agent", "Google-Cloud-Tasks")
            .header("x-cloudtasks-queuename", "jobs")
            .header("x-cloudtasks-taskname", short)
            .header("x-cloudtasks-taskretrycount", task.retries)
            .header("x-cloudtasks-taskexecutioncount", task.retries)
            .header("x-cloudtasks-tasketa", task.due.as_second())
            .body(body);
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            sent = sent.header(name, value.as_str()?);
        }
        if let Some(status) = task.answered {
            sent = sent.header("x-cloudtasks-taskpreviousresponse", status);
        }
        if let Some(oidc) = request.get("oidcToken") {
            let text = |name: &str| oidc[name].as_str();
            let claims = claims(text("audience")?, text("serviceAccountEmail")?);
            sent = sent.bearer_auth(KEY.token(&claims));
        }
        sent.send()
            .await
            .ok()
            .map(|answer| answer.status().as_u16())
    }
}

fn error(code: u16, status: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "status": status, "message": message}});
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

/// What the API looks at first.
fn refused(queue: &str, headers: &HeaderMap) -> Option<Response> {
    if headers
        .get("authorization")
        .is_none_or(|value| value != "Bearer token" && value != "Bearer metadata-token")
    {
        return Some(error(401, "UNAUTHENTICATED", "no token"));
    }
    (queue != "jobs").then(|| error(404, "NOT_FOUND", "Queue does not exist."))
}

async fn queue(Path(queue): Path<String>, headers: HeaderMap) -> Response {
    refused(&queue, &headers)
        .unwrap_or_else(|| error(403, "PERMISSION_DENIED", "lacks cloudtasks.queues.get"))
}

async fn delete(
    State(tasks): State<FakeCloudTasks>,
    Path((queue, task)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&queue, &headers) {
        return refused;
    }
    let mut inner = tasks.inner.lock().unwrap();
    if inner.tasks.remove(&task).is_none() {
        return error(404, "NOT_FOUND", "Requested entity was not found.");
    }
    inner.reserved.insert(task);
    Json(json!({})).into_response()
}

async fn create(
    State(tasks): State<FakeCloudTasks>,
    Path(queue): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = refused(&queue, &headers) {
        return refused;
    }
    let mut inner = tasks.inner.lock().unwrap();
    inner.creations += 1;
    let fault = (!inner.faults.is_empty()).then(|| inner.faults.remove(0));
    if let Some((status, false)) = fault {
        return error(status, "UNAVAILABLE", "try again");
    }
    let made = inner.make(&body["task"], tasks.clock.now());
    match (fault, made) {
        (Some((status, _)), _) => error(status, "UNAVAILABLE", "try again"),
        (None, Ok(task)) => Json(task).into_response(),
        (None, Err(response)) => response,
    }
}

impl Inner {
    #[expect(clippy::result_large_err, reason = "an answer is what comes of it")]
    fn make(&mut self, task: &Value, now: Timestamp) -> Result<Value, Response> {
        let invalid = |message: &str| Err(error(400, "INVALID_ARGUMENT", message));
        let full = task["name"].as_str().unwrap_or_default();
        let Some(short) = full.strip_prefix(&format!("{QUEUE}/tasks/")) else {
            return invalid("name");
        };
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=500).contains(&short.len()) || !short.chars().all(known) {
            return invalid("name");
        }
        let due = match task["scheduleTime"].as_str().map(str::parse::<Timestamp>) {
            None => now,
            Some(Ok(at)) => at,
            Some(Err(_)) => return invalid("scheduleTime"),
        };
        if due > filmlab::clock::later(now, Duration::from_secs(30 * 24 * 3600)) {
            return invalid("The schedule time is too far in the future.");
        }
        let deadline = task["dispatchDeadline"].as_str().unwrap_or("600s");
        let seconds: u32 = deadline.trim_end_matches('s').parse().unwrap();
        if !(15..=1800).contains(&seconds) || task.to_string().len() > 100 * 1024 {
            return invalid("dispatchDeadline or size");
        }
        if self.reserved.contains(short) || self.tasks.contains_key(short) {
            return Err(error(
                409,
                "ALREADY_EXISTS",
                "Requested entity already exists",
            ));
        }
        let waiting = Waiting {
            due,
            wire: task.clone(),
            retries: 0,
            answered: None,
            running: false,
        };
        self.tasks.insert(short.to_owned(), waiting);
        Ok(task.clone())
    }
}
