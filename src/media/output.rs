//! Where a finished video goes. Nothing is visible under its final name before
//! it is complete and verified.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::input::{FileInput, Input};

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

/// A local file, staged as `.<name>.part` beside its target (a rename is only
/// atomic within one file system).
#[derive(Debug)]
pub struct FileOutput {
    target: PathBuf,
    staging: PathBuf,
    open: bool,
}

impl FileOutput {
    /// Names the target; nothing is created yet.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        let target = target.into();
        let staging = staging_path(&target);
        Self {
            target,
            staging,
            open: false,
        }
    }

    /// The final name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.target
    }
}

/// `.<name>.part` beside `target`.
pub(crate) fn staging_path(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".part");
    target.with_file_name(name)
}

impl Output for FileOutput {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        if self.target.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a directory",
            ));
        }
        let file = File::create(&self.staging)?;
        self.open = true;
        Ok(Box::new(file))
    }

    fn staged(&self) -> Arc<dyn Input> {
        Arc::new(FileInput::new(&self.staging))
    }

    fn commit(&mut self) -> io::Result<()> {
        // A rename may become durable before the bytes do.
        File::open(&self.staging)?.sync_all()?;
        std::fs::rename(&self.staging, &self.target)?;
        self.open = false;
        Ok(())
    }

    fn discard(&mut self) {
        if self.open {
            let _ = std::fs::remove_file(&self.staging);
            self.open = false;
        }
    }

    fn describe(&self) -> String {
        self.target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for FileOutput {
    fn drop(&mut self) {
        self.discard();
    }
}
