//! Objects as files in a folder of this machine.
//!
//! `object_store` reads them. Whatever changes something is done here: a file has to be on the
//! disk before anybody is told that it is there, and what a process left that died in the middle
//! is to be seen and removed like everything else.

use std::fs::{self, File, ReadDir};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use tokio::sync::mpsc;

use super::error::{Result, StorageError};
use super::object::Stored;
use crate::clock::Timestamp;
use crate::staging::disk::{Anchor, Disk};
use crate::staging::{Hidden, remove_empty};

/// Objects that are told of at once while a folder is walked through.
const BATCH: usize = 256;
/// Batches that wait to be looked at.
const BATCHES: usize = 4;
/// Deeper folders are not walked into: ours have four levels, and a link may lead in circles.
const DEPTH: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: PathBuf,
    anchor: Anchor,
    disk: Arc<dyn Disk>,
}

impl Directory {
    /// `root` must be there, as its own real name.
    pub(super) fn open(root: PathBuf, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let anchor = Anchor::of(&root)?;
        Ok(Self { root, anchor, disk })
    }

    /// What reads the objects.
    pub(super) fn reading(&self) -> Result<LocalFileSystem> {
        // It writes nothing of ours; should it ever, then for good.
        Ok(LocalFileSystem::new_with_prefix(&self.root)?.with_fsync(true))
    }

    /// The file of an object: names are checked to have no parts that lead elsewhere.
    pub(super) fn file(&self, object: &object_store::path::Path) -> PathBuf {
        let mut file = self.root.clone();
        file.extend(object.parts().map(|part| part.as_ref().to_owned()));
        file
    }

    /// Whether the folder is still the one that was opened.
    pub(super) fn check(&self) -> Result<()> {
        Ok(self.anchor.check()?)
    }

    /// A file that gets its name when it is published. Blocks.
    pub(super) fn stage(&self, target: &Path) -> Result<(File, Hidden)> {
        self.check()?;
        Ok(Hidden::beside(target, &self.root, &self.disk)?)
    }

    /// Writes a small object as a whole.
    pub(super) async fn put(&self, target: PathBuf, bytes: bytes::Bytes) -> Result<()> {
        let directory = self.clone();
        blocking(move || {
            let (mut file, hidden) = directory.stage(&target)?;
            file.write_all(&bytes)?;
            drop(file);
            Ok(hidden.publish()?)
        })
        .await
    }

    /// Removes a file, and the folders it leaves empty; one that is not there is no error. When
    /// this returns, a power cut does not bring it back.
    pub(super) async fn remove(&self, target: PathBuf) -> Result<()> {
        let directory = self.clone();
        blocking(move || {
            match directory.disk.remove_file(&target) {
                Ok(()) => {}
                Err(error) if is_absent(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            remove_empty(&target, &directory.root);
            for folder in target.ancestors().skip(1) {
                match directory.disk.sync_folder(folder) {
                    // It went because it was empty: what matters is its name in the one above.
                    Err(error) if is_absent(&error) && folder != directory.root => {}
                    synced => return Ok(synced?),
                }
            }
            Ok(())
        })
        .await
    }

    /// All files under a folder whose objects' names come after `after`, in no order, hidden ones
    /// too. A folder that cannot be read is told of, and the rest goes on.
    pub(super) fn walk(
        &self,
        folder: &object_store::path::Path,
        after: Option<String>,
    ) -> mpsc::Receiver<Vec<Result<Stored>>> {
        let (send, receive) = mpsc::channel(BATCHES);
        let (root, folder) = (self.root.clone(), self.file(folder));
        let anchor = self.anchor.clone();
        tokio::task::spawn_blocking(move || {
            let mut batch = match anchor.check() {
                Ok(()) => Vec::new(),
                Err(error) => vec![Err(error.into())],
            };
            for found in Walk::of(root, &folder, after) {
                batch.push(found);
                if batch.len() >= BATCH && send.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return;
                }
            }
            // Whoever asked may have gone away.
            let _ = send.blocking_send(batch);
        });
        receive
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StorageError::Unavailable(error.to_string()))?
}

/// A part of the name may be a file where a folder is looked for.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

struct Walk {
    root: PathBuf,
    after: Option<String>,
    open: Vec<ReadDir>,
    failed: Option<StorageError>,
}

impl Walk {
    fn of(root: PathBuf, folder: &Path, after: Option<String>) -> Self {
        let mut walk = Self {
            root,
            after,
            open: Vec::new(),
            failed: None,
        };
        walk.enter(folder);
        walk
    }

    fn enter(&mut self, folder: &Path) {
        if self.open.len() >= DEPTH {
            return;
        }
        match fs::read_dir(folder) {
            Ok(entries) => self.open.push(entries),
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                let why = format!("{}: {error}", folder.display());
                self.failed = Some(io::Error::new(error.kind(), why).into());
            }
        }
    }

    /// The object that a file is; none for names that are no object's.
    fn stored(&self, path: &Path) -> Option<Result<Stored>> {
        let name = path.strip_prefix(&self.root).ok()?.to_str()?;
        if self.after.as_deref().is_some_and(|after| name <= after) {
            return None;
        }
        object_store::path::Path::parse(name).ok()?;
        let found = match fs::metadata(path) {
            Ok(found) => found,
            // It went meanwhile, or is a link to nothing.
            Err(error) if is_absent(&error) => fs::symlink_metadata(path).ok()?,
            Err(error) => return Some(Err(error.into())),
        };
        let modified = found.modified().ok().and_then(|at| at.try_into().ok());
        Some(Ok(Stored {
            object: name.to_owned(),
            modified: modified.unwrap_or(Timestamp::MAX),
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<Stored>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            match self.open.last_mut()?.next() {
                None => {
                    self.open.pop();
                }
                Some(Err(error)) => {
                    // There is no saying whether a folder that fails once ever ends.
                    self.open.pop();
                    return Some(Err(error.into()));
                }
                Some(Ok(entry)) => {
                    let path = entry.path();
                    // A folder may be a link to another disk.
                    if path.is_dir() {
                        self.enter(&path);
                    } else if let Some(stored) = self.stored(&path) {
                        return Some(stored);
                    }
                }
            }
        }
    }
}
