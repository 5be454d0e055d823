//! One job of each kind, written and pushed as the API service would.

use serde_json::{Value, json};

use super::plant::{API_TOKEN, GRANT, Plant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_from_document_to_links() {
    let Some(mut plant) = Plant::start(1, true).await else {
        return;
    };
    let kinds = [
        ("character_replace", json!({"resolution": "480p"})),
        (
            "extend",
            json!({"prompt": "it goes on", "seconds": 4, "resolution": "480p"}),
        ),
        ("upscale", json!({"target": "720p"})),
    ];
    for (kind, params) in &kinds {
        plant.push(kind, kind, params.clone()).await;
    }
    plant
        .run_until(async |plant: &mut Plant| {
            for (kind, _) in [("character_replace", 0), ("extend", 0), ("upscale", 0)] {
                let notice = format!("outbox/{kind}:1:job.completed");
                let state = plant.field(&notice, "state").await;
                if state["stringValue"] != "delivered" {
                    let status = plant.status(kind).await;
                    assert!(
                        status != "failed",
                        "{:#?}",
                        plant.field(&format!("jobs/{kind}"), "error").await
                    );
                    return false;
                }
            }
            true
        })
        .await;
    assert_eq!(plant.sandbox.submissions().len(), 3);
    assert_eq!(plant.number("users/u1", "credits_held").await, 0);
    assert!(plant.number("users/u1", "credits").await < GRANT);
    for (kind, _) in &kinds {
        assert_eq!(plant.status(kind).await, "completed");
        assert_eq!(
            plant
                .number(&format!("outbox/{kind}:1:job.completed"), "deliveries")
                .await,
            1
        );
        let entry = plant
            .field(
                &format!("users/u1/credit_entries/{kind}:1:capture"),
                "amount",
            )
            .await;
        assert!(entry["integerValue"].is_string(), "{kind}: {entry}");

        let address = format!("{}v1/jobs/{kind}", plant.address);
        let job = plant
            .client
            .get(address)
            .bearer_auth(API_TOKEN)
            .send()
            .await
            .unwrap();
        let job: Value = job.json().await.unwrap();
        let names = plant.gcs.names();
        for (link, suffix, content_type) in [
            ("video", "video.mp4", "video/mp4"),
            ("poster", "poster.jpg", "image/jpeg"),
            ("storyboard", "storyboard.jpg", "image/jpeg"),
            ("storyboard_vtt", "storyboard.vtt", "text/vtt"),
        ] {
            let name = names
                .iter()
                .find(|name| {
                    name.starts_with(&format!("results/{kind}/")) && name.ends_with(suffix)
                })
                .unwrap();
            let signed = job["result"][link].as_str().unwrap();
            let object = plant.gcs.object(name).unwrap();
            assert_eq!(
                object.headers.get("content-type").map(String::as_str),
                Some(content_type),
                "{kind}"
            );
            let got = plant.open(signed).await;
            assert_eq!(got, object.bytes, "{kind}: {signed}");
        }
    }
    let left: Vec<_> = plant
        .gcs
        .names()
        .into_iter()
        .filter(|name| name.starts_with("work/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(plant.gcs.open_uploads(), 0);
}
