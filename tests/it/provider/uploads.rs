//! Uploads: both generations, and what is sent where.

use filmlab::provider::{Provider, ProviderError};
use filmlab::sandbox::SandboxConfig;

use super::stub::{Reply, Stub, json, reply};
use super::{client, config, fixture};
use crate::sandbox::start;

#[tokio::test]
async fn a_file_goes_up_by_the_current_generation() {
    let sandbox = start(SandboxConfig::default()).await;
    let file = fixture("bigbuckbunny.mp4");
    let url = client(&sandbox.base_url())
        .upload(&file, "video/mp4")
        .await
        .expect("uploaded");
    let uploads = sandbox.uploads();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].url, url.as_str());
    assert_eq!(uploads[0].content_type, "video/mp4");
    let fetched = reqwest::get(url).await.expect("sent").bytes().await;
    assert_eq!(
        fetched.expect("read"),
        std::fs::read(&file).expect("fixture")
    );
    let put: Vec<_> = sandbox
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT")
        .collect();
    assert_eq!(put.len(), 1);
    assert!(!put[0].authorized, "the store never sees the key");
}

#[tokio::test]
async fn an_older_server_is_sent_a_form() {
    let sandbox = start(SandboxConfig {
        upload_generation: 2,
        ..SandboxConfig::default()
    })
    .await;
    let file = fixture("character.png");
    client(&sandbox.base_url())
        .upload(&file, "image/png")
        .await
        .expect("uploaded");
    let uploads = sandbox.uploads();
    assert_eq!(uploads[0].bytes, file.metadata().expect("fixture").len());
    assert_eq!(uploads[0].content_type, "image/png");
    assert_eq!(uploads[0].filename, "character.png");
}

#[tokio::test]
async fn exactly_the_headers_given_are_sent() {
    let store = Stub::start(vec![reply(200, "", "")]).await;
    let place = format!(
        r#"{{"code":200,"data":{{"download_url":"https://a.example/v.mp4","upload":{{"method":"PUT",
        "url":"{}put?sig=1","headers":{{"Content-Type":"video/x-own","If-None-Match":"*","X-Own":"1"}}}}}}}}"#,
        store.base
    );
    let api = Stub::start(vec![json(200, &place)]).await;
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("v.mp4");
    std::fs::write(&file, "four").expect("file");
    let url = client(&api.base)
        .upload(&file, "video/mp4")
        .await
        .expect("uploaded");
    assert_eq!(url.as_str(), "https://a.example/v.mp4");
    assert!(api.seen()[0].contains("authorization: Bearer sandbox"));
    let put = store.seen().remove(0).to_ascii_lowercase();
    let (head, body) = put.split_once("\r\n\r\n").expect("whole");
    let mut names: Vec<_> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':').map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "content-length",
            "content-type",
            "host",
            "if-none-match",
            "user-agent",
            "x-own"
        ]
    );
    assert!(head.contains("content-type: video/x-own"), "{head}");
    assert_eq!(body, "four");
}

#[tokio::test]
async fn a_failed_upload_is_tried_again_at_a_new_place() {
    let store = Stub::start(vec![Reply::Drop, reply(503, "", ""), reply(200, "", "")]).await;
    let place = |n: u32| {
        json(
            200,
            &format!(
                r#"{{"data":{{"download_url":"https://a.example/{n}","upload":{{"url":"{}put/{n}"}}}}}}"#,
                store.base
            ),
        )
    };
    let api = Stub::start(vec![json(503, "{}"), place(1), place(2), place(3)]).await;
    let url = client(&api.base)
        .upload(&fixture("logo.png"), "image/png")
        .await
        .expect("uploaded");
    assert_eq!(url.as_str(), "https://a.example/3");
    let puts: Vec<_> = store
        .seen()
        .iter()
        .filter_map(|request| request.split(' ').nth(1).map(ToOwned::to_owned))
        .collect();
    assert_eq!(puts, ["/put/1", "/put/2", "/put/3"]);
}

#[tokio::test]
async fn what_cannot_succeed_is_not_tried_again() {
    let api = Stub::start(vec![json(401, "{}")]).await;
    let result = client(&api.base)
        .upload(&fixture("logo.png"), "image/png")
        .await;
    assert!(
        matches!(result, Err(ProviderError::Unauthorized { .. })),
        "{result:?}"
    );
    assert_eq!(api.seen().len(), 1);

    let mut small = config(&api.base);
    small.max_upload_bytes = 10;
    let small = filmlab::provider::wavespeed::WaveSpeed::new(small).expect("valid");
    let result = small.upload(&fixture("logo.png"), "image/png").await;
    assert!(
        matches!(result, Err(ProviderError::TooLarge { limit: 10 })),
        "{result:?}"
    );

    let result = client(&api.base)
        .upload(&fixture("missing.mp4"), "video/mp4")
        .await;
    assert!(matches!(result, Err(ProviderError::File(_))), "{result:?}");
    assert_eq!(api.seen().len(), 1, "neither reached the API");
}

#[tokio::test]
async fn a_place_inside_our_network_is_refused() {
    let place =
        r#"{"data":{"download_url":"https://a.example/1","upload":{"url":"http://10.0.0.1/put"}}}"#;
    let api = Stub::start(vec![json(200, place)]).await;
    let result = client(&api.base)
        .upload(&fixture("logo.png"), "image/png")
        .await;
    assert!(
        matches!(result, Err(ProviderError::Protocol { .. })),
        "{result:?}"
    );
}
