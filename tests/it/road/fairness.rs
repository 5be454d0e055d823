//! Owners do not get into each other's way.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, elapsed};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    CreditEntry, Credits, EntryKind, Job, JobId, Kind, Notice, Owner, Party, Stage, Status,
};
use filmlab::ledger::Ledger as _;
use filmlab::notify::{Notifier, NotifyError};
use filmlab::outgoing::{FetchError, Fetched, Fetcher, LeastRate, WebFetcher};
use filmlab::queue::embedded::Widths;
use filmlab::worker::{Visit, Worker};
use futures::StreamExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::bench::Bench;
use crate::support::require;

/// Gives the clip, or never ends: from `slow.example` a first byte comes and no other.
#[derive(Debug)]
struct Sources {
    clip: PathBuf,
    asked: AtomicUsize,
    hanging: AtomicUsize,
}

impl Sources {
    fn new() -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            clip: require::fixture("tiny.mp4")?,
            asked: AtomicUsize::new(0),
            hanging: AtomicUsize::new(0),
        }))
    }

    fn hanging(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetcher for Sources {
    async fn fetch(&self, url: &Url, _max_bytes: u64) -> Result<Fetched, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if url.host_str() == Some("slow.example") {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            let first = futures::stream::once(async { Ok(bytes::Bytes::from_static(b"x")) });
            return Ok(first.chain(futures::stream::pending()).boxed());
        }
        let bytes = tokio::fs::read(&self.clip).await.unwrap();
        Ok(futures::stream::once(async { Ok(bytes.into()) }).boxed())
    }
}

/// Alice's receiver never answers.
#[derive(Debug, Default)]
struct Doors {
    hanging: AtomicUsize,
}

#[async_trait]
impl Notifier for Doors {
    fn serves(&self, _notice: &Notice) -> bool {
        true
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        if notice.owner.as_str() == "alice" {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn grant(bench: &Bench, owner: &str) {
    let entry = CreditEntry {
        id: "grant:start".into(),
        kind: EntryKind::Grant,
        amount: Credits(10_000),
        job: None,
        at: bench.clock.now(),
    };
    let owner: Owner = owner.parse().unwrap();
    assert!(bench.ledger.grant(&owner, &entry).await.unwrap());
}

async fn create(bench: &Bench, id: &str, owner: &str, video: &str) -> JobId {
    bench
        .create_as(id, Kind::CharacterReplace, json!({}), |new| {
            new.owner = owner.parse().unwrap();
            new.source.video = video.parse().unwrap();
        })
        .await
}

/// Runs the built-in queue over a worker while `work` goes on.
async fn while_it_runs<T>(bench: &Bench, worker: &Arc<Worker>, work: impl Future<Output = T>) -> T {
    let limits = bench.settings.places;
    let width = |places: usize| NonZeroU32::new((places + limits.waiting) as u32).unwrap();
    let widths = Widths {
        jobs: width(limits.visits + limits.fetches + limits.waiting),
        notices: width(limits.notices),
    };
    let receiver = Arc::new(Arc::clone(worker));
    let clock = Arc::new(bench.clock.clone());
    let running = bench
        .queue
        .run(receiver, clock, widths, CancellationToken::new());
    tokio::select! {
        () = running => unreachable!("nobody stops it"),
        done = work => done,
    }
}

/// Waits until the job has ended, moving the clock on to its next visit each time it waits for
/// one. Gives the time that passed on that clock.
async fn ended(bench: &Bench, id: &JobId) -> (Job, Duration) {
    let began = bench.clock.now();
    let waits = async {
        loop {
            let job = bench.job(id).await;
            if job.status.is_ended() {
                return job;
            }
            let now = bench.clock.now();
            match job.next_visit_at {
                Some(at) if job.lease.holder.is_none() && at > now => {
                    bench.clock.advance_to(at);
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let job = tokio::time::timeout(Duration::from_secs(120), waits).await;
    let job = job.expect("others keep it from going on");
    (job, elapsed(began, bench.clock.now()))
}

#[tokio::test]
async fn slow_sources_and_hanging_receivers_of_one_owner_keep_nobody_waiting() {
    let mut took = Vec::new();
    for with_alice in [false, true] {
        let (Some(mut bench), Some(sources)) = (Bench::new().await, Sources::new()) else {
            return;
        };
        bench.settings.media_slots = 2;
        let doors = Arc::<Doors>::default();
        let worker = bench.worker_among(|services| {
            services.fetcher = Arc::clone(&sources) as _;
            services.notifiers = vec![Arc::clone(&doors) as _];
        });
        for owner in ["alice", "bob"] {
            grant(&bench, owner).await;
        }
        let test = async {
            if with_alice {
                for number in 0..16 {
                    let id = format!("slow{number}");
                    create(&bench, &id, "alice", "https://slow.example/a.mp4").await;
                }
                for number in 0..200 {
                    let id = format!("bad{number}");
                    create(&bench, &id, "alice", "sources/alice/none.mp4").await;
                }
                // Of eight places she has six each, and the rest of hers waits.
                let settled = async {
                    while sources.hanging() < 6 || doors.hanging.load(Ordering::SeqCst) < 6 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                let settled = tokio::time::timeout(Duration::from_secs(120), settled);
                settled.await.expect("hers hang");
            }
            let ids = [
                create(&bench, "web", "bob", "https://quick.example/b.mp4").await,
                create(&bench, "own", "bob", "sources/u1/clip.mp4").await,
            ];
            let mut all = Duration::ZERO;
            for id in &ids {
                let (job, time) = ended(&bench, id).await;
                assert_eq!(
                    (job.status, job.attempt),
                    (Status::Completed, 1),
                    "{job:#?}"
                );
                all += time;
            }
            let told = async {
                loop {
                    let notices = bench.ledger.notices(&ids[1]).await.unwrap();
                    if notices[0].state == DeliveryState::Delivered {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            let told = tokio::time::timeout(Duration::from_secs(30), told).await;
            told.expect("bob is told although alice's receiver hangs");
            all
        };
        took.push(while_it_runs(&bench, &worker, test).await);
        if with_alice {
            assert_eq!(sources.hanging(), 6, "no more than her share");
            assert_eq!(doors.hanging.load(Ordering::SeqCst), 6);
        }
    }
    assert!(took[1] <= took[0] * 2, "{took:?}");
}

#[tokio::test]
async fn a_paid_job_is_asked_about_while_its_owners_sources_take_their_time() {
    let (Some(bench), Some(sources)) = (Bench::new().await, Sources::new()) else {
        return;
    };
    let worker = bench.worker_among(|services| services.fetcher = Arc::clone(&sources) as _);
    grant(&bench, "alice").await;
    let test = async {
        let paid = create(&bench, "paid", "alice", "sources/u1/clip.mp4").await;
        while bench.job(&paid).await.stage != Some(Stage::Generate) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for number in 0..40 {
            let id = format!("slow{number}");
            create(&bench, &id, "alice", "https://slow.example/a.mp4").await;
        }
        while sources.hanging() < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ended(&bench, &paid).await.0
    };
    let job = while_it_runs(&bench, &worker, test).await;
    assert_eq!(job.status, Status::Completed);
}

#[tokio::test]
async fn a_visit_without_a_place_is_brought_again_and_uses_no_attempt() {
    let (Some(mut bench), Some(sources)) = (Bench::new().await, Sources::new()) else {
        return;
    };
    // As where another service brings the tasks: nobody waits.
    bench.settings.places.patience = Duration::ZERO;
    let worker = bench.worker_among(|services| services.fetcher = Arc::clone(&sources) as _);
    grant(&bench, "alice").await;
    let mut running = tokio::task::JoinSet::new();
    for number in 0..6 {
        let id = create(
            &bench,
            &format!("j{number}"),
            "alice",
            "https://slow.example/a",
        )
        .await;
        let worker = Arc::clone(&worker);
        running.spawn(async move { worker.visit(id, 1).await });
    }
    while sources.hanging() < 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = create(&bench, "seventh", "alice", "https://slow.example/a").await;
    let before = bench.job(&id).await;
    assert_eq!(worker.visit(id.clone(), 1).await, Visit::Busy);
    assert_eq!(bench.job(&id).await, before, "it was not even claimed");
    // A later task is planned: this one need not come again.
    assert_eq!(bench.ledger.replan(&id, 1).await.unwrap(), Some(2));
    assert_eq!(worker.visit(id.clone(), 1).await, Visit::NothingToDo);
    assert_eq!(worker.visit(id, 2).await, Visit::Busy);
    assert!(worker.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn who_waits_for_a_place_leaves_at_a_stop_and_is_not_woken_by_the_sweep() {
    let (Some(mut bench), Some(sources)) = (Bench::new().await, Sources::new()) else {
        return;
    };
    bench.settings.places.fetches = 1;
    let worker = bench.worker_among(|services| services.fetcher = Arc::clone(&sources) as _);
    grant(&bench, "alice").await;
    let mut running = tokio::task::JoinSet::new();
    for number in 0..3 {
        let id = create(
            &bench,
            &format!("j{number}"),
            "alice",
            "https://slow.example/a",
        )
        .await;
        let worker = Arc::clone(&worker);
        running.spawn(async move { worker.visit(id, 1).await });
        while sources.hanging() < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // Nothing shows from outside that the other two have come to wait.
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.clock.advance(Duration::from_secs(40));
    assert_eq!(worker.sweep().await.unwrap().jobs, 0);
    assert!(worker.drain(Duration::from_secs(10)).await);
    let visits = running.join_all().await;
    let draining = visits.iter().filter(|visit| **visit == Visit::Draining);
    assert_eq!(draining.count(), 2, "{visits:?}");
}

#[tokio::test]
async fn who_cannot_pay_costs_no_fetch_and_leaves_nothing() {
    let (Some(bench), Some(sources)) = (Bench::new().await, Sources::new()) else {
        return;
    };
    let worker = bench.worker_among(|services| services.fetcher = Arc::clone(&sources) as _);
    let video = "https://quick.example/b.mp4";
    // The owner of the bench has some, but not as many as this one costs.
    let dear = bench
        .create_as("dear", Kind::Upscale, json!({"target": "720p"}), |new| {
            new.source.video = video.parse().unwrap();
            new.cost = Some(Credits(1_000_000));
        })
        .await;
    let stranger = create(&bench, "stranger", "stranger", video).await;
    for (id, words) in [(dear, "has 1000"), (stranger, "there is no account")] {
        let job = bench.drive(&worker, &id).await;
        let error = job.error.unwrap();
        assert_eq!(error.code.as_str(), "insufficient_credits");
        assert!(error.message.contains(words), "{}", error.message);
    }
    assert_eq!(sources.asked.load(Ordering::SeqCst), 0);
    let kept = bench.dir.path().join("objects/sources");
    let mut owners: Vec<_> = std::fs::read_dir(kept)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    owners.sort();
    assert_eq!(owners, ["u1"]);
    let copies = bench.dir.path().join("objects/sources/u1");
    assert_eq!(std::fs::read_dir(copies).unwrap().count(), 2, "as before");
}

#[tokio::test]
async fn credits_are_held_before_anything_is_sent_to_the_provider() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    // Enough for the shortest clip, not for this one.
    let poor: Owner = "poor".parse().unwrap();
    let entry = CreditEntry {
        id: "grant:start".into(),
        kind: EntryKind::Grant,
        amount: Credits(2),
        job: None,
        at: bench.clock.now(),
    };
    assert!(bench.ledger.grant(&poor, &entry).await.unwrap());
    let id = bench
        .create_as("j", Kind::Upscale, json!({"target": "2k"}), |new| {
            new.owner = poor;
        })
        .await;
    // An upload to the provider would hang.
    bench.studio.script().hang_in = Some(Stage::Submit);
    let worker = bench.worker();
    let ended = bench.drive(&worker, &id);
    let job = tokio::time::timeout(Duration::from_secs(30), ended).await;
    let job = job.expect("nothing is sent");
    let error = job.error.unwrap();
    assert_eq!(error.code.as_str(), "insufficient_credits");
    assert!(error.message.contains("has 2"), "{}", error.message);
}

#[tokio::test]
async fn a_source_that_drips_is_given_up_three_times_and_is_the_callers() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let head = b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n";
                let _ = stream.write_all(head).await;
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
    });
    let least = LeastRate {
        bytes: 1_000,
        window: Duration::from_millis(300),
    };
    let fetcher = WebFetcher::new(true, Duration::from_secs(60), least).unwrap();
    let worker = bench.worker_among(|services| services.fetcher = Arc::new(fetcher));
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.source.video = format!("http://{address}/v.mp4").parse().unwrap();
        })
        .await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let error = job.error.as_ref().unwrap();
    assert_eq!(error.party, Party::Caller);
    let expected = "The source video could not be fetched: fewer than 1000 bytes came in 0.3 s";
    assert_eq!(error.message, expected);
    bench
        .assert_ended_without_trace(&job, "source_unreachable")
        .await;
}
