//! One SQLite file, used off the async threads: one connection that writes, and a few that read.
//!
//! Callers queue on an async mutex and then borrow one blocking thread, so a hundred waiting
//! calls hold one thread, not a hundred. A call that has begun runs to its end even if its
//! caller is gone: a dropped request never leaves half a transaction.
//!
//! Reads have connections of their own: a write may wait for seconds, for another process's or for
//! the disk, and in a write-ahead log no reader has to.
//!
//! Several processes may open the same file: every write is an immediate transaction, so the
//! lock is waited for before anything is read, and what was read is still true at the commit.

mod readers;
mod room;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior};
use tokio::sync::Mutex;

use crate::staging::disk::Anchor;
use readers::Readers;
pub(crate) use room::Room;

/// How long a call waits for another process's write. A write takes milliseconds; who waits
/// longer waits for something that hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough for every statement of one adapter to stay prepared.
const CACHED_STATEMENTS: usize = 64;

/// What went wrong, by what is known of the write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// Nothing was written.
    #[error(transparent)]
    Failed(#[from] rusqlite::Error),
    /// The commit was tried and failed: it may be in the file all the same.
    #[error("the commit failed: {0}")]
    Commit(rusqlite::Error),
    /// The call was begun and never answered.
    #[error("the call did not finish: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
    /// The file that is open is not the one under its name: what is written goes nowhere.
    #[error("the database is gone: {0}")]
    Gone(std::io::Error),
    /// The file was written by a newer version of this program.
    #[error("{part} has schema version {found}; this program knows {known}")]
    Newer {
        part: &'static str,
        found: usize,
        known: usize,
    },
}

/// How far a commit is on its way to the disk when it returns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Durability {
    /// It survives a power failure.
    PowerLoss,
    /// It survives the end of the process; a power failure may take the last moments.
    ProcessEnd,
}

/// The tables of one adapter, or a part of them: each part of a file has its own version. A
/// program refuses a part that is newer than it knows and does not look at parts it does not
/// know, so tables that an older release may overlook are a part of their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema {
    pub(crate) part: &'static str,
    /// Applied in order, each once. Published steps never change.
    pub(crate) steps: &'static [&'static str],
}

#[derive(Debug, Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
    /// Absent for a database that only its one connection knows.
    readers: Option<Readers>,
    /// Absent for a database without a file, or with an address in place of a path.
    anchor: Option<Anchor>,
}

impl Database {
    /// Opens the file, made if missing, and brings the adapter's tables up to date. Only this
    /// user can read it: it holds what owners asked for, and links to it. Blocks.
    pub(crate) fn open(
        path: &Path,
        durability: Durability,
        parts: &[Schema],
    ) -> Result<Self, DatabaseError> {
        if path.to_string_lossy().starts_with("file:") {
            return Self::prepare(Connection::open(path)?, None, durability, parts);
        }
        close_to_others(path);
        let connection = Connection::open(path)?;
        let anchor = Anchor::of(path).map_err(DatabaseError::Gone)?;
        let database = Self::prepare(connection, Some(anchor), durability, parts)?;
        Ok(Self {
            readers: Some(Readers::of(path)),
            ..database
        })
    }

    /// A database of its own that goes away with the last handle.
    pub(crate) fn open_in_memory(parts: &[Schema]) -> Result<Self, DatabaseError> {
        Self::prepare(
            Connection::open_in_memory()?,
            None,
            Durability::ProcessEnd,
            parts,
        )
    }

    fn prepare(
        mut connection: Connection,
        anchor: Option<Anchor>,
        durability: Durability,
        parts: &[Schema],
    ) -> Result<Self, DatabaseError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        write_ahead(&mut connection)?;
        let synchronous = match durability {
            Durability::PowerLoss => "FULL",
            Durability::ProcessEnd => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        for part in parts {
            migrate(&mut connection, *part)?;
        }
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            readers: None,
            anchor,
        })
    }

    /// Runs `work` on a view of the database as of now: all that was committed before the call.
    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let Some(readers) = &self.readers else {
            return self.run(move |connection| work(connection)).await;
        };
        let place = readers.place().await;
        self.blocking(move || {
            let read = place.read(work);
            read.unwrap_or_else(|error| Err(DatabaseError::Failed(error).into()))
        })
        .await
    }

    /// Runs `work` as one transaction: committed if it answers `Ok`, else undone.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        self.run(move |connection| {
            let transaction = begin(connection)?;
            let answer = work(&transaction)?;
            commit(transaction)?;
            Ok(answer)
        })
        .await
    }

    async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        self.blocking(move || work(&mut connection)).await
    }

    /// Does it on a thread that may wait, while the file is the one that was opened.
    async fn blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let anchor = self.anchor.clone();
        let work = move || {
            let gone = || match &anchor {
                Some(anchor) => anchor.check().map_err(DatabaseError::Gone),
                None => Ok(()),
            };
            gone()?;
            let answer = work()?;
            // Nobody is told of what was written into a file that went meanwhile.
            gone()?;
            Ok(answer)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(interrupted) => Err(DatabaseError::from(interrupted).into()),
        }
    }
}

/// Makes the file if it is missing, and takes the rights of others away from one that is there.
/// SQLite gives the files beside it the same rights.
#[cfg(unix)]
fn close_to_others(path: &Path) {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    const OURS: u32 = 0o600;
    // A file that is there is never opened by any hand but SQLite's: closing it again would give
    // up every lock that this process holds on it, for its other connections too. Another process
    // would then take itself for the last one, and remove the log that is still written to.
    // A folder that is missing, or may not be written, is SQLite's to tell.
    let mut made = std::fs::OpenOptions::new();
    let _ = made.write(true).create_new(true).mode(OURS).open(path);
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let path = Path::new(&name);
        let Ok(found) = std::fs::metadata(path) else {
            continue;
        };
        if found.permissions().mode() & 0o077 == 0 {
            continue;
        }
        // Another user's file is that user's to close.
        if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(OURS)) {
            tracing::warn!(file = %path.display(), %error, "others can read the database");
        }
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) {}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, DatabaseError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn commit(transaction: Transaction<'_>) -> Result<(), DatabaseError> {
    transaction.commit().map_err(|error| {
        // A busy commit leaves the transaction open, and it is undone on drop. After any other
        // error the last page may or may not have reached the disk.
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => DatabaseError::Failed(error),
            _ => DatabaseError::Commit(error),
        }
    })
}

/// Turns on the write-ahead log, in which readers and the writer do not block each other. It is
/// a property of the file, so that only the first one to open it really switches.
fn write_ahead(connection: &mut Connection) -> Result<(), DatabaseError> {
    let mut tries = 0;
    loop {
        let switched = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| {
                row.get::<_, String>(0)
            })
            .map(drop);
        match switched {
            Ok(()) => return Ok(()),
            // Several processes opening a new file at once: the switch does not wait by itself.
            // An empty transaction does, and then the other one is through.
            Err(error)
                if tries < 10 && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                tries += 1;
                commit(begin(connection)?)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn migrate(connection: &mut Connection, schema: Schema) -> Result<(), DatabaseError> {
    let Schema { part, steps } = schema;
    let transaction = begin(connection)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (
             part TEXT PRIMARY KEY, version INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID",
    )?;
    let found = transaction
        .query_row(
            "SELECT version FROM schema_versions WHERE part = ?1",
            [part],
            |row| row.get::<_, u32>(0),
        )
        .optional()?
        .unwrap_or(0) as usize;
    let Some(missing) = steps.get(found..) else {
        return Err(DatabaseError::Newer {
            part,
            found,
            known: steps.len(),
        });
    };
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.execute(
        "INSERT OR REPLACE INTO schema_versions (part, version) VALUES (?1, ?2)",
        (part, i64::try_from(steps.len()).unwrap_or(i64::MAX)),
    )?;
    commit(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Schema = Schema {
        part: "test",
        steps: &["CREATE TABLE numbers (number INTEGER NOT NULL) STRICT"],
    };

    fn open() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.sqlite");
        let database = Database::open(&path, Durability::PowerLoss, &[TABLE]).unwrap();
        (folder, database)
    }

    async fn add(database: &Database, number: i64) -> Result<(), DatabaseError> {
        let add = move |write: &Transaction<'_>| -> Result<(), DatabaseError> {
            write.execute("INSERT INTO numbers VALUES (?1)", [number])?;
            Ok(())
        };
        database.write(add).await
    }

    async fn sum(database: &Database) -> i64 {
        let sum = |read: &Connection| -> Result<i64, DatabaseError> {
            let sum = "SELECT coalesce(sum(number), 0) FROM numbers";
            Ok(read.query_row(sum, [], |row| row.get(0))?)
        };
        database.read(sum).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_committed_is_read() {
        let (_folder, database) = open();
        for number in 1..=50 {
            add(&database, number).await.unwrap();
            assert_eq!(sum(&database).await, number * (number + 1) / 2);
        }
        let other = Database::open_in_memory(&[TABLE]).unwrap();
        add(&other, 7).await.unwrap();
        assert_eq!(sum(&other).await, 7);
    }

    #[tokio::test]
    async fn a_read_waits_for_no_write() {
        let (folder, database) = open();
        add(&database, 1).await.unwrap();
        // Another process is in the middle of its own.
        let mut other = Connection::open(folder.path().join("test.sqlite")).unwrap();
        let held = begin(&mut other).unwrap();
        held.execute("INSERT INTO numbers VALUES (100)", [])
            .unwrap();
        let waiting = tokio::spawn({
            let database = database.clone();
            async move { add(&database, 10).await }
        });
        while database.connection.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        // More of them than there are connections.
        for _ in 0..20 {
            assert_eq!(sum(&database).await, 1);
            assert!(!waiting.is_finished());
        }
        held.commit().unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(sum(&database).await, 111);
    }

    #[tokio::test]
    async fn a_read_sees_one_moment_and_writes_nothing() {
        let (_folder, database) = open();
        add(&database, 1).await.unwrap();
        let (begun, wait) = (tokio::sync::oneshot::channel(), std::sync::mpsc::channel());
        let (tell, told) = begun;
        let (go, gone) = wait;
        let read = tokio::spawn({
            let database = database.clone();
            async move {
                let twice = move |read: &Connection| -> Result<(i64, i64), DatabaseError> {
                    let count =
                        || read.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0));
                    let first = count()?;
                    let _ = tell.send(());
                    let _ = gone.recv();
                    Ok((first, count()?))
                };
                database.read(twice).await
            }
        });
        told.await.unwrap();
        add(&database, 2).await.unwrap();
        go.send(()).unwrap();
        assert_eq!(read.await.unwrap().unwrap(), (1, 1));
        let write = |read: &Connection| -> Result<usize, DatabaseError> {
            Ok(read.execute("DELETE FROM numbers", [])?)
        };
        assert!(database.read(write).await.is_err());
        assert_eq!(sum(&database).await, 3);
    }

    #[tokio::test]
    async fn a_read_that_panics_takes_no_place_along() {
        let (_folder, database) = open();
        for _ in 0..20 {
            let broken = |_: &Connection| -> Result<(), DatabaseError> { panic!("as planned") };
            assert!(database.read(broken).await.is_err());
        }
        assert_eq!(sum(&database).await, 0);
    }
}
