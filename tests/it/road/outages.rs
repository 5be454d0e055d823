//! The ledger or the store does not answer for a while, at any moment of a job's road: no job
//! fails for it, no attempt is used, nothing is paid for twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use filmlab::clock::{Clock as _, elapsed};
use filmlab::job::{Change, Code, IntentState, Job, JobId, Party, Stage, Status};
use filmlab::ledger::{Claimed, Ledger as _};
use filmlab::storage::Storage;
use filmlab::storage::links::HmacLinks;
use filmlab::worker::{Swept, Visit, Worker};

use super::bench::Bench;
use super::flaky::Flaky;
use super::trouble::{Trouble, Troubled};
use crate::support::front::Call;
use crate::support::objects::PutFile as _;
use crate::support::outage::Outage;
use crate::support::require;

/// Longer than two thirds of a lease, which ends a visit's work; and longer than all attempts
/// and their pauses together.
const OUTAGES: [Duration; 2] = [Duration::from_secs(40), Duration::from_secs(600)];

/// Steps until the job has ended and nothing waits. A sweep may fail meanwhile.
async fn drive(bench: &Bench, worker: &Arc<Worker>, id: &JobId) -> Job {
    for _ in 0..400 {
        if bench.step(worker).await {
            continue;
        }
        bench.clock.advance(Duration::from_secs(90));
        let swept = worker.sweep().await;
        if matches!(swept, Ok(swept) if swept == Swept::default())
            && bench.job(id).await.status.is_ended()
        {
            return bench.job(id).await;
        }
    }
    panic!("the job does not end: {:#?}", bench.job(id).await);
}

/// A job whose ledger fails from the nth call on. `false` once it makes fewer calls.
async fn out_from(nth: u32, lasts: Duration, first: Trouble) -> Option<bool> {
    let bench = Bench::new().await?;
    let id = bench.create("j").await;
    let outage = Outage::new(&bench.clock, nth, lasts);
    let ledger = {
        let (outage, struck) = (Arc::clone(&outage), AtomicBool::new(false));
        Troubled::new(Arc::clone(&bench.ledger) as _, move |_| {
            if !outage.strikes() {
                Trouble::None
            } else if struck.swap(true, Ordering::SeqCst) {
                Trouble::Unavailable
            } else {
                first
            }
        })
    };
    let worker = bench.worker_over(ledger);
    let job = drive(&bench, &worker, &id).await;
    let begun = outage.end();
    worker.clean().await;
    assert_eq!(job.attempt, 1, "call {nth}, {lasts:?}: {job:#?}");
    assert_eq!(job.intents.len(), 1, "call {nth}, {lasts:?}");
    assert_eq!(job.intents[0].state, IntentState::Accepted);
    // Its delivery may be what could not be recorded: then it comes again, under the same id.
    let mut letters = bench.letters.got.lock().unwrap().clone();
    letters.dedup_by(|a, b| a.id == b.id);
    *bench.letters.got.lock().unwrap() = letters;
    bench.assert_completed_once(&job).await;
    Some(begun)
}

async fn out_at_every_call(first: Trouble) {
    let mut outages = 0;
    for nth in 1..200 {
        let lasts = OUTAGES[nth as usize % 2];
        match out_from(nth, lasts, first).await {
            None => return,
            Some(true) => outages += 1,
            Some(false) => break,
        }
    }
    // Reads, claims, and each write of the road.
    assert!(outages >= 20, "only {outages} outages");
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_costs_no_attempt_and_no_money() {
    out_at_every_call(Trouble::Unavailable).await;
}

#[tokio::test]
async fn a_ledger_that_goes_away_with_a_write_costs_no_attempt_and_no_money() {
    out_at_every_call(Trouble::Unknown).await;
}

/// A visit that pays, whose answer cannot be recorded until `writable`.
struct Paying {
    bench: Bench,
    id: JobId,
    worker: Arc<Worker>,
    writable: Arc<AtomicBool>,
    callbacks: Arc<AtomicBool>,
}

impl Paying {
    async fn new() -> Option<Self> {
        let bench = Bench::new().await?;
        let id = bench.create("j").await;
        let [writable, callbacks] = [false, true].map(|value| Arc::new(AtomicBool::new(value)));
        let ledger = {
            let (writable, callbacks) = (Arc::clone(&writable), Arc::clone(&callbacks));
            Troubled::new(Arc::clone(&bench.ledger) as _, move |call| match call {
                Call::Record(_, Change::Submitted { .. }) if !writable.load(Ordering::SeqCst) => {
                    Trouble::Unavailable
                }
                Call::Callback if !callbacks.load(Ordering::SeqCst) => Trouble::Unavailable,
                _ => Trouble::None,
            })
        };
        let worker = bench.worker_over(ledger);
        Some(Self {
            bench,
            id,
            worker,
            writable,
            callbacks,
        })
    }

    /// Lets it pay, and somebody else claim the job before the answer is recorded.
    async fn pay_and_lose_the_job(&self) {
        let visit = {
            let (worker, id) = (Arc::clone(&self.worker), self.id.clone());
            tokio::spawn(async move { worker.visit(id, 1).await })
        };
        while self.bench.studio.submitted() == 0 {
            tokio::task::yield_now().await;
        }
        self.bench.clock.advance(Duration::from_secs(61));
        let (now, ttl) = (self.bench.clock.now(), Duration::from_secs(60));
        let claimed = self.bench.ledger.claim(&self.id, "another", now, ttl);
        assert!(matches!(claimed.await.unwrap(), Claimed::Taken { .. }));
        self.writable.store(true, Ordering::SeqCst);
        assert_eq!(visit.await.unwrap(), Visit::NothingToDo);
        // That one dies.
        self.bench.clock.advance(Duration::from_secs(61));
    }
}

#[tokio::test]
async fn whoever_claims_the_job_meanwhile_finds_what_was_paid_for() {
    let Some(paying) = Paying::new().await else {
        return;
    };
    paying.pay_and_lose_the_job().await;
    let noted = paying.bench.ledger.callbacks(&paying.id).await.unwrap();
    assert_eq!(noted[0].prediction_id, "p1");
    let second = paying.bench.worker();
    let job = paying.bench.drive(&second, &paying.id).await;
    second.clean().await;
    paying.bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn a_process_that_knows_the_answer_gives_it_to_its_next_visit() {
    let Some(paying) = Paying::new().await else {
        return;
    };
    paying.callbacks.store(false, Ordering::SeqCst);
    paying.pay_and_lose_the_job().await;
    assert!(
        paying
            .bench
            .ledger
            .callbacks(&paying.id)
            .await
            .unwrap()
            .is_empty()
    );
    let job = paying.bench.drive(&paying.worker, &paying.id).await;
    paying.worker.clean().await;
    paying.bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn the_lease_is_renewed_while_an_answer_waits_to_be_recorded() {
    let Some(mut paying) = Paying::new().await else {
        return;
    };
    // Short, since it is watched on the monotonic clock.
    paying.bench.settings.lease = Duration::from_secs(3);
    paying.bench.settings.heartbeat = Duration::from_millis(100);
    paying.bench.settings.progress_every = Duration::from_millis(100);
    let renewals = Arc::new(AtomicU32::new(0));
    let ledger = {
        let (writable, renewals) = (Arc::clone(&paying.writable), Arc::clone(&renewals));
        let begun = AtomicBool::new(false);
        Troubled::new(
            Arc::clone(&paying.bench.ledger) as _,
            move |call| match call {
                Call::Record(_, Change::Submitted { .. }) if !writable.load(Ordering::SeqCst) => {
                    begun.store(true, Ordering::SeqCst);
                    Trouble::Unavailable
                }
                Call::Owner(..) => {
                    let begun = u32::from(begun.load(Ordering::SeqCst));
                    renewals.fetch_add(begun, Ordering::SeqCst);
                    Trouble::None
                }
                _ => Trouble::None,
            },
        )
    };
    let worker = paying.bench.worker_over(ledger);
    let visit = {
        let (worker, id) = (Arc::clone(&worker), paying.id.clone());
        tokio::spawn(async move { worker.visit(id, 1).await })
    };
    let renewed_between_tries = async {
        while renewals.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), renewed_between_tries)
        .await
        .expect("renewals go on between two tries");
    paying.writable.store(true, Ordering::SeqCst);
    assert_eq!(visit.await.unwrap(), Visit::Advanced);
    let job = paying.bench.drive(&worker, &paying.id).await;
    assert_eq!(job.attempt, 1);
    paying.bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn an_intent_that_took_long_to_record_is_not_paid_for() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let ledger = {
        let (clock, slow) = (bench.clock.clone(), AtomicBool::new(true));
        Troubled::new(Arc::clone(&bench.ledger) as _, move |call| {
            if matches!(call, Call::Record(_, Change::Intended(_)))
                && slow.swap(false, Ordering::SeqCst)
            {
                // By now its request could be under way no longer, for all that others know.
                clock.advance(Duration::from_secs(600));
            }
            Trouble::None
        })
    };
    let worker = bench.worker_over(ledger);
    while bench.job(&id).await.intents.is_empty() {
        assert!(bench.step(&worker).await);
    }
    let job = bench.job(&id).await;
    assert_eq!(
        (job.intents[0].state, job.stage, bench.studio.submitted()),
        (IntentState::Refused, Some(Stage::Submit), 0)
    );
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.attempt, 1);
    bench.assert_completed_once(&job).await;
}

/// A job whose store fails from the nth call on. `false` once there are fewer calls.
async fn store_out_from(nth: u32, lasts: Duration) -> Option<bool> {
    let mut bench = Bench::new().await?;
    let [clip, character] = ["tiny.mp4", "character.png"].map(require::fixture);
    let links = HmacLinks::new(
        "https://lab.example/".parse().unwrap(),
        &[7; 32],
        Arc::new(bench.clock.clone()),
    );
    let store = Arc::new(Flaky::default());
    bench.storage = Storage::new(Arc::clone(&store) as _, Arc::new(links.unwrap()), false)
        .with_parts(Arc::clone(&store) as _);
    for (file, object) in [
        (clip?, "sources/u1/clip.mp4"),
        (character?, "sources/u1/character.png"),
    ] {
        bench.storage.put_file(&file, object, "").await.unwrap();
    }
    let outage = Outage::new(&bench.clock, nth, lasts);
    *store.outage.lock().unwrap() = Some(Arc::clone(&outage));
    let id = bench.create("j").await;
    let worker = bench.worker();
    let job = drive(&bench, &worker, &id).await;
    let begun = outage.end();
    worker.clean().await;
    let which = format!("call {nth}, {lasts:?}: {job:#?}");
    assert_eq!((job.status, job.attempt), (Status::Completed, 1), "{which}");
    assert_eq!(bench.studio.submitted(), 1, "{which}");
    assert_eq!(
        bench.entries().await,
        ["j:1:hold", "j:1:capture"],
        "{which}"
    );
    assert_eq!(bench.letters.got.lock().unwrap().len(), 1, "{which}");
    let left = |folder| bench.storage.list(folder);
    // Video, poster, storyboard, its index, metadata.
    assert_eq!(left("results").await.unwrap().len(), 5, "{which}");
    assert_eq!(left("work").await.unwrap().len(), 0, "{which}");
    Some(begun)
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_no_attempt_and_no_money() {
    let mut outages = 0;
    for nth in 1..200 {
        let lasts = OUTAGES[nth as usize % 2];
        match store_out_from(nth, lasts).await {
            None => return,
            Some(true) => outages += 1,
            Some(false) => break,
        }
    }
    // The inputs, their upload, the output's copy, the result and what belongs to it.
    assert!(outages >= 15, "only {outages} outages");
}

#[tokio::test]
async fn an_outage_of_the_store_is_waited_for_longer_each_time_to_the_deadline() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let links = HmacLinks::new(
        "https://lab.example/".parse().unwrap(),
        &[7; 32],
        Arc::new(bench.clock.clone()),
    );
    let store = Arc::new(Flaky::default());
    let day = Duration::from_secs(24 * 3600);
    *store.outage.lock().unwrap() = Some(Outage::new(&bench.clock, 1, day));
    bench.storage = Storage::new(Arc::clone(&store) as _, Arc::new(links.unwrap()), false)
        .with_parts(Arc::clone(&store) as _);
    let id = bench.create("j").await;
    let worker = bench.worker();
    let mut waits = Vec::new();
    while !bench.job(&id).await.status.is_ended() {
        assert!(bench.step(&worker).await);
        let job = bench.job(&id).await;
        if let (Some(at), Some(error)) = (job.next_visit_at, &job.error) {
            assert_eq!(error.code, Code::StorageUnavailable);
            waits.push(elapsed(bench.clock.now(), at).as_secs());
        }
    }
    assert_eq!(waits[0], 5);
    assert!(waits.is_sorted_by(|a, b| a <= b || *b < 300), "{waits:?}");
    assert!(waits.contains(&300), "{waits:?}");
    let job = bench.job(&id).await;
    assert_eq!((job.attempt, bench.studio.submitted()), (1, 0));
    let error = job.error.unwrap();
    assert_eq!(
        (error.code, error.party),
        (Code::DeadlineExceeded, Party::Service)
    );
    assert!(error.message.ends_with(Code::StorageUnavailable.about()));
}

#[tokio::test]
async fn a_folder_of_objects_that_is_gone_is_not_the_callers_fault() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let worker = bench.worker();
    let [objects, away] = ["objects", "away"].map(|name| bench.dir.path().join(name));
    std::fs::rename(&objects, &away).unwrap();
    for _ in 0..5 {
        assert!(bench.step(&worker).await);
    }
    let job = bench.job(&id).await;
    assert_eq!((job.status, job.attempt), (Status::Processing, 1));
    assert_eq!(job.error.unwrap().code, Code::StorageUnavailable);
    std::fs::rename(&away, &objects).unwrap();
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.attempt, 1);
    bench.assert_completed_once(&job).await;
}
