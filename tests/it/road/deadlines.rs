//! A job ends at its deadline, wherever it is by then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use filmlab::job::{Party, Stage, Status};
use filmlab::provider::Prediction;

use super::bench::Bench;
use super::crash::{Fatal, Moment};

#[tokio::test]
async fn a_job_that_nobody_came_for_ends_before_anything_is_paid() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let deadline = bench.job(&id).await.deadline_at;
    bench.clock.advance_to(deadline);
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!((job.status, job.attempt), (Status::Failed, 1));
    assert_eq!(bench.studio.submitted(), 0);
    bench
        .assert_ended_without_trace(&job, "deadline_exceeded")
        .await;
}

#[tokio::test]
async fn a_deadline_between_any_two_owner_writes_ends_the_job_once() {
    let (mut stages, mut completed) = (BTreeSet::new(), 0);
    for nth in 1..60 {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let id = bench.create("j").await;
        let ledger = Fatal::new(&bench, nth, Moment::Late);
        let worker = bench.worker_over(Arc::clone(&ledger) as _);
        let job = bench.drive(&worker, &id).await;
        if ledger.writes.load(Ordering::SeqCst) < nth {
            break;
        }
        assert_eq!(job.attempt, 1, "write {nth}: {job:#?}");
        if job.status == Status::Completed {
            // It was made by then: only the end was left to be recorded.
            bench.assert_completed_once(&job).await;
            completed += 1;
            continue;
        }
        assert_eq!(job.status, Status::Failed, "write {nth}: {job:#?}");
        bench
            .assert_ended_without_trace(&job, "deadline_exceeded")
            .await;
        stages.insert(job.error.unwrap().stage);
        assert!(bench.studio.submitted() <= 1);
        // What was paid for was asked about.
        assert_eq!(bench.studio.submitted() > 0, bench.studio.polled() > 0);
    }
    // The provider is always done here, so that no deadline ends the job while it generates.
    assert!(!stages.contains(&Some(Stage::Generate)));
    for stage in [Stage::Submit, Stage::Fetch, Stage::Process] {
        assert!(
            stages.contains(&Some(stage)),
            "no deadline in {stage:?}: {stages:?}"
        );
    }
    // From the intent on while the provider works; then from the write that records the result.
    assert!(completed > 6, "{completed}");
}

#[tokio::test]
async fn a_stage_that_waits_for_an_answer_is_left_at_the_deadline() {
    for stage in [Stage::Submit, Stage::Generate, Stage::Fetch] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        // The heartbeat looks at the clock this often.
        bench.settings.progress_every = Duration::from_millis(5);
        // What was paid for is waited for this long.
        bench.settings.heartbeat = Duration::from_millis(100);
        bench.studio.script().hang_in = Some(stage);
        let id = bench.create("j").await;
        let worker = bench.worker();
        let deadline = bench.job(&id).await.deadline_at;
        let late = async {
            loop {
                // There, and its lease is held: within a visit.
                let job = bench.job(&id).await;
                let hangs = stage != Stage::Generate || bench.studio.polled() > 0;
                if job.stage == Some(stage) && job.lease.holder.is_some() && hangs {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bench.clock.advance_to(deadline);
            std::future::pending::<()>().await;
        };
        let ended = tokio::time::timeout(Duration::from_secs(30), bench.drive(&worker, &id));
        let job = tokio::select! {
            ended = ended => ended.expect("the visit ends at the deadline"),
            () = late => continue,
        };
        assert_eq!((job.status, job.attempt), (Status::Failed, 1));
        bench
            .assert_ended_without_trace(&job, "deadline_exceeded")
            .await;
        assert_eq!(job.error.unwrap().stage, Some(stage));
    }
}

#[tokio::test]
async fn a_paid_job_is_asked_about_once_more_when_its_deadline_has_passed() {
    for is_done in [true, false] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let worker = bench.worker();
        let id = bench.create("j").await;
        while bench.studio.submitted() == 0 {
            assert!(bench.step(&worker).await);
        }
        if !is_done {
            let running = [(); 9].map(|()| Ok(Prediction::Running));
            bench.studio.script().predictions.extend(running);
        }
        assert_eq!(bench.studio.polled(), 0);
        // Nobody came for hours.
        bench.clock.advance(Duration::from_secs(5 * 3600));
        let job = bench.drive(&worker, &id).await;
        assert_eq!(bench.studio.polled(), 1);
        if is_done {
            bench.assert_completed_once(&job).await;
        } else {
            bench
                .assert_ended_without_trace(&job, "deadline_exceeded")
                .await;
            assert_eq!(job.error.unwrap().party, Party::Provider);
        }
    }
}
