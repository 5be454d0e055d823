//! Removes all that is kept of an owner.
//!
//! Jobs go first, each as [`Worker::delete`] does it: objects, the provider's copies, the record.
//! Then uploads, then what is no job's own, and the account last. So whatever breaks off is found
//! again by the owner's name, and doing it again goes on. What cannot be removed is passed and
//! named.
//!
//! [`Worker::delete`]: crate::worker::Worker::delete

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoEnumIterator as _;
use tokio::time::Instant;

use super::App;
use super::adapters;
use super::owned::{Jobs, PAGE, Records};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::job::{Failure, Job, JobId, Owner, inputs};
use crate::ledger::owned::{OwnerRecords, Part};
use crate::ledger::{CancelRequest, Deleted, LedgerError};
use crate::worker::folders;

/// Between two looks at a job that somebody else ends.
const PAUSE: Duration = Duration::from_millis(300);
/// What visits of this process get for their end.
const DRAIN: Duration = Duration::from_secs(8);

/// What there is, before anything of it is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    pub jobs: u64,
    /// Of those, the ones that have not ended.
    pub under_way: u64,
    pub objects: u64,
    /// Records that are no job's own, by their part.
    pub records: BTreeMap<&'static str, u64>,
}

impl Holdings {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs == 0 && self.objects == 0 && self.records.values().all(|count| *count == 0)
    }
}

/// What was removed, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    pub jobs: u64,
    /// Objects that were no job's own.
    pub uploads: u64,
    pub records: u64,
    /// What stays, each with the reason.
    pub left: BTreeSet<String>,
}

/// The means to remove an owner: a worker that serves nobody, and the ledger seen by owner.
#[derive(Debug)]
pub struct Erasure {
    app: App,
    records: Arc<dyn OwnerRecords>,
    owner: Owner,
    clock: SharedClock,
    done: Erased,
}

impl Erasure {
    pub async fn open(config: &Config, owner: Owner, clock: SharedClock) -> Result<Self, Failure> {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Ok(Self {
            app: App::build(config, nowhere, Arc::clone(&clock)).await?,
            records: adapters::owner_records(config).await?,
            owner,
            clock,
            done: Erased::default(),
        })
    }

    pub async fn holdings(&self) -> Result<Holdings, Failure> {
        let mut found = Holdings::default();
        let mut jobs = Jobs::of(&self.records, &self.owner);
        while let Some(id) = jobs.next().await? {
            found.jobs += 1;
            let job = self.app.ledger.read(&id).await.ok().flatten();
            found.under_way += u64::from(job.is_some_and(|job| !job.status.is_ended()));
            for folder in folders(&id) {
                found.objects += self.objects(&folder).await?;
            }
        }
        found.objects += self.objects(&inputs::folder_of(&self.owner)).await?;
        for part in Part::iter() {
            let mut records = Records::of(&self.records, &self.owner, part);
            let count = found.records.entry(part.into()).or_default();
            loop {
                let page = records.page().await?;
                if page.is_empty() {
                    break;
                }
                *count += page.len() as u64;
            }
        }
        Ok(found)
    }

    async fn objects(&self, folder: &str) -> Result<u64, Failure> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self
                .app
                .storage
                .page(folder, after.as_deref(), PAGE, |_| true);
            let page = page.await.map_err(|error| unlisted(&error))?;
            count += page.objects.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Removes it all. Jobs under way are cancelled first; for their ends it waits this long.
    pub async fn run(mut self, patience: Duration) -> Result<Erased, Failure> {
        let until = Instant::now() + patience;
        // All at once, so that they end beside each other.
        let mut jobs = Jobs::of(&self.records, &self.owner);
        while let Some(id) = jobs.next().await? {
            // What cannot be read is told below.
            let _ = self.app.ledger.request_cancel(&id, self.clock.now()).await;
        }
        let mut jobs_left = self.jobs(until).await?;
        // Those that were made meanwhile. More of them are told as what stays.
        if jobs_left == 0 {
            jobs_left = self.jobs(until).await?;
        }
        let folder = inputs::folder_of(&self.owner);
        match self.app.storage.sweep(&folder, |_| true).await {
            Ok(swept) => {
                self.done.uploads += u64::from(swept.deleted);
                if swept.failed > 0 {
                    self.leave(&folder, &format!("{} objects", swept.failed));
                }
            }
            Err(error) => self.leave(&folder, &error),
        }
        if jobs_left > 0 {
            self.leave(
                "notices, keys, credit entries and the account",
                &"they stay as long as a job does",
            );
        } else {
            for part in Part::iter() {
                if let Err(error) = self.part(part).await {
                    self.leave(part.into(), &error);
                }
            }
        }
        if let Err(error) = self.records.scrub().await {
            self.leave("the database file", &error);
        }
        self.app.worker.drain(DRAIN).await;
        Ok(self.done)
    }

    fn leave(&mut self, what: &str, why: &dyn Display) {
        self.done.left.insert(format!("{what}: {why}"));
    }

    /// Removes every job that there is; gives the number of those that stay.
    async fn jobs(&mut self, until: Instant) -> Result<u64, Failure> {
        let mut left = 0;
        let mut jobs = Jobs::of(&self.records, &self.owner);
        while let Some(id) = jobs.next().await? {
            match self.job(&id, until).await {
                Ok(()) => self.done.jobs += 1,
                Err(why) => {
                    left += 1;
                    self.leave(&format!("job {id}"), &why);
                }
            }
        }
        Ok(left)
    }

    async fn job(&self, id: &JobId, until: Instant) -> Result<(), String> {
        match self.ended(id, until).await {
            Ok(true) => {}
            Ok(false) => return Err("it has not ended yet; do this again later".into()),
            Err(LedgerError::Malformed { .. }) => return self.damaged(id).await,
            Err(error) => return Err(error.to_string()),
        }
        match Arc::clone(&self.app.worker).delete(id.clone()).await {
            Ok(Deleted::Done | Deleted::NotFound) => Ok(()),
            Ok(Deleted::NotEnded(_)) => Err("another round of it has begun".into()),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// Cancels a job and waits for its end. A visit from here ends what nobody holds, so that no
    /// service has to run; what a service holds it ends itself, at its next heartbeat.
    async fn ended(&self, id: &JobId, until: Instant) -> Result<bool, LedgerError> {
        loop {
            let asked = self.app.ledger.request_cancel(id, self.clock.now()).await;
            let job: Box<Job> = match asked {
                Ok(CancelRequest::Ended(_) | CancelRequest::NotFound) => return Ok(true),
                Ok(CancelRequest::Noted(job)) => job,
                Err(error) => return Err(error),
            };
            let worker = Arc::clone(&self.app.worker);
            worker.visit(id.clone(), job.wake.seq).await;
            let job = self.app.ledger.read(id).await?;
            if job.is_none_or(|job| job.status.is_ended()) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Of a job that cannot be read, everything that its id leads to.
    async fn damaged(&self, id: &JobId) -> Result<(), String> {
        for folder in folders(id) {
            let swept = self.app.storage.sweep(&folder, |_| true).await;
            let swept = swept.map_err(|error| error.to_string())?;
            if swept.failed > 0 {
                return Err(format!("{} objects could not be deleted", swept.failed));
            }
        }
        match self.records.remove_damaged(id).await {
            Ok(true) => {
                // They would be brought to nobody a few times, and then be given up.
                if let Err(error) = self.app.queue.forget(id).await {
                    tracing::info!(job = %id, %error, "tasks of the removed job are still brought");
                }
                Ok(())
            }
            Ok(false) => Err("it was written to meanwhile".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn part(&mut self, part: Part) -> Result<(), LedgerError> {
        loop {
            let removed = self.records.remove(&self.owner, part).await?;
            self.done.records += removed.records;
            for name in removed.left {
                self.leave(&name, &"holds fields that are not filmlab's");
            }
            if removed.records == 0 {
                return Ok(());
            }
        }
    }
}

fn unlisted(error: &crate::storage::StorageError) -> Failure {
    let code = crate::job::Code::StorageUnavailable;
    Failure::new(code, format!("{} {error}", code.about()))
}
