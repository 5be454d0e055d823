//! What is kept for a while, and since when.

use rusqlite::{Connection, Transaction, params};

use super::super::{KeptSince, Result};
use super::rows::{load, micros, moment, store};
use crate::clock::whole_micros;
use crate::job::{JobId, Keeping, Timestamp};

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
