//! What is kept for a while, and since when.

use rusqlite::{Connection, Transaction, params};

use super::super::Result;
use super::rows::{load, micros, store};
use crate::clock::whole_micros;
use crate::job::{JobId, Keeping, Timestamp};

pub(super) fn kept(
    db: &Connection,
    what: Keeping,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<JobId>> {
    let query = match what {
        Keeping::Results => {
            "SELECT id FROM jobs WHERE kept_results IS NOT NULL AND kept_results <= ?1
             ORDER BY kept_results, id LIMIT ?2"
        }
        Keeping::Generated => {
            "SELECT id FROM jobs WHERE kept_generated IS NOT NULL AND kept_generated <= ?1
             ORDER BY kept_generated, id LIMIT ?2"
        }
    };
    let mut query = db.prepare_cached(query)?;
    let mut rows = query.query(params![micros(before), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        match id.parse() {
            Ok(id) => found.push(id),
            Err(error) => tracing::error!(job = id, %error, "files are kept for an unusable id"),
        }
    }
    Ok(found)
}

pub(super) fn forget(
    tx: &Transaction<'_>,
    id: &JobId,
    what: Keeping,
    round: u32,
    now: Timestamp,
) -> Result<bool> {
    let Some(mut job) = load(tx, id)? else {
        return Ok(false);
    };
    // A record of before there were such columns names its files all the same.
    let noted = job.forget(what, round, whole_micros(now));
    if noted {
        store(tx, &job)?;
    }
    Ok(noted)
}
