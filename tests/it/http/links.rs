//! Fresh links to a result.

use axum::http::Method;
use filmlab::job::{JobId, Published, Status};
use serde_json::{Value, json};

use super::App;

async fn completed(app: &App) -> JobId {
    let id = app.create().await;
    app.change(&id, |job| {
        job.status = Status::Completed;
        job.result = Some(Published {
            video: format!("results/{}/1-1/video.mp4", job.id),
            poster: "results/p.jpg".into(),
            metadata: "results/m.json".into(),
            storyboard: None,
            storyboard_vtt: None,
            bytes: 7,
            duration_ms: 5,
            width: 4,
            height: 2,
            provenance: None,
        });
    });
    id
}

#[tokio::test]
async fn links_open_for_as_long_as_asked_for() {
    let app = App::new();
    let id = completed(&app).await;
    let path = format!("/v1/jobs/{id}/links");
    for (body, seconds) in [
        (Value::Null, 3600),
        (json!({}), 3600),
        (json!({"ttl_s": 1}), 1),
        (json!({"ttl_s": 43_200}), 43_200),
    ] {
        let answer = app.expect(Method::POST, &path, body, 200).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let links = answer.json();
        let expires: filmlab::clock::Timestamp =
            links["expires_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(expires.duration_since(app.now()).as_secs(), seconds);
        let video: url::Url = links["video"].as_str().unwrap().parse().unwrap();
        let exp = video
            .query_pairs()
            .find(|(name, _)| name == "exp")
            .unwrap()
            .1;
        assert_eq!(
            exp.parse::<i64>().unwrap(),
            expires.as_second(),
            "as signed"
        );
        for name in ["poster", "metadata"] {
            assert!(links[name].as_str().unwrap().starts_with("http"));
        }
    }
    for body in [
        json!({"ttl_s": 43_201}),
        json!({"ttl_s": 0}),
        json!({"ttl_s": "1h"}),
        json!({"ttl": 1}),
        json!(7),
    ] {
        app.post(&path, body).await.problem(400, "invalid_request");
    }
    let others = app.call("bob", Method::POST, &path, None, &[]).await;
    others.problem(404, "not_found");
}

#[tokio::test]
async fn without_a_result_there_are_no_links() {
    let app = App::new();
    let id = app.create().await;
    let path = format!("/v1/jobs/{id}/links");
    app.post(&path, Value::Null).await.problem(409, "conflict");
    // One that is made but not settled is not published.
    let done = completed(&app).await;
    app.change(&done, |job| job.status = Status::Processing);
    let path = format!("/v1/jobs/{done}/links");
    app.post(&path, Value::Null).await.problem(409, "conflict");

    app.change(&done, |job| {
        job.status = Status::Completed;
        job.result = None;
        job.result_expired_at = Some(job.created_at);
    });
    app.post(&path, Value::Null)
        .await
        .problem(410, "result_expired");
    let view = app.get(&format!("/v1/jobs/{done}")).await.json();
    assert_eq!(view["result"], Value::Null);
    assert_eq!(view["result_expired_at"], view["created_at"]);
}
