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

mod error;
mod private;
mod readers;
mod room;
mod schema;
mod transaction;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use tokio::sync::Mutex;

use crate::staging::disk::Anchor;
pub(crate) use error::DatabaseError;
use private::close_to_others;
use readers::Readers;
pub(crate) use room::Room;
pub(crate) use schema::Schema;
use schema::{migrate, write_ahead};
use transaction::{begin, commit};

/// How long a call waits for another process's write. A write takes milliseconds; who waits
/// longer waits for something that hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough for every statement of one adapter to stay prepared.
const CACHED_STATEMENTS: usize = 64;

/// Copies a database that others write to, as it is at one moment. Blocks.
pub(crate) fn snapshot(from: &Path, to: &Path) -> rusqlite::Result<()> {
    use rusqlite::OpenFlags;
    // Never made by this: a missing database is told.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let to = to
        .to_str()
        .ok_or_else(|| rusqlite::Error::InvalidPath(to.to_path_buf()))?;
    connection.execute("VACUUM INTO ?1", [to])?;
    Ok(())
}

/// Brings all of a database into its one file, which can be renamed then. Blocks; nobody else may
/// have it open.
pub(crate) fn fold(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.query_row("PRAGMA journal_mode = DELETE", [], |row| {
        row.get::<_, String>(0)
    })?;
    Ok(())
}

/// How far a commit is on its way to the disk when it returns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Durability {
    /// It survives a power failure.
    PowerLoss,
    /// It survives the end of the process; a power failure may take the last moments.
    ProcessEnd,
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
        migrate(&mut connection, parts)?;
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
        let permit = readers.permit().await;
        self.blocking(move || {
            let read = permit.read(work);
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

    /// Writes the file anew without what was deleted, and empties the log beside it: until then
    /// deleted rows can still be read in both. Others wait meanwhile; fails if they are in the way.
    pub(crate) async fn scrub(&self) -> Result<(), DatabaseError> {
        self.run(|connection| {
            connection.execute_batch("VACUUM")?;
            let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            })?;
            if is_busy != 0 {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                let why = "the log cannot be emptied while others read it".to_owned();
                return Err(rusqlite::Error::SqliteFailure(busy, Some(why)).into());
            }
            Ok(())
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
