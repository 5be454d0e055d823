//! Downloads: whole or not at all, and from public addresses only.

use std::path::Path;
use std::time::Duration;

use filmlab::outgoing::LeastRate;
use filmlab::provider::ProviderError;
use filmlab::provider::wavespeed::WaveSpeed;

use super::stub::{Reply, Stub, reply};
use super::{DownloadTo as _, client, config, url};

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("folder").next().is_none()
}

#[tokio::test]
async fn a_file_appears_whole_and_without_the_key() {
    let stub = Stub::start(vec![reply(200, "", "video")]).await;
    let folder = tempfile::tempdir().expect("folder");
    let to = folder.path().join("generated.mp4");
    let bytes = client(&stub.base)
        .download_to(&stub.base.join("1.mp4").expect("address"), &to, 5)
        .await
        .expect("downloaded");
    assert_eq!(bytes, 5);
    assert_eq!(std::fs::read(&to).expect("file"), b"video");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    assert!(
        !stub.seen()[0]
            .to_ascii_lowercase()
            .contains("authorization")
    );
}

#[tokio::test]
async fn what_is_not_whole_leaves_nothing_behind() {
    let early = "HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nfive.";
    let chunked = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfive.\r\n";
    let endless = format!(
        "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n{}",
        "x".repeat(2000)
    );
    let table = [
        (Reply::Bytes(early.into()), "incomplete"),
        (Reply::Bytes(chunked.into()), "incomplete"),
        (reply(200, "", ""), "incomplete"),
        (reply(200, "", &"x".repeat(1001)), "too large"),
        (Reply::Bytes(endless), "too large"),
        (reply(404, "", ""), "not found"),
        (reply(403, "", "<Error>AccessDenied</Error>"), "not found"),
        (reply(204, "", ""), "protocol"),
        (reply(416, "", ""), "rejected"),
        (reply(500, "", ""), "unavailable"),
        (reply(429, "retry-after: 600\r\n", ""), "busy"),
        (Reply::Silence(Duration::from_secs(5)), "unavailable"),
    ];
    for (answer, expected) in table {
        let stub = Stub::start(vec![answer.clone()]).await;
        let folder = tempfile::tempdir().expect("folder");
        let mut config = config(&stub.base);
        config.download_idle_timeout = Duration::from_millis(50);
        let wavespeed = WaveSpeed::new(config).expect("valid");
        let result = wavespeed
            .download_to(&stub.base, &folder.path().join("v.mp4"), 1000)
            .await;
        let got = match &result {
            Ok(_) => "whole",
            Err(ProviderError::Incomplete { .. }) => "incomplete",
            Err(ProviderError::TooLarge { limit: 1000 }) => "too large",
            Err(ProviderError::NotFound { .. }) => "not found",
            Err(ProviderError::Protocol { .. }) => "protocol",
            Err(ProviderError::Rejected { .. }) => "rejected",
            Err(ProviderError::Unavailable { .. }) => "unavailable",
            Err(ProviderError::Busy { .. }) => "busy",
            Err(_) => "another error",
        };
        assert_eq!(got, expected, "{answer:?} gave {result:?}");
        assert!(is_empty(folder.path()), "{answer:?} left a file");
    }
}

#[tokio::test]
async fn a_body_that_stalls_ends() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("port");
    let base = url(&format!(
        "http://{}",
        listener.local_addr().expect("address")
    ));
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nabc")
            .await;
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
    let folder = tempfile::tempdir().expect("folder");
    let mut config = config(&base);
    config.download_idle_timeout = Duration::from_millis(50);
    let result = WaveSpeed::new(config)
        .expect("valid")
        .download_to(&base, &folder.path().join("v.mp4"), 100)
        .await;
    assert!(
        matches!(result, Err(ProviderError::Incomplete { .. })),
        "{result:?}"
    );
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn redirects_are_followed_where_they_lead_to_allowed_places() {
    let folder = tempfile::tempdir().expect("folder");
    let to = folder.path().join("v.mp4");
    let target = Stub::start(vec![reply(200, "", "video")]).await;
    let hop = |to: &str| reply(302, &format!("location: {to}\r\n"), "");

    let stub = Stub::start(vec![hop("/b"), hop("/c"), hop(target.base.as_str())]).await;
    let bytes = client(&stub.base).download_to(&stub.base, &to, 100).await;
    assert_eq!(bytes.expect("three are allowed"), 5);
    assert!(
        !target.seen()[0]
            .to_ascii_lowercase()
            .contains("authorization")
    );
    std::fs::remove_file(&to).expect("file");

    let stub = Stub::start(vec![hop("/again")]).await;
    let result = client(&stub.base).download_to(&stub.base, &to, 100).await;
    assert!(result.is_err(), "for ever is not");
    assert_eq!(stub.seen().len(), 4);

    for inside in [
        "http://10.0.0.1/v.mp4",
        "http://169.254.169.254/computeMetadata/v1/",
        "https://[fd00::1]/v.mp4",
        "file:///etc/passwd",
        "http://example.com/v.mp4",
    ] {
        let stub = Stub::start(vec![hop(inside)]).await;
        let result = client(&stub.base).download_to(&stub.base, &to, 100).await;
        assert!(result.is_err(), "{inside}: {result:?}");
        assert_eq!(stub.seen().len(), 1, "{inside} is no passing failure");
    }
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn without_the_setting_this_machine_is_out_of_reach() {
    let stub = Stub::start(vec![reply(200, "", "video")]).await;
    let mut config = config(&stub.base);
    config.allow_loopback = false;
    let wavespeed = WaveSpeed::new(config).expect("valid");
    let folder = tempfile::tempdir().expect("folder");
    for output in [
        stub.base.clone(),
        url("https://localhost/v.mp4"),
        url("https://10.0.0.1/v"),
    ] {
        let result = wavespeed
            .download_to(&output, &folder.path().join("v.mp4"), 100)
            .await;
        assert!(
            matches!(result, Err(ProviderError::Rejected { .. })),
            "{output}: {result:?}"
        );
    }
    assert_eq!(stub.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_drips_ends_by_the_least_rate() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("port");
    let base = url(&format!(
        "http://{}",
        listener.local_addr().expect("address")
    ));
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n")
            .await;
        // Never silent for long.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let folder = tempfile::tempdir().expect("folder");
    let mut config = config(&base);
    config.least_rate = LeastRate {
        bytes: 1_000,
        window: Duration::from_millis(300),
    };
    let result = WaveSpeed::new(config)
        .expect("valid")
        .download_to(&base, &folder.path().join("v.mp4"), 100_000)
        .await;
    let Err(ProviderError::Incomplete { message }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(message, "fewer than 1000 bytes came in 0.3 s");
    assert!(is_empty(folder.path()));
}
