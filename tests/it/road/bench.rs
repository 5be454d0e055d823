//! A worker with everything around it, and a clock to move.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, ManualClock, Timestamp};
use filmlab::google::{GoogleAccess, Identity};
use filmlab::job::attempt::Attempts;
use filmlab::job::credits::CancelAfterSubmit;
use filmlab::job::{
    Account, Channel, CreditEntry, Credits, CreditsMode, EntryKind, Job, JobId, Kind, NewJob,
    Notice, Notify, Output, Params, PriceTable, Provenance, Source,
};
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{Created, Ledger, Retried};
use filmlab::media::{
    self, Cancel, Checks, DEFAULT_MAX_ALLOCATION, FileInput, Limits, Placement, Profile,
};
use filmlab::notify::{Notifier, NotifyError};
use filmlab::outgoing::{LeastRate, WebFetcher};
use filmlab::provider::wavespeed::WaveSpeed;
use filmlab::quarantine::{Mode, Quarantine};
use filmlab::queue::embedded::EmbeddedQueue;
use filmlab::queue::{Queue as _, Receiver as _, Task, Why};
use filmlab::retry::RetryLimits;
use filmlab::storage::Storage;
use filmlab::storage::gcs::{self, GcsConfig};
use filmlab::storage::links::HmacLinks;
use filmlab::worker::{
    BrandMark, BrandWatermark, Pauses, PlaceLimits, Retention, Services, Settings, Swept, Worker,
};
use serde_json::{Value, json};

use super::studio::Studio;
use crate::support::PROGRAM;
use crate::support::disk::Unsynced;
use crate::support::gcs::{BUCKET, FakeGcs};
use crate::support::objects::PutFile as _;
use crate::support::require;

/// Remembers what was delivered.
#[derive(Debug, Default)]
pub(super) struct Letterbox {
    pub(super) got: Mutex<Vec<Notice>>,
    /// Deliveries to refuse first.
    pub(super) failing: Mutex<u32>,
}

#[async_trait]
impl Notifier for Letterbox {
    fn serves(&self, _notice: &Notice) -> bool {
        true
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        {
            let mut failing = self.failing.lock().unwrap();
            if *failing > 0 {
                *failing -= 1;
                return Err(NotifyError::Failed {
                    message: "closed".into(),
                    retry_after: None,
                });
            }
        }
        self.got.lock().unwrap().push(notice.clone());
        Ok(())
    }
}

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: ManualClock,
    pub(super) ledger: Arc<SqliteLedger>,
    pub(super) queue: Arc<EmbeddedQueue>,
    pub(super) storage: Storage,
    pub(super) studio: Arc<Studio>,
    pub(super) letters: Arc<Letterbox>,
    pub(super) settings: Settings,
}

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// The owner of all jobs here.
pub(super) const OWNER: &str = "u1";
/// What the owner starts with.
pub(super) const GRANT: u64 = 1_000;

impl Bench {
    /// `None` where the fixtures are missing (noted as a skip).
    pub(super) async fn new() -> Option<Self> {
        let clip = require::fixture("tiny.mp4")?;
        let character = require::fixture("character.png")?;
        let logo = require::fixture("logo.png")?;
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-11-23T12:00:00Z".parse().unwrap());
        let objects = dir.path().join("objects");
        std::fs::create_dir_all(&objects).unwrap();
        let links = HmacLinks::new(
            "https://lab.example/".parse().unwrap(),
            &[7; 32],
            Arc::new(clock.clone()),
        );
        let storage = Storage::in_directory(&objects, Arc::new(links.unwrap())).unwrap();
        storage
            .put_file(&clip, "sources/u1/clip.mp4", "video/mp4")
            .await
            .unwrap();
        storage
            .put_file(&character, "sources/u1/character.png", "image/png")
            .await
            .unwrap();
        let output = replaced(&clip, &character).await;
        let studio = Arc::new(Studio::new(output, clock.clone(), true));
        let settings = settings(logo);
        let bench = Self {
            ledger: Arc::new(SqliteLedger::open(dir.path().join("lab.sqlite")).unwrap()),
            queue: Arc::new(EmbeddedQueue::open_in_memory().unwrap()),
            dir,
            clock,
            storage,
            studio,
            letters: Arc::default(),
            settings,
        };
        bench.grant("start", GRANT).await;
        Some(bench)
    }

    pub(super) async fn grant(&self, id: &str, amount: u64) {
        let entry = CreditEntry {
            id: format!("grant:{id}"),
            kind: EntryKind::Grant,
            amount: Credits(amount),
            job: None,
            at: self.clock.now(),
        };
        assert!(
            self.ledger
                .grant(&OWNER.parse().unwrap(), &entry)
                .await
                .unwrap()
        );
    }

    /// Has links lead to `base`.
    pub(super) fn link_to(&mut self, base: &str) {
        let links = HmacLinks::new(
            base.parse().unwrap(),
            &[7; 32],
            Arc::new(self.clock.clone()),
        );
        let objects = self.dir.path().join("objects");
        self.storage = Storage::in_directory(&objects, Arc::new(links.unwrap())).unwrap();
    }

    /// Keeps its objects on a disk that loses what was not synced.
    pub(super) fn on_unsynced_disk(&mut self) -> Arc<Unsynced> {
        let objects = self.dir.path().join("objects");
        let disk = Unsynced::over(&objects);
        let base = "https://lab.example/".parse().unwrap();
        let links = HmacLinks::new(base, &[7; 32], Arc::new(self.clock.clone())).unwrap();
        let storage = Storage::in_directory_on(Arc::clone(&disk) as _, &objects, Arc::new(links));
        self.storage = storage.unwrap();
        disk
    }

    /// Keeps its objects in a bucket, with the inputs it has.
    pub(super) async fn in_bucket(&mut self) -> FakeGcs {
        let gcs = FakeGcs::default();
        let storage = bucket(gcs.start().await).await;
        for name in ["clip.mp4", "character.png"] {
            let object = format!("sources/u1/{name}");
            let file = self.dir.path().join("objects").join(&object);
            storage.put_file(&file, &object, "video/mp4").await.unwrap();
        }
        self.storage = storage;
        gcs
    }

    /// A fresh worker, as a new process would have it.
    pub(super) fn worker(&self) -> Arc<Worker> {
        self.worker_over(Arc::clone(&self.ledger) as _)
    }

    pub(super) fn worker_over(&self, ledger: Arc<dyn Ledger>) -> Arc<Worker> {
        Worker::new(Services {
            ledger,
            ..self.services()
        })
    }

    pub(super) fn worker_with(&self, settings: Settings) -> Arc<Worker> {
        Worker::new(Services {
            settings,
            ..self.services()
        })
    }

    /// One with some of what is around it exchanged.
    pub(super) fn worker_among(&self, change: impl FnOnce(&mut Services)) -> Arc<Worker> {
        let mut services = self.services();
        change(&mut services);
        Worker::new(services)
    }

    /// One that pays somebody else than the studio.
    pub(super) fn worker_paying(&self, provider: WaveSpeed) -> Arc<Worker> {
        Worker::new(Services {
            callbacks: Arc::new(provider.callbacks()),
            provider: Arc::new(provider),
            ..self.services()
        })
    }

    fn services(&self) -> Services {
        Services {
            ledger: Arc::clone(&self.ledger) as _,
            queue: Arc::clone(&self.queue) as _,
            provider: Arc::clone(&self.studio) as _,
            callbacks: Arc::clone(&self.studio) as _,
            storage: self.storage.clone(),
            notifiers: vec![Arc::clone(&self.letters) as _],
            fetcher: Arc::new(
                WebFetcher::new(true, Duration::from_secs(5), LeastRate::default()).unwrap(),
            ),
            clock: Arc::new(self.clock.clone()),
            settings: self.settings.clone(),
        }
    }

    /// A character replacement of the fixture clip, queued.
    pub(super) async fn create(&self, id: &str) -> JobId {
        self.create_as(id, Kind::CharacterReplace, json!({}), |_| {})
            .await
    }

    pub(super) async fn create_as(
        &self,
        id: &str,
        kind: Kind,
        params: Value,
        change: impl FnOnce(&mut NewJob),
    ) -> JobId {
        let now = self.clock.now();
        let image =
            (kind == Kind::CharacterReplace).then(|| "sources/u1/character.png".parse().unwrap());
        let mut new = NewJob {
            id: id.parse().unwrap(),
            owner: OWNER.parse().unwrap(),
            params: Params::parse(kind, &params).unwrap(),
            source: Source {
                video: "sources/u1/clip.mp4".parse().unwrap(),
                image,
                audio_track: None,
            },
            output: Output::default(),
            notify: Notify::default(),
            cost: None,
            tags: vec!["blue".into()],
            max_price: None,
            traceparent: None,
            cancel_after_submit: None,
            provenance: None,
            deadline_at: filmlab::clock::later(now, Duration::from_secs(7200)),
            created_at: now,
            idempotency: None,
        };
        change(&mut new);
        let id = new.id.clone();
        assert!(matches!(
            self.ledger.create(new).await.unwrap(),
            Created::New(_)
        ));
        let task = Task::Job {
            id: id.clone(),
            seq: 1,
            why: Why::Wake,
        };
        self.queue.schedule(&task, now).await.unwrap();
        id
    }

    pub(super) async fn job(&self, id: &JobId) -> Job {
        self.ledger.read(id).await.unwrap().unwrap()
    }

    pub(super) async fn account(&self) -> Account {
        self.ledger
            .account(&OWNER.parse().unwrap())
            .await
            .unwrap()
            .unwrap()
    }

    /// Another round, as the API begins one.
    pub(super) async fn retry(&self, id: &JobId) -> Job {
        let now = self.clock.now();
        let round = self.job(id).await.round;
        let retried = self
            .ledger
            .retry(id, round, now, after(now, 7200))
            .await
            .unwrap();
        let Retried::Done(job) = retried else {
            panic!("{retried:?}");
        };
        let task = Task::Job {
            id: id.clone(),
            seq: job.wake.seq,
            why: Why::Wake,
        };
        self.queue.schedule(&task, now).await.unwrap();
        *job
    }

    /// What became of the owner's credits, oldest first, grants left out.
    pub(super) async fn entries(&self) -> Vec<String> {
        let owner = OWNER.parse().unwrap();
        let mut entries = self.ledger.entries(&owner, 50).await.unwrap();
        entries.reverse();
        let moved = entries
            .into_iter()
            .filter(|entry| entry.kind != EntryKind::Grant);
        moved.map(|entry| entry.id).collect()
    }

    /// Delivers the next task, moving the clock to it; `false` if there is none.
    pub(super) async fn step(&self, worker: &Arc<Worker>) -> bool {
        let Some((_, at)) = self.queue.pending().await.unwrap().into_iter().next() else {
            return false;
        };
        self.clock.advance_to(at);
        for (task, deliveries) in self.queue.take_due(self.clock.now(), 1).await.unwrap() {
            let delivery = worker.receive(task.clone(), deliveries).await;
            self.queue
                .finish(&task, delivery, self.clock.now())
                .await
                .unwrap();
        }
        true
    }

    /// Steps until the job has ended and nothing waits; sweeps where the queue runs dry.
    pub(super) async fn drive(&self, worker: &Arc<Worker>, id: &JobId) -> Job {
        for _ in 0..300 {
            if self.step(worker).await {
                continue;
            }
            self.clock.advance(Duration::from_secs(90));
            let swept = worker.sweep().await.unwrap();
            if swept == Swept::default() && self.job(id).await.status.is_ended() {
                return self.job(id).await;
            }
        }
        panic!("the job does not end: {:#?}", self.job(id).await);
    }

    /// What lies under the objects folder, sources left out.
    pub(super) fn objects(&self) -> Vec<String> {
        let root = self.dir.path().join("objects");
        let mut found = Vec::new();
        files(&root, &mut found);
        let mut names: Vec<_> = found
            .iter()
            .map(|file| {
                file.strip_prefix(&root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| !name.starts_with("sources/"))
            .collect();
        names.sort();
        names
    }

    /// Every promise about a finished, successful job.
    pub(super) async fn assert_completed_once(&self, job: &Job) {
        assert_eq!(job.status.as_str(), "completed", "{job:#?}");
        assert_eq!(self.studio.submitted(), 1, "one submission");
        let entries = self
            .ledger
            .entries(&OWNER.parse().unwrap(), 50)
            .await
            .unwrap();
        let captures = entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Capture)
            .count();
        assert_eq!(captures, 1, "one capture: {entries:?}");
        let cost = job.credits.cost.unwrap().0 as i64;
        assert!(cost > 0);
        let account = self.account().await;
        assert_eq!(
            (account.credits, account.credits_held),
            (GRANT as i64 - cost, 0)
        );
        assert_eq!(self.letters.got.lock().unwrap().len(), 1, "one notice");
        let result = job.result.as_ref().unwrap();
        let mut expected: Vec<String> = result.objects().cloned().collect();
        expected.sort();
        assert_eq!(self.objects(), expected, "the result and nothing else");
    }

    /// Every promise about a job that did not succeed.
    pub(super) async fn assert_ended_without_trace(&self, job: &Job, code: &str) {
        let error = job.error.as_ref().unwrap_or_else(|| panic!("{job:#?}"));
        assert_eq!(error.code.as_str(), code, "{error:?}");
        let account = self.account().await;
        assert_eq!(
            (account.credits, account.credits_held),
            (GRANT as i64, 0),
            "credits are back"
        );
        assert_eq!(self.letters.got.lock().unwrap().len(), 1, "one notice");
        // What was paid for stays for another round.
        let kept: Vec<_> = job
            .generated
            .iter()
            .map(|file| file.object.clone())
            .collect();
        assert_eq!(self.objects(), kept, "nothing else is left behind");
        assert_eq!(job.kept.generated.is_some(), job.generated.is_some());
        assert_eq!((job.result.clone(), job.next_visit_at), (None, None));
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

pub(crate) fn settings(logo: PathBuf) -> Settings {
    let secs = Duration::from_secs;
    let profiles: BTreeMap<_, _> = [("web".to_owned(), Profile::builtin("web").unwrap())]
        .into_iter()
        .collect();
    Settings {
        lease: secs(60),
        heartbeat: secs(15),
        progress_every: secs(2),
        budget: secs(1500),
        watchdog: Duration::from_secs(30),
        attempts: Attempts::default(),
        places: PlaceLimits::default(),
        // An outage passes on the tests' clock.
        pauses: Pauses {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(2),
        },
        max_resubmissions: 1,
        breaker: None,
        fallback_after: None,
        fallback_after_refusal: false,
        busy_pause: secs(30),
        low_balance: None,
        provider_limits: None,
        lost_after: secs(300),
        poll_min: secs(5),
        poll_max: secs(60),
        media_slots: 1,
        media_memory: 2 << 30,
        quarantine: Quarantine {
            mode: mode(),
            program: PROGRAM.into(),
            max_allocation: DEFAULT_MAX_ALLOCATION,
        },
        media_slot_patience: secs(60),
        media_time_factor: 2.0,
        limits: Limits::default(),
        checks: Checks::default(),
        audible: true,
        profiles,
        storyboard: true,
        watermark: vec![BrandWatermark {
            mark: BrandMark::Picture(logo),
            placement: Placement::default(),
        }],
        fonts: Arc::default(),
        credits: CreditsMode::Hold,
        cancel_unsaid: CancelAfterSubmit::Release,
        provenance: Provenance::default(),
        signer: None,
        prices: PriceTable::default(),
        channel: Channel::Log,
        notify_attempts: Attempts::default(),
        retention: Retention {
            results: Some(30 * DAY),
            failed: Some(7 * DAY),
            sources: Some(7 * DAY),
            work: DAY,
        },
    }
}

/// `FILMLAB_ROAD_QUARANTINE=always` has the media of every job here worked on in children.
#[allow(
    clippy::disallowed_methods,
    reason = "a switch for whoever runs the tests"
)]
fn mode() -> Mode {
    let told = std::env::var("FILMLAB_ROAD_QUARANTINE").ok();
    told.map_or(Mode::AfterDeath, |told| told.parse().unwrap())
}

/// What a studio makes of the clip: silent, as many models leave it. Made once for all tests,
/// which run in processes of their own.
pub(super) async fn replaced(clip: &Path, character: &Path) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("road-replaced-2.mp4");
    if file.is_file() {
        return file;
    }
    let (clip, character, target) = (clip.to_owned(), character.to_owned(), file.clone());
    tokio::task::spawn_blocking(move || {
        let staged = target.with_extension(format!("{}.mp4", std::process::id()));
        let (clip, character) = (FileInput::new(clip), FileInput::new(character));
        media::synth::character_replace(&clip, &character, false, &staged, &Cancel::new()).unwrap();
        std::fs::rename(staged, target).unwrap();
    })
    .await
    .unwrap();
    file
}

async fn bucket(endpoint: url::Url) -> Storage {
    let identity = Identity::Token("token".into());
    let access = GoogleAccess::new(&identity).await.unwrap();
    let config = GcsConfig {
        endpoint: Some(endpoint),
        retry: RetryLimits {
            retries: 1,
            least_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
            total: Duration::from_secs(5),
        },
        ..GcsConfig::new(BUCKET)
    };
    gcs::open(&config, &access).unwrap()
}

/// A moment as many seconds after another.
pub(super) fn after(at: Timestamp, seconds: u64) -> Timestamp {
    filmlab::clock::later(at, Duration::from_secs(seconds))
}
