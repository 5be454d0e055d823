//! Several workers on the same queue; also with one of them killed.

use std::collections::BTreeSet;

use serde_json::json;

use super::plant::{GRANT, Plant};

async fn share(jobs: usize, kill_after: Option<usize>) {
    let Some(mut plant) = Plant::start(3, false).await else {
        return;
    };
    let ids: Vec<String> = (0..jobs).map(|n| format!("j{n:02}")).collect();
    for id in &ids {
        plant
            .push(id, "character_replace", json!({"resolution": "480p"}))
            .await;
    }
    let mut told = BTreeSet::new();
    let mut kill_after = kill_after;
    let mut rounds = 0;
    plant
        .run_until(async |plant: &mut Plant| {
            rounds += 1;
            if rounds % 10 != 0 {
                return false;
            }
            for id in &ids {
                if !told.contains(id) {
                    let notice = format!("outbox/{id}:1:job.completed");
                    if plant.field(&notice, "state").await["stringValue"] == "delivered" {
                        told.insert(id.clone());
                    }
                }
            }
            if kill_after.is_some_and(|after| told.len() >= after) {
                kill_after = None;
                plant.kill(0);
            }
            if rounds % 100 == 0 {
                plant.sweep().await;
            }
            told.len() == ids.len()
        })
        .await;
    assert!(kill_after.is_none(), "nobody was killed");

    let mut captured = 0;
    for id in &ids {
        assert_eq!(plant.status(id).await, "completed", "{id}");
        let entry = format!("users/u1/credit_entries/{id}:1:capture");
        let amount = plant.number(&entry, "amount").await;
        assert!(amount > 0);
        captured += amount;
        let notice = format!("outbox/{id}:1:job.completed");
        assert_eq!(plant.number(&notice, "deliveries").await, 1, "{id}");
    }
    let submissions = plant.sandbox.submissions();
    assert_eq!(submissions.len(), jobs, "one submission each");
    let credits = plant.number("users/u1", "credits").await;
    let held = plant.number("users/u1", "credits_held").await;
    assert_eq!((credits, held), (GRANT - captured, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_share_sixty_jobs() {
    share(60, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_finish_when_the_third_is_killed() {
    share(60, Some(10)).await;
}
