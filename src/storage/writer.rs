//! Writing an object piece by piece, from a thread that may block, with its head held back.
//!
//! A faststart MP4 is written from front to back, and its index last of all goes into room that
//! was left at the front. So the head stays in memory, everything behind it goes up as numbered
//! parts while the encoder works, and the head follows as the first part. A directory takes a
//! staging file beside the target instead, renamed at the end.

mod pieces;

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::directory::Directory;
use super::error::{Result, StorageError};
use super::reader::ObjectSource;
use super::store::Storage;
use super::upload::Target;
use crate::staging::Hidden;
use pieces::Pieces;

/// Where the bytes go until the object is complete.
#[derive(Debug, Clone)]
pub(super) enum Route {
    Parts(Target),
    /// The object's file, and the folder that all of them are in.
    File {
        target: PathBuf,
        directory: Directory,
    },
}

/// One object to be written. Nothing stands under its name before [`ObjectSink::finish`];
/// dropped or discarded before it, nothing stays anywhere.
#[derive(Debug)]
pub struct ObjectSink {
    route: Route,
    storage: Storage,
    object: String,
    runtime: Handle,
    stop: CancellationToken,
    staged: Option<Staged>,
    finished: bool,
}

#[derive(Debug)]
enum Staged {
    Parts(Arc<Mutex<Option<Pieces>>>),
    File(Hidden),
}

impl ObjectSink {
    pub(super) fn new(
        storage: Storage,
        object: &str,
        route: Route,
        stop: CancellationToken,
    ) -> Self {
        Self {
            route,
            storage,
            object: object.to_owned(),
            runtime: Handle::current(),
            stop,
            staged: None,
            finished: false,
        }
    }

    /// The object's name without its folders.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object.rsplit('/').next().unwrap_or_default()
    }

    /// Starts from nothing; what an earlier writer wrote is thrown away. Blocks.
    pub fn open(&mut self) -> Result<ObjectWriter> {
        self.discard();
        match &self.route {
            Route::Parts(target) => {
                let pieces = Pieces::new(target.clone(), self.runtime.clone(), self.stop.clone());
                let pieces = Arc::new(Mutex::new(Some(pieces)));
                self.staged = Some(Staged::Parts(Arc::clone(&pieces)));
                Ok(ObjectWriter(Inner::Parts(pieces)))
            }
            Route::File { target, directory } => {
                let (file, hidden) = directory.stage(target)?;
                self.staged = Some(Staged::File(hidden));
                Ok(ObjectWriter(Inner::File(file)))
            }
        }
    }

    /// Completes the object and opens it for reading. Blocks.
    pub fn finish(&mut self) -> Result<ObjectSource> {
        let nothing = || StorageError::File(io::Error::other("nothing was written"));
        match self.staged.take() {
            Some(Staged::Parts(pieces)) => {
                let pieces = lock(&pieces).take().ok_or_else(nothing)?;
                pieces.finish()?;
            }
            Some(Staged::File(hidden)) => hidden.publish()?,
            None => return Err(nothing()),
        }
        self.finished = true;
        let (storage, object, stop) = (&self.storage, &self.object, &self.stop);
        self.runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => Err(StorageError::Stopped),
                source = storage.source(object, u64::MAX, stop) => source,
            }
        })
    }

    /// Throws away what was written, a finished object too. Blocks.
    pub fn discard(&mut self) {
        self.staged = None;
        if std::mem::take(&mut self.finished)
            && let Err(error) = self.runtime.block_on(self.storage.delete(&self.object))
        {
            tracing::warn!(object = self.object, %error, "a discarded object stays until it is swept");
        }
    }
}

/// Writes an object; bytes that have been sent cannot be sought back to.
#[derive(Debug)]
pub struct ObjectWriter(Inner);

#[derive(Debug)]
enum Inner {
    Parts(Arc<Mutex<Option<Pieces>>>),
    File(File),
}

fn lock(pieces: &Mutex<Option<Pieces>>) -> MutexGuard<'_, Option<Pieces>> {
    pieces.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<T>(
    pieces: &Mutex<Option<Pieces>>,
    act: impl FnOnce(&mut Pieces) -> Result<T>,
) -> io::Result<T> {
    match lock(pieces).as_mut() {
        Some(pieces) => act(pieces).map_err(io::Error::other),
        None => Err(io::Error::other("the object was completed or discarded")),
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Parts(pieces) => with(pieces, |pieces| pieces.write(bytes))?,
            Inner::File(file) => return file.write(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Parts(_) => Ok(()),
            Inner::File(file) => file.flush(),
        }
    }
}

impl Seek for ObjectWriter {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Inner::Parts(pieces) => with(pieces, |pieces| pieces.seek(target)),
            Inner::File(file) => file.seek(target),
        }
    }
}
