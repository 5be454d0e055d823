//! A service whose provider describes its models otherwise than the table.

use std::time::Duration;

use filmlab::sandbox::{Drift, Drifts, SandboxConfig, SandboxHandle};
use serde_json::json;

use super::lab::Lab;

const ANIMATE: &str = "wavespeed-ai/wan-2.2/animate";

/// The real service drops a parameter that it does not know, and bills the rest.
fn dropped() -> Drifts {
    Drifts(vec![Drift::Dropped {
        model: ANIMATE.into(),
        parameter: "mode".into(),
    }])
}

async fn lab(drifts: Drifts) -> Option<Lab> {
    Lab::new(SandboxConfig {
        drifts,
        ..SandboxConfig::default()
    })
    .await
}

/// Waits until the service has read the catalogue so many times.
async fn read(sandbox: &SandboxHandle, times: usize) {
    for _ in 0..400 {
        let requests = sandbox.requests();
        let reads = requests.iter().filter(|one| one.path == "/api/v3/models");
        if reads.count() >= times {
            // The answer still has to be read there.
            tokio::time::sleep(Duration::from_millis(500)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the catalogue was not read");
}

#[tokio::test]
async fn a_narrower_live_schema_refuses_before_payment() {
    let narrower = Drift::Narrower {
        model: ANIMATE.into(),
        parameter: "resolution".into(),
        choices: Some(vec![json!("480p")]),
        minimum: None,
        maximum: None,
    };
    for drifts in [Drifts(vec![narrower]), dropped()] {
        let Some(mut lab) = lab(drifts).await else {
            return;
        };
        lab.set("PROVIDER__CATALOGUE", "enforce");
        let service = lab.start().await;
        read(&lab.sandbox, 1).await;
        let id = lab.create(&service).await;
        // The credits that were held are given back, and the owner is told.
        let job = lab.assert_failed(&service, &id, "model_changed").await;
        assert_eq!(job.attempt, 1, "{job:#?}");
        assert!(lab.sandbox.submissions().is_empty());
        let posts = lab.sandbox.requests();
        let path = format!("/api/v3/{ANIMATE}");
        assert!(posts.iter().all(|request| request.path != path));
        service.stop().await;
    }
}

#[tokio::test]
async fn by_default_it_is_only_told() {
    let Some(lab) = lab(dropped()).await else {
        return;
    };
    let service = lab.start().await;
    read(&lab.sandbox, 1).await;
    let id = lab.create(&service).await;
    lab.assert_completed_once(&service, &id).await;
    service.stop().await;
}

/// Neither the start nor a job waits for a catalogue that does not come, and a stop ends the read.
#[tokio::test]
async fn nothing_waits_for_the_catalogue() {
    for drift in [
        Drift::Late { ms: 60_000 },
        Drift::Malformed,
        Drift::Unreachable,
    ] {
        let Some(mut lab) = lab(Drifts(vec![drift])).await else {
            return;
        };
        lab.set("PROVIDER__CATALOGUE", "enforce");
        let service = lab.start().await;
        let id = lab.create(&service).await;
        lab.assert_completed_once(&service, &id).await;
        assert!(service.stop().await < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_catalogue_that_is_not_wanted_is_not_asked_for() {
    let Some(mut lab) = lab(dropped()).await else {
        return;
    };
    lab.set("PROVIDER__CATALOGUE", "off");
    let service = lab.start().await;
    let id = lab.create(&service).await;
    lab.assert_completed_once(&service, &id).await;
    let requests = lab.sandbox.requests();
    assert!(requests.iter().all(|one| one.path != "/api/v3/models"));
    service.stop().await;
}
