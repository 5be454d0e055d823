//! What is said to the file, each within a transaction or a read of its own.

use std::time::Duration;

use retry_policies::policies::ExponentialBackoff;
use retry_policies::{Jitter, RetryDecision, RetryPolicy as _};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::schema;
use crate::clock::later;
use crate::job::{JobId, Timestamp};
use crate::queue::{Delivery, Lane, QueueError, Scheduled, Task};
use crate::sqlite::Room;

type Result<T> = std::result::Result<T, QueueError>;

/// How long the name of a finished task stays reserved.
pub const RESERVED: Duration = Duration::from_secs(3600);
/// The pause before a task is brought again grows between these.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) fn schedule(
    tx: &Transaction<'_>,
    task: &Task,
    at: Timestamp,
    room: &Room,
) -> Result<Scheduled> {
    let name = task.name();
    let known = tx
        .prepare_cached("SELECT 1 FROM tasks WHERE name = ?1")?
        .exists([&name])?;
    if known {
        return Ok(Scheduled::Known);
    }
    let fits = room.admits(|most| {
        tx.prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE finished_at IS NULL LIMIT ?1)",
        )?
        .query_row([most], |row| row.get(0))
    })?;
    if !fits {
        return Err(QueueError::Full);
    }
    let text = serde_json::to_string(task).map_err(|e| QueueError::Unavailable(e.to_string()))?;
    tx.prepare_cached("INSERT INTO tasks (name, task, due_at) VALUES (?1, ?2, ?3)")?
        .execute(params![name, text, at.as_microsecond()])?;
    Ok(Scheduled::Planned)
}

/// Whether it is due, and nobody was brought it yet.
pub(super) fn is_in_line(db: &Connection, name: &str, now: Timestamp) -> Result<bool> {
    let is_there = db
        .prepare_cached(
            "SELECT 1 FROM tasks
             WHERE name = ?1 AND finished_at IS NULL AND deliveries = 0 AND due_at <= ?2",
        )?
        .exists(params![name, now.as_microsecond()])?;
    Ok(is_there)
}

/// Tombstones go too: a job that is made anew under that id begins with the same names.
pub(super) fn forget(tx: &Transaction<'_>, job: &JobId) -> Result<u32> {
    let mut forgotten = 0;
    // Names of a job's tasks begin with its id and '-', those of its notices with `outbox-`, its
    // id and '_'. The next characters, '.' and '`', bound the range; what else lies in between
    // belongs to jobs whose ids begin alike.
    for (from, to) in [
        (format!("{job}-"), format!("{job}.")),
        (format!("outbox-{job}_"), format!("outbox-{job}`")),
    ] {
        let named: Vec<(String, String)> = tx
            .prepare_cached("SELECT name, task FROM tasks WHERE name >= ?1 AND name < ?2")?
            .query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (name, text) in named {
            if parse(&name, &text).is_some_and(|task| task.is_of(job)) {
                forgotten += tx
                    .prepare_cached("DELETE FROM tasks WHERE name = ?1")?
                    .execute([&name])?;
            }
        }
    }
    Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
}

/// The tasks of a lane, in the very words of its index. What cannot be read counts as a job's.
pub(super) fn of_lane(lane: Option<Lane>) -> &'static str {
    match lane {
        None => "",
        Some(Lane::Jobs) => schema::OF_JOBS,
        Some(Lane::Notices) => schema::OF_NOTICES,
    }
}

pub(super) fn take_due(
    tx: &Transaction<'_>,
    lane: Option<Lane>,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<(Task, u32)>> {
    let of_lane = of_lane(lane);
    let mut query = tx.prepare_cached(&format!(
        "SELECT name, task, deliveries FROM tasks
         WHERE finished_at IS NULL AND due_at <= ?1 {of_lane}
         ORDER BY due_at, name LIMIT ?2"
    ))?;
    let due: Vec<(String, String, u32)> = query
        .query_map(params![now.as_microsecond(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut taken = Vec::with_capacity(due.len());
    for (name, text, deliveries) in due {
        let Some(task) = parse(&name, &text) else {
            bury(tx, &name, now)?;
            continue;
        };
        let deliveries = deliveries.saturating_add(1);
        tx.prepare_cached("UPDATE tasks SET due_at = ?2, deliveries = ?3 WHERE name = ?1")?
            .execute(params![name, until.as_microsecond(), deliveries])?;
        taken.push((task, deliveries));
    }
    Ok(taken)
}

pub(super) fn finish(
    tx: &Transaction<'_>,
    name: &str,
    delivery: Delivery,
    now: Timestamp,
) -> Result<()> {
    match delivery {
        Delivery::Acknowledged => bury(tx, name, now),
        Delivery::Again | Delivery::AgainBy(_) => {
            let deliveries: Option<u32> = tx
                .prepare_cached(
                    "SELECT deliveries FROM tasks WHERE name = ?1 AND finished_at IS NULL",
                )?
                .query_row([name], |row| row.get(0))
                .optional()?;
            if let Some(deliveries) = deliveries {
                let mut at = later(now, pause_after(deliveries));
                if let Delivery::AgainBy(latest) = delivery {
                    // Never at once: who says "again" wants a pause.
                    at = at.min(latest.max(later(now, FIRST_PAUSE)));
                }
                tx.prepare_cached("UPDATE tasks SET due_at = ?2 WHERE name = ?1")?
                    .execute(params![name, at.as_microsecond()])?;
            }
            Ok(())
        }
    }
}

/// Leaves a tombstone, and clears away those that are old enough.
fn bury(tx: &Transaction<'_>, name: &str, now: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE tasks SET finished_at = ?2 WHERE name = ?1 AND finished_at IS NULL")?
        .execute(params![name, now.as_microsecond()])?;
    let reserved = i64::try_from(RESERVED.as_micros()).unwrap_or(i64::MAX);
    tx.prepare_cached("DELETE FROM tasks WHERE finished_at <= ?1")?
        .execute([now.as_microsecond().saturating_sub(reserved)])?;
    Ok(())
}

pub(super) fn parse(name: &str, text: &str) -> Option<Task> {
    serde_json::from_str(text)
        .inspect_err(|error| tracing::error!(task = name, %error, "a task cannot be read"))
        .ok()
}

pub(super) fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// The pause after the `deliveries`-th delivery.
fn pause_after(deliveries: u32) -> Duration {
    // Far past the cap already: a higher power only overflows.
    let past = deliveries.saturating_sub(1).min(16);
    let start = std::time::SystemTime::now();
    let decision = ExponentialBackoff::builder()
        .retry_bounds(FIRST_PAUSE, LONGEST_PAUSE)
        .base(2)
        .jitter(Jitter::Bounded)
        .build_with_max_retries(u32::MAX)
        .should_retry(start, past);
    match decision {
        // Counted from the present, whatever start the policy is given.
        RetryDecision::Retry { execute_after } => execute_after
            .duration_since(start)
            .unwrap_or_default()
            .clamp(FIRST_PAUSE, LONGEST_PAUSE),
        RetryDecision::DoNotRetry => LONGEST_PAUSE,
    }
}
