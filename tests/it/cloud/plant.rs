//! Everything a deployment has, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, SystemClock, later};
use filmlab::sandbox::{CopyMaker, Maker, MediaMaker, Sandbox, SandboxConfig, SandboxHandle};
use serde_json::{Value, json};

use super::front;
use super::gate::Gate;
use crate::support::cloud_tasks::{FakeCloudTasks, QUEUE};
use crate::support::emulator::{Caller, Emulator};
use crate::support::gcs::{BUCKET, FakeGcs};
use crate::support::google::{ACCESS_TOKEN, FakeGoogle, KEY};
use crate::support::require;

const TASKS_ACCOUNT: &str = "tasks@demo.iam.gserviceaccount.com";
pub(super) const API_TOKEN: &str = "a-token-for-the-api";
/// What the one user starts with.
pub(super) const GRANT: i64 = 100_000;

pub(super) struct Plant {
    pub(super) emulator: Emulator,
    /// Where workers find the emulator.
    host: String,
    pub(super) gcs: FakeGcs,
    pub(super) google: FakeGoogle,
    pub(super) sandbox: SandboxHandle,
    pub(super) address: url::Url,
    pub(super) tasks: FakeCloudTasks,
    tasks_url: url::Url,
    workers: Vec<Option<Child>>,
    addresses: Vec<SocketAddr>,
    pub(super) client: reqwest::Client,
    _dir: tempfile::TempDir,
}

/// Where everything is that a worker talks to.
struct Wiring<'a> {
    project: &'a str,
    emulator: &'a str,
    google: &'a url::Url,
    gcs: &'a url::Url,
    tasks: &'a url::Url,
    public: &'a url::Url,
    provider: url::Url,
    logo: &'a Path,
    listen: SocketAddr,
    /// In seconds; a heartbeat is a third of it.
    lease: u32,
    /// What predictions usually take, in seconds: before that they are not asked about.
    usual: u32,
}

impl Wiring<'_> {
    /// A worker's settings file.
    fn settings(&self) -> String {
        let Self {
            project,
            emulator,
            google,
            gcs,
            tasks,
            public,
            provider,
            listen,
            usual,
            ..
        } = self;
        format!(
            r#"
                [cloud]
                project = "demo"
                metadata_url = "{google}"
                [ledger]
                backend = "firestore"
                project = "{project}"
                emulator = "{emulator}"
                [storage]
                backend = "gcs"
                bucket = "{BUCKET}"
                endpoint = "{gcs}"
                iam_endpoint = "{google}"
                [queue]
                backend = "cloud_tasks"
                location = "here"
                name = "jobs"
                endpoint = "{tasks}"
                [server]
                listen = "{listen}"
                public_url = "{public}"
                tasks_auth = "verify"
                service_account = "{TASKS_ACCOUNT}"
                certs_url = "{google}oauth2/v3/certs"
                jobs_api = true
                api_tokens = [{{ token = "{API_TOKEN}" }}]
                allow_loopback = true
                [console]
                enabled = true
                [provider]
                base_url = "{provider}"
                api_key = "sandbox"
                poll_min = "500ms"
                poll_max = "2s"
                busy_pause = "500ms"
                submit_timeout = "5s"
                [provider.breaker]
                least = 3
                rest = "3s"
                [provider.models.character_replace]
                usual_base_s = {usual}.0
                usual_per_second_s = 0.0
                [provider.models.extend]
                usual_base_s = {usual}.0
                usual_per_second_s = 0.0
                [provider.models.upscale]
                usual_base_s = {usual}.0
                usual_per_second_s = 0.0
                [worker]
                lease = "{lease}s"
                heartbeat = "{heartbeat}s"
                backoff_min = "100ms"
                backoff_max = "500ms"
                media_slots = 2
                [credits]
                mode = "hold"
                [watermark]
                image = "{logo}"
                [log]
                format = "cloud"
                [links]
                key = "0123456789abcdef"
                "#,
            logo = self.logo.display(),
            lease = self.lease,
            heartbeat = self.lease / 3,
        )
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        for worker in self.workers.iter_mut().flatten() {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// Runs a program that can write no byte into any file: the kernel ends it with SIGXFSZ if it
/// tries, wherever the file lies.
const WITHOUT_FILES: &str = r#"ulimit -f 0; exec "$0" "$@""#;

fn without_files(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", WITHOUT_FILES, program]);
    command
}

/// The real binary, with the settings written for it. In the cloud nothing is kept on a disk, not
/// even for a while.
fn start_worker(dir: &tempfile::TempDir, number: usize, emulator: &str) -> Child {
    let file = dir.path().join(format!("worker-{number}.toml"));
    let mut log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.path().join(format!("worker-{number}.log")))
        .unwrap();
    let mut worker = without_files(env!("CARGO_BIN_EXE_filmlab"))
        .args(["--config", file.to_str().unwrap(), "serve"])
        .env("FIRESTORE_EMULATOR_HOST", emulator)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its lines end with it.
    let mut lines = worker.stderr.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut lines, &mut log));
    worker
}

#[test]
fn who_may_write_no_file_is_ended_when_it_does() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let ended = without_files("dd")
        .args(["if=/dev/zero", "bs=1", "count=1"])
        .arg(format!("of={}", file.path().display()))
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 0);
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

impl Plant {
    /// `None` where the emulator or the fixtures are missing (noted as a skip).
    pub(super) async fn start(workers: usize, real_videos: bool) -> Option<Self> {
        let emulator = Emulator::fresh()?;
        let host = emulator.host.clone();
        Self::with(emulator, host, workers, real_videos, 0).await
    }

    /// One worker whose operations are counted, and who asks about no prediction before `usual`
    /// seconds.
    pub(super) async fn counted(usual: u32) -> Option<(Self, Gate)> {
        let emulator = Emulator::fresh()?;
        let gate = Gate::before(&emulator.host).await;
        let plant = Self::with(emulator, gate.host.clone(), 1, true, usual).await?;
        Some((plant, gate))
    }

    async fn with(
        emulator: Emulator,
        host: String,
        workers: usize,
        real_videos: bool,
        usual: u32,
    ) -> Option<Self> {
        let clip = require::fixture("tiny.mp4")?;
        let character = require::fixture("character.png")?;
        let logo = require::fixture("logo.png")?;
        let dir = tempfile::tempdir().unwrap();
        let (google, gcs) = (FakeGoogle::default(), FakeGcs::default());
        *google.certs.lock().unwrap() = Some((vec![KEY.jwk()], 3600));
        gcs.trust_links(KEY.public());
        let tasks = FakeCloudTasks::new(Arc::new(SystemClock));
        let maker: Arc<dyn Maker> = if real_videos {
            Arc::new(MediaMaker)
        } else {
            Arc::new(CopyMaker)
        };
        let config = SandboxConfig {
            max_running: 1_000,
            workers: 2,
            ..SandboxConfig::default()
        };
        let bound = Sandbox::bind_with(config, maker).await.unwrap();
        let sandbox = bound.handle();
        tokio::spawn(bound.run(std::future::pending()));
        let (google_url, gcs_url, tasks_url) =
            (google.start().await, gcs.start().await, tasks.start().await);
        let client = reqwest::Client::new();
        for (file, name) in [(&clip, "clip.mp4"), (&character, "character.png")] {
            let address = format!("{gcs_url}{BUCKET}/sources/u1/{name}");
            let put = client
                .put(address)
                .bearer_auth(ACCESS_TOKEN)
                .body(std::fs::read(file).unwrap())
                .send()
                .await
                .unwrap();
            assert!(put.status().is_success(), "{}", put.status());
        }

        let addresses: Vec<_> = (0..workers).map(|_| free_port()).collect();
        let address = front::start(addresses.clone()).await;
        let mut started = Vec::new();
        for (number, listen) in addresses.iter().enumerate() {
            let wiring = Wiring {
                project: &emulator.project,
                emulator: &host,
                google: &google_url,
                gcs: &gcs_url,
                tasks: &tasks_url,
                public: &address,
                provider: sandbox.base_url(),
                logo: &logo,
                listen: *listen,
                // Short where one of several may be killed and the others wait for its end; a
                // worker alone on a busy machine must not lose its own.
                lease: if workers > 1 { 9 } else { 60 },
                usual,
            };
            let settings = wiring.settings();
            let file = dir.path().join(format!("worker-{number}.toml"));
            std::fs::write(&file, settings).unwrap();
            started.push(Some(start_worker(&dir, number, &host)));
        }
        let plant = Self {
            emulator,
            host,
            gcs,
            google,
            sandbox,
            address,
            tasks,
            tasks_url,
            workers: started,
            addresses: addresses.clone(),
            client,
            _dir: dir,
        };
        for listen in &addresses {
            plant.ready(listen).await;
        }
        let user = json!({"credits": GRANT, "credits_held": 0});
        assert_eq!(
            plant.emulator.write(Caller::Owner, "users/u1", &user).await,
            200
        );
        Some(plant)
    }

    async fn ready(&self, listen: &SocketAddr) {
        for _ in 0..400 {
            let asked = self
                .client
                .get(format!("http://{listen}/readyz"))
                .send()
                .await;
            if asked.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self._dir.path().join("worker-0.log"));
        panic!("{listen} is not ready: {}", log.unwrap_or_default());
    }

    /// What the API service does: the document, then the task.
    pub(super) async fn push(&self, id: &str, kind: &str, params: Value) {
        let now = SystemClock.now();
        let mut source = json!({"video": format!("gs://{BUCKET}/sources/u1/clip.mp4")});
        if kind == "character_replace" {
            source["image"] = format!("gs://{BUCKET}/sources/u1/character.png").into();
        }
        let document = json!({
            "owner": "u1", "kind": kind, "params": params, "source": source, "status": "queued",
            "wake": {"seq": 1, "at": now}, "next_visit_at": now, "created_at": now,
            "deadline_at": later(now, Duration::from_secs(7200)),
        });
        let written = self
            .emulator
            .write(Caller::Owner, &format!("jobs/{id}"), &document)
            .await;
        assert_eq!(written, 200);
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(r#"{"seq":1,"why":"wake"}"#);
        let audience = self.address.as_str().trim_end_matches('/');
        let task = json!({"task": {
            "name": format!("{QUEUE}/tasks/api-{id}"),
            "httpRequest": {
                "url": format!("{audience}/tasks/jobs/{id}"), "httpMethod": "POST",
                "headers": {"Content-Type": "application/json"}, "body": body,
                "oidcToken": {"serviceAccountEmail": TASKS_ACCOUNT, "audience": audience},
            },
        }});
        let address = format!("{}v2/{QUEUE}/tasks", self.tasks_url);
        let made = self
            .client
            .post(address)
            .bearer_auth(ACCESS_TOKEN)
            .json(&task)
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), 200, "{}", made.text().await.unwrap());
    }

    /// Brings tasks until `done`; panics after two minutes.
    pub(super) async fn run_until(&mut self, mut done: impl AsyncFnMut(&mut Self) -> bool) {
        let started = std::time::Instant::now();
        while !done(self).await {
            assert!(
                started.elapsed() < Duration::from_secs(150),
                "it takes too long: {:#?}",
                self.tasks.waiting()
            );
            // Not waited for: one slow visit must not hold the others back.
            let tasks = self.tasks.clone();
            tokio::spawn(async move { tasks.deliver_due(Duration::from_secs(60)).await });
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// As Cloud Scheduler does.
    pub(super) async fn sweep(&self) {
        let audience = self.address.as_str().trim_end_matches('/');
        let claims = crate::support::google::claims(audience, TASKS_ACCOUNT);
        let swept = self
            .client
            .post(format!("{audience}/tasks/sweep"))
            .bearer_auth(KEY.token(&claims))
            .send()
            .await
            .unwrap();
        assert_eq!(swept.status(), 200);
    }

    /// A worker's own address, for what the front leaves out of answers.
    pub(super) fn worker(&self, number: usize) -> String {
        format!("http://{}", self.addresses[number])
    }

    pub(super) async fn field(&self, path: &str, field: &str) -> Value {
        let fields = self.emulator.stored(path).await.unwrap_or_default();
        fields[field].clone()
    }

    pub(super) async fn status(&self, id: &str) -> String {
        let status = self.field(&format!("jobs/{id}"), "status").await;
        status["stringValue"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(super) async fn number(&self, path: &str, field: &str) -> i64 {
        let value = self.field(path, field).await;
        value["integerValue"].as_str().unwrap().parse().unwrap()
    }

    /// Opens a signed link without any credentials: the stand-in checks its signature.
    pub(super) async fn open(&self, link: &str) -> bytes::Bytes {
        let got = self.client.get(link).send().await.unwrap();
        assert_eq!(got.status(), 200, "{link}");
        got.bytes().await.unwrap()
    }

    /// SIGTERM; gives how long the process took to end, and its exit status.
    pub(super) fn terminate(&mut self, worker: usize) -> (Duration, Option<i32>) {
        let mut child = self.workers[worker].take().unwrap();
        let began = std::time::Instant::now();
        let told = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        let status = child.wait().unwrap();
        (began.elapsed(), status.code())
    }

    /// Another process with the same settings.
    pub(super) async fn restart(&mut self, worker: usize) {
        self.workers[worker] = Some(start_worker(&self._dir, worker, &self.host));
        self.ready(&self.addresses[worker].clone()).await;
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self, worker: usize) {
        let mut child = self.workers[worker].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
