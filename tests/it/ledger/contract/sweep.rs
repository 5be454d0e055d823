//! The worker's sweep over a ledger, and what comes of it in the queue.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, ManualClock};
use filmlab::job::notice::DeliveryState;
use filmlab::job::{Notice, SCHEMA_VERSION, Status};
use filmlab::ledger::{Deleted, Ledger};
use filmlab::notify::{Notifier, NotifyError};
use filmlab::outgoing::{LeastRate, WebFetcher};
use filmlab::queue::embedded::EmbeddedQueue;
use filmlab::queue::{Delivery, Queue, Receiver as _, Scheduled, Task};
use filmlab::storage::Storage;
use filmlab::storage::links::HmacLinks;
use filmlab::worker::{Services, Swept, Worker};
use serde_json::json;

use super::super::bench::{Bench, World, at, new_job, settlement};
use super::super::faults::LosesAnswer;
use crate::road::bench::settings;
use crate::road::studio::Studio;
use crate::support::log::Log;

/// Remembers the ids of what was delivered.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(pub(crate) Mutex<Vec<String>>, OnceLock<tempfile::TempDir>);

#[async_trait]
impl Notifier for Mailbox {
    fn serves(&self, _: &Notice) -> bool {
        true
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push(notice.id.clone());
        Ok(())
    }
}

/// A worker that sweeps and delivers, over any ledger and queue. Its lease is a minute.
pub(crate) fn worker(
    ledger: Arc<dyn Ledger>,
    queue: Arc<dyn Queue>,
    clock: &ManualClock,
    mail: &Arc<Mailbox>,
) -> Arc<Worker> {
    // It has to stay as long as somebody looks at what came of it.
    let folder = mail.1.get_or_init(|| tempfile::tempdir().unwrap());
    let links = HmacLinks::new(
        "https://lab.example/".parse().unwrap(),
        &[7; 32],
        Arc::new(clock.clone()),
    );
    let studio = Arc::new(Studio::new("none.mp4".into(), clock.clone(), false));
    Worker::new(Services {
        ledger,
        queue,
        provider: Arc::clone(&studio) as _,
        callbacks: studio,
        storage: Storage::in_directory(folder.path(), Arc::new(links.unwrap())).unwrap(),
        notifiers: vec![Arc::clone(mail) as _],
        fetcher: Arc::new(
            WebFetcher::new(true, Duration::from_secs(5), LeastRate::default()).unwrap(),
        ),
        clock: Arc::new(clock.clone()),
        settings: settings("none.png".into()),
    })
}

struct Lab {
    world: World,
    queue: Arc<EmbeddedQueue>,
    clock: ManualClock,
    mail: Arc<Mailbox>,
    worker: Arc<Worker>,
}

impl Lab {
    async fn new(bench: &dyn Bench) -> Self {
        Self::over(bench, |ledger| ledger).await
    }

    async fn over(
        bench: &dyn Bench,
        ledger: impl FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger>,
    ) -> Self {
        let world = bench.fresh().await;
        let queue = Arc::new(EmbeddedQueue::open_in_memory().unwrap());
        let (clock, mail) = (ManualClock::at(at(0)), Arc::default());
        let ledger = ledger(Arc::clone(&world.ledger));
        Self {
            worker: worker(ledger, Arc::clone(&queue) as _, &clock, &mail),
            world,
            queue,
            clock,
            mail,
        }
    }

    async fn sweep_at(&self, second: i64) -> Swept {
        self.clock.advance_to(at(second));
        self.worker.sweep().await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let pending = self.queue.pending().await.unwrap();
        pending.into_iter().map(|(task, _)| task.name()).collect()
    }

    /// Brings the worker what is due; gives the number of tasks.
    async fn bring(&self, second: i64) -> usize {
        self.clock.advance_to(at(second));
        let due = self.queue.take_due(self.clock.now(), 99).await.unwrap();
        for (task, deliveries) in &due {
            let delivery = self.worker.receive(task.clone(), *deliveries).await;
            self.queue
                .finish(task, delivery, self.clock.now())
                .await
                .unwrap();
        }
        due.len()
    }

    /// Loses what is planned, as a purge does.
    async fn purge(&self) {
        for (task, _) in self.queue.pending().await.unwrap() {
            self.end(&task).await;
        }
    }

    async fn end(&self, task: &Task) {
        self.queue
            .finish(task, Delivery::Acknowledged, self.clock.now())
            .await
            .unwrap();
    }

    /// Uses up the name of a task, as a purge does, or tries that ran out.
    async fn lose(&self, task: &Task) {
        let planned = self.queue.schedule(task, at(0)).await.unwrap();
        assert_eq!(planned, Scheduled::Planned);
        self.end(task).await;
    }
}

async fn settled(world: &World, id: &str) -> String {
    let (claim, job) = world.claimed(id).await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    format!("{id}:1:job.failed")
}

fn outbox(id: &str, delivery: u32) -> Task {
    Task::Notice {
        id: id.to_owned(),
        delivery,
    }
}

fn wake(job: &str, seq: u64) -> Task {
    Task::Job {
        id: job.parse().unwrap(),
        seq,
        why: filmlab::queue::Why::Wake,
    }
}

pub(crate) async fn what_cannot_be_read_stops_nothing_and_ends_in_time(bench: &dyn Bench) {
    let lab = Lab::new(bench).await;
    let world = &lab.world;
    // The oldest ones are those that cannot be read.
    for (second, id) in [(0, "bad"), (1, "newer"), (2, "good")] {
        let mut new = new_job(id);
        new.created_at = at(second);
        world.ledger.create(new).await.unwrap();
    }
    let newer = json!({"schema_version": SCHEMA_VERSION + 1});
    world.others.write("bad", json!({"params": 7})).await;
    world.others.write("newer", newer.clone()).await;
    for id in ["nbad", "nnewer", "ngood"] {
        let notice = settled(world, id).await;
        match id {
            "nbad" => {
                world
                    .others
                    .write_notice(&notice, json!({"owner": 7}))
                    .await;
            }
            "nnewer" => world.others.write_notice(&notice, newer.clone()).await,
            _ => {}
        }
    }
    let planned = Swept {
        jobs: 1,
        notifications: 1,
        left_alone: 2,
        ..Swept::default()
    };
    let watched = Swept {
        unreadable: 2,
        ..planned
    };
    assert_eq!(lab.sweep_at(100).await, watched);
    let names = ["good-2-wake", "outbox-ngood_1_job_failed-2"];
    assert_eq!(lab.names().await, names);
    lab.purge().await;
    // A visit that comes to it ends nothing either.
    let visit = lab.worker.visit("bad".parse().unwrap(), 1).await;
    assert_eq!(visit, filmlab::worker::Visit::NothingToDo);
    let visit = lab.worker.visit("newer".parse().unwrap(), 1).await;
    assert_eq!(visit, filmlab::worker::Visit::LeftAlone);
    assert_eq!(lab.sweep_at(140).await, watched, "not a lease later");
    lab.purge().await;
    let ended = Swept {
        buried: 2,
        ..planned
    };
    assert_eq!(lab.sweep_at(160).await, ended);
    lab.purge().await;
    assert_eq!(lab.sweep_at(200).await, planned, "once");
    lab.purge().await;
    let still = world.ledger.due(at(100), None, 9).await.unwrap();
    let still: Vec<_> = still.iter().map(|due| due.id.as_str()).collect();
    assert_eq!(still, ["newer"], "which waits for a newer release");
    // That one goes on with it.
    let known = json!({"schema_version": SCHEMA_VERSION});
    world.others.write("newer", known).await;
    assert_eq!(lab.sweep_at(240).await.jobs, 2);
    assert_eq!(world.job("newer").await.status, Status::Queued);
}

/// More of them in a row than a sweep takes for an outage, and the oldest ones of all.
pub(crate) async fn what_failed_waits_behind_the_others(bench: &dyn Bench) {
    let refusing = |ledger| Arc::new(LosesAnswer::refusing(ledger, "x")) as Arc<dyn Ledger>;
    let lab = Lab::over(bench, refusing).await;
    for id in ["x1", "x2", "x3", "y1", "y2"] {
        lab.world.create(id).await;
    }
    let swept = async |second| {
        let swept = lab.sweep_at(second).await;
        (swept.jobs, swept.faults)
    };
    assert_eq!(swept(100).await, (0, 3), "nothing seems to answer");
    assert_eq!(swept(101).await, (2, 3), "the others come first");
    assert_eq!(lab.names().await, ["y1-2-wake", "y2-2-wake"]);
}

/// By a clock that is ahead, or a run by hand. Its name is used up then.
pub(crate) async fn an_early_task_plans_its_notice_under_a_fresh_name(bench: &dyn Bench) {
    let lab = Lab::new(bench).await;
    let id = settled(&lab.world, "j1").await;
    let pending = DeliveryState::Pending;
    let recorded = lab
        .world
        .ledger
        .record_delivery(&id, pending, Some(at(60)), None);
    recorded.await.unwrap();
    let task = outbox(&id, 2);
    lab.queue.schedule(&task, at(48)).await.unwrap();
    assert_eq!(lab.bring(48).await, 1);
    assert_eq!(lab.names().await, ["outbox-j1_1_job_failed-3"]);
    assert_eq!(lab.bring(59).await, 0);
    assert_eq!(lab.sweep_at(60).await, Swept::default(), "nothing is lost");
    assert_eq!(lab.bring(60).await, 1);
    assert_eq!(*lab.mail.0.lock().unwrap(), [id.as_str()]);
    assert_eq!(lab.sweep_at(900).await, Swept::default());
}

pub(crate) async fn a_lost_task_of_a_notice_is_planned_anew(bench: &dyn Bench) {
    let lab = Lab::new(bench).await;
    let id = settled(&lab.world, "j1").await;
    lab.lose(&outbox(&id, 1)).await;
    let planned = Swept {
        notifications: 1,
        ..Swept::default()
    };
    assert_eq!(lab.sweep_at(100).await, planned);
    // So is the one that the sweep planned.
    lab.purge().await;
    assert_eq!(
        lab.sweep_at(110).await,
        Swept::default(),
        "not overdue again"
    );
    assert_eq!(lab.sweep_at(116).await, planned);
    assert_eq!(lab.bring(116).await, 1);
    assert_eq!(*lab.mail.0.lock().unwrap(), [id.as_str()]);
    let notice = lab.world.ledger.notice(&id).await.unwrap().unwrap();
    assert_eq!(
        (notice.state, notice.deliveries),
        (DeliveryState::Delivered, 1)
    );
}

/// Where more is due than is done, the queue is late, and nothing is lost: planned anew it would go
/// to the end of the line.
pub(crate) async fn what_waits_its_turn_keeps_its_place(bench: &dyn Bench) {
    let lab = Lab::new(bench).await;
    let id = settled(&lab.world, "j1").await;
    lab.world.create("j2").await;
    for task in [outbox(&id, 1), wake("j2", 1)] {
        lab.queue.schedule(&task, at(0)).await.unwrap();
    }
    for second in [100, 200] {
        assert_eq!(lab.sweep_at(second).await, Swept::default());
    }
    let pending = lab.queue.pending().await.unwrap();
    let due: Vec<_> = pending
        .iter()
        .map(|(task, at)| (task.name(), *at))
        .collect();
    let names = ["j2-1-wake", "outbox-j1_1_job_failed-1"];
    assert_eq!(due, names.map(|name| (name.to_owned(), at(0))));
    // Later than the ledger has it, or brought, and by nobody taken care of.
    lab.world.create("j3").await;
    let late = wake("j3", 1);
    lab.queue.schedule(&late, at(9000)).await.unwrap();
    assert_eq!(lab.queue.take_due(at(200), 9).await.unwrap().len(), 2);
    let planned = Swept {
        jobs: 2,
        notifications: 1,
        ..Swept::default()
    };
    assert_eq!(lab.sweep_at(300).await, planned);
}

/// Names that a release used which knew of no numbers for what is planned anew.
pub(crate) async fn a_sweep_never_claims_what_it_did_not_do(bench: &dyn Bench) {
    let lab = Lab::new(bench).await;
    let id = settled(&lab.world, "j1").await;
    lab.world.create("j2").await;
    for used in 1..=12 {
        lab.lose(&outbox(&id, used)).await;
        lab.lose(&wake("j2", used.into())).await;
    }
    let nothing = Swept {
        faults: 2,
        ..Swept::default()
    };
    assert_eq!(lab.sweep_at(100).await, nothing);
    assert_eq!(lab.names().await, [""; 0]);
    let planned = Swept {
        jobs: 1,
        notifications: 1,
        ..Swept::default()
    };
    assert_eq!(lab.sweep_at(200).await, planned);
    assert_eq!(
        lab.names().await,
        ["j2-13-wake", "outbox-j1_1_job_failed-13"]
    );
}

/// What is brought of a job that was deleted is nothing that a person has to look at.
pub(crate) async fn a_prompt_deletion_takes_its_tasks_and_its_notice_along(bench: &dyn Bench) {
    let lab = Lab::new(bench).await;
    let id = settled(&lab.world, "j1").await;
    settled(&lab.world, "j2").await;
    for task in [outbox(&id, 1), wake("j1", 2), wake("j2", 2)] {
        lab.queue.schedule(&task, at(0)).await.unwrap();
    }
    let deleted = lab.worker.delete("j1".parse().unwrap()).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    assert_eq!(lab.names().await, ["j2-2-wake"]);

    let (log, guard) = Log::of_this_thread();
    // Of a queue that cannot find them.
    for task in [outbox(&id, 1), wake("j1", 2)] {
        for deliveries in 1..=5 {
            let answer = lab.worker.receive(task.clone(), deliveries).await;
            assert_eq!(answer, Delivery::Again);
        }
        let answer = lab.worker.receive(task, 6).await;
        assert_eq!(answer, Delivery::Acknowledged);
    }
    drop(guard);
    let log = log.text();
    assert_eq!(log.matches("that was deleted").count(), 2, "{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    assert_eq!(*lab.mail.0.lock().unwrap(), [""; 0]);
    assert_eq!(lab.sweep_at(100).await.notifications, 1, "of the other job");
}
