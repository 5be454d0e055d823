//! What others write: new jobs, cancellations, callbacks.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::{Callback, CancelRequest, Created, MOST_CALLBACKS, Result};
use super::documents::{self, CANCEL, Difference};
use super::owner::load;
use super::paths::{CALLBACKS, DocumentPath};
use super::store::{Committed, Found, Scan, Store, Tries};
use super::values::{self, Fields};
use super::writes::{self, Only};
use crate::clock::whole_micros;
use crate::job::{Idempotency, Job, JobId, NewJob, Owner};

pub(super) async fn create(store: &Store, mut new: NewJob) -> Result<Created> {
    new.created_at = whole_micros(new.created_at);
    new.deadline_at = whole_micros(new.deadline_at);
    let mut tries = Tries::default();
    // What the key's record of a job that is gone looks like: it is replaced.
    let mut stale = Only::IfAbsent;
    loop {
        let job = new.clone().into_job();
        let place = DocumentPath::job(store.root(), &job.id);
        let mut writes = vec![writes::create(&place, documents::of_job(&job)?)];
        writes.extend(remember(store, new.idempotency.as_ref(), &job, stale));
        // Most requests are new: the answer to this commit says so without a read before it.
        if store.commit(writes).await? == Committed::Done {
            return Ok(Created::New(Box::new(job)));
        }
        match known(store, &new).await? {
            Known::As(created) => return Ok(created),
            Known::Stale(record) => stale = Only::If(record.version),
            Known::Not => stale = Only::IfAbsent,
        }
        tries.again().await?;
    }
}

enum Known {
    As(Created),
    /// The key's record names a job that is gone.
    Stale(Found),
    Not,
}

/// What is there of the request, by its key and by its id.
async fn known(store: &Store, new: &NewJob) -> Result<Known> {
    let mut stale = None;
    if let Some(asked) = &new.idempotency {
        let place = DocumentPath::idempotency(store.root(), &new.owner, &asked.key);
        if let Some(record) = store.get(&place).await? {
            let kept = values::object(&record.fields);
            if kept.get("request_sha256") != Some(&asked.request_sha256.as_str().into()) {
                return Ok(Known::As(Created::KeyReused));
            }
            let id = kept.get("job").and_then(|job| job.as_str());
            let id = id.and_then(|id| id.parse().ok());
            let id: JobId =
                id.ok_or_else(|| documents::malformed(&record.id, "it names no job"))?;
            match load(store, &id).await? {
                Some(read) => return Ok(Known::As(Created::Existing(Box::new(read.job)))),
                None => stale = Some(record),
            }
        }
    }
    let Some(read) = load(store, &new.id).await? else {
        return Ok(stale.map_or(Known::Not, Known::Stale));
    };
    if !new.asks_for(&read.job) {
        return Ok(Known::As(Created::IdTaken));
    }
    let only = stale.map_or(Only::IfAbsent, |record| Only::If(record.version));
    if let Some(write) = remember(store, new.idempotency.as_ref(), &read.job, only) {
        // Somebody else's record of that key, made this moment, is looked at like any other.
        if store.commit(vec![write]).await? == Committed::Conflict {
            return Ok(Known::Not);
        }
    }
    Ok(Known::As(Created::Existing(Box::new(read.job))))
}

/// The record that makes the key stand for this request.
fn remember(store: &Store, key: Option<&Idempotency>, job: &Job, only: Only) -> Option<Write> {
    let asked = key?;
    let place = DocumentPath::idempotency(store.root(), &job.owner, &asked.key);
    let fields = record(&job.owner, asked, job);
    let mask = fields.keys().cloned().collect();
    Some(writes::update(&place, fields, mask, only))
}

fn record(owner: &Owner, asked: &Idempotency, job: &Job) -> Fields {
    Fields::from([
        ("owner".into(), values::text(owner.as_str())),
        ("key".into(), values::text(&asked.key)),
        ("request_sha256".into(), values::text(&asked.request_sha256)),
        ("job".into(), values::text(job.id.as_str())),
        ("created_at".into(), values::moment(job.created_at)),
    ])
}

pub(super) async fn request_cancel(store: &Store, id: &JobId) -> Result<CancelRequest> {
    let mut tries = Tries::default();
    loop {
        let Some(read) = load(store, id).await? else {
            return Ok(CancelRequest::NotFound);
        };
        let mut job = read.job;
        if job.status.is_ended() {
            return Ok(CancelRequest::Ended(Box::new(job)));
        }
        if job.cancel_requested {
            return Ok(CancelRequest::Noted(Box::new(job)));
        }
        job.cancel_requested = true;
        let mut change = Difference::default();
        change.set(&[CANCEL], values::truth(true));
        // Compared, so that a request never lands on a round that ended in between and then
        // cancels the next one.
        let write = change.into_write(&read.place, Only::If(read.found.version));
        if store.commit(vec![write]).await? == Committed::Done {
            return Ok(CancelRequest::Noted(Box::new(job)));
        }
        tries.again().await?;
    }
}

pub(super) async fn record_callback(
    store: &Store,
    id: &JobId,
    callback: &Callback,
) -> Result<bool> {
    let place = DocumentPath::callback(store.root(), id, &callback.intent);
    let fields = Fields::from([
        ("intent".into(), values::text(&callback.intent)),
        (
            "prediction_id".into(),
            values::text(&callback.prediction_id),
        ),
        ("received_at".into(), values::moment(callback.received_at)),
    ]);
    let mut tries = Tries::default();
    loop {
        let write = writes::create(&place, fields.clone());
        if store.commit(vec![write]).await? == Committed::Done {
            return Ok(true);
        }
        if store.has(&place).await? {
            return Ok(false);
        }
        tries.again().await?;
    }
}

pub(super) async fn callbacks(store: &Store, id: &JobId) -> Result<Vec<Callback>> {
    let scan = Scan {
        under: Some(&DocumentPath::job(store.root(), id)),
        newest_first: true,
        ..Scan::over(CALLBACKS, "received_at")
    };
    let mut found = store
        .scan(scan, MOST_CALLBACKS, |found| callback(&found))
        .await?;
    found.reverse();
    Ok(found)
}

fn callback(found: &Found) -> Option<Callback> {
    let fields = serde_json::Value::Object(values::object(&found.fields));
    let read = serde_json::from_value::<Callback>(fields);
    if let Err(error) = &read {
        tracing::error!(intent = found.id, %error, "a callback cannot be read");
    }
    read.ok()
}
