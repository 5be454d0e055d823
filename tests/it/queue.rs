//! The built-in queue.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, ManualClock, SystemClock};
use filmlab::job::Timestamp;
use filmlab::queue::embedded::{EmbeddedQueue, INVISIBLE, RESERVED, Widths};
use filmlab::queue::{Delivery, Queue as _, QueueError, Receiver, Scheduled, Task, Why};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn task(id: &str, seq: u64) -> Task {
    Task::Job {
        id: id.parse().unwrap(),
        seq,
        why: Why::Wake,
    }
}

async fn names(queue: &EmbeddedQueue) -> Vec<String> {
    let pending = queue.pending().await.unwrap();
    pending.iter().map(|(task, _)| task.name()).collect()
}

#[tokio::test]
async fn due_tasks_come_oldest_first_and_not_early() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    for (id, second) in [("b", 20), ("c", 30), ("a", 10)] {
        queue.schedule(&task(id, 1), at(second)).await.unwrap();
    }
    assert_eq!(queue.take_due(at(9), 10).await.unwrap(), []);
    let due = queue.take_due(at(20), 10).await.unwrap();
    assert_eq!(due, [(task("a", 1), 1), (task("b", 1), 1)]);
    assert_eq!(
        queue.take_due(at(20), 10).await.unwrap(),
        [],
        "taken is out of sight"
    );
    assert_eq!(queue.take_due(at(99), 0).await.unwrap(), []);
    for (task, _) in due {
        queue
            .finish(&task, Delivery::Acknowledged, at(21))
            .await
            .unwrap();
    }
    assert_eq!(queue.pending().await.unwrap(), [(task("c", 1), at(30))]);
}

#[tokio::test]
async fn a_name_exists_once_and_stays_reserved_for_an_hour() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    queue.schedule(&task("a", 1), at(10)).await.unwrap();
    queue.schedule(&task("a", 1), at(5)).await.unwrap();
    assert_eq!(queue.pending().await.unwrap(), [(task("a", 1), at(10))]);
    queue.take_due(at(10), 1).await.unwrap();
    queue
        .finish(&task("a", 1), Delivery::Acknowledged, at(10))
        .await
        .unwrap();
    queue.schedule(&task("a", 1), at(11)).await.unwrap();
    assert_eq!(names(&queue).await, [""; 0], "finished: the name is taken");
    queue.schedule(&task("a", 2), at(11)).await.unwrap();
    assert_eq!(names(&queue).await, ["a-2-wake"]);

    // The next end of a task after the hour clears the tombstone away.
    let later = at(10) + RESERVED;
    queue.take_due(later, 1).await.unwrap();
    queue
        .finish(&task("a", 2), Delivery::Acknowledged, later)
        .await
        .unwrap();
    queue.schedule(&task("a", 1), later).await.unwrap();
    queue.schedule(&task("a", 2), later).await.unwrap();
    assert_eq!(names(&queue).await, ["a-1-wake"]);
}

#[tokio::test]
async fn a_task_brought_again_pauses_longer_each_time_and_is_never_given_up() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    queue.schedule(&task("a", 1), at(0)).await.unwrap();
    let mut now = at(0);
    for delivery in 1..=40u32 {
        assert_eq!(
            queue.take_due(now, 1).await.unwrap(),
            [(task("a", 1), delivery)]
        );
        queue
            .finish(&task("a", 1), Delivery::Again, now)
            .await
            .unwrap();
        let due = queue.pending().await.unwrap()[0].1;
        let pause = due.duration_since(now).as_secs_f64();
        let most = 60f64.min(2f64.powi(delivery as i32 - 1)) + 0.1;
        assert!(
            (0.99..=most).contains(&pause),
            "{pause} s after delivery {delivery}"
        );
        now = due;
    }
}

#[tokio::test]
async fn a_delivery_that_died_is_repeated_and_finished_stays_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    {
        let queue = EmbeddedQueue::open(&path).unwrap();
        queue.schedule(&task("a", 1), at(0)).await.unwrap();
        assert_eq!(queue.take_due(at(0), 1).await.unwrap().len(), 1);
    }
    // Another process, after a restart.
    let queue = EmbeddedQueue::open(&path).unwrap();
    assert_eq!(queue.take_due(at(4), 1).await.unwrap(), []);
    assert_eq!(
        queue.take_due(at(0) + INVISIBLE, 1).await.unwrap(),
        [(task("a", 1), 2)]
    );
    queue
        .finish(&task("a", 1), Delivery::Acknowledged, at(61))
        .await
        .unwrap();
    queue
        .finish(&task("a", 1), Delivery::Again, at(62))
        .await
        .unwrap();
    assert_eq!(queue.take_due(at(10_000), 1).await.unwrap(), []);
}

#[tokio::test]
async fn a_queue_gets_no_longer_than_allowed() {
    let queue = EmbeddedQueue::open_in_memory().unwrap().bounded(2);
    queue.schedule(&task("a", 1), at(0)).await.unwrap();
    queue.schedule(&task("b", 1), at(0)).await.unwrap();
    let refused = queue.schedule(&task("c", 1), at(0)).await;
    assert!(matches!(refused, Err(QueueError::Full)), "{refused:?}");
    queue
        .schedule(&task("a", 1), at(0))
        .await
        .expect("a known name is no addition");
    queue.take_due(at(0), 1).await.unwrap();
    queue
        .finish(&task("a", 1), Delivery::Acknowledged, at(0))
        .await
        .unwrap();
    queue
        .schedule(&task("c", 1), at(0))
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn it_shares_a_file_with_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let ledger = filmlab::ledger::sqlite::SqliteLedger::open(&path).unwrap();
    let queue = EmbeddedQueue::open(&path).unwrap();
    queue.schedule(&task("a", 1), at(0)).await.unwrap();
    filmlab::ledger::Ledger::ping(&ledger).await.unwrap();
    queue.ping().await.unwrap();
    let again = EmbeddedQueue::open(&path).unwrap();
    assert_eq!(names(&again).await, ["a-1-wake"]);
}

/// Answers as told, or panics, and reports what it received.
#[derive(Debug)]
struct Script {
    answers: Mutex<HashMap<String, Vec<Option<Delivery>>>>,
    received: mpsc::UnboundedSender<(String, u32)>,
    /// A delivery goes on when there is a permit.
    gate: Semaphore,
}

impl Script {
    fn new(permits: usize) -> (Arc<Self>, mpsc::UnboundedReceiver<(String, u32)>) {
        let (received, inbox) = mpsc::unbounded_channel();
        let script = Self {
            answers: Mutex::default(),
            received,
            gate: Semaphore::new(permits),
        };
        (Arc::new(script), inbox)
    }

    fn answer(&self, task: &Task, answers: &[Option<Delivery>]) {
        self.answers
            .lock()
            .unwrap()
            .insert(task.name(), answers.to_vec());
    }
}

#[async_trait]
impl Receiver for Script {
    async fn receive(&self, task: Task, deliveries: u32) -> Delivery {
        self.received.send((task.name(), deliveries)).unwrap();
        self.gate.acquire().await.unwrap().forget();
        let answer = match self.answers.lock().unwrap().get_mut(&task.name()) {
            Some(answers) if !answers.is_empty() => answers.remove(0),
            _ => Some(Delivery::Acknowledged),
        };
        answer.expect("a receiver that fails")
    }
}

struct Running {
    queue: EmbeddedQueue,
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

fn run(
    queue: &EmbeddedQueue,
    script: &Arc<Script>,
    clock: filmlab::clock::SharedClock,
    width: u32,
) -> Running {
    let (queue, stop) = (queue.clone(), CancellationToken::new());
    let (running, receiver, token) = (queue.clone(), Arc::clone(script), stop.clone());
    let width = NonZeroU32::new(width).unwrap();
    let widths = Widths {
        jobs: width,
        notices: width,
    };
    let done = tokio::spawn(async move { running.run(receiver, clock, widths, token).await });
    Running { queue, stop, done }
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn what_is_scheduled_now_is_delivered_at_once() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    let (script, mut inbox) = Script::new(100);
    let running = run(&queue, &script, Arc::new(SystemClock), 2);
    // Asleep by now: only the bell can be this quick.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    running
        .queue
        .schedule(&task("a", 1), SystemClock.now())
        .await
        .unwrap();
    assert_eq!(
        timeout(SOON, inbox.recv()).await.unwrap(),
        Some(("a-1-wake".into(), 1))
    );
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    let in_a_moment = SystemClock.now() + Duration::from_millis(300);
    running
        .queue
        .schedule(&task("a", 2), in_a_moment)
        .await
        .unwrap();
    timeout(SOON, inbox.recv()).await.unwrap().unwrap();
    assert!(SystemClock.now() >= in_a_moment);
    running.stop.cancel();
    timeout(SOON, running.done).await.unwrap().unwrap();
    assert_eq!(names(&queue).await, [""; 0]);
}

#[tokio::test]
async fn refusals_and_panics_bring_a_task_again() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    let clock = ManualClock::at(at(0));
    let (script, mut inbox) = Script::new(100);
    script.answer(
        &task("a", 1),
        &[Some(Delivery::Again), None, Some(Delivery::Acknowledged)],
    );
    queue.schedule(&task("a", 1), at(0)).await.unwrap();
    let running = run(&queue, &script, Arc::new(clock.clone()), 2);
    for delivery in 1..=3 {
        let got = timeout(SOON, inbox.recv()).await.unwrap();
        assert_eq!(got, Some(("a-1-wake".into(), delivery)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        clock.advance(Duration::from_secs(50));
    }
    running.stop.cancel();
    timeout(SOON, running.done).await.unwrap().unwrap();
    assert_eq!(names(&queue).await, [""; 0]);
}

#[tokio::test]
async fn no_more_run_than_allowed_and_a_stop_waits_for_them() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    let (script, mut inbox) = Script::new(0);
    for n in 0..5 {
        queue.schedule(&task("a", n), at(n as i64)).await.unwrap();
    }
    let running = run(&queue, &script, Arc::new(ManualClock::at(at(100))), 2);
    for n in 0..2 {
        assert_eq!(
            timeout(SOON, inbox.recv()).await.unwrap().unwrap().0,
            format!("a-{n}-wake")
        );
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(inbox.try_recv().is_err(), "two at once");
    script.gate.add_permits(1);
    assert_eq!(
        timeout(SOON, inbox.recv()).await.unwrap().unwrap().0,
        "a-2-wake"
    );

    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!running.done.is_finished(), "two are running");
    script.gate.add_permits(2);
    timeout(SOON, running.done).await.unwrap().unwrap();
    assert!(inbox.try_recv().is_err(), "nothing is taken after the stop");
    assert_eq!(names(&queue).await, ["a-3-wake", "a-4-wake"]);
}

#[tokio::test]
async fn a_long_delivery_stays_out_of_sight() {
    let invisible = Duration::from_millis(300);
    let queue = EmbeddedQueue::open_in_memory()
        .unwrap()
        .invisible_for(invisible);
    let (script, mut inbox) = Script::new(0);
    queue.schedule(&task("a", 1), at(0)).await.unwrap();
    let running = run(&queue, &script, Arc::new(SystemClock), 2);
    timeout(SOON, inbox.recv()).await.unwrap().unwrap();
    tokio::time::sleep(invisible * 4).await;
    assert!(inbox.try_recv().is_err(), "not brought a second time");
    // Also while it is the last one that a stop waits for.
    running.stop.cancel();
    tokio::time::sleep(invisible * 2).await;
    assert_eq!(queue.take_due(SystemClock.now(), 1).await.unwrap(), []);
    script.gate.add_permits(1);
    timeout(SOON, running.done).await.unwrap().unwrap();
    assert_eq!(names(&queue).await, [""; 0]);
}

#[tokio::test]
async fn planning_says_whether_the_name_was_known() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    let plan = |seq| {
        let (queue, task) = (queue.clone(), task("a", seq));
        async move { queue.schedule(&task, at(0)).await.unwrap() }
    };
    assert_eq!(plan(1).await, Scheduled::Planned);
    assert_eq!(plan(1).await, Scheduled::Known, "it waits");
    let done = Delivery::Acknowledged;
    queue.finish(&task("a", 1), done, at(1)).await.unwrap();
    assert_eq!(plan(1).await, Scheduled::Known, "it is over");
    assert_eq!(plan(2).await, Scheduled::Planned);
}

/// Whoever holds the job dies no later than his lease: nobody waits for him any longer.
#[tokio::test]
async fn a_task_brought_again_by_a_moment_comes_then_at_the_latest() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    let task = task("a", 1);
    queue.schedule(&task, at(0)).await.unwrap();
    let mut now = 0;
    for _ in 0..6 {
        let taken = queue.take_due(at(now), 1).await.unwrap();
        assert_eq!(taken.len(), 1, "at {now}");
        let again = Delivery::AgainBy(at(60));
        queue.finish(&task, again, at(now)).await.unwrap();
        let (_, due) = queue.pending().await.unwrap().remove(0);
        assert!(due <= at(60), "{due}");
        now = (due - at(0)).get_seconds() + 1;
    }
    // A moment that has passed is no reason to come at once.
    queue.take_due(at(200), 1).await.unwrap();
    let again = Delivery::AgainBy(at(60));
    queue.finish(&task, again, at(200)).await.unwrap();
    let (_, due) = queue.pending().await.unwrap().remove(0);
    assert_eq!(due, at(201));
}

#[tokio::test]
async fn the_tasks_of_a_deleted_job_are_forgotten_with_their_names() {
    let queue = EmbeddedQueue::open_in_memory().unwrap();
    let notice = |id: &str| Task::Notice {
        id: id.to_owned(),
        delivery: 1,
    };
    let own = [task("a", 1), task("a", 2), notice("a:1:job.failed")];
    let others = [
        task("a-1", 1),
        task("a-1-2", 1),
        task("b", 1),
        notice("a-1:1:job.failed"),
        notice("a_1:1:job.failed"),
    ];
    for task in own.iter().chain(&others) {
        queue.schedule(task, at(0)).await.unwrap();
    }
    queue
        .finish(&own[0], Delivery::Acknowledged, at(1))
        .await
        .unwrap();
    assert_eq!(queue.forget(&"a".parse().unwrap()).await.unwrap(), 3);
    let mut left = names(&queue).await;
    let mut expected: Vec<String> = others.iter().map(Task::name).collect();
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    // A job that is made anew under that id begins with these names.
    let planned = queue.schedule(&own[0], at(2)).await.unwrap();
    assert_eq!(planned, Scheduled::Planned);
    // What was being delivered finds nothing to finish.
    queue.finish(&own[1], Delivery::Again, at(2)).await.unwrap();
}

/// What a process that dies leaves is delivered again within the shortest usual pause.
#[tokio::test]
async fn a_delivery_cut_off_by_a_death_is_repeated_within_its_pause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let dying = EmbeddedQueue::open(&path).unwrap();
    dying.schedule(&task("a", 1), at(0)).await.unwrap();
    assert_eq!(dying.take_due(at(0), 1).await.unwrap().len(), 1);
    drop(dying);
    let other = EmbeddedQueue::open(&path).unwrap();
    assert_eq!(other.take_due(at(4), 1).await.unwrap(), []);
    assert_eq!(other.take_due(at(5), 1).await.unwrap(), [(task("a", 1), 2)]);
    assert!(INVISIBLE <= Duration::from_secs(5), "`notify.min_pause`");
}
