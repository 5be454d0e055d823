use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use filmlab::job::{Claim, CreditState, Credits, EntryKind, Job};
use filmlab::ledger::{Deleted, HoldOutcome, Settled};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::bench::{Bench, OWNER, TTL, World, at, grant, new_job, settlement};

pub(crate) async fn a_hold_moves_credits_once(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let (claim, job) = world.claimed("j1").await;
    let hold = |amount| world.ledger.hold(&job.id, &claim, Credits(amount), at(2));
    let HoldOutcome::Done(held) = hold(4).await.unwrap() else {
        panic!("not held")
    };
    assert_eq!(
        (held.credits.cost, held.credits.state),
        (Some(Credits(4)), CreditState::Held)
    );
    assert_eq!(world.balance().await, (6, 4));
    // A second call, be it with another amount, finds the first one done.
    assert_eq!(hold(5).await.unwrap(), HoldOutcome::Done(held.clone()));
    assert_eq!(world.balance().await, (6, 4));
    assert_eq!(world.job("j1").await, *held);
}

pub(crate) async fn a_hold_needs_account_and_balance(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let hold = |amount| world.ledger.hold(&job.id, &claim, Credits(amount), at(2));
    assert_eq!(hold(1).await.unwrap(), HoldOutcome::NoAccount);
    world.grant("g", 3).await;
    assert_eq!(
        hold(4).await.unwrap(),
        HoldOutcome::Insufficient { available: 3 }
    );
    assert_eq!(world.job("j1").await, job, "a refused hold leaves no trace");
    assert_eq!(world.balance().await, (3, 0));
    assert!(matches!(hold(3).await.unwrap(), HoldOutcome::Done(_)));
    assert_eq!(world.balance().await, (0, 3));
}

/// 32 jobs want one of 10 credits each, at once.
pub(crate) async fn concurrent_holds_never_overdraw(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let mut tries = Vec::new();
    for n in 0..32 {
        let (claim, job) = world.claimed(&format!("j{n}")).await;
        let ledger = Arc::clone(&world.ledger);
        tries.push(tokio::spawn(async move {
            ledger
                .hold(&job.id, &claim, Credits(1), at(2))
                .await
                .unwrap()
        }));
    }
    let mut done = 0;
    for held in futures::future::join_all(tries).await {
        match held.unwrap() {
            HoldOutcome::Done(_) => done += 1,
            HoldOutcome::Insufficient { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, world.balance().await), (10, (0, 10)));
}

pub(crate) async fn a_grant_counts_once(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let owner = OWNER.parse().unwrap();
    assert!(world.ledger.account(&owner).await.unwrap().is_none());
    assert!(world.grant("g1", 10).await);
    world.others.increment(OWNER, -3).await;
    assert!(!world.grant("g1", 10).await);
    world.others.increment(OWNER, 5).await;
    assert!(world.grant("g2", 1).await);
    assert_eq!(world.balance().await, (13, 0));
    let twins = (0..8).map(|_| {
        let (ledger, owner) = (Arc::clone(&world.ledger), owner.clone());
        tokio::spawn(async move { ledger.grant(&owner, &grant("g3", 2)).await.unwrap() })
    });
    let twins = futures::future::join_all(twins).await;
    assert_eq!(
        twins
            .into_iter()
            .filter(|granted| *granted.as_ref().unwrap())
            .count(),
        1
    );
    assert_eq!(world.balance().await, (15, 0));
}

pub(crate) async fn a_grant_of_that_name_to_somebody_else_counts_too(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let other = "u2".parse().unwrap();
    assert!(world.grant("welcome", 10).await);
    assert!(
        world
            .ledger
            .grant(&other, &grant("welcome", 7))
            .await
            .unwrap()
    );
    assert_eq!(world.balance().await, (10, 0));
    assert_eq!(
        world.ledger.account(&other).await.unwrap().unwrap().credits,
        7
    );
}

pub(crate) async fn entries_come_newest_first(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let owner = OWNER.parse().unwrap();
    for (id, second) in [("g2", 2), ("g3", 3), ("g1", 1)] {
        let mut entry = grant(id, 5);
        entry.at = at(second);
        world.ledger.grant(&owner, &entry).await.unwrap();
    }
    let (claim, job) = world.claimed("j1").await;
    world
        .ledger
        .hold(&job.id, &claim, Credits(4), at(9))
        .await
        .unwrap();
    let entries = world.ledger.entries(&owner, 3).await.unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["j1:1:hold", "g3", "g2"]);
    assert_eq!(entries[0].job.as_ref(), Some(&job.id));
    assert_eq!(
        (entries[0].kind, entries[0].amount, entries[0].at),
        (EntryKind::Hold, Credits(4), at(9))
    );
}

#[derive(Debug, Clone)]
enum Op {
    Grant { name: u8, amount: u64 },
    Foreign(i64),
    Claim { job: u8 },
    Hold { job: u8, amount: u64 },
    End { job: u8, capture: bool },
    NextRound { job: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let job = 0u8..3;
    prop_oneof![
        (0u8..6, 0u64..50).prop_map(|(name, amount)| Op::Grant { name, amount }),
        (-20i64..20).prop_map(Op::Foreign),
        job.clone().prop_map(|job| Op::Claim { job }),
        (job.clone(), 0u64..30).prop_map(|(job, amount)| Op::Hold { job, amount }),
        (job.clone(), any::<bool>()).prop_map(|(job, capture)| Op::End { job, capture }),
        job.prop_map(|job| Op::NextRound { job }),
    ]
}

/// Whatever happens in whatever order: available, held and captured credits add up to what was
/// granted or incremented, and `held` is what the jobs say they hold.
pub(crate) async fn credits_are_conserved(bench: &dyn Bench) {
    let mut runner = TestRunner::default();
    let sequences = proptest::collection::vec(op(), 1..40);
    for _ in 0..12 {
        let ops = sequences.new_tree(&mut runner).unwrap().current();
        conserved(&bench.fresh().await, &ops).await;
    }
}

async fn conserved(world: &World, ops: &[Op]) {
    assert!(world.grant("opening", 20).await);
    let (mut given, mut taken, mut foreign) = (20i64, 0i64, 0i64);
    let mut claims: HashMap<u8, Claim> = HashMap::new();
    for n in 0..3 {
        world.create(&format!("j{n}")).await;
    }
    for (step, op) in ops.iter().enumerate() {
        let now = at(step as i64);
        let job_of = |job: &u8| format!("j{job}");
        match op {
            Op::Grant { name, amount } => {
                if world.grant(&format!("g{name}"), *amount).await {
                    given += *amount as i64;
                }
            }
            Op::Foreign(credits) => {
                world.others.increment(OWNER, *credits).await;
                given += credits;
                foreign += credits;
            }
            Op::Claim { job } => {
                let id = job_of(job).parse().unwrap();
                let claimed = world.ledger.claim(&id, "a", now, TTL).await.unwrap();
                if let filmlab::ledger::Claimed::Taken { claim, .. } = claimed {
                    claims.insert(*job, claim);
                }
            }
            Op::Hold { job, amount } => {
                if let Some(claim) = claims.get(job) {
                    let id = job_of(job).parse().unwrap();
                    let before = world.balance().await;
                    let held = world.ledger.hold(&id, claim, Credits(*amount), now).await;
                    let after = world.balance().await;
                    if after != before {
                        assert!(matches!(held, Ok(HoldOutcome::Done(_))), "{held:?}");
                        assert!(after.0 >= 0, "a hold overdrew the account: {ops:?}");
                    }
                }
            }
            Op::End { job, capture } => {
                if let Some(claim) = claims.get(job) {
                    taken += end(world, &world.job(&job_of(job)).await, claim, *capture).await;
                }
            }
            Op::NextRound { job } => {
                let job = world.job(&job_of(job)).await;
                if job.status.is_ended() {
                    world.next_round(&job, now).await;
                }
            }
        }
        let (credits, held) = world.balance().await;
        assert_eq!(credits + held + taken, given, "after {op:?} in {ops:?}");
        assert!(held >= 0, "after {op:?} in {ops:?}");
        // The entries alone tell the balance, and each is there once.
        let owner = OWNER.parse().unwrap();
        let entries = world.ledger.entries(&owner, 1_000).await.unwrap();
        let names: HashSet<_> = entries.iter().map(|entry| &entry.id).collect();
        assert_eq!(names.len(), entries.len(), "after {op:?} in {ops:?}");
        let sum = entries.iter().fold((0, 0), |(credits, held), entry| {
            let moved = entry.kind.moves(entry.amount);
            (credits + moved.0, held + moved.1)
        });
        assert_eq!(
            (sum.0 + foreign, sum.1),
            (credits, held),
            "after {op:?} in {ops:?}"
        );
        let mut said = 0;
        for n in 0..3 {
            let job = world.job(&format!("j{n}")).await;
            if job.credits.state == CreditState::Held {
                said += job.credits.cost.map_or(0, |cost| cost.0 as i64);
            }
        }
        assert_eq!(held, said, "after {op:?} in {ops:?}");
    }
}

/// Ends a job in the way its credits ask for; gives what was taken for good.
async fn end(world: &World, job: &Job, claim: &Claim, capture: bool) -> i64 {
    let cost = job.credits.cost.map_or(0, |cost| cost.0);
    let kind = match (job.credits.state, capture) {
        (CreditState::Held, true) => Some(EntryKind::Capture),
        (CreditState::Held, false) => Some(EntryKind::Release),
        (_, true) => Some(EntryKind::Deduct),
        (_, false) => None,
    };
    let settlement = settlement(job, kind, cost);
    match world
        .ledger
        .settle(&job.id, claim, &settlement, at(9))
        .await
        .unwrap()
    {
        Settled::Done { .. } if capture => cost as i64,
        Settled::Done { .. } | Settled::Lost => 0,
        Settled::NoAccount => panic!("the account is there"),
    }
}

/// Entries outlive their job; another one under the same id pays like any other.
pub(crate) async fn a_job_made_anew_under_an_id_pays_anew(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ledger = &world.ledger;
    world.grant("g", 20).await;
    let mut left = 20;
    for (life, end) in [
        EntryKind::Capture,
        EntryKind::Capture,
        EntryKind::Release,
        EntryKind::Release,
        EntryKind::Deduct,
        EntryKind::Deduct,
    ]
    .into_iter()
    .enumerate()
    {
        let second = life as i64 * 1_000;
        let mut new = new_job("j1");
        new.created_at = at(second);
        ledger.create(new).await.unwrap();
        let (claim, job) = world.claim("j1", "a", at(second + 1)).await;
        if end != EntryKind::Deduct {
            for _ in 0..2 {
                let held = ledger
                    .hold(&job.id, &claim, Credits(3), at(second + 2))
                    .await;
                let Ok(HoldOutcome::Done(held)) = held else {
                    panic!("{held:?}");
                };
                assert_eq!(held.credits.state, CreditState::Held);
                assert_eq!(world.balance().await, (left - 3, 3), "life {life}");
            }
        }
        let mut settlement = settlement(&job, Some(end), 3);
        settlement.entry.as_mut().unwrap().at = at(second + 9);
        world.settle(&job, &claim, &settlement).await;
        left -= if end == EntryKind::Release { 0 } else { 3 };
        assert_eq!(world.balance().await, (left, 0), "life {life}");
        assert_eq!(ledger.delete(&job.id, 1).await.unwrap(), Deleted::Done);
    }
    // Those of the first one are where they were.
    let entries = ledger.entries(&OWNER.parse().unwrap(), 99).await.unwrap();
    let ids: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!((entries.len(), ids.len()), (11, 11), "{ids:?}");
    for id in ["j1:1:hold", "j1:1:capture", "j1:1:release", "j1:1:deduct"] {
        assert!(ids.contains(id), "{id}: {ids:?}");
    }
}
