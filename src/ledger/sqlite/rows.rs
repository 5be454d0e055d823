//! Jobs in and out of their rows.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::{DueCursor, LedgerError, Result, reading};
use super::seen::JobSeen;
use crate::job::{Job, JobId, Timestamp};

/// The columns that [`job_in`] reads, in its order.
pub(super) const COLUMNS: &str = "id, doc, cancel_requested_at IS NOT NULL";

pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(super) fn moment(micros: i64) -> Timestamp {
    // Only moments beyond the year 9999 do not fit; we never wrote one.
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// What a listing of due records compares with; without a place it begins before all.
pub(super) fn bounds(before: Timestamp, after: Option<&DueCursor>) -> (i64, i64, &str) {
    let (at, id) = after.map_or((i64::MIN, ""), |place| (micros(place.at), &*place.id));
    (micros(before), at, id)
}

pub(super) fn load(db: &Connection, id: &JobId) -> Result<Option<(Job, JobSeen)>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?
        .query_row([id.as_str()], |row| {
            Ok(job_in(row).and_then(|job| {
                let seen = JobSeen {
                    doc: row.get(1)?,
                    cancel_requested: job.cancel_requested,
                };
                Ok((job, seen))
            }))
        })
        .optional()?
        .transpose()
}

pub(super) fn job_in(row: &Row<'_>) -> Result<Job> {
    let id: String = row.get(0)?;
    // A blob or a number where text belongs is the document's fault, not the ledger's.
    let doc = row.get_ref(1)?;
    let mut job: Job = match doc.as_str() {
        Ok(doc) => parsed(&id, doc)?,
        Err(error) => return Err(reading::refused(&id, None, error)),
    };
    if let Some(newer) = reading::newer(&id, job.schema_version) {
        return Err(newer);
    }
    if job.id.as_str() != id {
        let reason = format!("it says its id is {}", job.id);
        return Err(LedgerError::Malformed { id, reason });
    }
    // The column is the truth; the document only shows what it was at an owner's write.
    job.cancel_requested = row.get(2)?;
    Ok(job)
}

/// The record that a document holds.
pub(super) fn parsed<T: DeserializeOwned>(id: &str, doc: &str) -> Result<T> {
    serde_json::from_str(doc).map_err(|error| {
        let document = serde_json::from_str::<Value>(doc).ok();
        reading::refused(id, document.as_ref(), error)
    })
}

pub(super) fn insert(tx: &Transaction<'_>, job: &Job) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO jobs (id, owner, kind, created_at, status, next_visit_at, wake_seq, doc)
         VALUES (:id, :owner, :kind, :created_at, :status, :next_visit_at, :wake_seq, :doc)",
    )?
    .execute(named_params! {
        ":id": job.id.as_str(),
        ":owner": job.owner.as_str(),
        ":kind": job.params.kind().as_str(),
        ":created_at": micros(job.created_at),
        ":status": job.status.as_str(),
        ":next_visit_at": job.next_visit_at.map(micros),
        ":wake_seq": seq_column(job.wake.seq),
        ":doc": document(job)?,
    })?;
    Ok(())
}

/// Writes the owner's part, and leaves alone what others write; gives the row as it is then, if it
/// was still as it was seen.
pub(super) fn store(tx: &Transaction<'_>, job: &Job, seen: &JobSeen) -> Result<Option<JobSeen>> {
    let doc = document(job)?;
    let written = tx
        .prepare_cached(
            "UPDATE jobs
             SET status = :status, next_visit_at = :next_visit_at, wake_seq = :wake_seq,
                 kept_results = :kept_results, kept_generated = :kept_generated, doc = :doc
             WHERE id = :id AND doc = :seen AND (cancel_requested_at IS NOT NULL) = :cancel",
        )?
        .execute(named_params! {
            ":id": job.id.as_str(),
            ":status": job.status.as_str(),
            ":next_visit_at": job.next_visit_at.map(micros),
            ":wake_seq": seq_column(job.wake.seq),
            ":kept_results": job.kept.results.map(micros),
            ":kept_generated": job.kept.generated.map(micros),
            ":doc": doc,
            ":seen": seen.doc,
            ":cancel": seen.cancel_requested,
        })?;
    let cancel_requested = seen.cancel_requested;
    Ok((written == 1).then_some(JobSeen {
        doc,
        cancel_requested,
    }))
}

/// Notes that somebody wants the job to end; whether the row was still as it was seen.
pub(super) fn ask_to_cancel(
    tx: &Transaction<'_>,
    id: &JobId,
    seen: &JobSeen,
    now: Timestamp,
) -> Result<bool> {
    let written = tx
        .prepare_cached(
            "UPDATE jobs SET cancel_requested_at = ?2
             WHERE id = ?1 AND doc = ?3 AND cancel_requested_at IS NULL",
        )?
        .execute((id.as_str(), micros(now), &seen.doc))?;
    Ok(written == 1)
}

/// Forgets the request: it was for a round that is over.
pub(super) fn forget_cancel(tx: &Transaction<'_>, id: &JobId) -> Result<()> {
    tx.prepare_cached("UPDATE jobs SET cancel_requested_at = NULL WHERE id = ?1")?
        .execute([id.as_str()])?;
    Ok(())
}

/// Whether there is a job of that id, readable or not.
pub(super) fn has(db: &Connection, id: &JobId) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?
        .exists([id.as_str()])?)
}

fn document(job: &Job) -> Result<String> {
    serde_json::to_string(job).map_err(|error| LedgerError::Malformed {
        id: job.id.to_string(),
        reason: error.to_string(),
    })
}

pub(super) fn seq_column(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
