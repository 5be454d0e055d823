use std::sync::Arc;
use std::time::Duration;

use filmlab::job::counts::day_of;
use filmlab::job::{Change, CreditEntry, CreditState, Credits, EntryKind, Owner, Status};
use filmlab::ledger::{Burial, Counts, Settlement};
use jiff::Span;
use jiff::civil::Date;
use serde_json::json;

use super::super::bench::{
    Bench, OWNER, TTL, World, at, intent, new_job, provider_failed, road, settlement,
};

const MODEL: &str = "acme/video `up`.2";

async fn counts(world: &World, owner: Option<&str>, from: Date, to: Date) -> Counts {
    let owner: Option<Owner> = owner.map(|owner| owner.parse().unwrap());
    world.ledger.counts(owner.as_ref(), from, to).await.unwrap()
}

/// What is counted under a model on a day.
fn of(counts: &Counts, day: Date, model: &str) -> Vec<(String, u64)> {
    let sums = counts.days.get(&(day, model.to_owned()));
    sums.cloned().unwrap_or_default().into_iter().collect()
}

fn told<const N: usize>(sums: [(&str, u64); N]) -> Vec<(String, u64)> {
    sums.map(|(name, sum)| (name.to_owned(), sum)).into()
}

pub(crate) async fn each_end_is_counted_once_by_day_model_and_owner(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let day = day_of(at(9));
    assert_eq!(counts(&world, None, day, day).await, Counts::default());
    world.grant("g", 20).await;

    // A payment that fails, and eight who settle it.
    let (claim, job) = world.claimed("j1").await;
    world
        .ledger
        .hold(&job.id, &claim, Credits(4), at(2))
        .await
        .unwrap();
    let mut paid = intent("1-1");
    paid.model = MODEL.into();
    for change in road().into_iter().skip(1) {
        if let Change::Submitted { .. } = change {
            world
                .record(&job, &claim, &Change::Intended(paid.clone()))
                .await;
            world.record(&job, &claim, &change).await;
        }
    }
    let mut end = settlement(&job, Some(EntryKind::Release), 4);
    end.ending.error = Some(provider_failed());
    let tries = (0..8).map(|_| {
        let (ledger, id) = (Arc::clone(&world.ledger), job.id.clone());
        let (claim, end) = (claim.clone(), end.clone());
        tokio::spawn(async move { ledger.settle(&id, &claim, &end, at(9)).await.unwrap() })
    });
    futures::future::join_all(tries).await;
    let failed = told([
        ("failed", 1),
        ("failed:provider_failed:provider", 1),
        ("released", 4),
        ("usd_micros", 500_000),
    ]);
    let all = counts(&world, None, day, day).await;
    assert_eq!(all.since, Some(day));
    assert_eq!(of(&all, day, MODEL), failed);
    assert_eq!(counts(&world, Some(OWNER), day, day).await, all);

    // The same prediction in another round, a day later, under another owner's eyes.
    let next = day.tomorrow().unwrap();
    let later = at(9) + Duration::from_secs(24 * 3600);
    let round = world.ledger.retry(&job.id, 1, at(20), later + TTL).await;
    round.unwrap();
    let (claim, job) = world.claim("j1", "a", at(21)).await;
    let captured = Settlement {
        entry: Some(CreditEntry::for_job(
            &job.id,
            2,
            EntryKind::Deduct,
            Credits(4),
            later,
        )),
        ..settlement(&job, None, 0)
    };
    let mut captured = captured;
    captured.ending.status = Status::Cancelled;
    captured.ending.credits = CreditState::Captured;
    captured.ending.at = later;
    world.settle(&job, &claim, &captured).await;
    let mut other = new_job("j2");
    other.owner = "u2".parse().unwrap();
    world.ledger.create(other).await.unwrap();
    let (claim, job) = world.claim("j2", "a", at(1)).await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;

    let all = counts(&world, None, day, next).await;
    assert_eq!(
        of(&all, next, MODEL),
        told([("cancelled", 1), ("captured", 4)])
    );
    assert_eq!(of(&all, day, MODEL), failed, "paid for once");
    assert_eq!(of(&all, day, "none"), told([("failed", 1)]));
    assert_eq!((all.since, all.days.len()), (Some(day), 3));
    // Of one owner, and of some days alone.
    let theirs = counts(&world, Some("u2"), day, next).await;
    assert_eq!((theirs.since, theirs.days.len()), (Some(day), 1));
    let then = counts(&world, None, next, next).await;
    assert_eq!((then.since, then.days.len()), (Some(day), 1));
    let after = next.checked_add(Span::new().days(1)).unwrap();
    assert_eq!(counts(&world, None, after, after).await.days.len(), 0);
    assert_eq!(
        counts(&world, Some("u3"), day, next).await,
        Counts::default()
    );
}

pub(crate) async fn a_buried_job_counts_as_failed(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let job = world.create("j1").await;
    world.others.write("j1", json!({"params": 7})).await;
    world.ledger.bury(&job.id, at(0), TTL).await.unwrap();
    let day = day_of(at(100));
    assert_eq!(
        counts(&world, None, day, day).await,
        Counts::default(),
        "only watched"
    );
    let buried = world.ledger.bury(&job.id, at(100), TTL).await.unwrap();
    assert!(matches!(buried, Burial::Done { .. }), "{buried:?}");
    world.ledger.bury(&job.id, at(101), TTL).await.unwrap();
    let failed = told([("failed", 1), ("failed:invalid_job:caller", 1)]);
    for owner in [None, Some(OWNER)] {
        let found = counts(&world, owner, day, day).await;
        assert_eq!(of(&found, day, "none"), failed, "{owner:?}");
    }
}
