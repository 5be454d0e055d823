//! Where media bytes come from: anything that can be read and sought.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

/// A readable, seekable stream of bytes that may move to another thread.
pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Seekable bytes: a local file, a few bytes in memory, an object that is read by range.
///
/// One input may be opened several times, also at once.
#[allow(
    clippy::len_without_is_empty,
    reason = "emptiness is a refusal with a code of its own"
)]
pub trait Input: Send + Sync + Debug {
    /// A new, independent reader at offset 0.
    ///
    /// # Errors
    /// Whatever the store says; `NotFound` and `IsADirectory` are told apart.
    fn open(&self) -> io::Result<Box<dyn ReadSeek>>;

    /// Total size in bytes.
    ///
    /// # Errors
    /// As for [`Input::open`].
    fn len(&self) -> io::Result<u64>;

    /// A short name for messages and logs.
    fn describe(&self) -> String;
}

/// A file on a local disk.
#[derive(Clone, Debug)]
pub struct FileInput {
    path: PathBuf,
}

impl FileInput {
    /// Names a file; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Input for FileInput {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        self.len()?;
        Ok(Box::new(File::open(&self.path)?))
    }

    fn len(&self) -> io::Result<u64> {
        let metadata = std::fs::metadata(&self.path)?;
        // Opening a directory succeeds on Unix and only reading it fails.
        if metadata.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a directory",
            ));
        }
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "is not a regular file",
            ));
        }
        Ok(metadata.len())
    }

    fn describe(&self) -> String {
        self.path
            .file_name()
            .unwrap_or(self.path.as_os_str())
            .to_string_lossy()
            .into_owned()
    }
}

/// Bytes in memory: small files that came over the network.
#[derive(Clone)]
pub struct BytesInput {
    name: String,
    bytes: Arc<[u8]>,
}

impl BytesInput {
    /// Bytes and what to call them.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Debug for BytesInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BytesInput({}, {} bytes)", self.name, self.bytes.len())
    }
}

impl Input for BytesInput {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(Cursor::new(Arc::clone(&self.bytes))))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
