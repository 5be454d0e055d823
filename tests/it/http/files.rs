use axum::body::Body;
use axum::http::{Method, Request};
use std::time::Duration;
use url::Url;

use super::{Answer, App};

const CONTENT: &[u8] = b"0123456789";

async fn put(app: &App, object: &str) {
    app.state
        .storage
        .put_bytes(CONTENT.into(), object)
        .await
        .unwrap();
}

async fn link(app: &App, object: &str, name: Option<&str>) -> Url {
    let ttl = Duration::from_secs(600);
    app.state.storage.link(object, ttl, name).await.unwrap()
}

async fn fetch(app: &App, method: Method, url: &Url, headers: &[(&str, &str)]) -> Answer {
    let path = &url[url::Position::BeforePath..];
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_signed_link_opens_its_object() {
    let app = App::new();
    // A space, a sign that means something in addresses, and letters beyond ASCII.
    let object = "results/j 1/été/50+1.mp4";
    put(&app, object).await;
    let url = link(&app, object, Some("mein Film ü.mp4")).await;
    let answer = fetch(&app, Method::GET, &url, &[]).await;
    assert_eq!((answer.status.as_u16(), &answer.bytes[..]), (200, CONTENT));
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, max-age=600"),
        ("x-content-type-options", "nosniff"),
        (
            "content-disposition",
            "attachment; filename=\"mein Film _.mp4\"; filename*=UTF-8''mein%20Film%20%C3%BC.mp4",
        ),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let head = fetch(&app, Method::HEAD, &url, &[]).await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("10"));
    assert_eq!(head.header("etag"), answer.header("etag"));
    let etag = answer.header("etag").unwrap();
    let known = fetch(&app, Method::GET, &url, &[("if-none-match", etag)]).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
}

#[tokio::test]
async fn one_range_is_served_and_an_impossible_one_refused() {
    let app = App::new();
    put(&app, "results/a.mp4").await;
    let url = link(&app, "results/a.mp4", None).await;
    for (range, bytes, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let answer = fetch(&app, Method::GET, &url, &[("range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.bytes, bytes, "{range}");
        assert_eq!(answer.header("content-range"), Some(content_range));
        let length = bytes.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
    }
    let beyond = fetch(&app, Method::GET, &url, &[("range", "bytes=10-")]).await;
    beyond.problem(416, "invalid_request");
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    // Several ranges, or one of another version: the whole.
    let several = fetch(&app, Method::GET, &url, &[("range", "bytes=0-1,3-4")]).await;
    assert_eq!((several.status.as_u16(), several.bytes.len()), (200, 10));
    let stale = [("range", "bytes=0-1"), ("if-range", "\"old\"")];
    let stale = fetch(&app, Method::GET, &url, &stale).await;
    assert_eq!((stale.status.as_u16(), stale.bytes.len()), (200, 10));
}

#[tokio::test]
async fn forged_changed_and_old_links_stay_closed() {
    let app = App::new();
    for object in ["results/a.mp4", "results/b.mp4"] {
        put(&app, object).await;
    }
    let url = link(&app, "results/a.mp4", Some("a.mp4")).await;
    let text = url.to_string();
    let exp = url
        .query_pairs()
        .find(|(name, _)| name == "exp")
        .unwrap()
        .1
        .into_owned();
    let later = (exp.parse::<i64>().unwrap() + 60).to_string();
    let forged = [
        text.replace("a.mp4?", "b.mp4?"),
        text.replace(&exp, &later),
        text.replace("name=a.mp4", "name=b.mp4"),
        text.replace("name=a.mp4&", ""),
        text.replace("sig=", "sig=A"),
        text.split("&sig").next().unwrap().to_owned(),
        text.split('?').next().unwrap().to_owned(),
        text.replace(&exp, "soon"),
    ];
    for bad in forged {
        assert_ne!(bad, text);
        let answer = fetch(&app, Method::GET, &bad.parse().unwrap(), &[]).await;
        let problem = answer.problem(403, "unauthorized");
        assert!(!problem.to_string().contains("0123"));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    app.clock.advance(Duration::from_secs(599));
    assert_eq!(fetch(&app, Method::GET, &url, &[]).await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    let expired = fetch(&app, Method::GET, &url, &[]).await;
    expired.problem(403, "unauthorized");
}

#[tokio::test]
async fn what_is_missing_is_missing_and_what_is_foreign_is_a_download() {
    let app = App::new();
    let url = link(&app, "results/none.mp4", None).await;
    fetch(&app, Method::GET, &url, &[])
        .await
        .problem(404, "not_found");
    put(&app, "sources/u/page.html").await;
    let url = link(&app, "sources/u/page.html", None).await;
    let answer = fetch(&app, Method::GET, &url, &[]).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(answer.header("content-disposition"), Some("attachment"));
    assert!(
        answer
            .header("content-security-policy")
            .unwrap()
            .starts_with("sandbox;")
    );
    let url = link(&app, "results/empty.json", None).await;
    app.state
        .storage
        .put_bytes(bytes::Bytes::new(), "results/empty.json")
        .await
        .unwrap();
    let empty = fetch(&app, Method::GET, &url, &[]).await;
    assert_eq!((empty.status.as_u16(), empty.bytes.len()), (200, 0));
}

#[tokio::test]
async fn a_browser_that_seeks_gets_what_it_asks_for() {
    let app = App::new();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    app.state
        .storage
        .put_bytes(content.clone().into(), "results/long.mp4")
        .await
        .unwrap();
    let address = app.serve().await;
    let mut url = link(&app, "results/long.mp4", None).await;
    url.set_port(Some(address.port())).unwrap();
    let answer = reqwest::Client::new()
        .get(url)
        .header("range", "bytes=1000000-")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.content_length(), Some(2_000_000));
    assert_eq!(answer.bytes().await.unwrap(), content[1_000_000..]);
}
