//! Writes, as one commit.

use gcloud_sdk::google::firestore::v1::Write as Sent;

use super::super::backend::{Balance, Committed, Loaded, Write};
use super::super::recent::Recent;
use super::super::{LedgerError, Result};
use super::difference::Difference;
use super::documents::{self, CANCEL};
use super::paths::{CALLBACKS, DocumentPath, JOBS, OUTBOX};
use super::seen::Seen;
use super::store::{Found, NAME, Scan, Store};
use super::values::{self, Fields};
use super::writes::{Only, Version, create, delete, delete_named, update};
use super::{accounts, callbacks, counters, outbox, shared, unreadable};
use crate::job::{Job, JobId};

pub(super) async fn all(
    store: &Store,
    recent: &Recent<Found>,
    writes: Vec<Write<Seen>>,
) -> Result<Committed> {
    let mut sent = Vec::new();
    let mut changed = None;
    for write in writes {
        if let Write::ChangeJob { before, after } = write {
            let place = DocumentPath::job(store.root(), &after.id);
            let found = document(&before.seen)?;
            let (write, fields) = documents::change(&place, found, &before.record, &after)?;
            let (id, name) = (found.id.clone(), found.name.clone());
            changed = Some((sent.len(), after, (id, name, fields)));
            sent.push(write);
        } else {
            one(store, &write, &mut sent)?;
        }
    }
    let Some(versions) = store.versions(sent).await? else {
        return Ok(Committed::Conflict);
    };
    if let Some((number, job, (id, name, fields))) = changed
        && let Some(version) = versions.get(number).copied().flatten()
    {
        recent.keep(Loaded {
            record: job,
            seen: Found {
                id,
                fields,
                version,
                name,
            },
        });
    }
    Ok(Committed::Done)
}

fn one(store: &Store, write: &Write<Seen>, sent: &mut Vec<Sent>) -> Result<()> {
    let root = store.root();
    match write {
        Write::CreateJob(job) => {
            let place = DocumentPath::job(root, &job.id);
            sent.push(create(&place, documents::of_job(job)?));
        }
        // Dealt with above: it is remembered.
        Write::ChangeJob { .. } => return Err(strange()),
        Write::NewRound { before, after } => {
            let place = DocumentPath::job(root, &after.id);
            let found = document(&before.seen)?;
            sent.push(documents::new_round(&place, found, &before.record, after)?);
        }
        Write::AskToCancel { job, seen, .. } => {
            let mut change = Difference::default();
            change.set(&[CANCEL], values::truth(true));
            let only = Only::If(document(seen)?.version);
            sent.push(change.into_write(&DocumentPath::job(root, job), only));
        }
        Write::Remember {
            owner,
            key,
            job,
            created_at,
            instead_of,
        } => {
            let only = in_place_of(instead_of.as_ref())?;
            let place = DocumentPath::idempotency(root, owner, &key.key);
            let fields = Fields::from([
                ("owner".into(), values::text(owner.as_str())),
                ("key".into(), values::text(&key.key)),
                ("request_sha256".into(), values::text(&key.request_sha256)),
                ("job".into(), values::text(job.as_str())),
                ("created_at".into(), values::moment(*created_at)),
            ]);
            let mask = fields.keys().cloned().collect();
            sent.push(update(&place, fields, mask, only));
        }
        Write::CreateCallback { job, callback } => {
            let place = DocumentPath::callback(root, job, &callback.intent);
            sent.push(create(&place, callbacks::fields(callback)));
        }
        Write::CreateNotice(notice) => {
            let place = DocumentPath::notice(root, &notice.id);
            sent.push(create(&place, documents::of_notice(notice)?));
        }
        Write::ChangeNotice { before, after } => {
            let place = DocumentPath::notice(root, &after.id);
            let found = document(&before.seen)?;
            let change = documents::change_notice(&place, found, &before.record, after);
            sent.push(change?);
        }
        Write::Move { owner, entry, on } => {
            let only = match on {
                Balance::Any => Only::Always,
                Balance::There => Only::IfPresent,
                Balance::As(seen) => Only::If(document(seen)?.version),
            };
            sent.extend(accounts::moves(store, owner, entry, only)?);
        }
        Write::Share {
            what,
            value,
            instead_of,
        } => {
            let only = in_place_of(instead_of.as_ref())?;
            sent.push(shared::put(store, what, value, only));
        }
        Write::Count { job, owner, count } => {
            sent.extend(counters::raise(store, job, owner.as_ref(), count));
        }
        Write::Watch { damaged, now } => {
            let Seen::Damaged(found, note) = &damaged.seen else {
                return Err(strange());
            };
            sent.push(note.watch(found, *now));
        }
        Write::Bury {
            damaged,
            since,
            now,
            error,
            released,
        } => {
            let Seen::Damaged(found, note) = &damaged.seen else {
                return Err(strange());
            };
            let of = (found, note);
            let burial =
                unreadable::burial(store, &damaged.record, of, (*since, *now), error, *released);
            sent.extend(burial?);
        }
    }
    Ok(())
}

fn in_place_of(seen: Option<&Seen>) -> Result<Only> {
    Ok(match seen {
        Some(seen) => Only::If(document(seen)?.version),
        None => Only::IfAbsent,
    })
}

fn document(seen: &Seen) -> Result<&Found> {
    match seen {
        Seen::Document(found) => Ok(found),
        Seen::Damaged(..) => Err(strange()),
    }
}

/// A defect of ours: rules pass on what was read, as it was read.
fn strange() -> LedgerError {
    LedgerError::Unavailable("a write was given the state of another record".into())
}

/// Writes beside the job's own in one commit.
const WITH_THE_JOB: usize = 400;

/// The job, its callbacks and its notices go in one commit, which takes 500 writes. Where there
/// are more, the first ones go before: the job is still there, and a deletion that breaks off is
/// repeated.
pub(super) async fn remove(store: &Store, job: &Loaded<Box<Job>, Seen>) -> Result<Committed> {
    remove_document(store, &job.record.id, document(&job.seen)?.version).await
}

/// The same of a job that perhaps cannot be read, while its document is of this version.
pub(super) async fn remove_document(
    store: &Store,
    id: &JobId,
    version: Version,
) -> Result<Committed> {
    let place = DocumentPath::job(store.root(), id);
    let callbacks = Scan {
        under: Some(&place),
        fields: Some(&["intent"]),
        ..Scan::over(CALLBACKS, NAME)
    };
    let callbacks = store.scan(callbacks, usize::MAX, |found| Some(found.name));
    let notices = outbox::documents_of(store, id, |found| Some((found.id, found.name)));
    let (callbacks, notices) = tokio::try_join!(callbacks, notices)?;
    let mut others: Vec<Sent> = callbacks
        .into_iter()
        .map(|name| delete_named(name, Only::Always))
        .collect();
    for (notice, name) in notices {
        others.push(unreadable::removal(store, OUTBOX, &notice));
        others.push(delete_named(name, Only::Always));
    }
    while others.len() > WITH_THE_JOB {
        let first = others.drain(..WITH_THE_JOB).collect();
        if store.commit(first).await? == Committed::Conflict {
            return Ok(Committed::Conflict);
        }
    }
    let mut writes = vec![
        delete(&place, Only::If(version)),
        unreadable::removal(store, JOBS, id.as_str()),
    ];
    writes.append(&mut others);
    store.commit(writes).await
}
