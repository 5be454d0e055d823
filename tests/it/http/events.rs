//! A job's changes as server-sent events.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::{Method, Request, StatusCode};
use filmlab::http::{EventPace, EventStreams, JobView};
use filmlab::job::{JobId, Progress, Published, Stage, Status, Waiting, WaitsFor};
use futures::StreamExt as _;
use http::HeaderMap;
use tower::ServiceExt as _;

use super::{App, until};

/// One block of the stream.
#[derive(Debug, Default)]
struct Block {
    id: Option<String>,
    data: Option<JobView>,
    retry: Option<u64>,
    comment: bool,
}

struct Events {
    status: StatusCode,
    headers: HeaderMap,
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn open(app: &App, id: &JobId, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/v1/jobs/{id}/events"))
            .header("authorization", "Bearer alice-token");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = app.router().oneshot(request).await.unwrap();
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next block; `None` at the end. Bounded, so that silence fails.
    async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = parse(block);
                self.text = rest.to_owned();
                return Some(block);
            }
            let next = tokio::time::timeout(Duration::from_secs(10), self.body.next());
            let bytes = next.await.expect("something comes")?;
            self.text
                .push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
        }
    }

    /// The next block that is more than a heartbeat.
    async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.block().await?;
            if block.data.is_some() {
                return Some(block);
            }
        }
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim_start();
        match field {
            "id" => block.id = Some(value.to_owned()),
            "data" => block.data = Some(serde_json::from_str(value).unwrap()),
            "retry" => block.retry = value.parse().ok(),
            "" => block.comment = true,
            other => panic!("{other}"),
        }
    }
    block
}

fn published() -> Published {
    Published {
        video: "results/v.mp4".into(),
        poster: "results/p.jpg".into(),
        metadata: "results/m.json".into(),
        storyboard: None,
        storyboard_vtt: None,
        bytes: 7,
        duration_ms: 5,
        width: 4,
        height: 2,
        provenance: None,
    }
}

#[tokio::test]
async fn what_is_waited_for_is_a_change() {
    let app = App::new();
    let id = app.create().await;
    let mut events = Events::open(&app, &id, None).await;
    let first = events.event().await.unwrap().data.unwrap();
    assert_eq!(first.waiting.unwrap().what, WaitsFor::Worker);
    for (what, attempt) in [
        (WaitsFor::Account, 1),
        (WaitsFor::Operator, 1),
        (WaitsFor::Attempt, 2),
    ] {
        app.change(&id, |job| {
            job.status = Status::Processing;
            job.stage = Some(Stage::Submit);
            job.attempt_failed = what == WaitsFor::Attempt;
            job.waiting = Some(Waiting {
                what,
                since: job.created_at,
                fence: job.lease.fence,
            });
        });
        let shown = events.event().await.unwrap().data.unwrap().waiting.unwrap();
        assert_eq!(
            (shown.what, shown.attempt, shown.attempts),
            (what, attempt, 3)
        );
        assert_eq!(shown.reason, what.about());
    }
}

#[tokio::test]
async fn each_change_comes_once_and_the_end_ends_it() {
    let app = App::new();
    let id = app.create().await;
    let mut events = Events::open(&app, &id, None).await;
    assert_eq!(events.status, 200);
    assert_eq!(events.headers["content-type"], "text/event-stream");
    assert_eq!(events.headers["cache-control"], "no-store");
    let first = events.event().await.unwrap();
    assert_eq!(first.retry, Some(2000));
    assert_eq!(first.data.unwrap().status, Status::Queued);

    let stages = [
        (Stage::Submit, 0.5),
        (Stage::Submit, 0.9),
        (Stage::Generate, 0.2),
    ];
    let mut ids = vec![first.id.unwrap()];
    for (stage, fraction) in stages {
        app.change(&id, |job| {
            job.status = Status::Processing;
            job.stage = Some(stage);
            job.progress = Progress::within(stage, fraction);
            // What is not shown is no change: it must not repeat the event.
            job.revision += 1;
        });
        let event = events.event().await.unwrap();
        let view = event.data.unwrap();
        assert_eq!((view.status, view.stage), (Status::Processing, Some(stage)));
        assert_eq!(view.progress, Progress::within(stage, fraction));
        app.change(&id, |job| job.revision += 1);
        ids.push(event.id.unwrap());
    }
    app.change(&id, |job| {
        job.status = Status::Completed;
        job.stage = None;
        job.progress = Progress::done();
        job.result = Some(published());
    });
    let last = events.event().await.unwrap();
    let view = last.data.unwrap();
    assert_eq!(view.status, Status::Completed);
    assert!(view.result.unwrap().links.is_some(), "the end brings links");
    assert!(events.event().await.is_none(), "nothing follows");
    ids.push(last.id.unwrap());
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 5, "{ids:?}");
}

#[tokio::test]
async fn a_client_that_comes_back_sees_nothing_twice() {
    let app = App::new();
    let id = app.create().await;
    let mut events = Events::open(&app, &id, None).await;
    let seen = events.event().await.unwrap().id.unwrap();
    drop(events);

    let mut events = Events::open(&app, &id, Some(&seen)).await;
    // It is told when to come back, and that it is heard, at once.
    let hello = events.block().await.unwrap();
    assert_eq!((hello.retry, hello.data.is_none()), (Some(2000), true));
    app.change(&id, |job| {
        job.status = Status::Failed;
        job.stage = Some(Stage::Submit);
    });
    let end = events.event().await.unwrap();
    assert_eq!(end.data.unwrap().status, Status::Failed);
    assert!(events.event().await.is_none());
    // After the end there is nothing to come back for; for one who missed it there is.
    let end = end.id.unwrap();
    assert_eq!(Events::open(&app, &id, Some(&end)).await.status, 204);
    let mut late = Events::open(&app, &id, Some(&seen)).await;
    assert_eq!(
        late.event().await.unwrap().data.unwrap().status,
        Status::Failed
    );
    assert!(late.event().await.is_none());
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats_and_outages_by_waiting() {
    let app = App::new();
    let id = app.create().await;
    let mut events = Events::open(&app, &id, None).await;
    events.event().await.unwrap();
    for _ in 0..2 {
        assert!(events.block().await.unwrap().comment);
    }
    app.ledger
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    app.change(&id, |job| job.status = Status::Cancelled);
    app.ledger
        .down
        .store(false, std::sync::atomic::Ordering::SeqCst);
    let end = events.event().await.unwrap();
    assert_eq!(end.data.unwrap().status, Status::Cancelled);
}

#[tokio::test]
async fn streams_are_bounded_and_their_places_come_free() {
    let app = App::new();
    let id = app.create().await;
    let first = Events::open(&app, &id, None).await;
    let _second = Events::open(&app, &id, None).await;
    let answer = app.get(&format!("/v1/jobs/{id}/events")).await;
    answer.problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("10"));
    drop(first);
    let third = Events::open(&app, &id, None).await;
    assert_eq!(third.status, 200);
}

#[tokio::test]
async fn every_stream_ends_when_the_service_stops() {
    let app = App::new();
    let id = app.create().await;
    let mut events = Events::open(&app, &id, None).await;
    events.event().await.unwrap();
    app.state.events.close();
    assert!(events.event().await.is_none());
    let answer = app.get(&format!("/v1/jobs/{id}/events")).await;
    answer.problem(503, "shutting_down");
}

/// Whoever asks: an operator's token follows jobs of many owners.
#[tokio::test]
async fn one_owner_s_streams_leave_places_for_another_s() {
    let mut app = App::new();
    app.state.events = EventStreams::new(3, 2, EventPace::default());
    let id = app.create().await;
    let alices = format!("/v1/jobs/{id}/events");
    let _open = [
        Events::open(&app, &id, None).await,
        Events::open(&app, &id, None).await,
    ];
    for who in ["alice", "operator"] {
        let answer = app.call(who, Method::GET, &alices, None, &[]).await;
        let problem = answer.problem(503, "overloaded");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("one owner"), "{detail}");
        assert_eq!(answer.header("retry-after"), Some("10"));
    }
    let created = app
        .call("bob", Method::POST, "/v1/jobs", Some(super::upscale()), &[])
        .await;
    let bobs = created.json()["id"].as_str().unwrap().to_owned();
    let request = Request::get(format!("/v1/jobs/{bobs}/events"))
        .header("authorization", "Bearer bob-token")
        .body(axum::body::Body::empty());
    let response = app.router().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_stream_is_its_owners_and_outlasts_no_job() {
    let app = App::new();
    let id = app.create().await;
    let path = format!("/v1/jobs/{id}/events");
    let others = app.call("bob", Method::GET, &path, None, &[]).await;
    others.problem(404, "not_found");
    app.get("/v1/jobs/nobody/events")
        .await
        .problem(404, "not_found");
    let mut events = Events::open(&app, &id, None).await;
    events.event().await.unwrap();
    app.ledger.remove(&id);
    assert!(events.event().await.is_none());
}

/// A reader that goes away is noticed, and nobody reads the ledger for it any more.
#[tokio::test]
async fn nobody_reads_for_a_client_that_is_gone() {
    let app = App::new();
    let id = app.create().await;
    let reads = || app.ledger.reads.load(std::sync::atomic::Ordering::SeqCst);
    let mut events = Events::open(&app, &id, None).await;
    events.event().await.unwrap();
    let before = reads();
    let polled = async { events.block().await };
    polled.await.unwrap();
    until("the ledger is read", || reads() > before).await;
    drop(events);
    let after = reads();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(reads(), after);
}
