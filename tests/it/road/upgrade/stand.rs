//! A worker over any ledger, as `Bench` is one over SQLite: to write a ledger of this revision,
//! and to go on with one of another.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, ManualClock};
use filmlab::job::{Job, JobId, Timestamp};
use filmlab::ledger::Ledger;
use filmlab::outgoing::{LeastRate, WebFetcher};
use filmlab::queue::Receiver as _;
use filmlab::queue::embedded::EmbeddedQueue;
use filmlab::storage::Storage;
use filmlab::storage::links::HmacLinks;
use filmlab::worker::{Services, Settings, Worker};

use super::super::bench::{Letterbox, replaced, settings};
use super::super::studio::Studio;
use crate::support::require;

pub(super) struct Stand {
    pub(super) clock: ManualClock,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) queue: Arc<EmbeddedQueue>,
    pub(super) storage: Storage,
    pub(super) studio: Arc<Studio>,
    pub(super) letters: Arc<Letterbox>,
    pub(super) settings: Settings,
}

impl Stand {
    /// `None` where the fixtures are missing (noted as a skip).
    pub(super) async fn over(
        ledger: Arc<dyn Ledger>,
        queue: EmbeddedQueue,
        objects: &Path,
        now: Timestamp,
    ) -> Option<Self> {
        let clip = require::fixture("tiny.mp4")?;
        let character = require::fixture("character.png")?;
        let logo = require::fixture("logo.png")?;
        let clock = ManualClock::at(now);
        std::fs::create_dir_all(objects).unwrap();
        let links = HmacLinks::new(
            "https://lab.example/".parse().unwrap(),
            &[7; 32],
            Arc::new(clock.clone()),
        );
        let storage = Storage::in_directory(objects, Arc::new(links.unwrap())).unwrap();
        let output = replaced(&clip, &character).await;
        Some(Self {
            studio: Arc::new(Studio::new(output, clock.clone(), true)),
            clock,
            ledger,
            queue: Arc::new(queue),
            storage,
            letters: Arc::default(),
            settings: settings(logo),
        })
    }

    /// A fresh worker, as a new process would have it.
    pub(super) fn worker(&self) -> Arc<Worker> {
        self.worker_over(Arc::clone(&self.ledger))
    }

    pub(super) fn worker_over(&self, ledger: Arc<dyn Ledger>) -> Arc<Worker> {
        Worker::new(Services {
            ledger,
            queue: Arc::clone(&self.queue) as _,
            provider: Arc::clone(&self.studio) as _,
            callbacks: Arc::clone(&self.studio) as _,
            storage: self.storage.clone(),
            notifiers: vec![Arc::clone(&self.letters) as _],
            fetcher: Arc::new(
                WebFetcher::new(true, Duration::from_secs(5), LeastRate::default()).unwrap(),
            ),
            clock: Arc::new(self.clock.clone()),
            settings: self.settings.clone(),
        })
    }

    pub(super) async fn job(&self, id: &JobId) -> Job {
        self.ledger.read(id).await.unwrap().unwrap()
    }

    /// Delivers the next task, moving the clock to it; `false` if there is none.
    pub(super) async fn step(&self, worker: &Arc<Worker>) -> bool {
        let Some((_, at)) = self.queue.pending().await.unwrap().into_iter().next() else {
            return false;
        };
        self.clock.advance_to(at);
        for (task, deliveries) in self.queue.take_due(self.clock.now(), 1).await.unwrap() {
            let delivery = worker.receive(task.clone(), deliveries).await;
            self.queue
                .finish(&task, delivery, self.clock.now())
                .await
                .unwrap();
        }
        true
    }
}
