//! Credits: balances change by increments, each with an entry that must not exist yet.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params, types::Type};

use super::super::Result;
use super::rows::{micros, moment};
use crate::job::{Account, CreditEntry, Credits, JobId, Owner, Timestamp};

pub(super) fn load(db: &Connection, owner: &Owner) -> Result<Option<Account>> {
    let found = db
        .prepare_cached("SELECT credits, credits_held FROM accounts WHERE owner = ?1")?
        .query_row([owner.as_str()], |row| {
            Ok(Account {
                credits: row.get(0)?,
                credits_held: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// All entries of a job's rounds on that account.
pub(super) fn of_job(db: &Connection, owner: &Owner, job: &JobId) -> Result<Vec<CreditEntry>> {
    // Ids of jobs hold neither ':' nor ';'.
    let span = [owner.as_str(), &format!("{job}:"), &format!("{job};")];
    let found = db
        .prepare_cached(
            "SELECT id, kind, amount, job, at FROM credit_entries
             WHERE owner = ?1 AND id > ?2 AND id < ?3 ORDER BY at, number",
        )?
        .query_map(span, entry_in)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// An account's entries from a moment on, oldest first.
pub(super) fn since(
    db: &Connection,
    owner: &Owner,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<CreditEntry>> {
    let found = db
        .prepare_cached(
            "SELECT id, kind, amount, job, at FROM credit_entries
             WHERE owner = ?1 AND at >= ?2 ORDER BY at, number LIMIT ?3",
        )?
        .query_map(params![owner.as_str(), micros(since), limit], entry_in)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// When the entry of that name was written.
pub(super) fn written(db: &Connection, owner: &Owner, entry: &str) -> Result<Option<Timestamp>> {
    let at: Option<i64> = db
        .prepare_cached("SELECT at FROM credit_entries WHERE owner = ?1 AND id = ?2")?
        .query_row([owner.as_str(), entry], |row| row.get(0))
        .optional()?;
    Ok(at.map(moment))
}

/// Moves what the entry says, and writes it down. The account must exist.
pub(super) fn add(tx: &Transaction<'_>, owner: &Owner, entry: &CreditEntry) -> Result<()> {
    let (credits, held) = entry.kind.moves(entry.amount);
    tx.prepare_cached(
        "UPDATE accounts SET credits = credits + ?2, credits_held = credits_held + ?3
         WHERE owner = ?1",
    )?
    .execute(params![owner.as_str(), credits, held])?;
    tx.prepare_cached(
        "INSERT INTO credit_entries (owner, id, kind, amount, job, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        owner.as_str(),
        entry.id,
        entry.kind.as_str(),
        i64::try_from(entry.amount.0).unwrap_or(i64::MAX),
        entry.job.as_ref().map(JobId::as_str),
        micros(entry.at),
    ])?;
    Ok(())
}

/// Opens the account if it is missing.
pub(super) fn open(tx: &Transaction<'_>, owner: &Owner) -> Result<()> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO accounts (owner, credits, credits_held) VALUES (?1, 0, 0)",
    )?
    .execute([owner.as_str()])?;
    Ok(())
}

pub(super) fn entries(db: &Connection, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
    let found = db
        .prepare_cached(
            "SELECT id, kind, amount, job, at FROM credit_entries WHERE owner = ?1
             ORDER BY at DESC, number DESC LIMIT ?2",
        )?
        .query_map(params![owner.as_str(), limit], entry_in)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

fn entry_in(row: &Row<'_>) -> rusqlite::Result<CreditEntry> {
    let kind: String = row.get(1)?;
    let amount: i64 = row.get(2)?;
    let job: Option<String> = row.get(3)?;
    Ok(CreditEntry {
        id: row.get(0)?,
        kind: kind.parse().map_err(|error| unreadable(1, error))?,
        amount: Credits(u64::try_from(amount).map_err(|error| unreadable(2, error))?),
        job: job
            .map(|id| id.parse().map_err(|error| unreadable(3, error)))
            .transpose()?,
        at: moment(row.get(4)?),
    })
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
