//! SIGTERM in each stage: the process is gone within ten seconds, no attempt is used, another
//! one finishes the job.

use std::time::Duration;

use filmlab::sandbox::{Fault, FaultRule};
use serde_json::json;

use super::plant::Plant;
use crate::support::gcs::{Fault as StoreFault, Op};

async fn stopped_in(stage: &str, prepare: impl FnOnce(&Plant), go_on: impl FnOnce(&Plant)) {
    let Some(mut plant) = Plant::start(1, false).await else {
        return;
    };
    prepare(&plant);
    plant
        .push("j", "character_replace", json!({"resolution": "480p"}))
        .await;
    plant
        .run_until(async |plant: &mut Plant| {
            assert_ne!(
                plant.status("j").await,
                "completed",
                "it was too quick to be stopped"
            );
            plant.field("jobs/j", "stage").await["stringValue"] == stage
        })
        .await;
    if stage == "submit" {
        // In the middle of paying: the intent is written, the answer is on its way.
        plant
            .run_until(async |plant: &mut Plant| !plant.sandbox.submissions().is_empty())
            .await;
    }
    let (took, status) = plant.terminate(0);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(status, Some(0));
    let lease = plant.field("jobs/j", "lease").await;
    assert!(
        lease["mapValue"]["fields"]["holder"].is_null(),
        "the lease is given back: {lease}"
    );

    go_on(&plant);
    plant.restart(0).await;
    let mut rounds = 0;
    plant
        .run_until(async |plant: &mut Plant| {
            rounds += 1;
            if rounds % 20 == 0 {
                plant.sweep().await;
            }
            let state = plant.field("outbox/j:1:job.completed", "state").await;
            state["stringValue"] == "delivered"
        })
        .await;
    assert_eq!(plant.number("jobs/j", "attempt").await, 1);
    assert_eq!(plant.sandbox.submissions().len(), 1);
    assert_eq!(
        plant.number("outbox/j:1:job.completed", "deliveries").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_submitting() {
    let late: Fault = serde_json::from_value(json!({"fault": "answer_late", "ms": 2500})).unwrap();
    stopped_in(
        "submit",
        |plant| plant.sandbox.add_fault(FaultRule::once(late)),
        |_| {},
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_generating() {
    stopped_in(
        "generate",
        |plant| plant.sandbox.hold(true),
        |plant| plant.sandbox.hold(false),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_fetching() {
    // The bucket does not take the provider's file yet: the worker goes on trying.
    let stall = |plant: &Plant| {
        // Fewer than one attempt bears, so that stopping late costs none either.
        for _ in 0..3 {
            plant.gcs.fail_next(Op::Put, StoreFault::Unavailable);
        }
    };
    stopped_in("fetch", stall, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_processing() {
    stopped_in("process", |_| {}, |_| {}).await;
}
