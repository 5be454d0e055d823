//! A machine whose clock is set while jobs run.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use filmlab::clock::{Clock, SystemClock, Timestamp, whole_micros};
use filmlab::job::{Job, Stage, Status};
use filmlab::sandbox::SandboxConfig;

use super::lab::Lab;

/// The machine's clock, and by how many seconds somebody set it.
#[derive(Debug, Default)]
struct SetBy(AtomicI64);

impl Clock for SetBy {
    fn now(&self) -> Timestamp {
        let by = jiff::SignedDuration::from_secs(self.0.load(Ordering::SeqCst));
        whole_micros(SystemClock.now() + by)
    }
}

const HOURS: i64 = 2 * 3600;

/// Seven jobs with default settings; the clock is set while the provider makes their videos.
async fn seven_complete(set_by: i64, in_between: bool) {
    let slow = SandboxConfig {
        min_time: Duration::from_secs(2),
        ..SandboxConfig::default()
    };
    let Some(mut lab) = Lab::new(slow).await else {
        return;
    };
    let clock = Arc::<SetBy>::default();
    lab.clock = Arc::clone(&clock) as _;
    let mut service = lab.start().await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(lab.create(&service).await);
    }
    for id in &ids {
        let generates = |job: &Job| job.stage == Some(Stage::Generate) || job.status.is_ended();
        lab.until(&service, id, generates).await;
    }
    if in_between {
        // As after a power cut that the clock did not survive.
        service.stop().await;
        clock.0.store(set_by, Ordering::SeqCst);
        service = lab.start().await;
    }
    clock.0.store(set_by, Ordering::SeqCst);
    for id in &ids {
        let job = lab.ended(&service, id).await;
        assert_eq!(
            (job.status, job.attempt),
            (Status::Completed, 1),
            "{job:#?}"
        );
        assert!(job.completed_at.unwrap() >= job.created_at);
    }
    service.stop().await;
}

#[tokio::test]
async fn two_hours_forward_end_nothing() {
    seven_complete(HOURS, false).await;
}

#[tokio::test]
async fn two_hours_back_freeze_nothing() {
    seven_complete(-HOURS, false).await;
}

#[tokio::test]
async fn two_hours_back_between_two_starts_freeze_nothing() {
    seven_complete(-HOURS, true).await;
}
