//! Clients that go away, and services that are stopped and started again.

use std::time::Duration;

use filmlab::job::{Job, Stage, Status};
use filmlab::sandbox::SandboxConfig;
use tokio::io::AsyncWriteExt as _;

use super::lab::{Lab, TASK_TOKEN};
use crate::support::log::Log;

#[tokio::test]
async fn a_client_that_goes_away_right_after_the_provider_accepted_loses_nothing() {
    // One visit at a time and only those we ask for: the queue's own are held back.
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create(&service).await;
    let body = r#"{"seq":1,"why":"wake"}"#;
    let mut visits = Vec::new();
    // Whoever comes first visits; every connection is dropped without reading an answer.
    while lab.sandbox.submissions().is_empty() {
        let mut client = tokio::net::TcpStream::connect(service.address)
            .await
            .unwrap();
        let request = format!(
            "POST /tasks/jobs/{id} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TASK_TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            service.address,
            body.len()
        );
        client.write_all(request.as_bytes()).await.unwrap();
        visits.push(client);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(visits);
    let accepted = lab.sandbox.submissions()[0].prediction_id.clone();
    let job = lab
        .until(&service, &id, |job| job.provider.prediction_id.is_some())
        .await;
    assert_eq!(job.provider.prediction_id, Some(accepted));
    lab.assert_completed_once(&service, &id).await;
    service.stop().await;
}

/// Stops the service as soon as the job is as wanted, starts another, and lets that one finish.
async fn stopped_when(wanted: impl Fn(&Job) -> bool, sandbox: SandboxConfig) {
    let Some(lab) = Lab::new(sandbox).await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create(&service).await;
    let job = lab
        .until(&service, &id, |job| wanted(job) || job.status.is_ended())
        .await;
    assert!(
        !job.status.is_ended(),
        "it was too quick to be stopped there"
    );
    let took = service.stop().await;
    assert!(took < Duration::from_secs(10), "{took:?}");

    let service = lab.start().await;
    lab.assert_completed_once(&service, &id).await;
    let job = lab.ended(&service, &id).await;
    assert_eq!(job.attempt, 1, "a shutdown uses no attempt");
    service.stop().await;
}

#[tokio::test]
async fn a_service_stopped_while_generating_goes_on_later() {
    let slow = SandboxConfig {
        min_time: Duration::from_millis(1500),
        ..SandboxConfig::default()
    };
    stopped_when(|job| job.stage == Some(Stage::Generate), slow).await;
}

#[tokio::test]
async fn a_service_stopped_while_processing_goes_on_later() {
    stopped_when(
        |job| job.stage == Some(Stage::Process),
        SandboxConfig::default(),
    )
    .await;
}

#[tokio::test]
async fn a_service_stopped_before_it_began_goes_on_later() {
    stopped_when(
        |job| job.status == Status::Queued || job.stage == Some(Stage::Submit),
        SandboxConfig::default(),
    )
    .await;
}

#[tokio::test]
async fn open_event_streams_do_not_hold_up_a_stop() {
    let slow = SandboxConfig {
        min_time: Duration::from_secs(60),
        ..SandboxConfig::default()
    };
    let Some(lab) = Lab::new(slow).await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create(&service).await;
    let address = format!("http://{}/v1/jobs/{id}/events", service.address);
    let mut stream = lab.http.get(address).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(
        first.starts_with(b"retry:") || first.starts_with(b"id:"),
        "{first:?}"
    );
    let took = service.stop().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    // Ended in order: a connection that was cut would be an error.
    while stream.chunk().await.unwrap().is_some() {}
}

/// It takes connections and says nothing: a sweep looks at the balance for ten seconds.
#[tokio::test]
async fn a_silent_provider_holds_up_neither_the_first_cleaning_nor_a_stop() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/", silent.local_addr().unwrap());
    lab.set("PROVIDER__BASE_URL", &base);
    let left = lab.object("work/nobody/1-1/generated.mp4");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&left).unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    file.set_modified(long_ago).unwrap();

    let (log, guard) = Log::of_this_thread();
    let running = lab.start().await;
    let began = std::time::Instant::now();
    while left.exists() {
        assert!(began.elapsed() < Duration::from_secs(8), "{}", log.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.stop().await;
    drop(guard);
    let log = log.text();
    assert!(!log.contains("still running"), "{log}");
}
