//! A job that waits says for what.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, elapsed};
use filmlab::job::{Job, JobId, Stage, WaitsFor};
use filmlab::provider::{Prediction, ProviderError, SubmitError};
use filmlab::worker::Worker;

use super::bench::{Bench, after};

/// One visit, when it is due.
async fn visit(bench: &Bench, worker: &Arc<Worker>, id: &JobId) -> Job {
    let job = bench.job(id).await;
    if let Some(at) = job.next_visit_at {
        bench.clock.advance_to(at);
    }
    worker.visit(id.clone(), job.wake.seq).await;
    bench.job(id).await
}

fn waits(bench: &Bench, job: &Job) -> (WaitsFor, u64) {
    let now = bench.clock.now();
    let wait = job.wait(now).unwrap_or_else(|| panic!("{job:#?}"));
    (wait.what, elapsed(wait.since, now).as_secs())
}

#[tokio::test]
async fn each_wait_before_the_provider_takes_it_has_its_word() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let text = || "x".to_owned();
    let busy = || SubmitError::Busy {
        message: text(),
        retry_after: None,
    };
    bench.studio.script().submits.extend([
        Err(busy()),
        Err(busy()),
        Err(SubmitError::NoFunds { message: text() }),
        Err(SubmitError::Unauthorized { message: text() }),
        Err(SubmitError::NotSent { message: text() }),
        Err(SubmitError::Ambiguous {
            message: text(),
            words: None,
        }),
    ]);
    let worker = bench.worker();
    let id = bench.create("j").await;
    let job = bench.job(&id).await;
    assert_eq!(waits(&bench, &job), (WaitsFor::Worker, 0));
    for (what, since) in [
        (WaitsFor::Account, 0),
        // It goes on waiting for the same.
        (WaitsFor::Account, 30),
        (WaitsFor::Operator, 0),
        (WaitsFor::Operator, 30),
        (WaitsFor::Attempt, 0),
        (WaitsFor::Answer, 0),
    ] {
        let job = visit(&bench, &worker, &id).await;
        assert_eq!(waits(&bench, &job), (what, since), "{:?}", job.error);
        let wait = job.wait(bench.clock.now()).unwrap();
        assert_eq!(wait.until, job.next_visit_at);
        assert_eq!(wait.reason, job.error.as_ref().unwrap().message);
        let attempt = match what {
            WaitsFor::Attempt | WaitsFor::Answer => 2,
            _ => 1,
        };
        assert_eq!(wait.attempt, attempt, "{what:?}");
    }
}

#[tokio::test]
async fn each_wait_after_it_has_its_word() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let away = || ProviderError::Unavailable {
        message: "x".into(),
    };
    bench.studio.script().predictions.extend([
        Ok(Prediction::Running),
        Err(away()),
        Ok(Prediction::Failed {
            message: "x".into(),
        }),
    ]);
    let worker = bench.worker();
    let id = bench.create("j").await;
    let job = visit(&bench, &worker, &id).await;
    assert_eq!(job.stage, Some(Stage::Generate));
    assert_eq!(waits(&bench, &job), (WaitsFor::Provider, 0));
    let job = visit(&bench, &worker, &id).await;
    // Since it was taken, however often it was asked about.
    let taken_for = elapsed(job.provider.submitted_at.unwrap(), bench.clock.now());
    assert!(taken_for >= Duration::from_secs(10));
    assert_eq!(
        waits(&bench, &job),
        (WaitsFor::Provider, taken_for.as_secs())
    );
    let job = visit(&bench, &worker, &id).await;
    assert_eq!(waits(&bench, &job), (WaitsFor::Outage, 0));
    let job = visit(&bench, &worker, &id).await;
    assert_eq!(waits(&bench, &job), (WaitsFor::Attempt, 0));
    assert_eq!(job.wait(bench.clock.now()).unwrap().attempt, 2);
    let job = bench.drive(&worker, &id).await;
    assert_eq!((job.status.as_str(), &job.waiting), ("completed", &None));
    assert_eq!(job.wait(after(bench.clock.now(), 9)), None);
}

#[tokio::test]
async fn a_visit_that_waits_for_a_media_place_says_so_meanwhile() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    // One alone has the memory: the other waits in its visit.
    bench.settings.media_memory = 1;
    bench.settings.media_slots = 2;
    bench.settings.progress_every = Duration::from_millis(1);
    let worker = bench.worker();
    let ids = [bench.create("j1").await, bench.create("j2").await];
    for id in &ids {
        assert_eq!(
            visit(&bench, &worker, id).await.stage,
            Some(Stage::Generate)
        );
    }
    bench.clock.advance(Duration::from_secs(120));
    let mut visits = tokio::task::JoinSet::new();
    for id in &ids {
        let seq = bench.job(id).await.wake.seq;
        let (worker, id) = (Arc::clone(&worker), id.clone());
        visits.spawn(async move { worker.visit(id, seq).await });
    }
    let mut seen = 0;
    while !visits.is_empty() {
        for id in &ids {
            let wait = bench.job(id).await;
            let wait = wait.wait(bench.clock.now());
            seen += usize::from(wait.is_some_and(|wait| wait.what == WaitsFor::MediaPlace));
        }
        let _ = tokio::time::timeout(Duration::from_millis(2), visits.join_next()).await;
    }
    for id in &ids {
        let job = bench.job(id).await;
        assert_eq!((job.status.as_str(), &job.waiting), ("completed", &None));
    }
    assert!(seen > 0);
}
