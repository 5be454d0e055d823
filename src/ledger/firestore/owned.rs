//! An owner's documents, and their removal.

use gcloud_sdk::google::firestore::v1::value::ValueType;
use serde_json::Value;

use super::super::backend::Committed;
use super::super::owned::{Books, MOST_RECORDS, Part, RawRecord, Removed};
use super::super::{LedgerError, Result};
use super::paths::{
    BOOKS, CALLBACKS, COUNTERS, DocumentPath, ENTRIES, GUARDS, IDEMPOTENCY, JOBS, OUTBOX,
    UNREADABLE,
};
use super::store::{Found, NAME, Scan, Store};
use super::values::{self, Fields};
use super::writes::{Only, delete, delete_named, increment, update};
use super::{commit, documents, outbox, unreadable};
use crate::job::{JobId, Owner};

/// What of a user's document is filmlab's.
const BALANCE: [&str; 2] = ["credits", "credits_held"];

pub(super) async fn job_ids(
    store: &Store,
    owner: &Owner,
    after: Option<&JobId>,
    limit: u32,
) -> Result<Vec<JobId>> {
    let scan = Scan {
        equal: vec![("owner", values::text(owner.as_str()))],
        fields: Some(&["owner"]),
        after: after.map(|id| behind(DocumentPath::job(store.root(), id).name())),
        ..Scan::over(JOBS, NAME)
    };
    store
        .scan(scan, limit as usize, |found| documents::job_id(&found))
        .await
}

/// A place in a list by name.
fn behind(name: String) -> (gcloud_sdk::google::firestore::v1::Value, String) {
    (values::of(ValueType::ReferenceValue(name.clone())), name)
}

fn record(store: &Store, found: &Found) -> RawRecord {
    let root = format!("{}/", store.root());
    let name = found.name.strip_prefix(&root).unwrap_or(&found.name);
    RawRecord {
        name: name.to_owned(),
        content: values::lenient(Value::Object(values::object(&found.fields))),
    }
}

pub(super) async fn of_job(store: &Store, id: &JobId) -> Result<Vec<RawRecord>> {
    let place = DocumentPath::job(store.root(), id);
    let callbacks = Scan {
        under: Some(&place),
        ..Scan::over(CALLBACKS, NAME)
    };
    let read = |found: Found| Some(record(store, &found));
    let (job, callbacks, notices) = tokio::try_join!(
        store.get(&place),
        store.scan(callbacks, usize::MAX, read),
        outbox::documents_of(store, id, |found| Some((
            found.id.clone(),
            record(store, &found)
        ))),
    )?;
    let mut noted = vec![unreadable::name(JOBS, id.as_str())];
    noted.extend(
        notices
            .iter()
            .map(|(notice, _)| unreadable::name(OUTBOX, notice)),
    );
    let mut found: Vec<RawRecord> = job.iter().map(|job| record(store, job)).collect();
    found.extend(callbacks);
    found.extend(notices.into_iter().map(|(_, notice)| notice));
    for note in noted {
        let place = DocumentPath::document(store.root(), UNREADABLE, &note);
        let note = store.get(&place).await?;
        found.extend(note.iter().map(|note| record(store, note)));
    }
    Ok(found)
}

pub(super) async fn remove_damaged(store: &Store, id: &JobId) -> Result<bool> {
    let place = DocumentPath::job(store.root(), id);
    let Some(found) = store.get(&place).await? else {
        return Ok(false);
    };
    match documents::job(&found) {
        Ok(_) => return Ok(false),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    match commit::remove_document(store, id, found.version).await? {
        Committed::Done => Ok(true),
        Committed::Conflict => Err(disturbed()),
    }
}

fn disturbed() -> LedgerError {
    LedgerError::Unavailable("somebody else writes to the same documents".into())
}

async fn documents_of(
    store: &Store,
    owner: &Owner,
    part: Part,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Found>> {
    let user = DocumentPath::user(store.root(), owner);
    let owned = || vec![("owner", values::text(owner.as_str()))];
    let mut scan = match part {
        Part::Notices => Scan {
            equal: owned(),
            ..Scan::over(OUTBOX, NAME)
        },
        Part::Keys => Scan {
            equal: owned(),
            ..Scan::over(IDEMPOTENCY, NAME)
        },
        Part::Entries => Scan {
            under: Some(&user),
            ..Scan::over(ENTRIES, NAME)
        },
        Part::Counters => Scan {
            under: Some(&user),
            ..Scan::over(COUNTERS, NAME)
        },
        Part::Account if after.is_some() => return Ok(Vec::new()),
        Part::Account => {
            let guard = DocumentPath::document(store.root(), GUARDS, owner.as_str());
            let (user, guard) = tokio::try_join!(store.get(&user), store.get(&guard))?;
            return Ok(user.into_iter().chain(guard).collect());
        }
    };
    scan.after = after.map(|name| behind(format!("{}/{name}", store.root())));
    store.scan(scan, limit as usize, Some).await
}

pub(super) async fn of_owner(
    store: &Store,
    owner: &Owner,
    part: Part,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<RawRecord>> {
    let found = documents_of(store, owner, part, after, limit).await?;
    Ok(found.iter().map(|found| record(store, found)).collect())
}

pub(super) async fn remove(store: &Store, owner: &Owner, part: Part) -> Result<Removed> {
    let found = documents_of(store, owner, part, None, MOST_RECORDS).await?;
    let mut removed = Removed {
        records: found.len() as u64,
        left: Vec::new(),
    };
    let mut books = Books::new();
    let mut writes = Vec::new();
    for document in &found {
        match part {
            // Each is summed up once, whoever else removes them at the same time.
            Part::Entries => {
                writes.push(delete_named(document.name.clone(), Only::IfPresent));
                *books.entry("entries".into()).or_default() += 1;
                let content = Value::Object(values::object(&document.fields));
                let content = values::lenient(content);
                if let (Some(kind), Some(amount)) =
                    (content["kind"].as_str(), content["amount"].as_u64())
                {
                    *books.entry(kind.to_owned()).or_default() += amount;
                }
            }
            Part::Account if is_user(store, owner, document) => {
                let user = DocumentPath::user(store.root(), owner);
                let only = Only::If(document.version);
                let held = BALANCE
                    .iter()
                    .any(|ours| document.fields.contains_key(*ours));
                let foreign = document
                    .fields
                    .keys()
                    .any(|name| !BALANCE.contains(&&**name));
                if foreign {
                    removed.left.push(record(store, document).name);
                    if held {
                        let ours = BALANCE.iter().map(|name| (*name).to_owned()).collect();
                        writes.push(update(&user, Fields::new(), ours, only));
                    } else {
                        removed.records -= 1;
                        continue;
                    }
                } else {
                    writes.push(delete(&user, only));
                }
                *books.entry("accounts".into()).or_default() += 1;
            }
            Part::Account | Part::Notices | Part::Keys | Part::Counters => {
                writes.push(delete_named(document.name.clone(), Only::Always));
            }
        }
    }
    if writes.is_empty() {
        return Ok(removed);
    }
    if !books.is_empty() {
        let sums: Vec<(&str, i64)> = books
            .iter()
            .map(|(name, sum)| (name.as_str(), i64::try_from(*sum).unwrap_or(i64::MAX)))
            .collect();
        writes.push(increment(&place_of_books(store), &sums, Only::Always));
    }
    match store.commit(writes).await? {
        Committed::Done => Ok(removed),
        Committed::Conflict => Err(disturbed()),
    }
}

fn is_user(store: &Store, owner: &Owner, found: &Found) -> bool {
    found.name == DocumentPath::user(store.root(), owner).name()
}

fn place_of_books(store: &Store) -> DocumentPath {
    DocumentPath::document(store.root(), BOOKS, "erased")
}

pub(super) async fn books(store: &Store) -> Result<Books> {
    let Some(found) = store.get(&place_of_books(store)).await? else {
        return Ok(Books::new());
    };
    let sums = values::object(&found.fields).into_iter();
    Ok(sums
        .filter_map(|(name, sum)| Some((name, sum.as_u64()?)))
        .collect())
}
