use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use bytes::Bytes;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

use super::{Answer, App, until};

fn request(path: &str) -> Builder {
    Request::post(path).header("authorization", "Bearer alice-token")
}

async fn upload(app: &App, path: &str, body: impl Into<Body>) -> Answer {
    app.send(request(path).body(body.into()).unwrap()).await
}

#[tokio::test]
async fn an_upload_becomes_an_input() {
    let app = App::new();
    let answer = upload(&app, "/v1/sources?name=my%20clip.mp4", "abc").await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["bytes"], 3);
    let source = body["source"].as_str().unwrap();
    assert!(source.starts_with("sources/alice/") && source.ends_with("/my_clip.mp4"));
    assert_eq!(std::fs::read(app.dir.path().join(source)).unwrap(), b"abc");
    let mut job = super::upscale();
    job["source"]["video"] = source.into();
    assert_eq!(app.post("/v1/jobs", job).await.status, 201);
}

#[tokio::test]
async fn a_large_upload_is_streamed_whole() {
    let app = App::new();
    let address = app.serve().await;
    let chunk = Bytes::from(vec![9_u8; 1 << 20]);
    let stream =
        futures::stream::iter((0..12).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let answer = reqwest::Client::new()
        .put(format!("http://{address}/v1/sources?name=a.mp4"))
        .bearer_auth("alice-token")
        .body(reqwest::Body::wrap_stream(stream))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let files = app.files();
    assert_eq!(files.len(), 1);
    assert_eq!(std::fs::metadata(&files[0]).unwrap().len(), 12 << 20);
}

#[tokio::test]
async fn too_much_is_refused_early_and_late() {
    let app = App::with(|settings| settings.max_upload_bytes = 8 << 20);
    let announced = request("/v1/sources?name=a.mp4")
        .header("content-length", (9 << 20).to_string())
        .body(Body::from_stream(futures::stream::pending::<
            std::io::Result<Bytes>,
        >()));
    // The body never comes: only the announcement can refuse it.
    let answer = tokio::time::timeout(Duration::from_secs(5), app.send(announced.unwrap()))
        .await
        .unwrap();
    answer.problem(413, "request_too_large");

    let chunk = Bytes::from(vec![0_u8; 1 << 20]);
    let endless = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
    let answer = upload(&app, "/v1/sources?name=a.mp4", Body::from_stream(endless)).await;
    answer.problem(413, "request_too_large");
    until("nothing is left", || app.files().is_empty()).await;

    let exactly = upload(&app, "/v1/sources?name=a.mp4", vec![0_u8; 8 << 20]).await;
    assert_eq!(exactly.status, 201);
}

#[tokio::test]
async fn a_broken_upload_leaves_nothing_behind() {
    let app = App::new();
    let address = app.serve().await;
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/sources?name=a.mp4 HTTP/1.1\r\nhost: localhost\r\n\
                authorization: Bearer alice-token\r\ncontent-length: 16000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&vec![1_u8; 8_000_000]).await.unwrap();
    until("a part is staged", || !app.files().is_empty()).await;
    drop(socket);
    until("nothing is left", || app.files().is_empty()).await;
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_is_told() {
    let app = App::new();
    upload(&app, "/v1/sources?name=a.mp4", "")
        .await
        .problem(422, "empty_file");
    assert!(app.files().is_empty());
    for (path, field) in [
        ("/v1/sources", "name"),
        ("/v1/sources?name=a&size=1", "size"),
        ("/v1/sources?name=a&owner=bob", "owner"),
        ("/v1/sources?name=a&owner=b%2Fc", "owner"),
    ] {
        let problem = upload(&app, path, "x")
            .await
            .problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], field, "{path}");
    }
    let anonymous = Request::post("/v1/sources?name=a").body(Body::from("x"));
    app.send(anonymous.unwrap())
        .await
        .problem(401, "unauthorized");
    assert!(app.files().is_empty());
}

/// An upload of which the first bytes are there, and no more will come.
fn begun() -> Body {
    let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))]);
    Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()))
}

#[tokio::test]
async fn uploads_are_bounded_in_number_in_bytes_and_for_one_owner() {
    let app = App::with(|settings| {
        settings.max_upload_bytes = 20 << 20;
        (settings.max_uploads, settings.max_uploads_per_owner) = (4, 2);
        settings.max_upload_total = 45 << 20;
    });
    let router = app.router();
    let start = |who: &str, bytes: u64| {
        let request = Request::post("/v1/sources?name=a.mp4")
            .header("authorization", format!("Bearer {who}-token"))
            .header("content-length", bytes.to_string())
            .body(begun())
            .unwrap();
        tokio::spawn(tower::ServiceExt::oneshot(router.clone(), request))
    };
    let held = [start("alice", 1), start("alice", 20 << 20)];
    until("both are under way", || app.files().len() == 2).await;
    let refused = async |path: &str, told: &str| {
        let answer = upload(&app, path, "x").await;
        let problem = answer.problem(503, "overloaded");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(told), "{detail}");
        assert_eq!(answer.header("retry-after"), Some("30"));
    };
    refused("/v1/sources?name=a.mp4", "one owner").await;
    // 21 MiB of 45 are spoken for. What says nothing of its size may be as large as any.
    let large = start("bob", 25 << 20).await.unwrap().unwrap();
    assert_eq!(large.status(), 413);
    let bobs = start("bob", 20 << 20);
    until("bob's is under way", || app.files().len() == 3).await;
    let more = Request::post("/v1/sources?name=a.mp4")
        .header("authorization", "Bearer operator-token")
        .body(Body::from("x"));
    let problem = app.send(more.unwrap()).await.problem(503, "overloaded");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("bytes"), "{detail}");
    for upload in held.into_iter().chain([bobs]) {
        upload.abort();
    }
}
