//! A service and a sandbox on loopback.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filmlab::app::App;
use filmlab::clock::{Clock as _, SharedClock, SystemClock};
use filmlab::config::{Config, Sources};
use filmlab::job::{CreditEntry, Credits, EntryKind, Job, Status};
use filmlab::ledger::Ledger;
use filmlab::sandbox::{Sandbox, SandboxConfig, SandboxHandle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::PROGRAM;
use crate::support::require;

pub(super) const TASK_TOKEN: &str = "a-token-for-tasks";
pub(super) const GRANT: i64 = 1_000;

/// A sandbox, a data folder, and at most one running service.
pub(super) struct Lab {
    pub(super) sandbox: SandboxHandle,
    _apart: Apart,
    dir: tempfile::TempDir,
    pub(super) http: reqwest::Client,
    pub(super) clip: PathBuf,
    character: PathBuf,
    settings: HashMap<String, String>,
    /// The settings file, if there is one.
    file: Option<PathBuf>,
    /// The machine's.
    pub(super) clock: SharedClock,
}

/// The sandbox on a thread of its own: it answers also while a test waits for a command, as a
/// provider does.
struct Apart {
    handle: SandboxHandle,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Apart {
    async fn start(config: SandboxConfig) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let (started, handle) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let bound = Sandbox::bind(config).await.unwrap();
                started.send(bound.handle()).unwrap();
                bound.run(stopped).await.unwrap();
            });
        });
        Self {
            handle: handle.await.unwrap(),
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.stop.cancel();
        // Its folder goes with it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A service that runs.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) ledger: Arc<dyn Ledger>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), filmlab::job::Failure>>,
}

impl Running {
    /// As at SIGTERM; gives how long it took.
    pub(super) async fn stop(self) -> Duration {
        let began = std::time::Instant::now();
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        began.elapsed()
    }

    /// Waits for it to end by itself.
    pub(super) async fn ended(self) -> Result<(), filmlab::job::Failure> {
        self.task.await.unwrap()
    }
}

impl Lab {
    pub(super) async fn new(sandbox: SandboxConfig) -> Option<Self> {
        let clip = require::fixture("tiny.mp4")?;
        let character = require::fixture("character.png")?;
        let logo = require::fixture("logo.png")?;
        let apart = Apart::start(sandbox).await;
        let sandbox = apart.handle.clone();
        let dir = tempfile::tempdir().unwrap();
        let settings = [
            ("DATA__DIR", dir.path().join("data").display().to_string()),
            ("PROVIDER__BASE_URL", sandbox.base_url().to_string()),
            ("PROVIDER__API_KEY", "sandbox".to_owned()),
            ("PROVIDER__POLL_MIN", "200ms".to_owned()),
            ("PROVIDER__POLL_MAX", "500ms".to_owned()),
            ("PROVIDER__BUSY_PAUSE", "200ms".to_owned()),
            ("WORKER__BACKOFF_MIN", "50ms".to_owned()),
            ("WORKER__BACKOFF_MAX", "100ms".to_owned()),
            ("SERVER__TASK_TOKEN", TASK_TOKEN.to_owned()),
            ("CREDITS__MODE", "hold".to_owned()),
            ("WATERMARK__IMAGE", logo.display().to_string()),
            // The table's usual times are those of the real models.
            (
                "PROVIDER__MODELS__CHARACTER_REPLACE__USUAL_BASE_S",
                "0".to_owned(),
            ),
            (
                "PROVIDER__MODELS__CHARACTER_REPLACE__USUAL_PER_SECOND_S",
                "0".to_owned(),
            ),
        ]
        .map(|(name, value)| (format!("FILMLAB_{name}"), value));
        Some(Self {
            sandbox,
            _apart: apart,
            dir,
            http: reqwest::Client::new(),
            clip,
            character,
            settings: settings.into_iter().collect(),
            file: None,
            clock: Arc::new(SystemClock),
        })
    }

    /// A setting of the service, by its name without `FILMLAB_`.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.settings
            .insert(format!("FILMLAB_{name}"), value.to_owned());
    }

    /// Writes the service's settings file.
    pub(super) fn file(&mut self, text: &str) {
        let path = self.dir.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        self.file = Some(path);
    }

    /// Where the service keeps what it keeps.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The file of an object of ours.
    pub(super) fn object(&self, name: &str) -> PathBuf {
        self.dir.path().join("data/objects").join(name)
    }

    /// Starts the service, on a fresh port and the same data.
    pub(super) async fn start(&self) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sources = Sources {
            file: self.file.clone(),
            no_default_file: true,
            env: self.settings.clone(),
        };
        let mut config = Config::load(&sources).unwrap();
        config.worker.program = Some(PROGRAM.into());
        let app = App::build(&config, address, Arc::clone(&self.clock))
            .await
            .unwrap();
        let ledger = Arc::clone(&app.ledger);
        let entry = CreditEntry {
            id: "grant:test".into(),
            kind: EntryKind::Grant,
            amount: Credits(GRANT as u64),
            job: None,
            at: SystemClock.now(),
        };
        ledger
            .grant(&"local".parse().unwrap(), &entry)
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(app.run(listener, stop.clone().cancelled_owned()));
        Running {
            address,
            ledger,
            stop,
            task,
        }
    }

    /// Another command of the program, with the service's settings.
    pub(super) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_filmlab"));
        program
            .args(args)
            .current_dir(self.dir.path())
            .envs(&self.settings);
        program
    }

    /// The real program, to be started on the same data.
    pub(super) fn program(&self, listen: SocketAddr) -> std::process::Command {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_filmlab"));
        program
            .args(["serve", "--listen", &listen.to_string()])
            .current_dir(self.dir.path())
            .envs(&self.settings);
        program
    }

    /// Uploads a file; gives its name as a source.
    pub(super) async fn upload(&self, service: &Running, file: &Path) -> String {
        let name = file.file_name().unwrap().to_string_lossy();
        let address = format!("http://{}/v1/sources?name={name}", service.address);
        let bytes = std::fs::read(file).unwrap();
        let answer = self.http.post(address).body(bytes).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json::<Value>().await.unwrap()["source"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Creates a character replacement of the fixture clip; gives its id.
    pub(super) async fn create(&self, service: &Running) -> String {
        self.create_with(service, json!({})).await
    }

    /// The same, with further fields.
    pub(super) async fn create_with(&self, service: &Running, more: Value) -> String {
        let (video, image) = (
            self.upload(service, &self.clip).await,
            self.upload(service, &self.character).await,
        );
        let mut body =
            json!({"kind": "character_replace", "source": {"video": video, "image": image}});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let address = format!("http://{}/v1/jobs", service.address);
        let answer = self.http.post(address).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json::<Value>().await.unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Looks at the job until it fits; panics after a minute.
    pub(super) async fn until(
        &self,
        service: &Running,
        id: &str,
        fits: impl Fn(&Job) -> bool,
    ) -> Job {
        let id = id.parse().unwrap();
        for _ in 0..1_200 {
            let job = service.ledger.read(&id).await.unwrap().unwrap();
            if fits(&job) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:#?}", service.ledger.read(&id).await);
    }

    pub(super) async fn ended(&self, service: &Running, id: &str) -> Job {
        self.until(service, id, |job| job.status.is_ended()).await
    }

    /// One submission, one capture, one notice, delivered.
    pub(super) async fn assert_completed_once(&self, service: &Running, id: &str) {
        let job = self.ended(service, id).await;
        assert_eq!(job.status, Status::Completed, "{job:#?}");
        assert_eq!(self.sandbox.submissions().len(), 1);
        let owner = "local".parse().unwrap();
        let entries = service.ledger.entries(&owner, 50).await.unwrap();
        let captures = entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Capture);
        assert_eq!(captures.count(), 1, "{entries:?}");
        let account = service.ledger.account(&owner).await.unwrap().unwrap();
        let cost = job.credits.cost.unwrap().0 as i64;
        assert_eq!((account.credits, account.credits_held), (GRANT - cost, 0));
        self.assert_told_once(service, &job).await;
    }

    pub(super) async fn assert_failed(&self, service: &Running, id: &str, code: &str) -> Job {
        let job = self.ended(service, id).await;
        assert_eq!(job.error.as_ref().unwrap().code.as_str(), code, "{job:#?}");
        let account = service
            .ledger
            .account(&"local".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!((account.credits, account.credits_held), (GRANT, 0));
        self.assert_told_once(service, &job).await;
        // Work files go after the commit that ends the job, beside its notice.
        let work = self.dir.path().join("data/objects/work").join(id);
        for _ in 0..200 {
            if !work.exists() {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} stays", work.display());
    }

    async fn assert_told_once(&self, service: &Running, job: &Job) {
        let id = format!("{}:1:job.{}", job.id, job.status.as_str());
        for _ in 0..200 {
            let notice = service.ledger.notice(&id).await.unwrap().unwrap();
            if notice.next_at.is_none() {
                assert_eq!((notice.deliveries, notice.last_error), (1, None));
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} is not delivered");
    }
}
