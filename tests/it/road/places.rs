//! Media work that finds no place.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, elapsed};
use filmlab::job::{Stage, Status};

use super::bench::Bench;

#[tokio::test]
async fn a_job_without_a_place_comes_back_and_uses_no_attempt() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    // Less memory than one takes: each runs alone, and nobody waits.
    bench.settings.media_slots = 2;
    bench.settings.media_memory = 64 << 20;
    bench.settings.media_slot_patience = Duration::ZERO;
    let worker = bench.worker();
    let ids = [bench.create("j1").await, bench.create("j2").await];
    for id in &ids {
        worker.visit(id.clone(), 1).await;
        assert_eq!(bench.job(id).await.stage, Some(Stage::Generate));
    }
    bench.clock.advance(Duration::from_secs(120));
    let mut visits = tokio::task::JoinSet::new();
    for id in &ids {
        let seq = bench.job(id).await.wake.seq;
        let (worker, id) = (Arc::clone(&worker), id.clone());
        visits.spawn(async move { worker.visit(id, seq).await });
    }
    visits.join_all().await;
    let (mut done, mut waiting) = (0, 0);
    for id in &ids {
        let job = bench.job(id).await;
        assert_eq!((job.attempt, &job.error), (1, &None));
        match job.stage {
            Some(Stage::Process) => {
                let pause = elapsed(bench.clock.now(), job.next_visit_at.unwrap());
                assert_eq!(pause, bench.settings.busy_pause);
                waiting += 1;
            }
            _ => done += usize::from(job.status == Status::Completed),
        }
    }
    assert_eq!((done, waiting), (1, 1));
    for id in &ids {
        let job = bench.drive(&worker, id).await;
        assert_eq!((job.status, job.attempt), (Status::Completed, 1));
    }
}
