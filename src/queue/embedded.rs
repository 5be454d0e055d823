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
mod statements;

pub use dispatch::Widths;
pub use statements::RESERVED;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params};
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
/// A queue longer than this says that nobody works on it.
const DEFAULT_CAPACITY: u32 = 100_000;

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
            .write(move |tx| statements::take_due(tx, lane, now, until, limit))
            .await
    }

    /// Says what came of a delivery. A task brought again is due after a pause that grows from
    /// one second to a minute, with jitter; it is never given up. A task that is finished stays
    /// finished, whatever a slower twin of its delivery says.
    pub async fn finish(&self, task: &Task, delivery: Delivery, now: Timestamp) -> Result<()> {
        let name = task.name();
        self.database
            .write(move |tx| statements::finish(tx, &name, delivery, now))
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
                    if let Some(task) = statements::parse(&name, &task) {
                        found.push((task, statements::moment(row.get(2)?)));
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
                let of_lane = statements::of_lane(lane);
                let at: Option<i64> = db
                    .prepare_cached(&format!(
                        "SELECT due_at FROM tasks WHERE finished_at IS NULL {of_lane}
                         ORDER BY due_at LIMIT 1"
                    ))?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                Ok(at.map(statements::moment))
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
            .write(move |tx| statements::schedule(tx, &task, at, &room))
            .await?;
        self.bells.of(lane).notify_one();
        Ok(scheduled)
    }

    async fn is_in_line(&self, task: &Task, now: Timestamp) -> Result<bool> {
        let name = task.name();
        self.database
            .read(move |db| statements::is_in_line(db, &name, now))
            .await
    }

    async fn forget(&self, job: &JobId) -> Result<u32> {
        let job = job.clone();
        self.database
            .write(move |tx| statements::forget(tx, &job))
            .await
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
