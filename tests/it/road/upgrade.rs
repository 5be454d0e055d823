//! Ledgers that earlier revisions wrote in the middle of their work are opened, gone on with and
//! settled by this one: `fixtures/upgrade/{version}-{revision}`, made by [`maker`].

mod emulated;
mod maker;
mod rollback;
mod stand;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, later};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    CreditEntry, DurationMeaning, EntryKind, IntentState, Job, JobId, Kind, Params, Stage, Status,
    Timestamp,
};
use filmlab::ledger::firestore::FirestoreLedger;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{Ledger, Retried};
use filmlab::media::{self, Cancel, FileInput, Limits};
use filmlab::provider::Submission;
use filmlab::queue::embedded::EmbeddedQueue;
use filmlab::queue::{Queue as _, Task, Why};
use filmlab::worker::Worker;
use serde::{Deserialize, Serialize};

use stand::Stand;

use crate::support::emulator::Emulator;

/// The owner of all jobs in a fixture.
const OWNER: &str = "u1";
/// What the owner started with.
const GRANT: u64 = 100_000;
/// A due record that is no job. It must not keep the others from their end.
const UNREADABLE: &str = "unreadable";

/// What lies beside a ledger: the world it was written in.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// By the writer's clock.
    now: Timestamp,
    /// What has to become of each job.
    jobs: BTreeMap<String, Expected>,
    /// Submissions that the provider has taken: the first gave prediction `p1`.
    paid: Vec<Paid>,
    /// Notices that were delivered.
    told: BTreeSet<String>,
    /// Notices that were given up.
    given_up: BTreeSet<String>,
    /// What the queue held.
    tasks: Vec<(Task, Timestamp)>,
    /// Object names, and the file in `objects` that has their bytes.
    objects: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Expected {
    status: Status,
    /// Submissions that are still to be made.
    buys: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Paid {
    model: String,
    callback: url::Url,
}

impl Manifest {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/upgrade")
}

/// The fixtures of one backend, by revision.
fn fixtures(backend: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path().join(backend))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Puts the objects back, the world as it was, and the worker of today into it.
async fn opened(
    fixture: &Path,
    objects: &Path,
    ledger: Arc<dyn Ledger>,
    queue: EmbeddedQueue,
) -> Option<(Stand, Manifest)> {
    let manifest = Manifest::read(fixture);
    for (name, file) in &manifest.objects {
        let target = objects.join(name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(fixture.join("objects").join(file), target).unwrap();
    }
    let stand = Stand::over(ledger, queue, objects, manifest.now).await?;
    *stand.studio.submissions.lock().unwrap() = manifest
        .paid
        .iter()
        .map(|paid| Submission {
            model: paid.model.clone(),
            params: Params::parse(Kind::CharacterReplace, &serde_json::json!({})).unwrap(),
            source_s: 0.0,
            duration: DurationMeaning::Added,
            video: "https://studio.example/upload".parse().unwrap(),
            image: None,
            callback: Some(paid.callback.clone()),
        })
        .collect();
    Some((stand, manifest))
}

#[tokio::test]
async fn sqlite_files_of_earlier_revisions_are_settled() {
    for fixture in fixtures("sqlite") {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("filmlab.sqlite");
        std::fs::copy(fixture.join("filmlab.sqlite"), &file).unwrap();
        let ledger = Arc::new(SqliteLedger::open(&file).unwrap());
        let queue = EmbeddedQueue::open(&file).unwrap();
        let objects = dir.path().join("objects");
        let Some((stand, manifest)) = opened(&fixture, &objects, ledger, queue).await else {
            return;
        };
        settle(&stand, &manifest, &objects).await;
    }
}

#[tokio::test]
async fn documents_of_earlier_revisions_are_settled() {
    for fixture in fixtures("firestore") {
        let Some(emulator) = Emulator::fresh() else {
            return;
        };
        emulated::load(&emulator, &fixture.join("documents.json")).await;
        let ledger = FirestoreLedger::connect(emulated::config(&emulator));
        let ledger = Arc::new(ledger.await.unwrap());
        let queue = EmbeddedQueue::open_in_memory().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let Some((stand, manifest)) = opened(&fixture, dir.path(), ledger, queue).await else {
            return;
        };
        for (task, at) in &manifest.tasks {
            stand.queue.schedule(task, *at).await.unwrap();
        }
        settle(&stand, &manifest, dir.path()).await;
    }
}

async fn settle(stand: &Stand, manifest: &Manifest, objects: &Path) {
    every_state_is_there(stand, manifest).await;
    let worker = stand.worker();
    go_on(stand, &worker, manifest).await;
    for (id, expected) in &manifest.jobs {
        let job = stand.job(&id.parse().unwrap()).await;
        assert_eq!(job.status, expected.status, "{job:#?}");
        assert_result(&job, objects);
    }
    assert_paid(stand, manifest);
    assert_credits(stand, manifest).await;
    assert_told(stand, manifest).await;
    rounds(stand, &worker, manifest, objects).await;
}

/// A fixture without them would prove nothing.
async fn every_state_is_there(stand: &Stand, manifest: &Manifest) {
    let (mut stages, mut intents) = (BTreeSet::new(), BTreeSet::new());
    let (mut statuses, mut notices) = (BTreeSet::new(), BTreeSet::new());
    let mut rounds = BTreeSet::new();
    for id in manifest.jobs.keys() {
        let job = stand.job(&id.parse().unwrap()).await;
        statuses.insert(job.status.as_str());
        rounds.insert(job.round);
        if !job.status.is_ended() {
            stages.extend(job.stage.map(Stage::as_str));
        }
        intents.extend(
            job.intents
                .iter()
                .map(|intent| format!("{:?}", intent.state)),
        );
        for notice in stand.ledger.notices(&job.id).await.unwrap() {
            notices.insert((format!("{:?}", notice.state), notice.channel.name()));
        }
    }
    let named = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(
        statuses,
        named(&["queued", "processing", "completed", "failed", "cancelled"])
    );
    assert_eq!(
        stages,
        named(&["submit", "generate", "fetch", "process", "settle"])
    );
    let states = [
        IntentState::Open,
        IntentState::Unknown,
        IntentState::Accepted,
        IntentState::Refused,
        IntentState::Failed,
        IntentState::Wasted,
    ];
    assert_eq!(intents, states.map(|state| format!("{state:?}")).into());
    for state in [
        DeliveryState::Pending,
        DeliveryState::Delivered,
        DeliveryState::Undeliverable,
    ] {
        let state = format!("{state:?}");
        assert!(notices.iter().any(|(is, _)| *is == state), "{notices:?}");
    }
    assert!(rounds.contains(&2));
}

/// Until everything has ended and everybody was told.
async fn go_on(stand: &Stand, worker: &Arc<Worker>, manifest: &Manifest) {
    let mut left: Vec<&String> = manifest.jobs.keys().collect();
    for _ in 0..3_000 {
        if stand.step(worker).await {
            continue;
        }
        // What is settled stays so: a read in the cloud's ledger takes its time.
        while let Some(id) = left.last() {
            if !is_settled(stand, id).await {
                break;
            }
            left.pop();
        }
        if left.is_empty() {
            return;
        }
        stand.clock.advance(Duration::from_secs(90));
        worker.sweep().await.unwrap();
    }
    for id in left {
        let job = stand.job(&id.parse().unwrap()).await;
        let notices = stand.ledger.notices(&job.id).await.unwrap();
        println!("{job:#?}, {notices:#?}");
    }
    panic!("some jobs or notices are left over");
}

async fn is_settled(stand: &Stand, id: &str) -> bool {
    let job = stand.job(&id.parse().unwrap()).await;
    if !job.status.is_ended() {
        return false;
    }
    let notices = stand.ledger.notices(&job.id).await.unwrap();
    !notices.iter().any(|it| it.state == DeliveryState::Pending)
}

/// A result plays, and nothing but a result has a name.
fn assert_result(job: &Job, objects: &Path) {
    assert_eq!(job.next_visit_at, None, "{job:#?}");
    let Some(result) = &job.result else {
        let expired = job.result_expired_at.is_some();
        assert!(job.status != Status::Completed || expired, "{job:#?}");
        return;
    };
    assert_eq!(job.status, Status::Completed);
    // Of the release before: without a storyboard.
    for object in result.objects() {
        assert!(objects.join(object).is_file(), "{object}");
    }
    let video = FileInput::new(objects.join(&result.video));
    let info = media::probe(&video, &Limits::default(), &Cancel::new()).unwrap();
    let shown = info.video.unwrap();
    assert_eq!((shown.width, shown.height), (result.width, result.height));
}

/// Which job a submission was for, by the address it is to call back at.
fn job_of(callback: &url::Url) -> String {
    callback.path_segments().unwrap().next().unwrap().to_owned()
}

fn bought(stand: &Stand, id: &str) -> usize {
    let all = stand.studio.submissions.lock().unwrap();
    all.iter()
        .filter(|paid| job_of(paid.callback.as_ref().unwrap()) == id)
        .count()
}

fn assert_paid(stand: &Stand, manifest: &Manifest) {
    for (id, expected) in &manifest.jobs {
        let before = manifest
            .paid
            .iter()
            .filter(|paid| job_of(&paid.callback) == *id);
        let bought = bought(stand, id) - before.count();
        assert_eq!(
            bought, expected.buys,
            "submissions for {id} after the change"
        );
    }
}

/// What was held is captured or released, once each, and nothing is lost.
async fn assert_credits(stand: &Stand, manifest: &Manifest) {
    let owner = OWNER.parse().unwrap();
    let entries = stand.ledger.entries(&owner, 1_000).await.unwrap();
    let mut rounds: BTreeMap<String, Vec<&CreditEntry>> = BTreeMap::new();
    let mut captured = 0;
    for entry in entries
        .iter()
        .filter(|entry| entry.kind != EntryKind::Grant)
    {
        let (round, _) = entry.id.rsplit_once(':').unwrap();
        rounds.entry(round.to_owned()).or_default().push(entry);
        if entry.kind == EntryKind::Capture {
            captured += entry.amount.0;
        }
    }
    for (round, moved) in &rounds {
        let [a, b] = moved[..] else {
            panic!("{round}: {moved:?}");
        };
        let holds = [a, b].map(|entry| entry.kind == EntryKind::Hold);
        assert!(holds[0] != holds[1] && a.amount == b.amount, "{moved:?}");
    }
    for id in manifest.jobs.keys() {
        let job = stand.job(&id.parse().unwrap()).await;
        let capture = rounds
            .get(&format!("{id}:{}", job.round))
            .is_some_and(|moved| moved.iter().any(|entry| entry.kind == EntryKind::Capture));
        assert_eq!(capture, job.status == Status::Completed, "{id}");
    }
    let account = stand.ledger.account(&owner).await.unwrap().unwrap();
    assert_eq!(
        (account.credits, account.credits_held),
        (i64::try_from(GRANT - captured).unwrap(), 0)
    );
}

/// One notice for each round, delivered once, before or after.
async fn assert_told(stand: &Stand, manifest: &Manifest) {
    let mut told = BTreeSet::new();
    for notice in stand.letters.got.lock().unwrap().iter() {
        assert!(told.insert(notice.id.clone()), "{} came twice", notice.id);
        assert!(
            !manifest.told.contains(&notice.id),
            "{} had come before",
            notice.id
        );
    }
    for id in manifest.jobs.keys() {
        let job = stand.job(&id.parse().unwrap()).await;
        let notices = stand.ledger.notices(&job.id).await.unwrap();
        assert_eq!(notices.len(), job.round as usize, "{id}: {notices:?}");
        for notice in notices {
            let given_up = manifest.given_up.contains(&notice.id);
            let came = told.contains(&notice.id) || manifest.told.contains(&notice.id);
            assert_eq!(came, !given_up, "{notice:?}");
        }
    }
}

/// What had failed before is begun again: what was paid for then is used.
async fn rounds(stand: &Stand, worker: &Arc<Worker>, manifest: &Manifest, objects: &Path) {
    for (id, buys) in [
        ("failed-in-process", 0),
        ("cancelled-paid", 0),
        ("answer-lost", 1),
    ] {
        let bought_before = bought(stand, id);
        let job = stand.job(&id.parse().unwrap()).await;
        let now = stand.clock.now();
        let retried = stand
            .ledger
            .retry(
                &job.id,
                job.round,
                now,
                later(now, Duration::from_secs(7200)),
            )
            .await;
        let Ok(Retried::Done(job)) = retried else {
            panic!("{retried:?}");
        };
        let task = wake(&job.id, job.wake.seq);
        stand.queue.schedule(&task, now).await.unwrap();
        go_on(stand, worker, manifest).await;
        let job = stand.job(&job.id).await;
        assert_eq!((job.status, job.round), (Status::Completed, 2), "{job:#?}");
        assert_eq!(bought(stand, id) - bought_before, buys, "{id}");
        assert_result(&job, objects);
    }
    assert_credits(stand, manifest).await;
    assert_told(stand, manifest).await;
}

fn wake(id: &JobId, seq: u64) -> Task {
    Task::Job {
        id: id.clone(),
        seq,
        why: Why::Wake,
    }
}
