//! The account at the provider may do only so much at once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::elapsed;
use filmlab::job::{Code, Stage, Status};
use filmlab::ledger::Ledger as _;
use filmlab::provider::Prediction;
use filmlab::sandbox::SandboxConfig;
use filmlab::worker::{ProviderLimits, Worker};

use super::bench::Bench;
use crate::provider::client;
use crate::sandbox::start;

fn limits(max_concurrent: u32, max_per_minute: u32) -> Option<ProviderLimits> {
    Some(ProviderLimits {
        max_concurrent: NonZeroU32::new(max_concurrent)?,
        max_per_minute: NonZeroU32::new(max_per_minute)?,
    })
}

#[tokio::test]
async fn two_processes_on_the_lowest_tier_never_run_more_than_two_and_finish_all() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    // The sandbox refuses a third.
    let sandbox = start(SandboxConfig {
        max_running: 2,
        polls_until_done: 2,
        ..SandboxConfig::default()
    })
    .await;
    bench.settings.provider_limits = limits(2, 2);
    let workers = [(); 2].map(|()| bench.worker_paying(client(&sandbox.base_url())));
    let mut ids = Vec::new();
    for name in ["j1", "j2", "j3", "j4", "j5"] {
        ids.push(bench.create(name).await);
    }
    let mut ended = 0;
    for turn in 0..600 {
        if !bench.step(&workers[turn % 2]).await {
            break;
        }
        ended = 0;
        for id in &ids {
            ended += usize::from(bench.job(id).await.status.is_ended());
        }
        if ended == ids.len() {
            break;
        }
    }
    assert_eq!(ended, ids.len());
    for id in &ids {
        let job = bench.job(id).await;
        assert_eq!(job.status, Status::Completed, "{:?}", job.error);
        assert_eq!((job.attempt, job.intents.len()), (1, 1));
    }
    assert_eq!(sandbox.submissions().len(), ids.len());
    let refused = sandbox.requests();
    let refused = refused.iter().filter(|request| request.status == 429);
    assert_eq!(refused.count(), 0);
}

#[tokio::test]
async fn submissions_are_spread_over_the_minute() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.provider_limits = limits(9, 2);
    let worker = bench.worker();
    let mut paid_at = Vec::new();
    let mut ids = Vec::new();
    for name in ["j1", "j2", "j3"] {
        ids.push(bench.create(name).await);
    }
    let told = |worker: &Worker| worker.provider_use().unwrap();
    assert_eq!((told(&worker).next_at, told(&worker).submitting), (None, 0));
    worker.visit(ids[0].clone(), 1).await;
    let first = bench.job(&ids[0]).await.intents[0].at;
    let pause = elapsed(first, told(&worker).next_at.unwrap());
    assert!((29..=30).contains(&pause.as_secs()), "{pause:?}");
    for id in &ids {
        let job = bench.drive(&worker, id).await;
        assert_eq!((job.status, job.attempt), (Status::Completed, 1));
        paid_at.push(job.intents[0].at);
    }
    assert_eq!(Some(told(&worker).limits), bench.settings.provider_limits);
    paid_at.sort_unstable();
    for pair in paid_at.windows(2) {
        let pause = elapsed(pair[0], pair[1]);
        assert!(pause >= Duration::from_secs(30), "{paid_at:?}");
    }
}

#[tokio::test]
async fn a_job_without_a_place_waits_before_anything_is_decided() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.provider_limits = limits(1, 60);
    let running = [(); 3].map(|()| Ok(Prediction::Running));
    bench.studio.script().predictions.extend(running);
    let worker = bench.worker();
    let first = bench.create("first").await;
    let second = bench.create("second").await;
    for id in [&first, &second] {
        worker.visit(id.clone(), 1).await;
    }
    assert_eq!(bench.job(&first).await.stage, Some(Stage::Generate));
    let waiting = bench.job(&second).await;
    assert_eq!(
        (waiting.stage, waiting.attempt, waiting.intents.len()),
        (Some(Stage::Submit), 1, 0)
    );
    assert_eq!(
        waiting.error.map(|error| error.code),
        Some(Code::ProviderBusy)
    );
    let wake = waiting.next_visit_at.unwrap();
    assert_eq!(
        elapsed(filmlab::clock::Clock::now(&bench.clock), wake),
        Duration::from_secs(30)
    );
    assert_eq!(bench.studio.submitted(), 1);
    let second = bench.drive(&worker, &second).await;
    assert_eq!((second.status, second.attempt), (Status::Completed, 1));
    assert_eq!(bench.job(&first).await.status, Status::Completed);
}

#[tokio::test]
async fn visits_at_the_same_moment_share_the_places() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.provider_limits = limits(2, 6_000);
    let running = [(); 100].map(|()| Ok(Prediction::Running));
    bench.studio.script().predictions.extend(running);
    let worker = bench.worker();
    let mut visits = tokio::task::JoinSet::new();
    for name in ["j1", "j2", "j3", "j4"] {
        let id = bench.create(name).await;
        let worker = Arc::clone(&worker);
        visits.spawn(async move { worker.visit(id, 1).await });
    }
    visits.join_all().await;
    assert!(
        bench.studio.submitted() <= 2,
        "{}",
        bench.studio.submitted()
    );
    assert!(bench.studio.submitted() > 0);
    let tally = filmlab::ledger::Tally::Generating;
    let generating = bench.ledger.count(tally, 9).await.unwrap();
    assert_eq!(generating as usize, bench.studio.submitted());
}
