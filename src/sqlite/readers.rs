//! Connections that only read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At once: a page of a list that is slow to read, and short ones beside it.
const READERS: usize = 4;
/// A reader of a write-ahead log waits only while another process brings the log in order after a
/// crash.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough for every query of one adapter to stay prepared.
const CACHED_STATEMENTS: usize = 32;

/// Connections to one file, opened when they are first needed.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// The right to read on a connection.
#[derive(Debug)]
pub(super) struct ReadPermit {
    readers: Readers,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Readers {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Arc::default(),
        }
    }

    /// Waits for one of the connections, first come, first served.
    pub(super) async fn permit(&self) -> ReadPermit {
        ReadPermit {
            readers: self.clone(),
            // Never closed.
            _permit: Arc::clone(&self.permits).acquire_owned().await.ok(),
        }
    }

    fn take(&self) -> Result<Connection, rusqlite::Error> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        // Not read-only: a reader writes its mark into the index of the log. What it is asked for
        // is held to reading by the pragma.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

impl ReadPermit {
    /// Runs `work` in one transaction, so that all its statements see one moment. Blocks.
    pub(super) fn read<T>(self, work: impl FnOnce(&Connection) -> T) -> Result<T, rusqlite::Error> {
        let mut connection = self.readers.take()?;
        let view = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let answer = work(&view);
        view.finish()?;
        let idle = &self.readers.idle;
        idle.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        Ok(answer)
    }
}
