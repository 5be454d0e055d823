//! An owner's rows, and their removal.

use rusqlite::{Connection, OptionalExtension as _, Params, Row, Transaction, params};
use serde_json::{Value, json};

use super::super::owned::{Books, MOST_RECORDS, Part, RawRecord, Removed};
use super::super::{LedgerError, Result};
use super::{commit, rows};
use crate::job::{JobId, Owner};

/// The row of `shared` that sums up what was removed.
const BOOKS: &str = "books/erased";

pub(super) fn job_ids(
    db: &Connection,
    owner: &Owner,
    after: Option<&JobId>,
    limit: u32,
) -> Result<Vec<JobId>> {
    let after = after.map_or("", JobId::as_str);
    let found = db
        .prepare_cached("SELECT id FROM jobs WHERE owner = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?
        .query_map(params![owner.as_str(), after, limit], |row| {
            row.get::<_, String>(0)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
}

pub(super) fn of_job(db: &Connection, id: &JobId) -> Result<Vec<RawRecord>> {
    // Ids of jobs hold neither ':' nor ';'.
    let (from, to) = (format!("{id}:"), format!("{id};"));
    let mut found = raw(
        db,
        "SELECT 'jobs/' || id, CAST(doc AS BLOB) FROM jobs WHERE id = ?1",
        [id.as_str()],
    )?;
    found.extend(listed(
        db,
        "SELECT intent, prediction_id, received_at FROM callbacks WHERE job = ?1 ORDER BY intent",
        [id.as_str()],
        |row| {
            let intent: String = row.get(0)?;
            Ok(RawRecord {
                name: format!("jobs/{id}/callbacks/{intent}"),
                content: json!({
                    "intent": intent,
                    "prediction_id": row.get::<_, String>(1)?,
                    "received_at": rows::moment(row.get(2)?),
                }),
            })
        },
    )?);
    found.extend(raw(
        db,
        "SELECT 'outbox/' || id, CAST(doc AS BLOB) FROM outbox WHERE id > ?1 AND id < ?2 ORDER BY id",
        [&from, &to],
    )?);
    found.extend(raw(
        db,
        "SELECT 'unreadable/' || record || '@' || since, doc FROM unreadable
         WHERE record = 'jobs/' || ?1 OR (record > 'outbox/' || ?2 AND record < 'outbox/' || ?3)
         ORDER BY record, since",
        [id.as_str(), &from, &to],
    )?);
    Ok(found)
}

pub(super) fn remove_damaged(tx: &Transaction<'_>, id: &JobId) -> Result<bool> {
    match rows::load(tx, id) {
        Ok(_) => Ok(false),
        Err(LedgerError::Malformed { .. }) => {
            commit::delete_job(tx, id)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn of_owner(
    db: &Connection,
    owner: &Owner,
    part: Part,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<RawRecord>> {
    // The last part of a name alone differs within a list.
    let place = |folder: &str| {
        let after = after.and_then(|name| name.strip_prefix(folder));
        after.unwrap_or_default().to_owned()
    };
    match part {
        Part::Notices => raw(
            db,
            &format!(
                "SELECT 'outbox/' || id, CAST(doc AS BLOB) FROM outbox
                 WHERE {SAYS_OWNER} AND id > ?2 ORDER BY id LIMIT ?3"
            ),
            params![owner.as_str(), place("outbox/"), limit],
        ),
        Part::Keys => listed(
            db,
            "SELECT key, request_sha256, job FROM idempotency
             WHERE owner = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
            params![owner.as_str(), place("idempotency/"), limit],
            |row| {
                let key: String = row.get(0)?;
                Ok(RawRecord {
                    name: format!("idempotency/{key}"),
                    content: json!({
                        "owner": owner, "key": key,
                        "request_sha256": row.get::<_, String>(1)?,
                        "job": row.get::<_, String>(2)?,
                    }),
                })
            },
        ),
        Part::Entries => {
            let folder = format!("users/{owner}/credit_entries/");
            listed(
                db,
                "SELECT id, kind, amount, job, at FROM credit_entries
                 WHERE owner = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                params![owner.as_str(), place(&folder), limit],
                |row| {
                    let id: String = row.get(0)?;
                    Ok(RawRecord {
                        name: format!("{folder}{id}"),
                        content: json!({
                            "id": id,
                            "kind": row.get::<_, String>(1)?,
                            "amount": row.get::<_, i64>(2)?,
                            "job": row.get::<_, Option<String>>(3)?,
                            "at": rows::moment(row.get(4)?),
                        }),
                    })
                },
            )
        }
        Part::Counters => raw(
            db,
            "SELECT 'users/' || ?1 || '/counters/' || day,
                    CAST(json_object('models', json_group_object(model, json(sums))) AS BLOB)
             FROM (SELECT day, model, json_group_object(name, sum) AS sums FROM counters
                   WHERE owner = ?1 AND day > ?2 GROUP BY day, model)
             GROUP BY day ORDER BY day LIMIT ?3",
            params![
                owner.as_str(),
                place(&format!("users/{owner}/counters/")),
                limit
            ],
        ),
        Part::Account if after.is_some() => Ok(Vec::new()),
        Part::Account => {
            let mut found = listed(
                db,
                "SELECT credits, credits_held FROM accounts WHERE owner = ?1",
                [owner.as_str()],
                |row| {
                    Ok(RawRecord {
                        name: format!("users/{owner}"),
                        content: json!({
                            "credits": row.get::<_, i64>(0)?,
                            "credits_held": row.get::<_, i64>(1)?,
                        }),
                    })
                },
            )?;
            found.extend(raw(
                db,
                "SELECT name, CAST(doc AS BLOB) FROM shared WHERE name = 'guards/' || ?1",
                [owner.as_str()],
            )?);
            Ok(found)
        }
    }
}

/// Of a notice, which has no column for it. One that is no JSON goes with its job.
const SAYS_OWNER: &str =
    "CASE WHEN json_valid(doc) THEN json_extract(doc, '$.owner') = ?1 ELSE 0 END";

pub(super) fn remove(tx: &Transaction<'_>, owner: &Owner, part: Part) -> Result<Removed> {
    let records = match part {
        Part::Notices => tx.execute(
            &format!(
                "DELETE FROM outbox WHERE id IN
                     (SELECT id FROM outbox WHERE {SAYS_OWNER} ORDER BY id LIMIT ?2)"
            ),
            params![owner.as_str(), MOST_RECORDS],
        )?,
        Part::Keys => tx.execute(
            "DELETE FROM idempotency WHERE owner = ?1 AND key IN
                 (SELECT key FROM idempotency WHERE owner = ?1 ORDER BY key LIMIT ?2)",
            params![owner.as_str(), MOST_RECORDS],
        )?,
        Part::Entries => entries(tx, owner)?,
        Part::Counters => counters(tx, owner)?,
        Part::Account => {
            let accounts = tx.execute("DELETE FROM accounts WHERE owner = ?1", [owner.as_str()])?;
            let guards = tx.execute(
                "DELETE FROM shared WHERE name = 'guards/' || ?1",
                [owner.as_str()],
            )?;
            note(tx, &[("accounts", accounts as u64)])?;
            accounts + guards
        }
    };
    Ok(Removed {
        records: records as u64,
        left: Vec::new(),
    })
}

/// Day by day, as they are listed.
fn counters(tx: &Transaction<'_>, owner: &Owner) -> Result<usize> {
    let days = tx
        .prepare("SELECT DISTINCT day FROM counters WHERE owner = ?1 ORDER BY day LIMIT ?2")?
        .query_map(params![owner.as_str(), MOST_RECORDS], |row| {
            row.get::<_, String>(0)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for day in &days {
        tx.execute(
            "DELETE FROM counters WHERE owner = ?1 AND day = ?2",
            [owner.as_str(), day],
        )?;
    }
    Ok(days.len())
}

fn entries(tx: &Transaction<'_>, owner: &Owner) -> Result<usize> {
    let mut sums = tx.prepare(
        "SELECT kind, sum(amount) FROM
             (SELECT kind, amount FROM credit_entries WHERE owner = ?1 ORDER BY id LIMIT ?2)
         GROUP BY kind",
    )?;
    let sums = sums
        .query_map(params![owner.as_str(), MOST_RECORDS], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let removed = tx.execute(
        "DELETE FROM credit_entries WHERE owner = ?1 AND id IN
             (SELECT id FROM credit_entries WHERE owner = ?1 ORDER BY id LIMIT ?2)",
        params![owner.as_str(), MOST_RECORDS],
    )?;
    let mut noted = vec![("entries", removed as u64)];
    noted.extend(
        sums.iter()
            .map(|(kind, sum)| (kind.as_str(), u64::try_from(*sum).unwrap_or_default())),
    );
    note(tx, &noted)?;
    Ok(removed)
}

/// Adds to the books.
fn note(tx: &Transaction<'_>, sums: &[(&str, u64)]) -> Result<()> {
    let mut books = books(tx)?;
    for (name, sum) in sums.iter().filter(|(_, sum)| *sum > 0) {
        *books.entry((*name).to_owned()).or_default() += sum;
    }
    if books.is_empty() {
        return Ok(());
    }
    tx.execute(
        "INSERT OR REPLACE INTO shared (name, doc) VALUES (?1, ?2)",
        [BOOKS, &json!(books).to_string()],
    )?;
    Ok(())
}

pub(super) fn books(db: &Connection) -> Result<Books> {
    let doc: Option<String> = db
        .query_row("SELECT doc FROM shared WHERE name = ?1", [BOOKS], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(doc) = doc else {
        return Ok(Books::new());
    };
    serde_json::from_str(&doc).map_err(|error| LedgerError::Malformed {
        id: BOOKS.to_owned(),
        reason: error.to_string(),
    })
}

/// Names and documents, whatever those are.
fn raw(db: &Connection, query: &str, values: impl Params) -> Result<Vec<RawRecord>> {
    listed(db, query, values, |row| {
        let doc: Vec<u8> = row.get(1)?;
        let text = || Value::String(String::from_utf8_lossy(&doc).into_owned());
        Ok(RawRecord {
            name: row.get(0)?,
            content: serde_json::from_slice(&doc).unwrap_or_else(|_| text()),
        })
    })
}

fn listed(
    db: &Connection,
    query: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<RawRecord>,
) -> Result<Vec<RawRecord>> {
    let found = db
        .prepare_cached(query)?
        .query_map(values, read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}
