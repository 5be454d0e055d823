//! The routes, called as a client would.

mod callbacks;
mod console;
mod double;
mod edge;
mod events;
mod files;
mod frame;
mod jobs;
mod links;
pub(crate) mod openapi;
mod quotes;
mod readiness;
mod rounds;
mod serve;
mod tasks;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use filmlab::clock::{Clock as _, ManualClock, Timestamp};
use filmlab::http::{
    ApiToken, CheckMarks, ConsoleSettings, EventPace, EventStreams, HttpSettings, HttpState, Role,
    Shared, TasksAuth, router,
};
use filmlab::job::{CancelAfterSubmit, Fault, Job, JobId, Label, Provenance, WatermarkSpec};
use filmlab::storage::Storage;
use filmlab::storage::links::HmacLinks;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use double::{Callbacks, FakeWorker, MemoryLedger, MemoryQueue};

pub(crate) const TASK_TOKEN: &str = "task-secret";

/// A service on doubles, with a real store in a directory.
pub(crate) struct App {
    pub(crate) state: HttpState,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) worker: Arc<FakeWorker>,
    pub(crate) clock: ManualClock,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {:?}", self.bytes))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the form that every failure has; gives its body.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{text}"
        );
        let body = self.json();
        assert_eq!(body["code"], code, "{text}");
        assert_eq!(body["status"], status, "{text}");
        assert_eq!(body["type"], format!("urn:filmlab:error:{code}"));
        assert_eq!(body["request_id"], self.header("x-request-id").unwrap());
        for field in ["title", "detail"] {
            assert!(!body[field].as_str().unwrap().is_empty(), "{text}");
        }
        body
    }
}

fn check_marks(layers: &[WatermarkSpec], _: Option<&Label>) -> Vec<Fault> {
    let known = ["top-left", "bottom-right"];
    let wrong = |spec: &&WatermarkSpec| {
        let mut anchor = spec.anchor.iter();
        anchor.any(|anchor| !known.contains(&anchor.as_str()))
    };
    layers
        .iter()
        .filter(wrong)
        .map(|_| Fault::new("output.watermark.anchor", "is not a known place"))
        .collect()
}

impl App {
    /// Three tokens: one of Alice's, one of Bob's, one of the operator's.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut HttpSettings)) -> Self {
        Self::at("http://127.0.0.1:8080", change)
    }

    /// With links that lead to `base`.
    pub(crate) fn at(base: &str, change: impl FnOnce(&mut HttpSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let shared: filmlab::clock::SharedClock = Arc::new(clock.clone());
        let links =
            Arc::new(HmacLinks::new(base.parse().unwrap(), &[7; 32], Arc::clone(&shared)).unwrap());
        let storage = Storage::in_directory(dir.path(), links.clone()).unwrap();
        let token = |token: &str, owner: Option<&str>| ApiToken {
            token: token.into(),
            owner: owner.map(|owner| owner.parse().unwrap()),
            role: Role::Editor,
        };
        let mut settings = HttpSettings {
            api_tokens: vec![
                token("alice-token", Some("alice")),
                token("bob-token", Some("bob")),
                token("operator-token", None),
            ],
            api_open_on_loopback: true,
            tasks_auth: TasksAuth::Token(TASK_TOKEN.into()),
            jobs_api: true,
            default_deadline: Duration::from_secs(7200),
            attempts: 3,
            cancel_after_submit: CancelAfterSubmit::Capture,
            provenance: Provenance::default(),
            label: Label {
                words: "AI-generated".into(),
                anchor: None,
                until_ms: None,
            },
            max_upload_bytes: 20 * 1024 * 1024,
            body_time: Duration::from_secs(5),
            max_uploads: 3,
            max_uploads_per_owner: 2,
            max_upload_total: 50 * 1024 * 1024,
            behind_proxy: false,
            profiles: vec!["web".into(), "archive".into()],
            link_ttl: Duration::from_secs(3600),
            longest_link: Duration::from_secs(12 * 3600),
            allow_loopback: false,
            console: Some(ConsoleSettings {
                marks: vec![Arc::new(filmlab::media::FileInput::new(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/fixtures/logo.png"
                )))],
                key: vec![9; 32],
                session: Duration::from_secs(12 * 3600),
                media_origin: None,
            }),
        };
        change(&mut settings);
        let ledger = Arc::new(MemoryLedger::default());
        let queue = Arc::new(MemoryQueue::default());
        let worker = Arc::new(FakeWorker::default());
        let state = HttpState {
            ledger: ledger.clone(),
            queue: queue.clone(),
            storage,
            worker: worker.clone(),
            callbacks: Arc::new(Callbacks),
            links: Some(links),
            clock: shared,
            check_marks: CheckMarks::new(check_marks),
            events: EventStreams::new(
                2,
                2,
                EventPace {
                    look: Duration::from_millis(10),
                    heartbeat: Duration::from_millis(40),
                },
            ),
            shared: Shared::new(&settings),
            settings: Arc::new(settings),
        };
        Self {
            state,
            ledger,
            queue,
            worker,
            clock,
            dir,
        }
    }

    /// What signs links to its objects.
    pub(crate) fn links(&self) -> Arc<HmacLinks> {
        let base = "http://127.0.0.1:8080".parse().unwrap();
        let links = HmacLinks::new(base, &[7; 32], Arc::new(self.clock.clone()));
        Arc::new(links.unwrap())
    }

    pub(crate) fn router(&self) -> Router {
        router(self.state.clone())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: to_bytes(body, 64 << 20).await.unwrap(),
        }
    }

    /// With Alice's token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("alice", Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("alice", Method::POST, path, Some(body), &[])
            .await
    }

    pub(crate) async fn call(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {who}-token"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    /// Asserts a success; gives the answer.
    pub(crate) async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Value,
        status: u16,
    ) -> Answer {
        let body = Some(body).filter(|body| !body.is_null());
        let answer = self.call("alice", method, path, body, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {:?}", answer.bytes);
        answer
    }

    /// A job of Alice's; gives its id.
    pub(crate) async fn create(&self) -> JobId {
        let answer = self.post("/v1/jobs", upscale()).await;
        assert_eq!(answer.status, 201, "{:?}", answer.bytes);
        answer.json()["id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn change(&self, id: &JobId, change: impl FnOnce(&mut Job)) {
        self.ledger.change(id, change);
    }

    /// Serves the routes on a real port; gives its address.
    pub(crate) async fn serve(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.serve_on(listener);
        address
    }

    pub(crate) fn serve_on(&self, listener: tokio::net::TcpListener) {
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// Files in the store, staged ones included.
    pub(crate) fn files(&self) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

pub(crate) fn upscale() -> Value {
    json!({
        "kind": "upscale",
        "params": {"target": "1080p"},
        "source": {"video": "https://example.com/clip.mp4"},
    })
}

/// Waits for something that another task brings about.
pub(crate) async fn until(what: &str, mut met: impl FnMut() -> bool) {
    for _ in 0..500 {
        if met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {what}");
}
