//! What one owner may have at once and spend in a day, by each ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filmlab::job::{Credits, Job, JobId, NewJob, Owner, Status};
use filmlab::ledger::limits::{Bound, Limited, OwnerLimit, OwnerLimits};
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{
    Burial, CancelRequest, Claimed, Commit, Created, Deleted, HoldOutcome, JobQuery, Ledger,
    LedgerError, Retried, Settled,
};

use serde_json::json;

use super::bench::{OWNER, Others, TTL, at, grant, new_job, road, settlement};
use super::faults::{Fault, LosesAnswer};
use super::firestore::connect;
use super::memory::Memory;
use super::sqlite::others;
use crate::support::emulator::Emulator;

/// Ledgers of three processes on the same records, and whoever writes beside them.
struct Shared {
    three: Vec<Arc<dyn Ledger>>,
    others: Box<dyn Others>,
}

fn limits(limit: OwnerLimit) -> OwnerLimits {
    OwnerLimits {
        all: OwnerLimit::default(),
        own: BTreeMap::from([(OWNER.parse().unwrap(), limit)]),
    }
}

fn jobs(jobs: u32) -> OwnerLimit {
    OwnerLimit {
        jobs: Some(jobs),
        ..OwnerLimit::default()
    }
}

fn waiting(waiting: u32) -> OwnerLimit {
    OwnerLimit {
        waiting: Some(waiting),
        ..OwnerLimit::default()
    }
}

fn credits(credits: u64) -> OwnerLimit {
    OwnerLimit {
        credits_a_day: Some(credits),
        ..OwnerLimit::default()
    }
}

fn on_sqlite(limit: OwnerLimit) -> Shared {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab.sqlite");
    let open = || {
        SqliteLedger::open(&path)
            .unwrap()
            .owner_limits(limits(limit))
    };
    Shared {
        three: (0..3).map(|_| Arc::new(open()) as _).collect(),
        others: others(path.clone(), Some(dir)),
    }
}

async fn on_firestore(limit: OwnerLimit) -> Option<Shared> {
    let emulator = Emulator::fresh()?;
    let mut three: Vec<Arc<dyn Ledger>> = Vec::new();
    for _ in 0..3 {
        let ledger = connect(&emulator).await;
        three.push(Arc::new(ledger.owner_limits(limits(limit))));
    }
    Some(Shared {
        three,
        others: Box::new(emulator),
    })
}

fn on_maps(limit: OwnerLimit) -> Shared {
    let memory = Memory::limited(limits(limit));
    Shared {
        three: (0..3).map(|_| Arc::new(memory.clone()) as _).collect(),
        others: Box::new(memory),
    }
}

fn job_named(number: usize) -> NewJob {
    new_job(&format!("j{number}"))
}

fn bound<T: std::fmt::Debug>(refused: filmlab::ledger::Result<T>) -> Bound {
    match refused {
        Err(LedgerError::Limited(Limited { bound, .. })) => bound,
        other => panic!("{other:?}"),
    }
}

/// Twenty at once from three processes; every third one loses the answers of its first write.
async fn twenty_creations_at_once_never_exceed_a_limit(world: &Shared) {
    let (three, most) = (&world.three, 6u32);
    let mut creations = tokio::task::JoinSet::new();
    for number in 0..20 {
        let ledger = Arc::clone(&three[number % 3]);
        let ledger: Arc<dyn Ledger> = match number % 3 {
            0 => Arc::new(LosesAnswer::new(ledger, Fault::CommitsThenErrs, 1)),
            _ => ledger,
        };
        creations.spawn(async move {
            // Whoever gets no answer asks again.
            for _ in 0..3 {
                match ledger.create(job_named(number)).await {
                    Err(LedgerError::Unknown(_)) => {}
                    answer => return answer,
                }
            }
            panic!("no answer");
        });
    }
    let (mut made, mut refused) = (0, 0);
    for answer in creations.join_all().await {
        match answer {
            Ok(Created::New(_) | Created::Existing(_)) => made += 1,
            Err(LedgerError::Limited(limited)) => {
                assert_eq!((limited.bound, limited.most), (Bound::Jobs, most.into()));
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, refused), (most, 20 - most));
    assert_eq!(three[0].list(&all()).await.unwrap().len(), most as usize);
    // Others are not bound by it, and who asks again for a job that is there gets it.
    let mut other = new_job("other");
    other.owner = "u2".parse().unwrap();
    assert!(matches!(
        three[1].create(other).await.unwrap(),
        Created::New(_)
    ));
    let there = three[0].list(&all()).await.unwrap().remove(0);
    let again = new_job(there.id.as_str());
    let answer = three[2].create(again).await.unwrap();
    assert!(matches!(answer, Created::Existing(_)), "{answer:?}");
}

fn all() -> JobQuery {
    JobQuery {
        owner: Some(OWNER.parse().unwrap()),
        limit: 100,
        ..JobQuery::default()
    }
}

/// Each end gives its place back: there is room for one.
async fn each_end_gives_its_place_back(world: &Shared) {
    let three = &world.three;
    let ledger = &three[0];
    let owner: Owner = OWNER.parse().unwrap();
    assert!(ledger.grant(&owner, &grant("g", 100)).await.unwrap());
    for (number, status) in [Status::Failed, Status::Cancelled, Status::Completed]
        .into_iter()
        .enumerate()
    {
        let id = made(ledger, number).await;
        assert_eq!(bound(ledger.create(job_named(99)).await), Bound::Jobs);
        if status == Status::Cancelled {
            let noted = ledger.request_cancel(&id, at(1)).await.unwrap();
            assert!(matches!(noted, CancelRequest::Noted(_)));
            assert_eq!(bound(ledger.create(job_named(99)).await), Bound::Jobs);
        }
        ended(ledger, &id, status).await;
    }
    // Another round takes a place, and needs one.
    let failed: JobId = "j0".parse().unwrap();
    let retried = ledger.retry(&failed, 1, at(20), at(7200)).await.unwrap();
    assert!(matches!(retried, Retried::Done(_)));
    assert_eq!(bound(ledger.create(job_named(99)).await), Bound::Jobs);
    let other: JobId = "j1".parse().unwrap();
    let refused = three[1].retry(&other, 1, at(20), at(7200)).await;
    assert_eq!(bound(refused), Bound::Jobs);
    ended(ledger, &failed, Status::Failed).await;
    let deleted = ledger.delete(&failed, 2).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    made(ledger, 5).await;
}

async fn made(ledger: &Arc<dyn Ledger>, number: usize) -> JobId {
    let created = ledger.create(job_named(number)).await.unwrap();
    assert!(matches!(created, Created::New(_)), "{created:?}");
    job_named(number).id
}

async fn claimed(ledger: &Arc<dyn Ledger>, id: &JobId) -> (filmlab::job::Claim, Box<Job>) {
    match ledger.claim(id, "w", at(30), TTL).await.unwrap() {
        Claimed::Taken { claim, job } => (claim, job),
        other => panic!("{other:?}"),
    }
}

async fn ended(ledger: &Arc<dyn Ledger>, id: &JobId, status: Status) {
    let (claim, job) = claimed(ledger, id).await;
    let mut settlement = settlement(&job, None, 0);
    settlement.ending.status = status;
    if status == Status::Completed {
        settlement.ending.error = None;
        for change in road() {
            let commit = ledger.record(id, &claim, &change, at(30)).await.unwrap();
            assert!(matches!(commit, Commit::Done(_)), "{change:?}");
        }
    }
    let settled = ledger
        .settle(id, &claim, &settlement, at(31))
        .await
        .unwrap();
    assert!(matches!(settled, Settled::Done { .. }), "{settled:?}");
}

/// Two may wait to be begun, whatever else runs.
async fn those_that_wait_are_bounded_apart(world: &Shared) {
    let ledger = &world.three[0];
    let first = made(ledger, 0).await;
    made(ledger, 1).await;
    assert_eq!(bound(ledger.create(job_named(2)).await), Bound::Waiting);
    claimed(ledger, &first).await;
    made(ledger, 2).await;
    assert_eq!(bound(ledger.create(job_named(3)).await), Bound::Waiting);
}

/// Ten credits a day: what is held counts from its hold on, and what was given back does not.
async fn credits_of_a_day_are_bounded(world: &Shared) {
    let three = &world.three;
    let ledger = &three[0];
    let owner: Owner = OWNER.parse().unwrap();
    assert!(ledger.grant(&owner, &grant("g", 1000)).await.unwrap());
    let mut claims = Vec::new();
    for number in 0..4 {
        let id = made(ledger, number).await;
        let (claim, _) = claimed(ledger, &id).await;
        claims.push((id, claim));
    }
    // At once from three processes, four credits each: two fit.
    let mut holds = tokio::task::JoinSet::new();
    for (number, (id, claim)) in claims.iter().cloned().enumerate() {
        let ledger = Arc::clone(&three[number % 3]);
        holds.spawn(async move { ledger.hold(&id, &claim, Credits(4), at(40)).await.unwrap() });
    }
    let answers = holds.join_all().await;
    let done = answers
        .iter()
        .filter(|held| matches!(held, HoldOutcome::Done(_)));
    assert_eq!(done.count(), 2, "{answers:?}");
    let refused = answers
        .iter()
        .filter(|held| **held == HoldOutcome::OverADay { most: 10 });
    assert_eq!(refused.count(), 2, "{answers:?}");
    // Two are left: a creation is let in, and one that would be the eleventh credit is not held.
    let id = made(ledger, 7).await;
    let (claim, _) = claimed(ledger, &id).await;
    let held = ledger.hold(&id, &claim, Credits(2), at(41)).await.unwrap();
    assert!(matches!(held, HoldOutcome::Done(_)), "{held:?}");
    let mut late = job_named(8);
    late.created_at = at(50);
    let refused = ledger.create(late.clone()).await;
    let Err(LedgerError::Limited(limited)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(limited.bound, Bound::CreditsADay);
    assert_eq!(limited.retry_after, Duration::from_secs(24 * 3600 - 10));
    // A day later.
    late.created_at = at(24 * 3600 + 41);
    late.deadline_at = at(48 * 3600);
    assert!(matches!(
        ledger.create(late).await.unwrap(),
        Created::New(_)
    ));
}

/// A record that cannot be read holds its place until it is buried.
async fn a_buried_job_gives_its_place_back(world: &Shared) {
    let id = made(&world.three[0], 0).await;
    world.others.write("j0", json!({"attempt": "many"})).await;
    let refused = world.three[0].create(job_named(1)).await;
    assert_eq!(bound(refused), Bound::Jobs);
    for (second, ends) in [(10, false), (100, true)] {
        let burial = world.three[0].bury(&id, at(second), TTL).await.unwrap();
        assert_eq!(matches!(burial, Burial::Done { .. }), ends, "{burial:?}");
    }
    made(&world.three[0], 1).await;
}

/// A job of each of two tags, of both, and of none.
async fn lists_go_by_tag(world: &Shared) {
    let ledger = &world.three[0];
    for (number, tags) in [&["blue"][..], &["red"], &["blue", "red"], &[]]
        .iter()
        .enumerate()
    {
        let mut new = job_named(number);
        new.created_at = at(number as i64);
        new.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        assert!(matches!(ledger.create(new).await.unwrap(), Created::New(_)));
    }
    let named = async |tag: &str, owner: bool| {
        let query = JobQuery {
            tag: Some(tag.to_owned()),
            owner: owner.then(|| OWNER.parse().unwrap()),
            limit: 10,
            ..JobQuery::default()
        };
        let found = ledger.list(&query).await.unwrap();
        let ids = found.iter().map(|job| job.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(named("blue", false).await, ["j2", "j0"]);
    assert_eq!(named("red", true).await, ["j2", "j1"]);
    assert_eq!(named("green", true).await, Vec::<String>::new());
}

/// Each promise on each backend, under its limit.
macro_rules! promises {
    ($($promise:ident: $limit:expr;)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(&super::on_sqlite($limit)).await;
            })+
        }
        mod emulated {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if let Some(world) = super::on_firestore($limit).await {
                    super::$promise(&world).await;
                }
            })+
        }
        mod maps {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(&super::on_maps($limit)).await;
            })+
        }
    };
}

promises! {
    twenty_creations_at_once_never_exceed_a_limit: super::jobs(6);
    each_end_gives_its_place_back: super::jobs(1);
    a_buried_job_gives_its_place_back: super::jobs(1);
    those_that_wait_are_bounded_apart: super::waiting(2);
    credits_of_a_day_are_bounded: super::credits(10);
    lists_go_by_tag: super::OwnerLimit::default();
}
