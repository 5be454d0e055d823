//! Where a finished video goes. Nothing is visible under its final name before
//! it is complete and verified.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use super::input::{FileInput, Input};
use crate::staging::disk::{Disk as _, SystemDisk};
use crate::staging::{folder_of, hidden_beside};

/// A writable, seekable stream of bytes that may move to another thread.
pub trait WriteSeek: Write + Seek + Send {}
impl<T: Write + Seek + Send> WriteSeek for T {}

/// A destination with a staging area: written, read back for verification,
/// then committed or discarded. Dropping without a commit discards.
pub trait Output: Send + Debug {
    /// Opens the staging area, emptying it if it exists.
    ///
    /// # Errors
    /// The store's.
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>>;

    /// Says that the writer wrote its last byte and everything stands: what [`Output::staged`]
    /// gives can be read from now on. Whatever fails before never calls this.
    ///
    /// # Errors
    /// The store's.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// What has been written, for reading it back before the commit.
    fn staged(&self) -> Arc<dyn Input>;

    /// Publishes the staged bytes under the final name.
    ///
    /// # Errors
    /// The store's; nothing is published then.
    fn commit(&mut self) -> io::Result<()>;

    /// Removes what was staged. Harmless when nothing is.
    fn discard(&mut self);

    /// A short name for messages.
    fn describe(&self) -> String;
}

/// A local file, staged under a hidden name of its own beside its target (a
/// rename is only atomic within one file system).
#[derive(Debug)]
pub struct FileOutput {
    target: PathBuf,
    hidden: Option<TempPath>,
}

impl FileOutput {
    /// Names the target; nothing is created yet.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            hidden: None,
        }
    }
}

impl Output for FileOutput {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        if self.target.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a directory",
            ));
        }
        let (file, hidden) = hidden_beside(&self.target)?;
        self.hidden = Some(hidden);
        Ok(Box::new(file))
    }

    fn staged(&self) -> Arc<dyn Input> {
        // Without a staged file: a name under which there is nothing.
        let path = self.hidden.as_deref().unwrap_or(Path::new(""));
        Arc::new(FileInput::new(path))
    }

    fn commit(&mut self) -> io::Result<()> {
        let hidden = self
            .hidden
            .take()
            .ok_or_else(|| io::Error::other("nothing was written"))?;
        // A rename may become durable before the bytes do.
        File::open(&hidden)?.sync_all()?;
        hidden.persist(&self.target).map_err(|error| error.error)?;
        SystemDisk.sync_folder(folder_of(&self.target))
    }

    fn discard(&mut self) {
        self.hidden = None;
    }

    fn describe(&self) -> String {
        self.target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}
