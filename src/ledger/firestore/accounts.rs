//! Credits: balances change by increments, each with an entry that must not exist yet.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::Result;
use super::documents;
use super::paths::{DocumentPath, ENTRIES};
use super::store::{Found, NAME, Scan, Store};
use super::values;
use super::writes::{Only, create, increment};
use crate::job::{CreditEntry, JobId, Owner, Timestamp};

/// The writes that move what the entry says, once, on an account of which `only` is true. An
/// increment of a document that is not there opens it.
pub(super) fn moves(
    store: &Store,
    owner: &Owner,
    entry: &CreditEntry,
    only: Only,
) -> Result<[Write; 2]> {
    let root = store.root();
    let user = DocumentPath::user(root, owner);
    let place = DocumentPath::entry(root, owner, &entry.id);
    let (credits, held) = entry.kind.moves(entry.amount);
    Ok([
        increment(&user, &[("credits", credits), ("credits_held", held)], only),
        create(&place, documents::of_entry(entry)?),
    ])
}

/// When the entry of that name was written; one that cannot be read is as new as can be.
pub(super) async fn written(
    store: &Store,
    owner: &Owner,
    entry: &str,
) -> Result<Option<Timestamp>> {
    let found = store
        .get(&DocumentPath::entry(store.root(), owner, entry))
        .await?;
    Ok(found.map(|found| documents::entry(&found).map_or(Timestamp::MAX, |entry| entry.at)))
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

/// An account's entries from a moment on, oldest first.
pub(super) async fn since(
    store: &Store,
    owner: &Owner,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<CreditEntry>> {
    let scan = Scan {
        under: Some(&DocumentPath::user(store.root(), owner)),
        at_least: Some(values::moment(since)),
        ..Scan::over(ENTRIES, "at")
    };
    let read = |found: Found| documents::entry(&found).ok();
    store.scan(scan, limit as usize, read).await
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
