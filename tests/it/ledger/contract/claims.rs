use std::sync::Arc;

use filmlab::job::{Change, Progress, Stage, Status};
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
            Claimed::Held { until } => assert_eq!(until, at(61)),
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
    assert_eq!(early, Claimed::Held { until: at(61) });
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
    assert_eq!(held, Claimed::Held { until: at(91) });
    world.claim("j1", "b", at(91)).await;
    let lost = world
        .ledger
        .renew(&job.id, &claim, None, at(92), TTL)
        .await
        .unwrap();
    assert_eq!(lost, Commit::Lost);
}
