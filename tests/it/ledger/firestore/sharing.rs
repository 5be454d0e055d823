//! Several workers, several programs, one database.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use filmlab::job::{Change, Channel, CreditEntry, CreditState, Credits, EntryKind, Status};
use filmlab::ledger::{Claimed, Commit, HoldOutcome, Ledger, Settled, Settlement};
use serde_json::json;

use super::super::bench::{OWNER, TTL, at, ending, grant, new_job, road};
use super::{connect, world};
use crate::support::emulator::{Caller, Emulator};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_on_connections_of_their_own_claim_one_job_once() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    let id = world.create("j1").await.id;
    let workers = (0..8).map(|_| connect(&emulator));
    let workers: Vec<_> = futures::future::join_all(workers).await;
    for round in 0..3i64 {
        let now = at(1 + round * 100);
        let tries = workers.iter().enumerate().map(|(n, ledger)| {
            let (ledger, id) = (ledger.clone(), id.clone());
            tokio::spawn(
                async move { ledger.claim(&id, &format!("w{n}"), now, TTL).await.unwrap() },
            )
        });
        let started = Instant::now();
        let claimed = futures::future::join_all(tries).await;
        eprintln!("eight tries at one claim took {:?}", started.elapsed());
        let won = claimed
            .iter()
            .filter(|claimed| matches!(claimed, Ok(Claimed::Taken { .. })));
        assert_eq!(won.count(), 1, "{claimed:?}");
    }
    let job = world.job("j1").await;
    assert_eq!((job.lease.fence.0, job.attempt), (3, 3));
}

const JOBS: usize = 60;

/// Every worker goes for every job: each is held, worked and settled by whoever got it, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_share_sixty_jobs() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    world.grant("g", 1_000).await;
    for n in 0..JOBS {
        world
            .ledger
            .create(new_job(&format!("j{n:02}")))
            .await
            .unwrap();
    }
    let started = Instant::now();
    let workers = (0..3).map(|n| {
        let emulator = emulator.clone();
        tokio::spawn(async move { work(Arc::new(connect(&emulator).await), n).await })
    });
    let done = futures::future::join_all(workers).await;
    let done: Vec<usize> = done.into_iter().map(Result::unwrap).collect();
    eprintln!(
        "{JOBS} jobs by three workers {done:?} in {:?}",
        started.elapsed()
    );
    assert_eq!(done.iter().sum::<usize>(), JOBS);

    assert_eq!(world.balance().await, (1_000 - JOBS as i64, 0));
    let entries = world
        .ledger
        .entries(&OWNER.parse().unwrap(), 1_000)
        .await
        .unwrap();
    let of = |kind| entries.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!((of(EntryKind::Hold), of(EntryKind::Capture)), (JOBS, JOBS));
    let notices = world.ledger.due_notices(at(99), None, 1_000).await.unwrap();
    let jobs: HashSet<_> = notices.iter().map(|notice| notice.id.clone()).collect();
    assert_eq!((notices.len(), jobs.len()), (JOBS, JOBS));
    assert!(
        world
            .ledger
            .due(at(1_000_000), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn work(ledger: Arc<dyn Ledger>, worker: usize) -> usize {
    let mut done = 0;
    loop {
        // The others' leases are due as well, later.
        let due = ledger.due(at(0), None, 1_000).await.unwrap();
        if due.is_empty() {
            return done;
        }
        let mut order: Vec<_> = due.into_iter().map(|due| due.id).collect();
        let middle = order.len() * worker / 3;
        order.rotate_left(middle);
        for id in order {
            let claimed = ledger.claim(&id, &format!("w{worker}"), at(1), TTL).await;
            let Claimed::Taken { claim, .. } = claimed.unwrap() else {
                continue;
            };
            let held = ledger.hold(&id, &claim, Credits(1), at(2)).await.unwrap();
            assert!(matches!(held, HoldOutcome::Done(_)), "{held:?}");
            for change in road() {
                let recorded = ledger.record(&id, &claim, &change, at(3)).await.unwrap();
                assert!(matches!(recorded, Commit::Done(_)), "{recorded:?}");
            }
            let entry = CreditEntry::for_job(&id, 1, EntryKind::Capture, Credits(1), at(9));
            let end = Settlement {
                ending: ending(Status::Completed, CreditState::Captured),
                entry: Some(entry),
                channel: Channel::Log,
            };
            let settled = ledger.settle(&id, &claim, &end, at(9)).await.unwrap();
            assert!(matches!(settled, Settled::Done { .. }), "{settled:?}");
            done += 1;
        }
    }
}

/// What somebody else keeps in a job stays as it is, down to its type, also inside our maps.
#[tokio::test]
async fn foreign_fields_keep_their_value_and_their_type() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    world.grant("g", 10).await;
    let (claim, job) = world.claimed("j1").await;
    let theirs = json!({
        "campaign": {"mapValue": {"fields": {
            "starts": {"timestampValue": "2026-01-02T03:04:05.678Z"},
            "place": {"geoPointValue": {"latitude": 1.5, "longitude": 2.5}},
            "raw": {"bytesValue": "AAEC"},
            "weight": {"doubleValue": 1.0},
            "none": {"nullValue": null},
        }}},
        "credits.currency": {"stringValue": "points"},
        "timings.queued_by": {"stringValue": "api"},
        "lease.note": {"stringValue": "x"},
    });
    let nested = |name: &str, field: &str| json!({"mapValue": {"fields": {field: theirs[format!("{name}.{field}")]}}});
    let fields = json!({
        "campaign": theirs["campaign"],
        "credits": nested("credits", "currency"),
        "timings": nested("timings", "queued_by"),
        "lease": nested("lease", "note"),
    });
    let mask: Vec<String> = theirs.as_object().unwrap().keys().cloned().collect();
    let status = emulator
        .write_typed(Caller::Owner, "jobs/j1", mask.iter(), fields)
        .await;
    assert_eq!(status, 200);

    world
        .ledger
        .hold(&job.id, &claim, Credits(4), at(2))
        .await
        .unwrap();
    for change in road() {
        world.record(&job, &claim, &change).await;
    }
    let job = world
        .record(&job, &claim, &Change::GivenBack { next_visit: at(5) })
        .await;
    let (claim, job) = world.claim(job.id.as_str(), "b", at(6)).await;
    world
        .settle(
            &job,
            &claim,
            &super::super::bench::settlement(&job, Some(EntryKind::Release), 4),
        )
        .await;

    let stored = emulator.stored("jobs/j1").await.unwrap();
    assert_eq!(stored["campaign"], theirs["campaign"]);
    for path in ["credits.currency", "timings.queued_by", "lease.note"] {
        let (map, field) = path.split_once('.').unwrap();
        assert_eq!(
            stored[map]["mapValue"]["fields"][field], theirs[path],
            "{path}"
        );
    }
    assert!(
        stored["lease"]["mapValue"]["fields"]
            .get("holder")
            .is_none()
    );
}

/// A grant opens the account; what else is kept of a user stays.
#[tokio::test]
async fn a_user_may_hold_more_than_credits() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    let profile = json!({"name": "Ada", "since": "2026-01-02T03:04:05Z"});
    emulator.write(Caller::Owner, "users/u1", &profile).await;
    assert_eq!(world.balance().await, (0, 0));
    world
        .ledger
        .grant(&OWNER.parse().unwrap(), &grant("a/b", 7))
        .await
        .unwrap();
    assert_eq!(world.balance().await, (7, 0));
    let stored = emulator.stored("users/u1").await.unwrap();
    assert_eq!(stored["name"]["stringValue"], "Ada");
    let entries = world
        .ledger
        .entries(&OWNER.parse().unwrap(), 10)
        .await
        .unwrap();
    assert_eq!(entries[0].id, "a/b");
}
