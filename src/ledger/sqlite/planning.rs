//! Who has to be looked at, and what there is.

use rusqlite::{Connection, Row, ToSql, params};
use serde_json::Value;

use super::super::{Due, DueCursor, JobQuery, KeptSince, LedgerError, Result, Tally};
use super::rows::{COLUMNS, bounds, job_in, micros, moment};
use crate::job::{Code, Job, JobId, Keeping, Kind, Owner, Status, Timestamp};

/// Jobs made before this are not looked at for what a process died of, once they have ended.
const REMEMBERED_US: i64 = 24 * 3600 * 1_000_000;

/// Without reading documents as such: some may be none.
pub(super) fn did_native_work(db: &Connection, process: &str, now: Timestamp) -> Result<bool> {
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
    let tag = query.tag.as_deref();
    let model = query.model.as_deref();
    let code = query.code.map(Code::as_str);

    let mut sql = format!("SELECT {COLUMNS} FROM jobs WHERE true");
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (clause, value) in [
        (" AND owner = ?", owner.as_ref()),
        (" AND status = ?", status.as_ref()),
        (" AND kind = ?", kind.as_ref()),
        // Word for word as the indexes have it.
        (
            " AND CASE WHEN json_valid(doc) THEN doc ->> '$.provider.model' END = ?",
            model.as_ref(),
        ),
        (
            " AND CASE WHEN json_valid(doc) THEN doc ->> '$.error.code' END = ?",
            code.as_ref(),
        ),
        // Looked for in the document: lists by tag walk through the jobs that fit otherwise.
        (
            " AND json_valid(doc) AND EXISTS
                 (SELECT 1 FROM json_each(doc, '$.tags') WHERE value = ?)",
            tag.as_ref(),
        ),
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
        page.extend(listed(row)?);
    }
    Ok(page)
}

/// Nothing where the job cannot be read: a list does without it.
fn listed(row: &Row<'_>) -> Result<Option<Job>> {
    match job_in(row) {
        Ok(job) => Ok(Some(job)),
        Err(LedgerError::Malformed { id, reason } | LedgerError::Newer { id, reason }) => {
            tracing::warn!(job = id, reason, "a job that cannot be read is not listed");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn beginning(
    db: &Connection,
    owner: Option<&Owner>,
    beginning: &str,
    limit: u32,
) -> Result<Vec<Job>> {
    let of_owner = if owner.is_some() {
        "owner = ?1 AND"
    } else {
        "?1 IS NULL AND"
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM jobs WHERE {of_owner} id >= ?2 AND id < ?3 ORDER BY id LIMIT ?4",
    ))?;
    let end = format!("{beginning}{}", JobId::BEHIND);
    let owner = owner.map(Owner::as_str);
    let mut rows = statement.query(params![owner, beginning, end, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(listed(row)?);
    }
    Ok(found)
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

/// Jobs of an owner that have not ended, of one of these.
pub(super) fn jobs_of(
    db: &Connection,
    owner: &Owner,
    statuses: &[Status],
    most: u32,
) -> Result<u32> {
    let mut counted = 0u32;
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM jobs
         WHERE owner = ?1 AND status = ?2 AND next_visit_at IS NOT NULL LIMIT ?3)",
    )?;
    for status in statuses {
        let of_it: u32 = query
            .query_row(params![owner.as_str(), status.as_str(), most], |row| {
                row.get(0)
            })?;
        counted = counted.saturating_add(of_it);
    }
    Ok(counted.min(most))
}

pub(super) fn due(
    db: &Connection,
    before: Timestamp,
    after: Option<&DueCursor>,
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

pub(super) fn kept(
    db: &Connection,
    what: Keeping,
    before: Timestamp,
    after: Option<&KeptSince>,
    limit: u32,
) -> Result<Vec<KeptSince>> {
    let query = match what {
        Keeping::Results => {
            "SELECT kept_results, id FROM jobs
             WHERE kept_results <= ?1 AND (kept_results, id) > (?2, ?3)
             ORDER BY kept_results, id"
        }
        Keeping::Generated => {
            "SELECT kept_generated, id FROM jobs
             WHERE kept_generated <= ?1 AND (kept_generated, id) > (?2, ?3)
             ORDER BY kept_generated, id"
        }
    };
    let mut query = db.prepare_cached(query)?;
    let (since, id) = after.map_or((i64::MIN, ""), |after| {
        (micros(after.since), after.id.as_str())
    });
    let mut rows = query.query(params![micros(before), since, id])?;
    let mut found = Vec::new();
    // Unusable ids do not count: a list that is shorter than asked for has ended.
    while found.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let id: String = row.get(1)?;
        match id.parse() {
            Ok(id) => found.push(KeptSince {
                since: moment(row.get(0)?),
                id,
            }),
            Err(error) => tracing::error!(job = id, %error, "files are kept for an unusable id"),
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
