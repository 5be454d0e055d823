//! Cloud Tasks as the worker uses it, from planning to the visit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use filmlab::clock::{Clock as _, ManualClock, Timestamp, later};
use filmlab::google::{GoogleAccess, Identity};
use filmlab::http::{OidcCheck, TasksAuth};
use filmlab::job::notice::DeliveryState;
use filmlab::queue::cloud_tasks::{CloudTasksConfig, CloudTasksQueue, TaskCredentials};
use filmlab::queue::{Queue as _, QueueError, Scheduled, Task, Why};
use filmlab::retry::RetryLimits;
use filmlab::worker::{DeliveryOutcome, Swept, Visit, Worker};
use url::Url;

use crate::http::{App, until};
use crate::ledger::bench::{Bench as _, at, settlement};
use crate::ledger::contract::sweep;
use crate::ledger::sqlite::OnFile;
use crate::support::cloud_tasks::{FakeCloudTasks, QUEUE};
use crate::support::google::{FakeGoogle, KEY};

const AUDIENCE: &str = "https://worker.example";
const TASKS_ACCOUNT: &str = "tasks@demo.iam.gserviceaccount.com";
const SOON: Duration = Duration::from_secs(5);

struct Bench {
    tasks: FakeCloudTasks,
    clock: ManualClock,
    queue: CloudTasksQueue,
}

impl Bench {
    async fn to(target: Url) -> Self {
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let tasks = FakeCloudTasks::new(Arc::new(clock.clone()));
        let queue = queue(QUEUE, "token", target, tasks.start().await, &clock).await;
        Self {
            tasks,
            clock,
            queue,
        }
    }
}

async fn queue(
    name: &str,
    token: &str,
    target: Url,
    endpoint: Url,
    clock: &ManualClock,
) -> CloudTasksQueue {
    let access = GoogleAccess::new(&Identity::Token(token.into()))
        .await
        .unwrap();
    let config = CloudTasksConfig {
        queue: name.into(),
        target,
        credentials: TaskCredentials::Oidc {
            service_account: TASKS_ACCOUNT.into(),
            audience: AUDIENCE.into(),
        },
        endpoint: Some(endpoint),
        retry: RetryLimits {
            retries: 2,
            least_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
            total: Duration::from_secs(5),
        },
    };
    CloudTasksQueue::new(config, &access, Arc::new(clock.clone())).unwrap()
}

fn nowhere() -> Url {
    "http://127.0.0.1:1/".parse().unwrap()
}

fn job(seq: u64) -> Task {
    Task::Job {
        id: "j1".parse().unwrap(),
        seq,
        why: Why::Wake,
    }
}

/// The routes behind full verification, with keys that the stand-in signs with.
async fn worker() -> (App, Url) {
    let google = FakeGoogle::default();
    *google.certs.lock().unwrap() = Some((vec![KEY.jwk()], 3600));
    let certs = google.start().await.join("/oauth2/v3/certs").unwrap();
    let check = OidcCheck::new(AUDIENCE, TASKS_ACCOUNT, Some(certs)).unwrap();
    let app = App::with(|settings| settings.tasks_auth = TasksAuth::Verify(Arc::new(check)));
    let address = app.serve().await;
    (app, format!("http://{address}/").parse().unwrap())
}

#[tokio::test]
async fn a_planned_visit_comes_at_its_time_with_a_good_token() {
    let (app, target) = worker().await;
    let bench = Bench::to(target).await;
    let at = later(bench.clock.now(), Duration::from_secs(60));
    bench.queue.schedule(&job(3), at).await.unwrap();
    let notice = Task::Notice {
        id: "j1:1:job.completed".into(),
        delivery: 0,
    };
    bench
        .queue
        .schedule(&notice, bench.clock.now())
        .await
        .unwrap();

    assert_eq!(bench.tasks.deliver_due(SOON).await, 1);
    let visits = || app.worker.visits.lock().unwrap().clone();
    assert_eq!(visits(), [("j1:1:job.completed".into(), 0)]);
    bench.clock.advance(Duration::from_secs(60));
    // A second later, so that the visit is not early by a clock that is behind.
    assert_eq!(bench.tasks.deliver_due(SOON).await, 0);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.tasks.deliver_due(SOON).await, 1);
    assert_eq!(visits()[1], ("j1".into(), 3));
    assert!(bench.tasks.waiting().is_empty());
}

#[tokio::test]
async fn the_task_says_what_cloud_tasks_must_know() {
    let bench = Bench::to("https://worker.example/base/".parse().unwrap()).await;
    bench
        .queue
        .schedule(&job(3), bench.clock.now())
        .await
        .unwrap();
    let waiting = bench.tasks.waiting();
    let (name, task) = waiting.first_key_value().unwrap();
    assert!(name.ends_with("-j1-3-wake"), "{name}");
    let wire = &task.wire;
    assert_eq!(wire["dispatchDeadline"], "1800s");
    let request = &wire["httpRequest"];
    assert_eq!(request["url"], "https://worker.example/base/tasks/jobs/j1");
    assert_eq!(request["httpMethod"], "POST");
    assert_eq!(request["oidcToken"]["audience"], AUDIENCE);
    assert_eq!(request["oidcToken"]["serviceAccountEmail"], TASKS_ACCOUNT);
    // Due now: no schedule time, so that it runs at once whatever the clocks say.
    assert!(wire.get("scheduleTime").is_none());

    // As far ahead as Cloud Tasks takes it; the visit comes early and plans again.
    let far = later(bench.clock.now(), Duration::from_secs(90 * 24 * 3600));
    bench.queue.schedule(&job(4), far).await.unwrap();
    assert_eq!(bench.tasks.waiting().len(), 2);
}

#[tokio::test]
async fn one_name_is_one_task_also_after_it_ended() {
    let (app, target) = worker().await;
    let bench = Bench::to(target).await;
    let now = bench.clock.now();
    let planned = bench.queue.schedule(&job(1), now).await.unwrap();
    assert_eq!(planned, Scheduled::Planned);
    for _ in 0..2 {
        let planned = bench.queue.schedule(&job(1), now).await.unwrap();
        assert_eq!(planned, Scheduled::Known);
    }
    assert_eq!(bench.tasks.waiting().len(), 1);
    assert_eq!(bench.tasks.deliver_due(SOON).await, 1);
    let planned = bench.queue.schedule(&job(1), now).await.unwrap();
    assert_eq!(planned, Scheduled::Known, "also after its end");
    assert_eq!(bench.tasks.deliver_due(SOON).await, 0);
    bench.queue.schedule(&job(2), now).await.unwrap();
    bench.tasks.duplicate_next();
    assert_eq!(bench.tasks.deliver_due(SOON).await, 1);
    assert_eq!(
        app.worker.visits.lock().unwrap().len(),
        3,
        "the last one came twice"
    );
}

#[tokio::test]
async fn a_creation_is_repeated_without_making_two() {
    let bench = Bench::to(nowhere()).await;
    let now = bench.clock.now();
    // Done, and the answer lost; refused for the moment.
    bench.tasks.fail_next(503, true);
    bench.tasks.fail_next(429, false);
    bench.queue.schedule(&job(1), now).await.unwrap();
    assert_eq!(
        (bench.tasks.creations(), bench.tasks.waiting().len()),
        (3, 1)
    );

    for _ in 0..3 {
        bench.tasks.fail_next(503, false);
    }
    let failed = bench.queue.schedule(&job(2), now).await;
    assert!(
        matches!(failed, Err(QueueError::Unavailable(_))),
        "{failed:?}"
    );
    bench.queue.schedule(&job(2), now).await.unwrap();
}

#[tokio::test]
async fn what_an_operator_must_mend_is_told_from_what_passes() {
    let bench = Bench::to(nowhere()).await;
    let endpoint = bench.tasks.start().await;
    let now = bench.clock.now();
    let none = queue(
        "projects/demo/locations/here/queues/none",
        "token",
        nowhere(),
        endpoint.clone(),
        &bench.clock,
    );
    let none = none.await;
    let stranger = queue(QUEUE, "other", nowhere(), endpoint, &bench.clock).await;
    for (queue, word) in [(none, "NOT_FOUND"), (stranger, "UNAUTHENTICATED")] {
        for result in [
            queue.schedule(&job(1), now).await.map(drop),
            queue.ping().await,
        ] {
            match result {
                Err(QueueError::Refused(text)) => assert!(text.contains(word), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    }
    // Looking at the queue is another permission than planning.
    bench.queue.ping().await.unwrap();
    let gone = queue(QUEUE, "token", nowhere(), nowhere(), &bench.clock).await;
    let failed = gone.ping().await;
    assert!(
        matches!(failed, Err(QueueError::Unavailable(_))),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_visit_that_is_not_acknowledged_comes_again_after_a_growing_pause() {
    let (app, target) = worker().await;
    let bench = Bench::to(target).await;
    *app.worker.outcome.lock().unwrap() = Some(Visit::Leased {
        until: bench.clock.now(),
    });
    bench
        .queue
        .schedule(&job(1), bench.clock.now())
        .await
        .unwrap();
    for (past, pause) in [(1, 1), (2, 2), (3, 4)] {
        assert_eq!(bench.tasks.deliver_due(SOON).await, 1);
        let waiting = bench.tasks.waiting();
        let task = waiting.values().next().unwrap();
        assert_eq!((task.retries, task.answered), (past, Some(409)));
        bench.clock.advance(Duration::from_secs(pause));
    }
    *app.worker.outcome.lock().unwrap() = Some(Visit::Advanced);
    assert_eq!(bench.tasks.deliver_due(SOON).await, 1);
    assert!(bench.tasks.waiting().is_empty());
}

#[tokio::test]
async fn a_visit_outlives_the_queue_s_deadline() {
    let (app, target) = worker().await;
    *app.worker.takes.lock().unwrap() = Duration::from_millis(80);
    let bench = Bench::to(target).await;
    bench
        .queue
        .schedule(&job(1), bench.clock.now())
        .await
        .unwrap();
    let visited = || !app.worker.visits.lock().unwrap().is_empty();
    // The keys are fetched by the first request: not within the short deadline.
    bench.tasks.deliver_due(Duration::from_millis(50)).await;
    until("the visit has begun", visited).await;
    until("the visit has ended", || {
        app.worker.finished.load(Ordering::SeqCst)
    })
    .await;
    let waiting = bench.tasks.waiting();
    let task = waiting.values().next().unwrap();
    assert_eq!((task.retries, task.answered), (1, None));
}

/// What Cloud Tasks brings goes to the worker, as the route does it.
async fn deliveries_to(worker: Arc<tokio::sync::OnceCell<Arc<Worker>>>) -> Url {
    let deliver = move |Path(id): Path<String>| {
        let worker = Arc::clone(&worker);
        async move {
            match worker.get().unwrap().deliver(id).await {
                DeliveryOutcome::Unavailable { .. } => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            }
        }
    };
    let router = axum::Router::new().route("/tasks/outbox/{id}", axum::routing::post(deliver));
    crate::support::google::serve(router).await
}

/// A name stays reserved after its task was brought too early, was purged, or ran out of tries.
#[tokio::test]
async fn a_notice_finds_a_fresh_name_where_names_stay_reserved() {
    let known = Arc::new(tokio::sync::OnceCell::new());
    let target = deliveries_to(Arc::clone(&known)).await;
    let clock = ManualClock::at(at(0));
    let tasks = FakeCloudTasks::new(Arc::new(clock.clone()));
    let queue = Arc::new(queue(QUEUE, "token", target, tasks.start().await, &clock).await);
    let world = OnFile.fresh().await;
    let mail = Arc::default();
    let worker = sweep::worker(
        Arc::clone(&world.ledger),
        Arc::clone(&queue) as _,
        &clock,
        &mail,
    );
    known.set(Arc::clone(&worker)).unwrap();
    let (claim, job) = world.claimed("j1").await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    let id = "j1:1:job.failed";
    let pending = DeliveryState::Pending;
    let recorded = world
        .ledger
        .record_delivery(id, pending, Some(at(60)), None);
    recorded.await.unwrap();

    // Its clock is 12 s ahead of ours.
    let task = Task::Notice {
        id: id.into(),
        delivery: 2,
    };
    clock.advance_to(at(48));
    queue.schedule(&task, at(48)).await.unwrap();
    assert_eq!(tasks.deliver_due(SOON).await, 1);
    assert!(mail.0.lock().unwrap().is_empty());
    assert_eq!(tasks.waiting().len(), 1, "planned under a fresh name");
    // And that one is purged.
    tasks.purge();
    clock.advance_to(at(100));
    let swept = worker.sweep().await.unwrap();
    assert_eq!((swept.notifications, swept.faults), (1, 0));
    assert_eq!(tasks.deliver_due(SOON).await, 1);
    assert_eq!(*mail.0.lock().unwrap(), [id]);
    clock.advance_to(at(900));
    assert_eq!(worker.sweep().await.unwrap(), Swept::default());
}
