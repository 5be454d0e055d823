//! Wake-ups kept in a SQLite file: the default, nothing to set up. They survive a restart.
//!
//! A task that is being delivered is invisible for [`INVISIBLE`], kept so by the dispatcher while
//! the delivery runs; if the process dies, it shows up again. Finished tasks stay as tombstones
//! for [`RESERVED`], as Cloud Tasks reserves names: planning one of them again does nothing and
//! says so, so a wake-up that is really meant again needs a new name.
//!
//! Commits survive the end of the process, but a power failure may take the last moments: a
//! wake-up that is lost with them is found by the sweep over the ledger, which is synced.

mod dispatch;
mod schema;

pub use dispatch::Widths;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retry_policies::policies::ExponentialBackoff;
use retry_policies::{Jitter, RetryDecision, RetryPolicy as _};
use rusqlite::{OptionalExtension as _, Transaction, params};
use tokio::sync::Notify;

use super::{Delivery, Lane, Queue, QueueError, Scheduled, Task};
use crate::clock::later;
use crate::job::{JobId, Timestamp};
use crate::sqlite::{Database, DatabaseError, Durability, Room};

type Result<T> = std::result::Result<T, QueueError>;

/// How long a task that was taken stays out of sight unless the dispatcher renews it: the time a
/// task is late for when its process dies. No longer than the shortest usual pause between two
/// deliveries of a notice, so that a death does not break the promise of when it is tried again.
pub const INVISIBLE: Duration = Duration::from_secs(5);
/// How long the name of a finished task stays reserved.
pub const RESERVED: Duration = Duration::from_secs(3600);
/// A queue longer than this says that nobody works on it.
const DEFAULT_CAPACITY: u32 = 100_000;
/// The pause before a task is brought again grows between these.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Tasks in a SQLite file, which may be the ledger's. Several processes may open the same one.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {
    database: Database,
    room: Arc<Room>,
    invisible: Duration,
    /// Rung when something was scheduled by this process.
    bells: Arc<Bells>,
}

/// One for each lane: a bell wakes one sleeper.
#[derive(Debug, Default)]
struct Bells {
    jobs: Notify,
    notices: Notify,
}

impl Bells {
    fn of(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Jobs => &self.jobs,
            Lane::Notices => &self.notices,
        }
    }
}

impl EmbeddedQueue {
    /// Opens the file, made if missing. Blocks for a moment.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = Database::open(path.as_ref(), Durability::ProcessEnd, schema::PARTS)?;
        Ok(Self::over(database))
    }

    /// A queue that goes away with its last handle, for tests and trials.
    pub fn open_in_memory() -> Result<Self> {
        Ok(Self::over(Database::open_in_memory(schema::PARTS)?))
    }

    fn over(database: Database) -> Self {
        Self {
            database,
            room: Arc::new(Room::of(DEFAULT_CAPACITY)),
            invisible: INVISIBLE,
            bells: Arc::default(),
        }
    }

    /// Makes room for what so many waiting jobs plan: a wake-up, the visit of a callback and a
    /// notice each. Never less than the default.
    #[must_use]
    pub fn for_jobs(self, waiting: u32) -> Self {
        self.bounded(waiting.saturating_mul(3).max(DEFAULT_CAPACITY))
    }

    /// Refuses new tasks with [`QueueError::Full`] while `tasks` wait; the default is 100 000.
    #[must_use]
    pub fn bounded(mut self, tasks: u32) -> Self {
        self.room = Arc::new(Room::of(tasks));
        self
    }

    /// Replaces [`INVISIBLE`]: shorter finds the tasks of a dead process sooner, and writes more
    /// often while a delivery runs.
    #[must_use]
    pub fn invisible_for(mut self, invisible: Duration) -> Self {
        self.invisible = invisible;
        self
    }

    /// Takes up to `limit` tasks that are due, longest due first, each with the number of this
    /// delivery, counted from 1. They are out of sight for [`INVISIBLE`]; [`Self::finish`] says
    /// what came of them.
    pub async fn take_due(&self, now: Timestamp, limit: u32) -> Result<Vec<(Task, u32)>> {
        self.take(None, now, limit).await
    }

    /// The same of one lane, or of both.
    async fn take(
        &self,
        lane: Option<Lane>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Task, u32)>> {
        if limit == 0 || self.next_due(lane).await?.is_none_or(|at| at > now) {
            return Ok(Vec::new());
        }
        let until = later(now, self.invisible);
        self.database
            .write(move |tx| take_due(tx, lane, now, until, limit))
            .await
    }

    /// Says what came of a delivery. A task brought again is due after a pause that grows from
    /// one second to a minute, with jitter; it is never given up. A task that is finished stays
    /// finished, whatever a slower twin of its delivery says.
    pub async fn finish(&self, task: &Task, delivery: Delivery, now: Timestamp) -> Result<()> {
        let name = task.name();
        self.database
            .write(move |tx| finish(tx, &name, delivery, now))
            .await
    }

    /// What waits or is being delivered, and when it is (again) due; soonest first.
    pub async fn pending(&self) -> Result<Vec<(Task, Timestamp)>> {
        self.database
            .read(|db| {
                let mut query = db.prepare_cached(
                    "SELECT name, task, due_at FROM tasks WHERE finished_at IS NULL
                     ORDER BY due_at, name",
                )?;
                let mut rows = query.query([])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    let (name, task): (String, String) = (row.get(0)?, row.get(1)?);
                    if let Some(task) = parse(&name, &task) {
                        found.push((task, moment(row.get(2)?)));
                    }
                }
                Ok(found)
            })
            .await
    }

    /// When the next task of the lane, or of both, is due, taken ones included.
    async fn next_due(&self, lane: Option<Lane>) -> Result<Option<Timestamp>> {
        self.database
            .read(move |db| {
                let of_lane = of_lane(lane);
                let at: Option<i64> = db
                    .prepare_cached(&format!(
                        "SELECT due_at FROM tasks WHERE finished_at IS NULL {of_lane}
                         ORDER BY due_at LIMIT 1"
                    ))?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                Ok(at.map(moment))
            })
            .await
    }

    /// Keeps tasks that are being delivered out of sight.
    async fn keep(&self, names: Vec<String>, now: Timestamp) -> Result<()> {
        let until = later(now, self.invisible).as_microsecond();
        self.database
            .write(move |tx| {
                let mut update = tx.prepare_cached(
                    "UPDATE tasks SET due_at = ?2 WHERE name = ?1 AND finished_at IS NULL",
                )?;
                for name in names {
                    update.execute(params![name, until])?;
                }
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn schedule(&self, task: &Task, at: Timestamp) -> Result<Scheduled> {
        let (lane, task, room) = (task.lane(), task.clone(), Arc::clone(&self.room));
        let scheduled = self
            .database
            .write(move |tx| schedule(tx, &task, at, &room))
            .await?;
        self.bells.of(lane).notify_one();
        Ok(scheduled)
    }

    async fn forget(&self, job: &JobId) -> Result<u32> {
        let job = job.clone();
        self.database.write(move |tx| forget(tx, &job)).await
    }

    async fn ping(&self) -> Result<()> {
        self.next_due(None).await.map(drop)
    }
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        // A commit whose outcome is unknown counts as failed: planning a name twice is harmless.
        Self::Unavailable(error.to_string())
    }
}

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn schedule(tx: &Transaction<'_>, task: &Task, at: Timestamp, room: &Room) -> Result<Scheduled> {
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

/// Tombstones go too: a job that is made anew under that id begins with the same names.
fn forget(tx: &Transaction<'_>, job: &JobId) -> Result<u32> {
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
fn of_lane(lane: Option<Lane>) -> &'static str {
    match lane {
        None => "",
        Some(Lane::Jobs) => schema::OF_JOBS,
        Some(Lane::Notices) => schema::OF_NOTICES,
    }
}

fn take_due(
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

fn finish(tx: &Transaction<'_>, name: &str, delivery: Delivery, now: Timestamp) -> Result<()> {
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

fn parse(name: &str, text: &str) -> Option<Task> {
    serde_json::from_str(text)
        .inspect_err(|error| tracing::error!(task = name, %error, "a task cannot be read"))
        .ok()
}

fn moment(micros: i64) -> Timestamp {
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
