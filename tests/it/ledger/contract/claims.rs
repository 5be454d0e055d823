use std::sync::Arc;

use filmlab::job::{Change, Claim, NativeWork, Party, Phase, Progress, Stage, Status};
use filmlab::ledger::{Claimed, Commit};

use super::super::bench::{Bench, TTL, at, settlement};

pub(crate) async fn one_of_eight_claimers_wins(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let id = world.create("j1").await.id;
    let tries = (0..8).map(|n| {
        let (ledger, id) = (Arc::clone(&world.ledger), id.clone());
        tokio::spawn(async move {
            ledger
                .claim(&id, &format!("w{n}"), at(1), TTL)
                .await
                .unwrap()
        })
    });
    let mut winners = Vec::new();
    for claimed in futures::future::join_all(tries).await {
        match claimed.unwrap() {
            Claimed::Taken { claim, .. } => winners.push(claim),
            Claimed::Leased { until } => assert_eq!(until, at(61)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert!(winners[0].holds(&world.job("j1").await));
    let nobody = world
        .ledger
        .claim(&"j2".parse().unwrap(), "a", at(1), TTL)
        .await;
    assert_eq!(nobody.unwrap(), Claimed::NotFound);
}

pub(crate) async fn a_dead_lease_costs_an_attempt(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (first, job) = world.claimed("j1").await;
    assert_eq!((job.status, job.attempt), (Status::Processing, 1));
    let early = world.ledger.claim(&job.id, "b", at(60), TTL).await.unwrap();
    assert_eq!(early, Claimed::Leased { until: at(61) });
    let (second, job) = world.claim("j1", "b", at(61)).await;
    assert!(second.fence > first.fence);
    assert_eq!(job.attempt, 2);
    // The same holder again is another claim, too.
    let (third, job) = world.claim("j1", "b", at(200)).await;
    assert!(third.fence > second.fence);
    assert_eq!((job.attempt, &job), (3, &world.job("j1").await));
}

pub(crate) async fn a_lease_given_back_costs_nothing(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.create("j1").await;
    let mut fence = None;
    for n in 0..5 {
        let (claim, job) = world.claim("j1", "a", at(n)).await;
        assert!(Some(claim.fence) > fence);
        fence = Some(claim.fence);
        let change = Change::GivenBack {
            next_visit: at(n + 1),
        };
        let job = world.record(&job, &claim, &change).await;
        assert_eq!((job.attempt, job.wake.seq), (1, n as u64 + 2));
    }
}

pub(crate) async fn an_ended_job_is_not_claimed(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    let again = world.ledger.claim(&job.id, "b", at(99), TTL).await.unwrap();
    assert_eq!(again, Claimed::Ended);
}

pub(crate) async fn a_renewal_keeps_the_lease_and_shows_progress(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let half = Progress::within(Stage::Generate, 0.5);
    let renewed = world
        .ledger
        .renew(&job.id, &claim, Some(&half), at(30), TTL)
        .await;
    let Commit::Done(renewed) = renewed.unwrap() else {
        panic!("lost")
    };
    assert_eq!(renewed.lease.expires_at, Some(at(90)));
    assert_eq!(renewed.next_visit_at, Some(at(90)));
    assert_eq!(
        (&renewed.progress, renewed.revision),
        (&half, job.revision + 1)
    );

    // Progress never goes back.
    let less = Progress::within(Stage::Submit, 0.0);
    world
        .ledger
        .renew(&job.id, &claim, Some(&less), at(31), TTL)
        .await
        .unwrap();
    assert_eq!(world.job("j1").await.progress, half);

    let held = world.ledger.claim(&job.id, "b", at(90), TTL).await.unwrap();
    assert_eq!(held, Claimed::Leased { until: at(91) });
    world.claim("j1", "b", at(91)).await;
    let lost = world
        .ledger
        .renew(&job.id, &claim, None, at(92), TTL)
        .await
        .unwrap();
    assert_eq!(lost, Commit::Lost);
}

fn native(process: &str, claim: &Claim) -> Change {
    Change::NativeBegun(NativeWork {
        process: process.into(),
        fence: claim.fence,
        phase: Phase::Check,
        party: Party::Provider,
    })
}

/// Four jobs of one process that dies, one of them in native work; a fifth of another.
pub(crate) async fn a_death_in_native_work_is_that_jobs_alone(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for name in ["bad", "early", "late", "both", "other"] {
        world.create(name).await;
    }
    let (bad, job) = world.claim("bad", "w-x-1", at(1)).await;
    world.record(&job, &bad, &native("w-x", &bad)).await;
    world.claim("early", "w-x-2", at(1)).await;
    world.claim("late", "w-x-3", at(1)).await;
    let (both, job) = world.claim("both", "w-x-4", at(1)).await;
    world.record(&job, &both, &native("w-x", &both)).await;
    // One whose name begins alike.
    world.claim("other", "w-x1-1", at(1)).await;

    // Before the culprit is found, and after.
    let (_, early) = world.claim("early", "w-y-1", at(61)).await;
    let (_, bad) = world.claim("bad", "w-y-2", at(61)).await;
    let (_, late) = world.claim("late", "w-y-3", at(70)).await;
    let (_, both) = world.claim("both", "w-y-4", at(70)).await;
    let (_, other) = world.claim("other", "w-y-5", at(70)).await;
    let cost = |job: &filmlab::job::Job| (job.crashes, job.attempt);
    assert_eq!((cost(&early), cost(&late)), ((0, 1), (0, 1)));
    assert_eq!((cost(&bad), cost(&both)), ((1, 1), (1, 1)));
    assert_eq!(cost(&other), (0, 2));
    assert_eq!(bad, world.job("bad").await);

    // The next process dies too, and nobody was in native work there.
    let (_, late) = world.claim("late", "w-z-1", at(200)).await;
    let (_, bad) = world.claim("bad", "w-z-2", at(200)).await;
    assert_eq!((cost(&late), cost(&bad)), ((0, 2), (1, 2)));
}

pub(crate) async fn native_work_that_was_over_explains_no_death(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.create("beside").await;
    let (claim, job) = world.claimed("j1").await;
    world.record(&job, &claim, &native("w-x", &claim)).await;
    let over = world.record(&job, &claim, &Change::NativeOver).await;
    assert_eq!((over.native, over.crashes), (None, 0));
    world.claim("beside", "w-x-2", at(1)).await;
    let (_, beside) = world.claim("beside", "w-y-1", at(61)).await;
    assert_eq!((beside.crashes, beside.attempt), (0, 2));
}
