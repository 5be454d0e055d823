//! Writes `fixtures/upgrade/{version}-{revision}`: what a ledger of this revision looks like in
//! the middle of its work.
//!
//! Run at the revision that is released, and committed with it:
//! `make upgrade-fixtures` (it needs the Firestore emulator).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, later};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    CreditEntry, Credits, EntryKind, Idempotency, Intent, IntentState, Job, JobId, Keeping, Kind,
    NewJob, Notify, Output, Params, Source, Stage, Status,
};
use filmlab::ledger::firestore::FirestoreLedger;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{Callback, Created, Ledger, Retried};
use filmlab::provider::{Prediction, SubmitError};
use filmlab::queue::embedded::EmbeddedQueue;
use filmlab::queue::{Queue as _, Task};
use filmlab::worker::Worker;
use serde_json::json;

use super::super::crash::{Fatal, Moment};
use super::stand::Stand;
use super::{Expected, GRANT, Manifest, OWNER, Paid, UNREADABLE, emulated, job_of, root, wake};
use crate::support::emulator::{Caller, Emulator};
use crate::support::objects::PutFile as _;
use crate::support::require::{self, variable};

/// When the ledgers are written, by their own clock.
const NOW: &str = "2026-11-27T09:00:00Z";
/// Of each job: longer than the writing takes by its clock.
const DEADLINE: Duration = Duration::from_secs(20 * 3600);

/// Where the ledger of a backend goes.
fn folder_of(backend: &str) -> PathBuf {
    let revision = variable("FILMLAB_REVISION").into_string().unwrap();
    assert!(!revision.is_empty(), "FILMLAB_REVISION names the revision");
    let release = format!("{}-{revision}", env!("CARGO_PKG_VERSION"));
    root().join(release).join(backend)
}

struct Maker {
    stand: Stand,
    manifest: Manifest,
}

#[tokio::test]
#[ignore = "writes a fixture; see `make upgrade-fixtures`"]
async fn write_sqlite() {
    let folder = folder_of("sqlite");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("filmlab.sqlite");
    let ledger = Arc::new(SqliteLedger::open(&file).unwrap());
    let objects = dir.path().join("objects");
    let mut maker = Maker::new(ledger, &objects).await;
    maker.write_all().await;
    // By somebody else's hand: due, and no job.
    let other = rusqlite::Connection::open(&file).unwrap();
    other
        .execute(
            "INSERT INTO jobs (id, owner, kind, created_at, status, next_visit_at, wake_seq, doc)
             SELECT ?1, owner, kind, created_at, 'queued', created_at, 1, '{\"not\":\"a job\"}'
             FROM jobs WHERE id = 'queued'",
            [UNREADABLE],
        )
        .unwrap();
    let queue = EmbeddedQueue::open(&file).unwrap();
    for (task, at) in std::mem::take(&mut maker.manifest.tasks) {
        queue.schedule(&task, at).await.unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    let target = folder.join("filmlab.sqlite");
    let _ = std::fs::remove_file(&target);
    other
        .execute("VACUUM INTO ?1", [target.to_str().unwrap()])
        .unwrap();
    maker.save(&folder, &objects);
}

#[tokio::test]
#[ignore = "writes a fixture; see `make upgrade-fixtures`"]
async fn write_firestore() {
    let folder = folder_of("firestore");
    let emulator = Emulator::fresh().expect("the emulator");
    let ledger = FirestoreLedger::connect(emulated::config(&emulator));
    let ledger = Arc::new(ledger.await.unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(ledger, dir.path()).await;
    maker.write_all().await;
    // As the API service writes it.
    let now = maker.stand.clock.now();
    let document = json!({
        "owner": OWNER, "kind": "character_replace", "params": {"resolution": "480p"},
        "source": {"video": "sources/u1/clip.mp4", "image": "sources/u1/character.png"},
        "status": "queued", "wake": {"seq": 1, "at": now}, "next_visit_at": now,
        "created_at": now, "deadline_at": later(now, DEADLINE),
        "campaign": {"of": "somebody else", "number": 7},
    });
    let written = emulator
        .write(Caller::Owner, "jobs/by-api-service", &document)
        .await;
    assert_eq!(written, 200);
    maker.expect("by-api-service", Status::Completed, 1);
    let unreadable = json!({"owner": OWNER, "next_visit_at": now, "status": "queued"});
    emulator
        .write(Caller::Owner, &format!("jobs/{UNREADABLE}"), &unreadable)
        .await;
    let documents = emulated::all(&emulator).await;
    maker.save(&folder, dir.path());
    let text = serde_json::to_string_pretty(&documents).unwrap() + "\n";
    std::fs::write(folder.join("documents.json"), text).unwrap();
}

impl Maker {
    async fn new(ledger: Arc<dyn Ledger>, objects: &Path) -> Self {
        let queue = EmbeddedQueue::open_in_memory().unwrap();
        let now = NOW.parse().unwrap();
        let mut stand = Stand::over(ledger, queue, objects, now)
            .await
            .expect("the fixtures");
        // A visit that hangs for ever stands for a dead process: it renews nothing.
        stand.settings.heartbeat = Duration::from_secs(3600);
        for (file, name, kind) in [
            ("tiny.mp4", "clip.mp4", "video/mp4"),
            ("character.png", "character.png", "image/png"),
        ] {
            let file = require::fixture(file).unwrap();
            let name = format!("sources/u1/{name}");
            stand.storage.put_file(&file, &name, kind).await.unwrap();
        }
        let entry = CreditEntry {
            id: "grant:start".into(),
            kind: EntryKind::Grant,
            amount: Credits(GRANT),
            job: None,
            at: now,
        };
        let owner = OWNER.parse().unwrap();
        assert!(stand.ledger.grant(&owner, &entry).await.unwrap());
        Self {
            stand,
            manifest: Manifest {
                now,
                jobs: BTreeMap::new(),
                paid: Vec::new(),
                told: BTreeSet::new(),
                given_up: BTreeSet::new(),
                tasks: Vec::new(),
                objects: BTreeMap::new(),
            },
        }
    }

    async fn write_all(&mut self) {
        self.ended().await;
        self.notices().await;
        self.rounds().await;
        self.deaths().await;
        self.intents().await;
        self.waiting().await;
        self.queued().await;
        // Somebody else writes this one; its task comes as every other.
        self.wake(&UNREADABLE.parse().unwrap(), 1).await;
        self.leave().await;
    }

    fn save(mut self, folder: &Path, objects: &Path) {
        self.manifest.now = self.stand.clock.now();
        let paid = self.stand.studio.submissions.lock().unwrap();
        self.manifest.paid = paid
            .iter()
            .map(|submission| Paid {
                model: submission.model.clone(),
                callback: submission.callback.clone().unwrap(),
            })
            .collect();
        let told = self.stand.letters.got.lock().unwrap();
        self.manifest.told = told.iter().map(|notice| notice.id.clone()).collect();
        let stored = folder.join("objects");
        let _ = std::fs::remove_dir_all(&stored);
        std::fs::create_dir_all(&stored).unwrap();
        let mut kept = BTreeMap::new();
        for file in files(objects) {
            let name = file.strip_prefix(objects).unwrap();
            let bytes = std::fs::read(&file).unwrap();
            // Most are the same bytes under another name.
            let next = format!("{}", kept.len());
            let number = kept.entry(bytes.clone()).or_insert(next).clone();
            std::fs::write(stored.join(&number), bytes).unwrap();
            let name = name.to_str().unwrap().to_owned();
            self.manifest.objects.insert(name, number);
        }
        let text = serde_json::to_string_pretty(&self.manifest).unwrap() + "\n";
        std::fs::write(folder.join("manifest.json"), text).unwrap();
    }

    fn expect(&mut self, id: &str, status: Status, buys: usize) {
        let expected = Expected { status, buys };
        let before = self.manifest.jobs.insert(id.to_owned(), expected);
        assert!(before.is_none(), "{id} twice");
    }

    async fn create(&self, id: &str, kind: Kind, change: impl FnOnce(&mut NewJob)) -> JobId {
        let now = self.stand.clock.now();
        let image =
            (kind == Kind::CharacterReplace).then(|| "sources/u1/character.png".parse().unwrap());
        let params = match kind {
            Kind::Extend => json!({"prompt": "She walks on.", "seconds": 5}),
            Kind::CharacterReplace | Kind::Upscale => json!({}),
        };
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
            tags: Vec::new(),
            max_price: None,
            traceparent: None,
            cancel_after_submit: None,
            provenance: None,
            deadline_at: later(now, DEADLINE),
            created_at: now,
            idempotency: None,
        };
        change(&mut new);
        let id = new.id.clone();
        let created = self.stand.ledger.create(new).await.unwrap();
        assert!(matches!(created, Created::New(_)), "{created:?}");
        self.wake(&id, 1).await;
        id
    }

    async fn replace(&self, id: &str) -> JobId {
        self.create(id, Kind::CharacterReplace, |_| {}).await
    }

    async fn wake(&self, id: &JobId, seq: u64) {
        let task = wake(id, seq);
        let now = self.stand.clock.now();
        self.stand.queue.schedule(&task, now).await.unwrap();
    }

    /// Lets the worker go on until the job is as wanted.
    async fn until(&self, worker: &Arc<Worker>, id: &JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        for _ in 0..200 {
            let job = self.stand.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(self.stand.step(worker).await, "nothing to do: {job:#?}");
        }
        panic!("{:#?}", self.stand.job(id).await);
    }

    /// Until nothing waits.
    async fn finish(&self, worker: &Arc<Worker>, id: &JobId) -> Job {
        while self.stand.step(worker).await {}
        self.stand.job(id).await
    }

    /// What waits is left for later; the next job begins with an empty queue.
    async fn leave(&mut self) {
        let pending = self.stand.queue.pending().await.unwrap();
        self.manifest.tasks.extend(pending);
        self.stand.queue = Arc::new(EmbeddedQueue::open_in_memory().unwrap());
        let mut script = self.stand.studio.script();
        *script = Default::default();
        drop(script);
        *self.stand.letters.failing.lock().unwrap() = 0;
    }

    /// The paid submissions of a job so far.
    fn paid(&self, id: &str) -> usize {
        let paid = self.stand.studio.submissions.lock().unwrap();
        paid.iter()
            .filter(|paid| job_of(paid.callback.as_ref().unwrap()) == id)
            .count()
    }

    async fn call_back(&self, id: &JobId) {
        let intent = self.stand.job(id).await.intents.last().unwrap().id.clone();
        let number = self.stand.studio.submitted();
        let callback = Callback {
            intent,
            prediction_id: format!("p{number}"),
            received_at: self.stand.clock.now(),
        };
        assert!(
            self.stand
                .ledger
                .record_callback(id, &callback)
                .await
                .unwrap()
        );
    }

    async fn cancel(&self, id: &JobId) {
        let now = self.stand.clock.now();
        self.stand.ledger.request_cancel(id, now).await.unwrap();
    }

    async fn retry(&self, id: &JobId) -> Job {
        let now = self.stand.clock.now();
        let round = self.stand.job(id).await.round;
        let retried = self
            .stand
            .ledger
            .retry(id, round, now, later(now, DEADLINE))
            .await
            .unwrap();
        let Retried::Done(job) = retried else {
            panic!("{retried:?}")
        };
        self.wake(id, job.wake.seq).await;
        *job
    }

    fn running(&self, polls: usize) {
        let answers = (0..polls).map(|_| Ok(Prediction::Running));
        self.stand.studio.script().predictions.extend(answers);
    }

    async fn failed_in_process(&mut self, id: &JobId) -> Job {
        let worker = self.stand.worker();
        self.until(&worker, id, |job| job.provider.prediction_id.is_some())
            .await;
        let profiles = std::mem::take(&mut self.stand.settings.profiles);
        let job = self.finish(&self.stand.worker(), id).await;
        self.stand.settings.profiles = profiles;
        assert_eq!(job.status, Status::Failed);
        assert!(job.kept.generated.is_some());
        job
    }

    /// Jobs that have ended, each in its own way.
    async fn ended(&mut self) {
        let worker = self.stand.worker();
        let id = self.replace("completed").await;
        self.until(&worker, &id, |job| job.provider.prediction_id.is_some())
            .await;
        self.call_back(&id).await;
        assert_eq!(self.finish(&worker, &id).await.status, Status::Completed);
        self.expect("completed", Status::Completed, 0);
        self.leave().await;

        let worker = self.stand.worker();
        let id = self.replace("expired").await;
        let job = self.finish(&worker, &id).await;
        let now = self.stand.clock.now();
        let folder = job.result.unwrap().video;
        let (folder, _) = folder.rsplit_once('/').unwrap();
        self.stand.storage.sweep(folder, |_| true).await.unwrap();
        let forgotten = self
            .stand
            .ledger
            .forget(&id, Keeping::Results, 1, now)
            .await;
        assert!(forgotten.unwrap());
        self.expect("expired", Status::Completed, 0);
        self.leave().await;

        let id = self.replace("failed-in-process").await;
        self.failed_in_process(&id).await;
        self.expect("failed-in-process", Status::Failed, 0);
        self.leave().await;

        let lost = || SubmitError::Ambiguous {
            message: "the connection was reset".into(),
            words: None,
        };
        self.stand
            .studio
            .script()
            .submits
            .extend([Err(lost()), Err(lost()), Err(lost())]);
        let worker = self.stand.worker();
        let id = self.replace("answer-lost").await;
        let job = self.finish(&worker, &id).await;
        let wasted = |intent: &Intent| intent.state == IntentState::Wasted;
        assert!(job.intents.iter().any(wasted), "{:?}", job.intents);
        self.expect("answer-lost", Status::Failed, 0);
        self.leave().await;

        let worker = self.stand.worker();
        let id = self
            .create("too-dear", Kind::CharacterReplace, |new| {
                new.cost = Some(Credits(GRANT * 2));
            })
            .await;
        assert_eq!(self.finish(&worker, &id).await.status, Status::Failed);
        self.expect("too-dear", Status::Failed, 0);
        self.leave().await;

        for (name, kind) in [
            ("cancelled-unpaid", Kind::Extend),
            ("cancelled-unpaid-upscale", Kind::Upscale),
        ] {
            let worker = self.stand.worker();
            let id = self.create(name, kind, |_| {}).await;
            self.cancel(&id).await;
            assert_eq!(self.finish(&worker, &id).await.status, Status::Cancelled);
            self.expect(name, Status::Cancelled, 0);
            self.leave().await;
        }

        self.running(9);
        let worker = self.stand.worker();
        let id = self.replace("cancelled-paid").await;
        self.until(&worker, &id, |job| job.provider.polls > 1).await;
        self.cancel(&id).await;
        assert_eq!(self.finish(&worker, &id).await.status, Status::Cancelled);
        self.expect("cancelled-paid", Status::Cancelled, 0);
        self.leave().await;
    }

    /// Completed jobs whose notice is on its way, in every state.
    async fn notices(&mut self) {
        for (name, failing) in [
            ("notice-pending", 0),
            ("notice-failing", 1),
            ("notice-undeliverable", 99),
            ("notice-replayed", 99),
        ] {
            let worker = self.stand.worker();
            let id = self
                .create(name, Kind::CharacterReplace, |new| {
                    new.notify = match failing {
                        0 => Notify {
                            fcm_token: Some("a-device".into()),
                            webhook: None,
                        },
                        _ => Notify {
                            webhook: Some("https://app.example/hook".parse().unwrap()),
                            fcm_token: None,
                        },
                    };
                })
                .await;
            *self.stand.letters.failing.lock().unwrap() = failing;
            self.until(&worker, &id, |job| job.status.is_ended()).await;
            let notice = format!("{id}:1:job.completed");
            if failing > 0 {
                loop {
                    let now = self.stand.ledger.notice(&notice).await.unwrap();
                    let now = now.unwrap();
                    let enough = match failing {
                        1 => now.deliveries == 1,
                        _ => now.state == DeliveryState::Undeliverable,
                    };
                    if enough {
                        break;
                    }
                    assert!(self.stand.step(&worker).await);
                }
            }
            if name == "notice-undeliverable" {
                self.manifest.given_up.insert(notice.clone());
            }
            if name == "notice-replayed" {
                let now = self.stand.clock.now();
                let replayed = self.stand.ledger.replay(&notice, now).await.unwrap();
                let task = Task::Notice {
                    id: notice,
                    delivery: replayed.unwrap().next_task(),
                };
                self.stand.queue.schedule(&task, now).await.unwrap();
            }
            self.expect(name, Status::Completed, 0);
            self.leave().await;
        }
    }

    /// Second rounds, each from another stage.
    async fn rounds(&mut self) {
        for (name, dies_after) in [("again-process", 0), ("again-process-held", 2)] {
            let id = self.replace(name).await;
            self.failed_in_process(&id).await;
            let round = self.retry(&id).await;
            assert_eq!((round.round, round.stage), (2, Some(Stage::Process)));
            if dies_after > 0 {
                self.die(&id, dies_after).await;
            }
            self.expect(name, Status::Completed, 0);
            self.leave().await;
        }
        self.running(9);
        let worker = self.stand.worker();
        let id = self.replace("again-generate").await;
        self.until(&worker, &id, |job| job.provider.polls > 1).await;
        self.cancel(&id).await;
        self.finish(&worker, &id).await;
        let round = self.retry(&id).await;
        assert_eq!((round.round, round.stage), (2, Some(Stage::Generate)));
        self.expect("again-generate", Status::Completed, 0);
        self.leave().await;

        let worker = self.stand.worker();
        let id = self.replace("again-submit").await;
        self.cancel(&id).await;
        self.finish(&worker, &id).await;
        let round = self.retry(&id).await;
        assert_eq!((round.round, round.stage), (2, Some(Stage::Submit)));
        self.expect("again-submit", Status::Completed, 1);
        self.leave().await;

        let worker = self.stand.worker();
        let id = self.replace("again-completed").await;
        self.cancel(&id).await;
        self.finish(&worker, &id).await;
        self.retry(&id).await;
        let job = self.finish(&worker, &id).await;
        assert_eq!((job.round, job.status), (2, Status::Completed));
        self.expect("again-completed", Status::Completed, 0);
        self.leave().await;
    }

    /// The worker dies just after its nth owner write; gives whether it came so far.
    async fn die(&self, id: &JobId, nth: u32) -> bool {
        let ledger = Arc::clone(&self.stand.ledger);
        let fatal = Fatal::before(ledger, self.stand.clock.clone(), nth, Moment::After);
        let worker = self.stand.worker_over(Arc::clone(&fatal) as _);
        tokio::select! {
            () = fatal.dead.notified() => true,
            _ = self.finish(&worker, id) => false,
        }
    }

    /// One job for each owner write of the road: its worker died just after it.
    async fn deaths(&mut self) {
        let mut stages = BTreeSet::new();
        for nth in 1..40 {
            let name = format!("died-after-{nth:02}");
            let id = self.replace(&name).await;
            let died = self.die(&id, nth).await;
            let job = self.stand.job(&id).await;
            stages.insert(job.stage);
            let buys = usize::from(self.paid(&name) == 0);
            self.expect(&name, Status::Completed, buys);
            self.leave().await;
            if !died {
                assert!(nth > 9, "only {nth} owner writes");
                break;
            }
        }
        let all = [
            Stage::Submit,
            Stage::Generate,
            Stage::Fetch,
            Stage::Process,
            Stage::Settle,
        ];
        for stage in all {
            assert!(stages.contains(&Some(stage)), "{stage:?}: {stages:?}");
        }
        // Paid, and the worker died before it had the answer.
        for (name, called) in [("paid-unrecorded", false), ("paid-called-back", true)] {
            self.stand.studio.script().hang_after_accepting = true;
            let worker = self.stand.worker();
            let id = self.replace(name).await;
            let visit = tokio::spawn({
                let (worker, id) = (Arc::clone(&worker), id.clone());
                async move { worker.visit(id, 1).await }
            });
            while self.paid(name) == 0 {
                tokio::task::yield_now().await;
            }
            visit.abort();
            if called {
                self.call_back(&id).await;
            }
            let job = self.stand.job(&id).await;
            assert_eq!(job.intents[0].state, IntentState::Open);
            self.expect(name, Status::Completed, usize::from(!called));
            self.leave().await;
        }
    }

    /// Decisions to pay in the states that the deaths do not leave behind.
    async fn intents(&mut self) {
        let lost = || SubmitError::Ambiguous {
            message: "the connection was reset".into(),
            words: None,
        };
        for (name, called) in [("unknown", false), ("unknown-called-back", true)] {
            self.stand.studio.script().submits.push_back(Err(lost()));
            let worker = self.stand.worker();
            let id = self.replace(name).await;
            self.until(&worker, &id, |job| {
                let intent = job.intents.first();
                intent.is_some_and(|intent| intent.state == IntentState::Unknown)
            })
            .await;
            if called {
                self.call_back(&id).await;
            }
            self.expect(name, Status::Completed, usize::from(!called));
            self.leave().await;
        }

        self.stand.studio.script().submits.push_back(Err(lost()));
        let worker = self.stand.worker();
        let id = self.replace("wasted").await;
        let job = self
            .until(&worker, &id, |job| job.provider.prediction_id.is_some())
            .await;
        assert_eq!(job.intents[0].state, IntentState::Wasted);
        self.expect("wasted", Status::Completed, 0);
        self.leave().await;

        let failed = Prediction::Failed {
            message: "Task execution failed.".into(),
        };
        self.stand.studio.script().predictions.push_back(Ok(failed));
        let worker = self.stand.worker();
        let id = self.replace("failed-prediction").await;
        let job = self
            .until(&worker, &id, |job| {
                job.attempt_failed && job.stage == Some(Stage::Submit)
            })
            .await;
        assert_eq!(job.intents[0].state, IntentState::Failed);
        self.expect("failed-prediction", Status::Completed, 1);
        self.leave().await;
    }

    /// Jobs that wait for something, with nobody holding them.
    async fn waiting(&mut self) {
        let busy = SubmitError::Busy {
            message: "later".into(),
            retry_after: None,
        };
        let unauthorized = SubmitError::Unauthorized {
            message: "no".into(),
        };
        for (name, refusal) in [("busy", busy), ("unauthorized", unauthorized)] {
            self.stand.studio.script().submits.push_back(Err(refusal));
            let worker = self.stand.worker();
            let id = self.replace(name).await;
            let job = self.until(&worker, &id, |job| job.error.is_some()).await;
            assert_eq!(job.intents[0].state, IntentState::Refused);
            self.expect(name, Status::Completed, 1);
            self.leave().await;
        }
        for (name, cancels, ends) in [
            ("generating", false, Status::Completed),
            ("generating-to-cancel", true, Status::Cancelled),
        ] {
            self.running(9);
            let worker = self.stand.worker();
            let id = self.replace(name).await;
            self.until(&worker, &id, |job| job.provider.polls > 1).await;
            if cancels {
                self.cancel(&id).await;
            }
            self.expect(name, ends, 0);
            self.leave().await;
        }
    }

    /// Jobs that nobody has begun.
    async fn queued(&mut self) {
        self.replace("queued").await;
        self.expect("queued", Status::Completed, 1);
        self.leave().await;
        self.create("queued-with-key", Kind::CharacterReplace, |new| {
            new.idempotency = Some(Idempotency {
                key: "a key".into(),
                request_sha256: "00".repeat(32),
            });
            new.cost = Some(Credits(3));
        })
        .await;
        self.expect("queued-with-key", Status::Completed, 1);
        self.leave().await;
        let id = self.create("queued-to-cancel", Kind::Upscale, |_| {}).await;
        self.cancel(&id).await;
        self.expect("queued-to-cancel", Status::Cancelled, 0);
        self.leave().await;
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
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
    found.sort();
    found
}
