//! What a job would cost, asked of the whole service.

use filmlab::sandbox::SandboxConfig;
use serde_json::{Value, json};

use super::lab::Lab;

#[tokio::test]
async fn an_upload_is_quoted_by_its_length_and_nothing_is_made() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let service = lab.start().await;
    let video = lab.upload(&service, &lab.clip).await;
    let quote = async |body: Value| {
        let address = format!("http://{}/v1/quotes", service.address);
        let answer = lab.http.post(address).json(&body).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let (status, long) = quote(
        json!({"kind": "extend", "params": {"prompt": "on", "seconds": 10},
        "source": {"video": video}}),
    )
    .await;
    assert_eq!(status, 200, "{long}");
    assert_eq!(
        (&long["model"], &long["billed_seconds"]),
        (&json!("wavespeed-ai/minimax-h3/video-extend"), &json!(10.0))
    );
    assert_eq!(
        long["provider"],
        json!({"price": 1.0, "currency": "USD", "is_floor": false, "list_price_usd": 0.4})
    );
    let (status, refused) = quote(
        json!({"kind": "extend", "params": {"prompt": "on", "seconds": 30,
        "resolution": "2k"}, "source": {"video": video}}),
    )
    .await;
    assert_eq!(status, 400, "{refused}");
    let jobs = format!("http://{}/v1/jobs", service.address);
    let jobs: Value = lab
        .http
        .get(jobs)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(jobs["jobs"], json!([]));
    assert!(lab.sandbox.submissions().is_empty());
    service.stop().await;
}
