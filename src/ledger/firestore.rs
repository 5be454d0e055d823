//! The ledger in Firestore, for any number of instances on the same queue.
//!
//! A job is one document. Its holder writes named fields only, on the condition that the document
//! is as it was read; whatever else must happen together goes into the same commit. Nothing here
//! holds a lock: commits without a transaction compare instead, which is also the fastest under
//! contention.
//!
//! Cost of an owner write: one commit, and a read where the document is not as it was seen last. `docs/firestore-schema.md` is the contract
//! with everybody else who reads or writes these documents.
//!
//! Architecture invariant: no Firestore type leaves `ledger::firestore`.

mod accounts;
mod callbacks;
mod commit;
mod counters;
mod difference;
mod documents;
mod marks;
mod outbox;
mod owned;
mod paths;
mod planning;
mod seen;
mod shared;
mod store;
mod unreadable;
mod values;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firestore::{FirestoreDb, FirestoreDbOptions, FirestoreResult};
use gcloud_sdk::HeaderMap;
use gcloud_sdk::google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use gcloud_sdk::google_cloud_auth::errors::CredentialsError;
use jiff::civil::Date;
use serde_json::Value;

use super::backend::{Backend, Committed, Damaged, KeyRecord, Loaded, Record, Shared, Write};
use super::limits::{OwnerLimit, OwnerLimits};
use super::owned::{Books, OwnerRecords, Part, RawRecord, Removed};
use super::recent::Recent;
use super::{
    Callback, Counts, Due, DueCursor, DueNotice, JobQuery, KeptSince, LedgerError, Result, Tally,
};
use crate::job::{Account, CreditEntry, Job, JobId, Keeping, Notice, Owner, Status, Timestamp};
use paths::DocumentPath;
pub use seen::Seen;
use store::{Found, Store};

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
    recent: Recent<Found>,
    owners: Arc<OwnerLimits>,
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
        Ok(Self {
            store,
            recent: Recent::default(),
            owners: Arc::default(),
        })
    }

    /// Bounds what each owner may have at once and spend in a day. Jobs of other creators count;
    /// nobody keeps these from making more.
    #[must_use]
    pub fn owner_limits(mut self, limits: OwnerLimits) -> Self {
        self.owners = Arc::new(limits);
        self
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

/// What `read` makes of a document, with the document.
fn loaded<T>(
    found: Option<Found>,
    read: impl FnOnce(&Found) -> Result<T>,
) -> Result<Option<Loaded<T, Seen>>> {
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Loaded {
        record: read(&found)?,
        seen: Seen::Document(found),
    }))
}

#[async_trait]
impl Backend for FirestoreLedger {
    type Seen = Seen;

    fn limit_of(&self, owner: &Owner) -> OwnerLimit {
        self.owners.of(owner)
    }

    async fn job(&self, id: &JobId) -> Result<Option<Loaded<Box<Job>, Seen>>> {
        let place = DocumentPath::job(self.store.root(), id);
        let found = self.store.get(&place).await?;
        let Some(found) = found else { return Ok(None) };
        let job = Box::new(documents::job(&found)?);
        self.recent.keep(Loaded {
            record: job.clone(),
            seen: found.clone(),
        });
        let seen = Seen::Document(found);
        Ok(Some(Loaded { record: job, seen }))
    }

    fn last_seen(&self, id: &JobId) -> Option<Loaded<Box<Job>, Seen>> {
        let Loaded { record, seen } = self.recent.take(id)?;
        let seen = Seen::Document(seen);
        Some(Loaded { record, seen })
    }

    async fn notice(&self, id: &str) -> Result<Option<Loaded<Box<Notice>, Seen>>> {
        let place = DocumentPath::notice(self.store.root(), id);
        let found = self.store.get(&place).await?;
        loaded(found, |found| documents::notice(found).map(Box::new))
    }

    async fn account_of(&self, owner: &Owner) -> Result<Option<Loaded<Account, Seen>>> {
        let place = DocumentPath::user(self.store.root(), owner);
        loaded(self.store.get(&place).await?, documents::account)
    }

    async fn key(&self, owner: &Owner, key: &str) -> Result<Option<Loaded<KeyRecord, Seen>>> {
        let place = DocumentPath::idempotency(self.store.root(), owner, key);
        loaded(self.store.get(&place).await?, |found| {
            let kept = values::object(&found.fields);
            let text = |name: &str| kept.get(name).and_then(|value| value.as_str());
            Ok(KeyRecord {
                request_sha256: text("request_sha256").unwrap_or_default().to_owned(),
                job: text("job").and_then(|id| id.parse().ok()),
            })
        })
    }

    async fn shared(&self, what: &Shared) -> Result<Option<Loaded<Value, Seen>>> {
        let place = shared::place(&self.store, what);
        loaded(self.store.get(&place).await?, |found| {
            Ok(values::lenient(Value::Object(values::object(
                &found.fields,
            ))))
        })
    }

    async fn has_callback(&self, job: &JobId, intent: &str) -> Result<bool> {
        let place = DocumentPath::callback(self.store.root(), job, intent);
        self.store.has(&place).await
    }

    async fn entry_written(&self, owner: &Owner, entry: &str) -> Result<Option<Timestamp>> {
        accounts::written(&self.store, owner, entry).await
    }

    async fn damaged(&self, record: &Record) -> Result<Option<Damaged<Seen>>> {
        match record {
            Record::Job(id) => unreadable::damaged_job(&self.store, id).await,
            Record::Notice(id) => unreadable::damaged_notice(&self.store, id).await,
        }
    }

    async fn commit(&self, writes: Vec<Write<Seen>>) -> Result<Committed> {
        commit::all(&self.store, &self.recent, writes).await
    }

    async fn remove(&self, job: Loaded<Box<Job>, Seen>) -> Result<Committed> {
        commit::remove(&self.store, &job).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        planning::list(&self.store, query).await
    }

    async fn jobs_beginning(
        &self,
        owner: Option<&Owner>,
        beginning: &str,
        limit: u32,
    ) -> Result<Vec<Job>> {
        planning::beginning(&self.store, owner, beginning, limit).await
    }

    async fn tally(&self, what: Tally, most: u32) -> Result<u32> {
        planning::count(&self.store, what, most).await
    }

    async fn counts_of(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
        counters::read(&self.store, owner, from, to).await
    }

    async fn jobs_due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<Due>> {
        planning::due(&self.store, before, after, limit).await
    }

    async fn notices_due(
        &self,
        before: Timestamp,
        after: Option<&DueCursor>,
        limit: u32,
    ) -> Result<Vec<DueNotice>> {
        outbox::due(&self.store, before, after, limit).await
    }

    async fn jobs_kept(
        &self,
        what: Keeping,
        before: Timestamp,
        after: Option<&KeptSince>,
        limit: u32,
    ) -> Result<Vec<KeptSince>> {
        planning::kept(&self.store, what, before, after, limit).await
    }

    async fn notices_of(&self, job: &JobId) -> Result<Vec<Notice>> {
        outbox::of_job(&self.store, job).await
    }

    async fn callbacks_of(&self, job: &JobId) -> Result<Vec<Callback>> {
        callbacks::of_job(&self.store, job).await
    }

    async fn entries_on(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        accounts::entries(&self.store, owner, limit).await
    }

    async fn entries_of(&self, owner: &Owner, job: &JobId) -> Result<Vec<CreditEntry>> {
        accounts::of_job(&self.store, owner, job).await
    }

    async fn entries_since(
        &self,
        owner: &Owner,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<CreditEntry>> {
        accounts::since(&self.store, owner, since, limit).await
    }

    async fn jobs_of(&self, owner: &Owner, statuses: &[Status], most: u32) -> Result<u32> {
        planning::jobs_of(&self.store, owner, statuses, most).await
    }

    async fn did_native_work(&self, process: &str, _now: Timestamp) -> Result<bool> {
        planning::did_native_work(&self.store, process).await
    }

    async fn write_mark(&self, name: &str, now: Timestamp) -> Result<()> {
        marks::mark(&self.store, name, now).await
    }

    async fn remove_mark(&self, name: &str) -> Result<()> {
        marks::unmark(&self.store, name).await
    }

    async fn mark_names(&self) -> Result<Vec<String>> {
        marks::marks(&self.store).await
    }

    async fn remove_marks(&self, before: Timestamp) -> Result<()> {
        marks::unmark_old(&self.store, before).await
    }

    async fn answers(&self) -> Result<()> {
        self.store.ping().await
    }
}

#[async_trait]
impl OwnerRecords for FirestoreLedger {
    async fn job_ids(
        &self,
        owner: &Owner,
        after: Option<&JobId>,
        limit: u32,
    ) -> Result<Vec<JobId>> {
        owned::job_ids(&self.store, owner, after, limit).await
    }

    async fn of_job(&self, job: &JobId) -> Result<Vec<RawRecord>> {
        owned::of_job(&self.store, job).await
    }

    async fn remove_damaged(&self, job: &JobId) -> Result<bool> {
        owned::remove_damaged(&self.store, job).await
    }

    async fn of_owner(
        &self,
        owner: &Owner,
        part: Part,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RawRecord>> {
        owned::of_owner(&self.store, owner, part, after, limit).await
    }

    async fn remove(&self, owner: &Owner, part: Part) -> Result<Removed> {
        owned::remove(&self.store, owner, part).await
    }

    async fn books(&self) -> Result<Books> {
        owned::books(&self.store).await
    }

    /// Google removes what was deleted; its backups end by their own age.
    async fn scrub(&self) -> Result<()> {
        Ok(())
    }
}
