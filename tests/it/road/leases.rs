//! A visit that cannot keep its lease ends its work, and leaves the job to whoever comes next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use filmlab::clock::Clock as _;
use filmlab::job::{Stage, Status};
use filmlab::ledger::{Claimed, Ledger as _};
use filmlab::worker::Visit;

use super::bench::Bench;
use super::crash::{Fatal, Moment, SLOW};

#[tokio::test]
async fn two_thirds_of_a_lease_without_a_renewal_end_the_visit() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    // Short, since it is watched on the monotonic clock; long beside what a write takes.
    bench.settings.lease = Duration::from_secs(3);
    bench.settings.heartbeat = Duration::from_millis(500);
    bench.studio.script().hang_in = Some(Stage::Fetch);
    let ledger = Fatal::new(&bench, 0, Moment::Unrenewed);
    let worker = bench.worker_over(Arc::clone(&ledger) as _);
    let id = bench.create("j").await;
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    let waiting = bench.job(&id).await;
    bench.clock.advance_to(waiting.next_visit_at.unwrap());

    let began = Instant::now();
    let visit = tokio::spawn({
        let (worker, id) = (Arc::clone(&worker), id.clone());
        async move { worker.visit(id, waiting.wake.seq).await }
    });
    let (writes, before) = loop {
        let job = bench.job(&id).await;
        // The last write before the download: what generating took.
        let timed = job.timings.stages_ms.get("generate") > Some(&0);
        if timed && job.stage == Some(Stage::Fetch) {
            break (ledger.writes.load(Ordering::SeqCst), job);
        }
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let visit = tokio::time::timeout(Duration::from_secs(30), visit);
    let visit = visit.await.expect("the visit ends").unwrap();
    assert_eq!(visit, Visit::Advanced);
    assert!(began.elapsed() >= bench.settings.lease * 2 / 3);
    assert!(ledger.renewals.load(Ordering::SeqCst) > 1, "it was tried");
    // One word more: nobody has claimed the job meanwhile, so it is given back as it was.
    assert_eq!(ledger.writes.load(Ordering::SeqCst), writes + 1);
    let after = bench.job(&id).await;
    assert_eq!((after.lease.holder, after.attempt), (None, 1));
    assert_eq!((after.stage, after.status), (before.stage, before.status));
    assert_eq!((after.error, after.provider), (None, before.provider));

    bench.studio.script().hang_in = None;
    let second = bench.worker();
    let job = bench.drive(&second, &id).await;
    assert_eq!(job.attempt, 1, "an outage is no death");
    second.clean().await;
    bench.assert_completed_once(&job).await;
}

/// A visit that hangs in a download, while nothing answers its renewals.
async fn hanging(bench: &mut Bench, settle: impl Fn(&mut Bench)) -> (Visit, Duration) {
    bench.settings.heartbeat = Duration::from_millis(100);
    bench.settings.progress_every = Duration::from_millis(50);
    bench.studio.script().hang_in = Some(Stage::Fetch);
    settle(bench);
    let ledger = Fatal::new(bench, 0, Moment::Unanswered);
    let worker = bench.worker_over(Arc::clone(&ledger) as _);
    let id = bench.create("j").await;
    let before = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&before).await);
    }
    let waiting = bench.job(&id).await;
    bench.clock.advance_to(waiting.next_visit_at.unwrap());
    let began = Instant::now();
    let visit = worker.visit(id.clone(), waiting.wake.seq);
    let meanwhile = async {
        while ledger.renewals.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The deadline comes while a renewal hangs, where the test waits for it.
        if bench.settings.lease > Duration::from_secs(60) {
            bench.clock.advance_to(waiting.deadline_at);
        }
        std::future::pending::<()>().await;
    };
    let visit = tokio::time::timeout(Duration::from_secs(30), visit);
    let visit = tokio::select! {
        visit = visit => visit.expect("the visit ends"),
        () = meanwhile => unreachable!(),
    };
    (visit, began.elapsed())
}

#[tokio::test]
async fn a_renewal_that_hangs_delays_no_check_of_the_lease() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let short = Duration::from_secs(3);
    let (visit, took) = hanging(&mut bench, |bench| bench.settings.lease = short).await;
    assert_eq!(visit, Visit::Advanced);
    assert!(took >= short * 2 / 3);
    // All other writes are answered: the lease is given back.
    let left = bench.job(&"j".parse().unwrap()).await;
    assert!(left.lease.holder.is_none() && left.status == Status::Processing);
    assert_eq!(left.attempt, 1);
}

#[tokio::test]
async fn a_renewal_that_hangs_delays_neither_deadline_nor_budget() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let long = Duration::from_secs(600);
    let (visit, _) = hanging(&mut bench, |bench| bench.settings.lease = long).await;
    assert_eq!(visit, Visit::Advanced);
    let job = bench.job(&"j".parse().unwrap()).await;
    assert_eq!(job.error.unwrap().code.as_str(), "deadline_exceeded");

    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let (visit, took) = hanging(&mut bench, |bench| {
        bench.settings.lease = Duration::from_secs(60);
        bench.settings.budget = Duration::from_secs(1);
        // The clip is refused where its processing would not fit into the budget.
        bench.settings.media_time_factor = 0.001;
    })
    .await;
    assert_eq!(visit, Visit::Advanced);
    assert!(took >= bench.settings.budget);
    // The download took all of it.
    let job = bench.job(&"j".parse().unwrap()).await;
    assert_eq!(job.error.unwrap().code.as_str(), "download_failed");
}

#[tokio::test]
async fn a_visit_whose_job_was_claimed_by_another_writes_nothing_more() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.heartbeat = Duration::from_millis(50);
    bench.settings.progress_every = Duration::from_millis(50);
    bench.studio.script().hang_in = Some(Stage::Fetch);
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    let waiting = bench.job(&id).await;
    bench.clock.advance_to(waiting.next_visit_at.unwrap());
    let visit = tokio::spawn({
        let (worker, id) = (Arc::clone(&worker), id.clone());
        async move { worker.visit(id, waiting.wake.seq).await }
    });
    while bench.job(&id).await.stage != Some(Stage::Fetch) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let claimed = loop {
        bench.clock.advance(bench.settings.lease);
        let (now, lease) = (bench.clock.now(), bench.settings.lease);
        let claimed = bench.ledger.claim(&id, "another", now, lease).await;
        // A renewal may have come between the two.
        if let Claimed::Taken { job, .. } = claimed.unwrap() {
            break job;
        }
    };
    let visit = tokio::time::timeout(Duration::from_secs(30), visit);
    assert_eq!(visit.await.unwrap().unwrap(), Visit::NothingToDo);
    assert_eq!(bench.job(&id).await, *claimed);
}

/// They say that the job is still ours, and leave the lease's end where it is.
#[tokio::test]
async fn writes_in_quick_succession_are_no_renewal() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    // Longer than a write takes, shorter than the writes of a visit together.
    bench.settings.heartbeat = SLOW + SLOW / 2;
    let ledger = Fatal::new(&bench, 0, Moment::Slow);
    let worker = bench.worker_over(Arc::clone(&ledger) as _);
    bench.create("j").await;
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    assert!(ledger.writes.load(Ordering::SeqCst) >= 3);
    assert!(ledger.renewals.load(Ordering::SeqCst) >= 1);
}
