//! Who has to be looked at, and what there is.

use rusqlite::{Connection, ToSql, Transaction, params};
use serde_json::Value;

use super::super::{Due, DuePlace, JobQuery, LedgerError, Result, Tally};
use super::rows::{COLUMNS, bounds, job_in, load, micros, moment, store};
use super::unreadable;
use crate::clock::whole_micros;
use crate::job::{Job, JobId, Kind, Owner, Status, Timestamp};

/// Jobs made before this are not looked at for what a process died of, once they have ended.
const REMEMBERED_US: i64 = 24 * 3600 * 1_000_000;

/// Whether some job's native work was, or is, in this process: what else it held when it ended
/// did not end it. Asked after a death only, and without reading documents as such: some may be
/// none.
pub(super) fn died_in_native_work(db: &Connection, process: &str, now: Timestamp) -> Result<bool> {
    let since = micros(now).saturating_sub(REMEMBERED_US);
    // Quotes inside of a JSON text are escaped: nobody's words look like this.
    let says = format!("\"process\":{}", Value::from(process));
    let found = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE next_visit_at IS NOT NULL AND instr(doc, ?1) > 0)
                 OR EXISTS (SELECT 1 FROM jobs WHERE created_at >= ?2 AND instr(doc, ?1) > 0)",
        )?
        .query_row(params![says, since], |row| row.get(0))?;
    Ok(found)
}

pub(super) fn list(db: &Connection, query: &JobQuery) -> Result<Vec<Job>> {
    let after = query
        .after
        .as_ref()
        .map(|token| (micros(token.created_at), token.id.as_str()));
    let owner = query.owner.as_ref().map(Owner::as_str);
    let status = query.status.map(Status::as_str);
    let kind = query.kind.map(Kind::as_str);

    let mut sql = format!("SELECT {COLUMNS} FROM jobs WHERE true");
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (clause, value) in [
        (" AND owner = ?", owner.as_ref()),
        (" AND status = ?", status.as_ref()),
        (" AND kind = ?", kind.as_ref()),
    ] {
        if let Some(value) = value {
            sql.push_str(clause);
            values.push(value);
        }
    }
    let from = query.created_after.map(micros);
    let to = query.created_before.map(micros);
    if let Some(from) = &from {
        sql.push_str(" AND created_at >= ?");
        values.push(from);
    }
    if let Some(to) = &to {
        sql.push_str(" AND created_at < ?");
        values.push(to);
    }
    if let Some((created_at, id)) = &after {
        sql.push_str(" AND (created_at, id) < (?, ?)");
        values.push(created_at);
        values.push(id);
    }
    sql.push_str(" ORDER BY created_at DESC, id DESC");

    let limit = query.limit.clamp(1, 100) as usize;
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(&*values)?;
    let mut page = Vec::with_capacity(limit);
    while page.len() < limit {
        let Some(row) = rows.next()? else { break };
        match job_in(row) {
            Ok(job) => page.push(job),
            Err(LedgerError::Malformed { id, reason } | LedgerError::Newer { id, reason }) => {
                tracing::warn!(job = id, reason, "a job that cannot be read is not listed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

pub(super) fn count(db: &Connection, what: Tally, most: u32) -> Result<u32> {
    let rows = match what {
        Tally::Queued => "jobs WHERE status = 'queued'",
        Tally::Processing => "jobs WHERE status = 'processing'",
        // Looked for among the jobs that have not ended: a text that is no JSON has no stage.
        Tally::Generating => {
            "jobs WHERE status = 'processing' AND json_valid(doc) AND doc ->> 'stage' = 'generate'"
        }
        Tally::NoticesPending => "outbox WHERE next_at IS NOT NULL AND state = 'pending'",
        Tally::NoticesUndeliverable => "outbox WHERE state = 'undeliverable'",
    };
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT ?1)");
    Ok(db
        .prepare_cached(&sql)?
        .query_row([most], |row| row.get(0))?)
}

pub(super) fn due(
    db: &Connection,
    before: Timestamp,
    after: Option<&DuePlace>,
    limit: u32,
) -> Result<Vec<Due>> {
    // From the columns: a document that cannot be read is due like any other.
    let mut query = db.prepare_cached(
        "SELECT id, wake_seq, next_visit_at FROM jobs
         WHERE next_visit_at IS NOT NULL AND next_visit_at <= ?1
           AND (next_visit_at, id) > (?2, ?3)
         ORDER BY next_visit_at, id",
    )?;
    let mut rows = query.query(bounds(before, after))?;
    let mut found = Vec::new();
    while found.len() < limit as usize {
        let Some(row) = rows.next()? else { break };
        let (id, seq): (String, i64) = (row.get(0)?, row.get(1)?);
        match id.parse() {
            Ok(id) => found.push(Due {
                id,
                seq: u64::try_from(seq).unwrap_or_default(),
                at: moment(row.get(2)?),
            }),
            Err(error) => tracing::error!(job = id, %error, "a job is due under an unusable id"),
        }
    }
    Ok(found)
}

pub(super) fn last_written(db: &Connection) -> Result<Option<Timestamp>> {
    // As texts they are in order to the second.
    let latest: Option<String> = db
        .prepare_cached(
            "SELECT max(doc ->> 'updated_at') FROM jobs
             WHERE next_visit_at IS NOT NULL AND json_valid(doc)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(latest.and_then(|text| text.parse().ok()))
}

pub(super) fn rewake(
    tx: &Transaction<'_>,
    id: &JobId,
    seen: u64,
    now: Timestamp,
) -> Result<Option<u64>> {
    let now = whole_micros(now);
    let Some(mut job) = load(tx, id)? else {
        return Ok(None);
    };
    if job.wake.seq != seen || job.next_visit_at.is_none_or(|at| at > now) {
        return Ok(None);
    }
    // Not an owner's write: the revision stays, and so does the lease of somebody who died.
    job.wake.seq = seen.saturating_add(1);
    job.wake.at = Some(now);
    job.next_visit_at = Some(now);
    store(tx, &job)?;
    unreadable::forget(tx, &unreadable::job(id))?;
    Ok(Some(job.wake.seq))
}

pub(super) fn replan(tx: &Transaction<'_>, id: &JobId, seen: u64) -> Result<Option<u64>> {
    let Some(mut job) = load(tx, id)? else {
        return Ok(None);
    };
    if job.wake.seq != seen || job.next_visit_at.is_none() {
        return Ok(None);
    }
    // Not an owner's write either.
    job.wake.seq = seen.saturating_add(1);
    store(tx, &job)?;
    Ok(Some(job.wake.seq))
}
