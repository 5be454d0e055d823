//! A model that fails rests for all processes, and one job tries it again.

use std::time::Duration;

use filmlab::sandbox::{Fault, FaultRule};
use serde_json::{Value, json};

use super::plant::Plant;

async fn push(plant: &Plant, id: &str) {
    let params = json!({"resolution": "480p"});
    plant.push(id, "character_replace", params).await;
}

async fn waits_for(plant: &Plant, id: &str) -> Value {
    let waiting = plant.field(&format!("jobs/{id}"), "waiting").await;
    waiting["mapValue"]["fields"]["for"]["stringValue"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_opens_rests_probes_and_closes_for_two_processes() {
    let Some(mut plant) = Plant::start(2, false).await else {
        return;
    };
    let fault: Fault = serde_json::from_value(json!({"fault": "failed_prediction"})).unwrap();
    plant.sandbox.add_fault(FaultRule {
        times: Some(3),
        ..FaultRule::always(fault)
    });
    // Three attempts of one job are as many failures as it opens at.
    push(&plant, "a").await;
    plant
        .run_until(async |plant: &mut Plant| plant.status("a").await == "failed")
        .await;
    let paid = |plant: &Plant| plant.sandbox.submissions().len();
    assert_eq!(paid(&plant), 3);
    let others = ["b", "c", "d", "e"];
    for id in others {
        push(&plant, id).await;
    }
    plant.sandbox.hold(true);
    // All wait for it, and nothing is paid while it rests; then one tries it.
    plant
        .run_until(async |plant: &mut Plant| {
            let mut waiting = 0;
            for id in others {
                waiting += usize::from(waits_for(plant, id).await == "breaker");
            }
            waiting == others.len() || paid(plant) > 3
        })
        .await;
    plant
        .run_until(async |plant: &mut Plant| paid(plant) > 3)
        .await;
    let one_tries = std::time::Instant::now();
    plant
        .run_until(async |plant: &mut Plant| {
            assert_eq!(paid(plant), 4, "one probe");
            let mut waiting = 0;
            for id in others {
                waiting += usize::from(waits_for(plant, id).await == "breaker");
            }
            waiting == 3 && one_tries.elapsed() > Duration::from_secs(1)
        })
        .await;

    plant.sandbox.hold(false);
    plant
        .run_until(async |plant: &mut Plant| {
            for id in others {
                if plant.status(id).await != "completed" {
                    return false;
                }
            }
            true
        })
        .await;
    assert_eq!(paid(&plant), 3 + others.len());
}
