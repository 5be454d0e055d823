//! How far the cleaning is.
//!
//! Each cleaning looks at a bounded part of each list and the next one goes on behind it: what
//! could not be deleted, or may not be, is passed and comes again after all others. Where a list
//! was left is noted in the store, for a process that lives for an hour would else begin anew
//! each time.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::ledger::KeptSince;
use crate::storage::{Storage, StorageError};

/// The note. Two processes that clean at once may overwrite each other's: then a part is looked
/// at twice.
const NOTE: &str = "service/cleaning.json";
/// Five cursors of two names each.
const NOTE_BYTES: u64 = 64 << 10;
/// How long one cleaning may take: a store that answers slowly is not waited for all hour.
const TIME: Duration = Duration::from_secs(10 * 60);

/// Where lists were left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Cursors {
    /// The last object looked at, by folder.
    objects: BTreeMap<String, String>,
    /// The last job looked at, by what of it is kept.
    kept: BTreeMap<String, KeptSince>,
}

/// One cleaning's way through the lists.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    storage: &'a Storage,
    cursors: Cursors,
    noted: Cursors,
    ended: Vec<String>,
    until: Instant,
    broken: bool,
}

impl<'a> Walk<'a> {
    pub(super) async fn resume(storage: &'a Storage) -> Self {
        let noted = match read(storage).await {
            Ok(cursors) => cursors,
            Err(error) => {
                tracing::warn!(%error, "the cleaning begins at the beginning");
                Cursors::default()
            }
        };
        Self {
            storage,
            cursors: noted.clone(),
            noted,
            ended: Vec::new(),
            until: Instant::now() + TIME,
            broken: false,
        }
    }

    /// Whether there is time for more.
    pub(super) fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// Where to go on in a folder; `None` once it was seen to its end, or time is up.
    pub(super) fn begin(&self, folder: &str) -> Option<Option<String>> {
        let ended = self.ended.iter().any(|done| done == folder);
        (!ended && self.has_time()).then(|| self.cursors.objects.get(folder).cloned())
    }

    /// The folder was looked at as far as that.
    pub(super) fn done_until(&mut self, folder: &str, next: Option<String>) {
        match next {
            Some(next) => {
                self.cursors.objects.insert(folder.to_owned(), next);
            }
            None => {
                self.cursors.objects.remove(folder);
                self.ended.push(folder.to_owned());
            }
        }
    }

    /// The same for jobs whose files are kept.
    pub(super) fn begin_kept(&self, what: &str) -> Option<KeptSince> {
        self.cursors.kept.get(what).cloned()
    }

    pub(super) fn done_kept_until(&mut self, what: &str, next: Option<KeptSince>) {
        match next {
            Some(next) => self.cursors.kept.insert(what.to_owned(), next),
            None => self.cursors.kept.remove(what),
        };
    }

    /// A list could not be read at all.
    pub(super) fn broke_off(&mut self, list: &str, error: &dyn Display) {
        tracing::warn!(list, %error, "a list of what may go could not be read");
        self.broken = true;
    }

    /// Notes where to go on; says whether all lists could be read.
    pub(super) async fn note(self) -> bool {
        if self.cursors != self.noted {
            let noted = if self.cursors == Cursors::default() {
                self.storage.delete(NOTE).await
            } else {
                match serde_json::to_vec(&self.cursors) {
                    Ok(note) => self.storage.put_bytes(note.into(), NOTE).await,
                    Err(error) => Err(StorageError::Unavailable(error.to_string())),
                }
            };
            if let Err(error) = noted {
                tracing::warn!(%error, "where the cleaning stopped could not be noted");
            }
        }
        !self.broken
    }
}

async fn read(storage: &Storage) -> Result<Cursors, StorageError> {
    let bytes = match storage.head(NOTE).await {
        Ok(info) => info.bytes.min(NOTE_BYTES),
        Err(StorageError::NotFound(_)) => return Ok(Cursors::default()),
        Err(error) => return Err(error),
    };
    if bytes == 0 {
        return Ok(Cursors::default());
    }
    let note: Vec<_> = storage
        .read_range(NOTE, 0..bytes)
        .await?
        .try_collect()
        .await?;
    serde_json::from_slice(&note.concat())
        .map_err(|error| StorageError::Unavailable(error.to_string()))
}
