//! Writes, as one transaction.

use rusqlite::Transaction;

use super::super::backend::{Balance, Committed, Loaded, Write};
use super::super::{LedgerError, Result};
use super::seen::{JobSeen, Seen};
use super::{accounts, counters, creation, outbox, rows, shared, unreadable};
use crate::job::{CreditEntry, Job, JobId, Owner};
use crate::sqlite::{DatabaseError, Room};

/// Why a transaction is undone.
#[derive(Debug)]
pub(super) enum Undone {
    /// Something was not as a write asks for.
    Conflict,
    Failed(LedgerError),
}

impl From<LedgerError> for Undone {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error)
    }
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<DatabaseError> for Undone {
    fn from(error: DatabaseError) -> Self {
        Self::Failed(error.into())
    }
}

/// What the end of a transaction means.
pub(super) fn outcome<T>(ended: std::result::Result<T, Undone>) -> Result<Committed> {
    match ended {
        Ok(_) => Ok(Committed::Done),
        Err(Undone::Conflict) => Ok(Committed::Conflict),
        Err(Undone::Failed(error)) => Err(error),
    }
}

/// Gives the job as its holder left it, where that is among the writes.
pub(super) fn all(
    tx: &Transaction<'_>,
    writes: Vec<Write<Seen>>,
    waiting: Option<&Room>,
) -> std::result::Result<Option<Loaded<Box<Job>, Seen>>, Undone> {
    let mut brings_work = false;
    let mut changed = None;
    for write in writes {
        if let Write::ChangeJob { before, after } = write {
            let seen = change(tx, &before, &after)?.ok_or(Undone::Conflict)?;
            changed = Some(Loaded {
                record: after,
                seen: Seen::Job(seen),
            });
            continue;
        }
        if !one(tx, &write)? {
            return Err(Undone::Conflict);
        }
        brings_work |= matches!(write, Write::CreateJob(_) | Write::NewRound { .. });
    }
    // Last: a request that was made before is told so, however many wait.
    if brings_work {
        creation::admit(tx, waiting)?;
    }
    Ok(changed)
}

/// Whether everything was as the write asks for.
fn one(tx: &Transaction<'_>, write: &Write<Seen>) -> Result<bool> {
    match write {
        Write::CreateJob(job) => {
            let is_free = !rows::has(tx, &job.id)?;
            if is_free {
                rows::insert(tx, job)?;
            }
            Ok(is_free)
        }
        Write::ChangeJob { before, after } => Ok(change(tx, before, after)?.is_some()),
        Write::NewRound { before, after } => {
            let done = change(tx, before, after)?.is_some();
            rows::forget_cancel(tx, &after.id)?;
            Ok(done)
        }
        Write::AskToCancel { job, seen, now } => match seen {
            Seen::Job(seen) => rows::ask_to_cancel(tx, job, seen, *now),
            _ => Ok(false),
        },
        Write::Remember {
            owner, key, job, ..
        } => creation::remember(tx, owner, key, job),
        Write::CreateCallback { job, callback } => creation::insert_callback(tx, job, callback),
        Write::CreateNotice(notice) => {
            let is_free = !outbox::has(tx, &notice.id)?;
            if is_free {
                outbox::insert(tx, notice)?;
            }
            Ok(is_free)
        }
        Write::ChangeNotice { before, after } => match &before.seen {
            Seen::Notice(seen) => outbox::store(tx, after, seen),
            _ => Ok(false),
        },
        Write::Move { owner, entry, on } => move_credits(tx, owner, entry, on),
        Write::Share {
            what,
            value,
            instead_of,
        } => match instead_of {
            None => shared::put(tx, what, value, None),
            Some(Seen::Shared(seen)) => shared::put(tx, what, value, Some(seen)),
            Some(_) => Ok(false),
        },
        Write::Count { owner, count, .. } => {
            counters::add(tx, owner.as_ref(), count)?;
            Ok(true)
        }
        Write::Watch { damaged, now } => match &damaged.seen {
            Seen::Damaged(doc) => unreadable::watch(tx, &damaged.record, doc, *now),
            _ => Ok(false),
        },
        Write::Bury {
            damaged,
            now,
            error,
            released,
            ..
        } => match &damaged.seen {
            Seen::Damaged(doc) => {
                unreadable::bury(tx, &damaged.record, doc, *now, error, *released)
            }
            _ => Ok(false),
        },
    }
}

fn change(
    tx: &Transaction<'_>,
    before: &Loaded<Box<Job>, Seen>,
    after: &Job,
) -> Result<Option<JobSeen>> {
    let Seen::Job(seen) = &before.seen else {
        return Ok(None);
    };
    // Woken anew it was readable: it is watched no more.
    if after.wake.seq != before.record.wake.seq {
        unreadable::forget(tx, &unreadable::job(&after.id))?;
    }
    rows::store(tx, after, seen)
}

fn move_credits(
    tx: &Transaction<'_>,
    owner: &Owner,
    entry: &CreditEntry,
    on: &Balance<Seen>,
) -> Result<bool> {
    if accounts::written(tx, owner, &entry.id)?.is_some() {
        return Ok(false);
    }
    if matches!(on, Balance::Any) {
        accounts::open(tx, owner)?;
    }
    let Some(there) = accounts::load(tx, owner)? else {
        return Ok(false);
    };
    if let Balance::As(seen) = on
        && !matches!(seen, Seen::Account(seen) if *seen == there)
    {
        return Ok(false);
    }
    accounts::add(tx, owner, entry)?;
    Ok(true)
}

/// Removes a job as it was seen, and what belongs to it.
pub(super) fn remove(
    tx: &Transaction<'_>,
    job: &Loaded<Box<Job>, Seen>,
) -> std::result::Result<(), Undone> {
    let (id, Seen::Job(seen)) = (&job.record.id, &job.seen) else {
        return Err(Undone::Conflict);
    };
    if rows::load(tx, id)?.is_none_or(|(_, there)| there != *seen) {
        return Err(Undone::Conflict);
    }
    Ok(delete_job(tx, id)?)
}

/// A job's row with all that goes with it.
pub(super) fn delete_job(tx: &Transaction<'_>, id: &JobId) -> Result<()> {
    outbox::delete_of_job(tx, id)?;
    unreadable::delete_of_job(tx, id)?;
    for statement in [
        "DELETE FROM callbacks WHERE job = ?1",
        "DELETE FROM idempotency WHERE job = ?1",
        "DELETE FROM jobs WHERE id = ?1",
    ] {
        tx.prepare_cached(statement)?.execute([id.as_str()])?;
    }
    Ok(())
}
