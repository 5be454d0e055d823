//! Who has to be looked at, and what there is.

use rusqlite::{Connection, OptionalExtension as _, ToSql, Transaction, params};
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator as _;

use super::super::{Due, JobQuery, LedgerError, Result, Tally};
use super::rows::{COLUMNS, job_in, load, micros, store};
use crate::clock::whole_micros;
use crate::job::{Code, Job, JobError, JobId, Kind, Owner, Status, Timestamp};

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
            Err(LedgerError::Malformed { id, reason }) => {
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

pub(super) fn due(db: &Connection, before: Timestamp, limit: u32) -> Result<Vec<Due>> {
    // From the columns: a document that cannot be read is due like any other.
    let mut query = db.prepare_cached(
        "SELECT id, wake_seq FROM jobs WHERE next_visit_at IS NOT NULL AND next_visit_at <= ?1
         ORDER BY next_visit_at, id LIMIT ?2",
    )?;
    let mut rows = query.query(params![micros(before), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, seq): (String, i64) = (row.get(0)?, row.get(1)?);
        match id.parse() {
            Ok(id) => found.push(Due {
                id,
                seq: u64::try_from(seq).unwrap_or_default(),
            }),
            Err(error) => tracing::error!(job = id, %error, "a job is due under an unusable id"),
        }
    }
    Ok(found)
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

pub(super) fn bury(tx: &Transaction<'_>, id: &JobId, now: Timestamp) -> Result<bool> {
    let now = whole_micros(now);
    match load(tx, id) {
        Ok(_) => return Ok(false),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let found = tx
        .prepare_cached("SELECT status, CAST(doc AS TEXT) FROM jobs WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get_ref(1)?.as_bytes()?.to_vec(),
            ))
        })
        .optional()?;
    let Some((status, doc)) = found else {
        return Ok(false);
    };
    if Status::iter().any(|known| known.is_ended() && known.as_str() == status) {
        return Ok(false);
    }
    let buried = Value::Object(buried(&doc, now));
    tx.prepare_cached("UPDATE jobs SET status = ?2, next_visit_at = NULL, doc = ?3 WHERE id = ?1")?
        .execute(params![
            id.as_str(),
            Status::Failed.as_str(),
            buried.to_string()
        ])?;
    Ok(true)
}

/// The document with the end of a failed job written into it. What is not a JSON object at all
/// is kept as the text `unreadable`.
fn buried(doc: &[u8], now: Timestamp) -> Map<String, Value> {
    let mut fields = match serde_json::from_slice(doc) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::from_iter([(
            "unreadable".to_owned(),
            Value::String(String::from_utf8_lossy(doc).into_owned()),
        )]),
    };
    let error = JobError {
        code: Code::InvalidJob,
        message: Code::InvalidJob.about().to_owned(),
        party: Code::InvalidJob.party(),
        stage: None,
        attempt: 1,
        at: now,
    };
    fields.insert("status".into(), json!(Status::Failed));
    fields.insert("error".into(), json!(error));
    fields.insert("completed_at".into(), json!(now));
    fields.insert("updated_at".into(), json!(now));
    fields.remove("next_visit_at");
    if let Some(Value::Object(lease)) = fields.get_mut("lease") {
        lease.remove("holder");
        lease.remove("expires_at");
    }
    fields
}
