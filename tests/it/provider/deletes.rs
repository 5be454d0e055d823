//! Deleting the provider's copies.

use filmlab::provider::{Prediction, Provider, ProviderError};
use filmlab::sandbox::SandboxConfig;

use super::road::finished;
use super::stub::{Reply, Stub, json};
use super::{DownloadTo as _, client, fixture, upscale};
use crate::sandbox::start;

const ID: &str = "e6832d4abffb4d79bfbca19783fca133";

fn ids(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[tokio::test]
async fn a_deleted_prediction_and_its_video_are_gone_and_others_stay() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    let video = wavespeed
        .upload(&fixture("bigbuckbunny.mp4"), "video/mp4")
        .await
        .expect("uploaded");
    let first = wavespeed.submit(&upscale(video.clone())).await;
    let second = wavespeed.submit(&upscale(video)).await;
    let (first, second) = (first.expect("taken"), second.expect("taken"));
    let Prediction::Completed { output } = finished(&wavespeed, &first).await else {
        panic!("it did not complete");
    };

    let both = ids(&[&first, ID, "../balance", ""]);
    wavespeed.delete(&both).await.expect("deleted");
    let asked = wavespeed.prediction(&first).await;
    assert!(
        matches!(asked, Err(ProviderError::NotFound { .. })),
        "{asked:?}"
    );
    let folder = tempfile::tempdir().expect("folder");
    let to = folder.path().join("v.mp4");
    let fetched = wavespeed.download_to(&output, &to, 100_000_000).await;
    assert!(
        matches!(fetched, Err(ProviderError::NotFound { .. })),
        "{fetched:?}"
    );
    // Again, and what was never there.
    wavespeed.delete(&both).await.expect("no error");

    let kept = finished(&wavespeed, &second).await;
    assert!(matches!(kept, Prediction::Completed { .. }), "{kept:?}");
}

#[tokio::test]
async fn a_deletion_is_asked_as_documented() {
    let stub = Stub::start(vec![json(
        200,
        r#"{"code":200,"data":{"deleted_count":1}}"#,
    )])
    .await;
    let wavespeed = client(&stub.base);
    wavespeed.delete(&ids(&[ID])).await.expect("deleted");
    let seen = stub.seen();
    assert_eq!(seen.len(), 1);
    let (head, body) = seen[0].split_once("\r\n\r\n").expect("a request");
    assert!(head.starts_with("POST /api/v3/predictions/delete HTTP/1.1\r\n"));
    assert!(head.contains("authorization: Bearer sandbox"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body, serde_json::json!({"ids": [ID]}));

    // Nothing to delete is nothing to ask.
    wavespeed.delete(&[]).await.expect("nothing");
    wavespeed.delete(&ids(&["a/b"])).await.expect("nothing");
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn a_deletion_is_repeated_where_that_helps_and_says_why_it_failed() {
    let done = json(200, r#"{"code":200,"data":{"deleted_count":0}}"#);
    let table = [
        (vec![json(503, ""), Reply::Drop, done.clone()], "done", 3),
        // A page of a gateway deletes nothing; the API knows what is not there.
        (vec![json(404, "{}")], "unavailable", 1),
        (vec![json(404, r#"{"code":404,"message":"no"}"#)], "done", 1),
        (vec![json(200, r#"{"code":404,"message":"no"}"#)], "done", 1),
        (vec![json(401, "{}")], "unauthorized", 1),
        (vec![json(400, "{}")], "rejected", 1),
        (vec![json(500, "{}")], "unavailable", 4),
    ];
    for (replies, expected, calls) in table {
        let stub = Stub::start(replies.clone()).await;
        let result = client(&stub.base).delete(&ids(&[ID])).await;
        let got = match &result {
            Ok(()) => "done",
            Err(ProviderError::Unauthorized { .. }) => "unauthorized",
            Err(ProviderError::Rejected { .. }) => "rejected",
            Err(ProviderError::Unavailable { .. }) => "unavailable",
            Err(_) => "another error",
        };
        assert_eq!((got, stub.seen().len()), (expected, calls), "{replies:?}");
    }
}

#[tokio::test]
async fn many_are_deleted_in_bounded_requests() {
    let stub = Stub::start(vec![json(200, r#"{"data":{"deleted_count":1}}"#)]).await;
    let many: Vec<_> = (0..250).map(|number| format!("{number:032x}")).collect();
    client(&stub.base).delete(&many).await.expect("deleted");
    assert_eq!(stub.seen().len(), 3);
}
