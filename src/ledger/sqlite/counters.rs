//! Sums of what ended, a row for each: of everybody's rounds under no owner, and of each owner's.

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::{Counts, Result};
use crate::job::{Count, Owner};

/// In the place of an owner, whose name is never empty.
const EVERYBODY: &str = "";

pub(super) fn add(tx: &Transaction<'_>, owner: Option<&Owner>, count: &Count) -> Result<()> {
    let mut row = tx.prepare_cached(
        "INSERT INTO counters (owner, day, model, name, sum) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET sum = sum + excluded.sum",
    )?;
    let day = count.day.to_string();
    for of in std::iter::once(EVERYBODY).chain(owner.map(Owner::as_str)) {
        for (model, sums) in &count.models {
            for (name, number) in sums {
                let number = i64::try_from(*number).unwrap_or(i64::MAX);
                row.execute(params![of, day, model, name, number])?;
            }
        }
    }
    Ok(())
}

pub(super) fn read(db: &Connection, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
    let owner = owner.map_or(EVERYBODY, Owner::as_str);
    let since: Option<String> = db
        .prepare_cached("SELECT day FROM counters WHERE owner = ?1 ORDER BY day LIMIT 1")?
        .query_row([owner], |row| row.get(0))
        .optional()?;
    let mut counts = Counts {
        since: since.and_then(|day| day.parse().ok()),
        ..Counts::default()
    };
    let mut found = db.prepare_cached(
        "SELECT day, model, name, sum FROM counters
         WHERE owner = ?1 AND day >= ?2 AND day <= ?3",
    )?;
    let mut rows = found.query(params![owner, from.to_string(), to.to_string()])?;
    while let Some(row) = rows.next()? {
        let (day, model): (String, String) = (row.get(0)?, row.get(1)?);
        let sum: i64 = row.get(3)?;
        if let (Ok(day), Ok(sum)) = (day.parse(), u64::try_from(sum)) {
            counts.add(day, &model, row.get(2)?, sum);
        }
    }
    Ok(counts)
}
