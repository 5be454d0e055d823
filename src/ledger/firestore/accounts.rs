//! Credits: balances change by increments, each with an entry that must not exist yet.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::Result;
use super::documents;
use super::paths::{DocumentPath, ENTRIES};
use super::store::{Committed, Found, NAME, Scan, Store, Tries};
use super::values;
use super::writes::{Only, Version, create, increment};
use crate::clock::whole_micros;
use crate::job::{Account, CreditEntry, JobId, Owner, Timestamp};

/// Where the account lies and where its entry of that name.
pub(super) fn places(store: &Store, owner: &Owner, entry: &str) -> (DocumentPath, DocumentPath) {
    let root = store.root();
    (
        DocumentPath::user(root, owner),
        DocumentPath::entry(root, owner, entry),
    )
}

/// The writes that move what the entry says, once. The account must exist, in the very state
/// `seen` if that is given.
pub(super) fn moves(
    store: &Store,
    owner: &Owner,
    entry: &CreditEntry,
    seen: Option<Version>,
) -> Result<Vec<Write>> {
    let only = seen.map_or(Only::IfPresent, Only::If);
    writes(store, owner, entry, only)
}

fn writes(store: &Store, owner: &Owner, entry: &CreditEntry, only: Only) -> Result<Vec<Write>> {
    let (user, place) = places(store, owner, &entry.id);
    let (credits, held) = entry.kind.moves(entry.amount);
    Ok(vec![
        increment(&user, &[("credits", credits), ("credits_held", held)], only),
        create(&place, documents::of_entry(entry)?),
    ])
}

/// The entry under a name that is free for a job made at `created_at`; `None` if it was written
/// for this very job, and its credits have moved. One that is older than the job is of an
/// earlier job under the same id.
pub(super) async fn fresh(
    store: &Store,
    owner: &Owner,
    entry: &CreditEntry,
    created_at: Timestamp,
) -> Result<Option<CreditEntry>> {
    let (_, place) = places(store, owner, &entry.id);
    let Some(found) = store.get(&place).await? else {
        return Ok(Some(entry.clone()));
    };
    if documents::entry(&found).map_or(true, |written| written.at >= created_at) {
        return Ok(None);
    }
    let entry = entry.clone().of_job_made_anew(created_at);
    let (_, place) = places(store, owner, &entry.id);
    Ok((!store.has(&place).await?).then_some(entry))
}

/// All entries of a job's rounds on that account, oldest first.
pub(super) async fn of_job(store: &Store, owner: &Owner, job: &JobId) -> Result<Vec<CreditEntry>> {
    let scan = Scan {
        under: Some(&DocumentPath::user(store.root(), owner)),
        equal: vec![("job", values::text(job.as_str()))],
        ..Scan::over(ENTRIES, NAME)
    };
    let read = |found: Found| documents::entry(&found).ok();
    let mut entries = store.scan(scan, usize::MAX, read).await?;
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

pub(super) async fn load(store: &Store, owner: &Owner) -> Result<Option<Account>> {
    let found = store.get(&DocumentPath::user(store.root(), owner)).await?;
    found.as_ref().map(documents::account).transpose()
}

pub(super) async fn grant(store: &Store, owner: &Owner, entry: &CreditEntry) -> Result<bool> {
    let mut entry = entry.clone();
    entry.at = whole_micros(entry.at);
    let (_, place) = places(store, owner, &entry.id);
    let mut tries = Tries::default();
    loop {
        // An increment of a document that is not there opens it.
        let writes = writes(store, owner, &entry, Only::Always)?;
        if store.commit(writes).await? == Committed::Done {
            return Ok(true);
        }
        if store.has(&place).await? {
            return Ok(false);
        }
        tries.again().await?;
    }
}

pub(super) async fn entries(store: &Store, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
    let scan = Scan {
        under: Some(&DocumentPath::user(store.root(), owner)),
        newest_first: true,
        ..Scan::over(ENTRIES, "at")
    };
    store
        .scan(scan, limit as usize, |found| {
            match documents::entry(&found) {
                Ok(entry) => Some(entry),
                Err(error) => {
                    tracing::error!(entry = found.id, %error, "a credit entry cannot be read");
                    None
                }
            }
        })
        .await
}
