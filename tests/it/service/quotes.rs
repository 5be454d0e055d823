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
        json!({"price": 0.4, "currency": "USD", "is_floor": false, "list_price_usd": 0.4})
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

/// A browser's recorder does not write how long it ran.
#[tokio::test]
async fn a_recording_that_says_no_length_is_quoted_by_what_it_holds() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let service = lab.start().await;
    let live = crate::media::support::fixture(
        "quoted.webm",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -c:v libvpx -deadline realtime \
         -live 1",
    );
    let video = lab.upload(&service, &live).await;
    let answer = lab
        .http
        .post(format!("http://{}/v1/quotes", service.address))
        .json(&json!({"kind": "upscale", "source": {"video": video}}))
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let quote = answer.json::<Value>().await.unwrap();
    assert_eq!(status, 200, "{quote}");
    let seconds = quote["billed_seconds"].as_f64().unwrap();
    assert!((seconds - 6.0).abs() < 0.1, "{quote}");
    service.stop().await;
}
