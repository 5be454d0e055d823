//! Cancelling, at every moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use filmlab::clock::Clock as _;
use filmlab::job::credits::CancelAfterSubmit;
use filmlab::job::{CreditState, Stage, Status};
use filmlab::ledger::Ledger as _;
use filmlab::provider::Prediction;
use filmlab::queue::{Queue as _, Task, Why};

use super::bench::{Bench, GRANT};
use super::crash::{Fatal, Moment};

#[tokio::test]
async fn a_request_between_any_two_owner_writes_is_noticed_and_loses_nothing() {
    let mut stages = std::collections::BTreeSet::new();
    for nth in 1..60 {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let id = bench.create("j").await;
        let ledger = Fatal::new(&bench, nth, Moment::Cancelled);
        let worker = bench.worker_over(Arc::clone(&ledger) as _);
        let job = bench.drive(&worker, &id).await;
        if ledger.writes.load(Ordering::SeqCst) < nth {
            break;
        }
        stages.insert(job.error.as_ref().and_then(|error| error.stage));
        if job.status == Status::Completed {
            // The request came when the last commit was on its way: the job was done.
            bench.assert_completed_once(&job).await;
        } else {
            assert_eq!(job.status, Status::Cancelled, "write {nth}: {job:#?}");
            bench.assert_ended_without_trace(&job, "cancelled").await;
        }
        assert_eq!(job.attempt, 1);
        if let Some(prediction) = &job.provider.prediction_id {
            // A paid id is never dropped because somebody else wrote at the same time.
            assert_eq!((prediction.as_str(), bench.studio.submitted()), ("p1", 1));
        }
    }
    for stage in [Stage::Submit, Stage::Generate, Stage::Fetch, Stage::Process] {
        assert!(
            stages.contains(&Some(stage)),
            "never cancelled in {stage:?}: {stages:?}"
        );
    }
}

#[tokio::test]
async fn a_queued_job_ends_before_anything_is_paid() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    bench
        .ledger
        .request_cancel(&id, bench.clock.now())
        .await
        .unwrap();
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(
        (job.status, bench.studio.submitted()),
        (Status::Cancelled, 0)
    );
    bench.assert_ended_without_trace(&job, "cancelled").await;
}

#[tokio::test]
async fn a_waiting_job_ends_at_the_request_and_not_at_its_next_poll() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench
        .studio
        .script()
        .predictions
        .extend((0..50).map(|_| Ok(Prediction::Running)));
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.job(&id).await.stage != Some(Stage::Generate) {
        assert!(bench.step(&worker).await);
    }
    let asked_at = bench.clock.now();
    bench.ledger.request_cancel(&id, asked_at).await.unwrap();
    let seq = bench.job(&id).await.wake.seq;
    let task = Task::Job {
        id: id.clone(),
        seq,
        why: Why::Cancel,
    };
    bench.queue.schedule(&task, asked_at).await.unwrap();
    assert!(bench.step(&worker).await);
    let job = bench.job(&id).await;
    assert_eq!(
        (job.status, job.completed_at),
        (Status::Cancelled, Some(asked_at))
    );
    // Paid, but released by default: the loss is ours, and recorded by the accepted intent.
    assert_eq!(job.credits.state, CreditState::Released);
    assert!(job.has_paid());
    let job = bench.drive(&worker, &id).await;
    bench.assert_ended_without_trace(&job, "cancelled").await;
}

#[tokio::test]
async fn the_operator_may_have_late_cancellations_paid() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.cancel_unsaid = CancelAfterSubmit::Capture;
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    bench
        .ledger
        .request_cancel(&id, bench.clock.now())
        .await
        .unwrap();
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.credits.state, CreditState::Captured);
    let account = bench.account().await;
    let cost = job.credits.cost.unwrap().0 as i64;
    assert_eq!(
        (account.credits, account.credits_held),
        (GRANT as i64 - cost, 0)
    );
}

#[tokio::test]
async fn asking_twice_is_asking_once() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    for _ in 0..2 {
        bench
            .ledger
            .request_cancel(&id, bench.clock.now())
            .await
            .unwrap();
    }
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_ended_without_trace(&job, "cancelled").await;
}
