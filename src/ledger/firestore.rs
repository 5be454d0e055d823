//! The ledger in Firestore, for any number of instances on the same queue.
//!
//! A job is one document. Its holder writes named fields only, on the condition that the document
//! is as it was read; whatever else must happen together goes into the same commit. Nothing here
//! holds a lock: commits without a transaction compare instead, which is also the fastest under
//! contention.
//!
//! Cost of an owner write: one read and one commit. `docs/firestore-schema.md` is the contract
//! with everybody else who reads or writes these documents.
//!
//! Architecture invariant: no Firestore type leaves `ledger::firestore`.

mod accounts;
mod creation;
mod documents;
mod marks;
mod outbox;
mod owner;
mod paths;
mod planning;
mod retention;
mod rounds;
mod store;
mod unreadable;
mod values;
mod writes;

use std::time::Duration;

use async_trait::async_trait;
use firestore::{FirestoreDb, FirestoreDbOptions, FirestoreResult};
use gcloud_sdk::HeaderMap;
use gcloud_sdk::google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use gcloud_sdk::google_cloud_auth::errors::CredentialsError;

use super::{
    Burial, Callback, CancelRequest, Claimed, Commit, Created, Deleted, Due, DueNotice, DuePlace,
    Held, JobQuery, KeptSince, Ledger, LedgerError, Result, Retried, Settled, Settlement, Tally,
};
use crate::job::{
    Account, Change, Claim, CreditEntry, Credits, Job, JobId, Keeping, NewJob, Notification, Owner,
    Progress, Timestamp, notification::DeliveryState,
};
use store::Store;

/// Which database, and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirestoreConfig {
    /// The project's id.
    pub project: String,
    /// `(default)`, or the name of another database of the project.
    pub database: String,
    /// `host:port` of an emulator. Absent: Google's service, with the credentials of the place
    /// we run in; unless the environment names an emulator in `FIRESTORE_EMULATOR_HOST`, as
    /// everywhere in Google's tools.
    pub emulator: Option<String>,
    /// The longest one commit may take, and the longest one read with its retries. A ledger call
    /// makes two to four of them, more where others write to the same documents.
    pub request_timeout: Duration,
}

impl FirestoreConfig {
    /// The project's default database, ten seconds for each request.
    pub fn new(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
            database: firestore::FIREBASE_DEFAULT_DATABASE_ID.to_owned(),
            emulator: None,
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Jobs, credits and notices in Firestore. Clones share one connection.
#[derive(Debug, Clone)]
pub struct FirestoreLedger {
    store: Store,
}

impl FirestoreLedger {
    /// Connects and asks the database something, each within the time limit of a request.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if nobody answers there, no credentials can be found, there
    /// is no such database, or we may not read it.
    pub async fn connect(config: FirestoreConfig) -> Result<Self> {
        let timeout = config.request_timeout;
        let db = match tokio::time::timeout(timeout, open(config)).await {
            Ok(opened) => opened.map_err(|error| store::unreadable(&error))?,
            Err(_) => {
                return Err(LedgerError::Unavailable(format!(
                    "Firestore could not be reached within {timeout:?}"
                )));
            }
        };
        let store = Store::new(db, timeout);
        store.check().await?;
        Ok(Self { store })
    }
}

async fn open(config: FirestoreConfig) -> FirestoreResult<FirestoreDb> {
    let options = FirestoreDbOptions::new(config.project)
        .with_database_id(config.database)
        // Of reads: it leaves time for another try. Commits carry the whole limit themselves.
        .with_request_timeout(config.request_timeout / 3);
    match config.emulator {
        None => FirestoreDb::with_options(options).await,
        Some(host) => {
            let options = options.with_firebase_api_url(format!("http://{host}"));
            let owner = EmulatorOwner(EntityTag::new());
            FirestoreDb::with_options_auth(options, Credentials::from(owner)).await
        }
    }
}

/// What the emulator takes for the project's owner, whom no rules bind. The client sends it by
/// itself only if the environment names the emulator.
#[derive(Debug)]
struct EmulatorOwner(EntityTag);

impl CredentialsProvider for EmulatorOwner {
    async fn headers(
        &self,
        known: http::Extensions,
    ) -> std::result::Result<CacheableResource<HeaderMap>, CredentialsError> {
        if known.get::<EntityTag>() == Some(&self.0) {
            return Ok(CacheableResource::NotModified);
        }
        let token = http::HeaderValue::from_static("Bearer owner");
        Ok(CacheableResource::New {
            entity_tag: self.0.clone(),
            data: HeaderMap::from_iter([(http::header::AUTHORIZATION, token)]),
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

#[async_trait]
impl Ledger for FirestoreLedger {
    async fn create(&self, new: NewJob) -> Result<Created> {
        creation::create(&self.store, new).await
    }

    async fn read(&self, id: &JobId) -> Result<Option<Job>> {
        Ok(owner::load(&self.store, id).await?.map(|read| read.job))
    }

    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        planning::list(&self.store, query).await
    }

    async fn count(&self, what: Tally, most: u32) -> Result<u32> {
        planning::count(&self.store, what, most).await
    }

    async fn claim(
        &self,
        id: &JobId,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claimed> {
        owner::claim(&self.store, id, holder, now, ttl).await
    }

    async fn renew(
        &self,
        id: &JobId,
        claim: &Claim,
        progress: Option<&Progress>,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Commit> {
        owner::renew(&self.store, id, claim, progress, now, ttl).await
    }

    async fn record(
        &self,
        id: &JobId,
        claim: &Claim,
        change: &Change,
        now: Timestamp,
    ) -> Result<Commit> {
        owner::record(&self.store, id, claim, change, now).await
    }

    async fn hold(
        &self,
        id: &JobId,
        claim: &Claim,
        amount: Credits,
        now: Timestamp,
    ) -> Result<Held> {
        owner::hold(&self.store, id, claim, amount, now).await
    }

    async fn settle(
        &self,
        id: &JobId,
        claim: &Claim,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled> {
        owner::settle(&self.store, id, claim, settlement, now).await
    }

    async fn due(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        planning::due(&self.store, before, after, limit).await
    }

    async fn rewake(&self, id: &JobId, seen: u64, now: Timestamp) -> Result<Option<u64>> {
        planning::rewake(&self.store, id, seen, now).await
    }

    async fn replan(&self, id: &JobId, seen: u64) -> Result<Option<u64>> {
        planning::replan(&self.store, id, seen).await
    }

    async fn bury(&self, id: &JobId, now: Timestamp, patience: Duration) -> Result<Burial> {
        unreadable::bury(&self.store, id, now, patience).await
    }

    async fn bury_notice(&self, id: &str, now: Timestamp, patience: Duration) -> Result<Burial> {
        unreadable::bury_notice(&self.store, id, now, patience).await
    }

    async fn request_cancel(&self, id: &JobId, _now: Timestamp) -> Result<CancelRequest> {
        creation::request_cancel(&self.store, id).await
    }

    async fn retry(
        &self,
        id: &JobId,
        round: u32,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<Retried> {
        rounds::retry(&self.store, id, round, now, deadline_at).await
    }

    async fn delete(&self, id: &JobId, round: u32) -> Result<Deleted> {
        rounds::delete(&self.store, id, round).await
    }

    async fn kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        retention::kept(&self.store, what, before, after, limit).await
    }

    async fn forget(&self, id: &JobId, what: Keeping, round: u32, now: Timestamp) -> Result<bool> {
        retention::forget(&self.store, id, what, round, now).await
    }

    async fn record_callback(&self, id: &JobId, callback: &Callback) -> Result<bool> {
        creation::record_callback(&self.store, id, callback).await
    }

    async fn callbacks(&self, id: &JobId) -> Result<Vec<Callback>> {
        creation::callbacks(&self.store, id).await
    }

    async fn notification(&self, id: &str) -> Result<Option<Notification>> {
        outbox::load(&self.store, id).await
    }

    async fn notifications(&self, id: &JobId) -> Result<Vec<Notification>> {
        outbox::of_job(&self.store, id).await
    }

    async fn replay(&self, id: &str, now: Timestamp) -> Result<Option<Notification>> {
        outbox::replay(&self.store, id, now).await
    }

    async fn due_notifications(
        &self,
        before: Timestamp,
        after: Option<&DuePlace>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        outbox::due(&self.store, before, after, limit).await
    }

    async fn replan_notice(
        &self,
        id: &str,
        seen: u32,
        at: Option<Timestamp>,
    ) -> Result<Option<Notification>> {
        outbox::replan(&self.store, id, seen, at).await
    }

    async fn record_delivery(
        &self,
        id: &str,
        state: DeliveryState,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<()> {
        outbox::record_delivery(&self.store, id, state, next_at, error).await
    }

    async fn account(&self, owner: &Owner) -> Result<Option<Account>> {
        accounts::load(&self.store, owner).await
    }

    async fn grant(&self, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
        accounts::grant(&self.store, owner, entry).await
    }

    async fn entries(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        accounts::entries(&self.store, owner, limit).await
    }

    async fn mark(&self, name: &str, now: Timestamp) -> Result<()> {
        marks::mark(&self.store, name, now).await
    }

    async fn unmark(&self, name: &str) -> Result<()> {
        marks::unmark(&self.store, name).await
    }

    async fn marks(&self) -> Result<Vec<String>> {
        marks::marks(&self.store).await
    }

    async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        marks::unmark_old(&self.store, before).await
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }
}
