//! A whole service, put together from the settings of a cloud deployment.

use std::sync::Arc;
use std::time::Duration;

use filmlab::app::App;
use filmlab::clock::SystemClock;
use filmlab::config::{Config, Sources};
use serde_json::{Value, json};

use crate::support::cloud_tasks::FakeCloudTasks;
use crate::support::gcs::{BUCKET, FakeGcs, Op};
use crate::support::google::{FakeGoogle, KEY};

fn load(dir: &std::path::Path, text: &str) -> Config {
    let file = dir.join("filmlab.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap()
}

#[tokio::test]
async fn a_job_goes_its_road_over_bucket_and_queue() {
    let dir = tempfile::tempdir().unwrap();
    let (google, gcs) = (FakeGoogle::default(), FakeGcs::default());
    *google.certs.lock().unwrap() = Some((vec![KEY.jwk()], 3600));
    let tasks = FakeCloudTasks::new(Arc::new(SystemClock));
    let (google_url, gcs_url, tasks_url) =
        (google.start().await, gcs.start().await, tasks.start().await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = format!(
        r#"
        [data]
        dir = "{dir}/data"
        [cloud]
        project = "demo"
        metadata_url = "{google_url}"
        [storage]
        backend = "gcs"
        bucket = "{BUCKET}"
        endpoint = "{gcs_url}"
        iam_endpoint = "{google_url}"
        [queue]
        backend = "cloud_tasks"
        location = "here"
        name = "jobs"
        endpoint = "{tasks_url}"
        [server]
        public_url = "http://{address}/"
        service_account = "tasks@demo.iam.gserviceaccount.com"
        certs_url = "{google_url}oauth2/v3/certs"
        [provider]
        base_url = "http://127.0.0.1:1"
        api_key = "nobody-answers"
        [links]
        key = "0123456789abcdef"
        "#,
        dir = dir.path().display(),
    );
    let config = load(dir.path(), &text);
    let app = App::build(&config, address, Arc::new(SystemClock))
        .await
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(app.run(listener, async {
        let _ = stopped.await;
    }));

    let client = reqwest::Client::new();
    let base = format!("http://{address}");
    let ready = client.get(format!("{base}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap());
    // A source that is not in the bucket: the shortest road to an end.
    let request = json!({
        "kind": "upscale", "params": {"target": "1080p"},
        "source": {"video": "sources/local/gone.mp4"},
    });
    let created = client
        .post(format!("{base}/v1/jobs"))
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
    let job: Value = created.json().await.unwrap();
    let id = job["id"].as_str().unwrap();
    // The visit, and the notice that it leaves.
    let mut brought = 0;
    for _ in 0..50 {
        brought += tasks.deliver_due(Duration::from_secs(10)).await;
        if brought >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((brought, tasks.waiting().len()), (2, 0));
    let job = client
        .get(format!("{base}/v1/jobs/{id}"))
        .send()
        .await
        .unwrap();
    let job: Value = job.json().await.unwrap();
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&"failed".into(), &"source_missing".into())
    );
    assert!(
        gcs.count(Op::Head) + gcs.count(Op::Get) >= 2,
        "the bucket was asked"
    );
    // Links lead to the bucket: this service serves none.
    let file = client
        .get(format!("{base}/files/results/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(file.status(), 404);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_put_together_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.json");
    std::fs::write(&key, "{}").unwrap();
    let text = format!(
        "[data]\ndir = \"{}\"\n[cloud]\ncredentials = \"{}\"\n[storage]\nbackend = \"gcs\"\n\
         bucket = \"b\"\n[provider]\napi_key = \"k\"",
        dir.path().display(),
        key.display(),
    );
    let config = load(dir.path(), &text);
    let address = "127.0.0.1:1".parse().unwrap();
    let failure = App::build(&config, address, Arc::new(SystemClock))
        .await
        .unwrap_err();
    assert!(failure.message.contains("key.json"), "{}", failure.message);
}
