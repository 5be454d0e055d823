//! Objects: inputs, what the provider returned, and results.
//!
//! Over any `object_store` backend. Objects are read through a few blocks in memory and go up in
//! parts, so memory stays flat whatever their size; links are signed by whatever the deployment
//! has.

mod blocks;
mod directory;
pub mod gcs;
pub mod links;
mod listing;
mod reader;
mod upload;
mod writer;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::multipart::MultipartStore;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutOptions};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Timestamp;
use crate::staging::disk::{Disk, SystemDisk};
use directory::Directory;

pub use listing::{Page, Swept};
pub use reader::{ObjectReader, ObjectSource, ReadProblem};
pub use writer::{ObjectSink, ObjectWriter};

/// By what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("no such object: {0}")]
    NotFound(String),
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("not a usable object name: {0}")]
    Name(String),
    #[error("the object store fails: {0}")]
    Unavailable(String),
    /// A file or folder of this machine: ours, whatever was to be stored.
    #[error("local file: {0}")]
    File(#[from] std::io::Error),
    /// What was to be stored broke off: whoever sends it knows why.
    #[error("the stream broke off: {0}")]
    Stream(std::io::Error),
    #[error("the work was stopped")]
    Stopped,
}

impl From<std::io::ErrorKind> for StorageError {
    fn from(kind: std::io::ErrorKind) -> Self {
        Self::File(kind.into())
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { path, .. } => Self::NotFound(path),
            object_store::Error::InvalidPath { source } => Self::Name(source.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl StorageError {
    /// What an operator has to mend before anything more can be stored, in words for anybody.
    #[must_use]
    pub fn exhausted(&self) -> Option<&'static str> {
        let Self::File(error) = self else { return None };
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some("The service has no room to store anything.")
            }
            std::io::ErrorKind::ReadOnlyFilesystem => {
                Some("The service's store cannot be written to.")
            }
            _ if too_many_files(error) => Some("The service has too many files open."),
            _ => None,
        }
    }
}

fn too_many_files(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

pub type Result<T> = std::result::Result<T, StorageError>;

/// Makes links that open without credentials for a while.
#[async_trait]
pub trait LinkSigner: Debug + Send + Sync {
    /// A link to `object` that stops working after `ttl`. `download_name` makes browsers save it
    /// under that name.
    async fn sign(&self, object: &str, ttl: Duration, download_name: Option<&str>) -> Result<Url>;
}

/// A link as somebody brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedLink<'a> {
    pub object: &'a str,
    /// Seconds since 1970.
    pub expires_at_s: i64,
    pub name: Option<&'a str>,
    pub signature: &'a str,
}

/// Why a link does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    #[error("the link was not made here, or was changed")]
    Signature,
    #[error("the link has expired")]
    Expired,
}

/// Checks links that this service serves itself.
pub trait LinkVerifier: Debug + Send + Sync {
    fn verify(&self, link: &SignedLink<'_>, now: Timestamp)
    -> std::result::Result<(), LinkRefused>;
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub bytes: u64,
}

/// An object as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub object: String,
    /// When it was written.
    pub modified: Timestamp,
}

/// Few enough reads for a large file.
const READ_BYTES: usize = 256 * 1024;

/// The object store, with our names.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    signer: Arc<dyn LinkSigner>,
    /// Whether the backend can keep content type and the like; a directory cannot.
    attributes: bool,
    pieces: Pieces,
}

/// How an object is written that does not lie in memory as a whole.
#[derive(Clone)]
enum Pieces {
    /// In numbered parts, by the backend's own multipart interface.
    Parts(Arc<dyn MultipartStore>),
    /// Into a file beside its target.
    Directory(Directory),
    /// Not at all.
    None,
}

impl Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("store", &self.store)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// A store that takes small objects only, until [`Storage::with_parts`].
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, signer: Arc<dyn LinkSigner>, attributes: bool) -> Self {
        Self {
            store,
            signer,
            attributes,
            pieces: Pieces::None,
        }
    }

    /// Objects as files under `folder`, which must exist.
    pub fn in_directory(folder: &Path, signer: Arc<dyn LinkSigner>) -> Result<Self> {
        Self::in_directory_on(Arc::new(SystemDisk), folder, signer)
    }

    /// The same on a disk of the caller's.
    pub fn in_directory_on(
        disk: Arc<dyn Disk>,
        folder: &Path,
        signer: Arc<dyn LinkSigner>,
    ) -> Result<Self> {
        let directory = Directory::open(folder.canonicalize()?, disk)?;
        Ok(Self {
            store: Arc::new(directory.reading()?),
            signer,
            attributes: false,
            pieces: Pieces::Directory(directory),
        })
    }

    /// Sends large objects up through `parts`, which must be the same store.
    #[must_use]
    pub fn with_parts(mut self, parts: Arc<dyn MultipartStore>) -> Self {
        self.pieces = Pieces::Parts(parts);
        self
    }

    /// What the store says of an object. That it is not there is believed only of a store that is
    /// there itself: a folder that was moved away, or not mounted, holds nothing.
    async fn meta(&self, object: &str) -> Result<object_store::ObjectMeta> {
        match self.store.head(&Self::path(object)?).await {
            Err(object_store::Error::NotFound { path, .. }) => {
                if let Pieces::Directory(directory) = &self.pieces {
                    directory.check()?;
                }
                Err(StorageError::NotFound(path))
            }
            answer => Ok(answer?),
        }
    }

    fn path(object: &str) -> Result<object_store::path::Path> {
        object_store::path::Path::parse(object)
            .map_err(|error| StorageError::Name(error.to_string()))
    }

    /// An object is missing only where its store is not.
    fn absent(&self, error: StorageError) -> StorageError {
        match (&error, &self.pieces) {
            (StorageError::NotFound(_), Pieces::Directory(directory)) => {
                directory.check().err().unwrap_or(error)
            }
            _ => error,
        }
    }

    fn attributes(&self, object: &str, content_type: Option<&str>) -> Attributes {
        if self.attributes {
            attributes(object, content_type)
        } else {
            Attributes::new()
        }
    }

    /// Uploads a local file; gives its size.
    pub async fn put_file(&self, file: &Path, object: &str, content_type: &str) -> Result<u64> {
        let file = tokio::fs::File::open(file).await?;
        let stream = ReaderStream::with_capacity(file, READ_BYTES);
        let to = Destination {
            content_type: Some(content_type),
            ..Destination::new(object)
        };
        self.put_stream_to(stream, to, u64::MAX).await
    }

    /// Uploads a stream of at most `max_bytes`; gives its size. A stream that fails or grows too
    /// large leaves no object; its own failure comes back as [`StorageError::Stream`].
    pub async fn put_stream(
        &self,
        stream: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + Unpin,
        object: &str,
        max_bytes: u64,
    ) -> Result<u64> {
        let to = Destination::new(object);
        self.put_stream_to(stream, to, max_bytes).await
    }

    /// As [`Storage::put_stream`], saying more about the object.
    pub async fn put_stream_to(
        &self,
        stream: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + Unpin,
        to: Destination<'_>,
        max_bytes: u64,
    ) -> Result<u64> {
        match self.place(&to)? {
            writer::Place::Parts(target) => upload::upload(target, stream, max_bytes).await,
            writer::Place::File { target, directory } => {
                put_beside(stream, target, directory, max_bytes).await
            }
        }
    }

    /// An object to be written from a thread that may block; every wait ends with `stop`. Must be
    /// called within a runtime.
    pub fn sink(&self, to: Destination<'_>, stop: &CancellationToken) -> Result<ObjectSink> {
        let place = self.place(&to)?;
        Ok(ObjectSink::new(
            self.clone(),
            to.object,
            place,
            stop.clone(),
        ))
    }

    fn place(&self, to: &Destination<'_>) -> Result<writer::Place> {
        let path = Self::path(to.object)?;
        match &self.pieces {
            Pieces::Parts(parts) => Ok(writer::Place::Parts(upload::Target {
                store: Arc::clone(&self.store),
                parts: Arc::clone(parts),
                path,
                attributes: self.attributes(to.object, to.content_type),
                journal: to.journal.map(Self::path).transpose()?,
            })),
            Pieces::Directory(directory) => Ok(writer::Place::File {
                target: directory.file(&path),
                directory: directory.clone(),
            }),
            Pieces::None => Err(StorageError::Unavailable(
                "this store takes no object in parts".to_owned(),
            )),
        }
    }

    /// Opens an object of at most `max_bytes` for reading from threads that may block; every wait
    /// ends with `stop`. Must be called within a runtime.
    pub async fn source(
        &self,
        object: &str,
        max_bytes: u64,
        stop: &CancellationToken,
    ) -> Result<ObjectSource> {
        let meta = self.meta(object).await?;
        if meta.size > max_bytes {
            return Err(StorageError::TooLarge { limit: max_bytes });
        }
        Ok(ObjectSource::new(Arc::clone(&self.store), meta, stop))
    }

    /// Deletes a work file; one that notes an open upload, together with what was uploaded.
    pub async fn discard(&self, object: &str) -> Result<()> {
        match &self.pieces {
            // Elsewhere that ending is part of a name which somebody else chose.
            Pieces::Parts(parts)
                if object.starts_with("work/") && object.ends_with(UPLOAD_NOTE) =>
            {
                let journal = Self::path(object)?;
                upload::abort_noted(&*self.store, &**parts, &journal).await
            }
            _ => self.delete(object).await,
        }
    }

    pub async fn put_bytes(&self, bytes: bytes::Bytes, object: &str) -> Result<()> {
        if let Pieces::Directory(directory) = &self.pieces {
            let target = directory.file(&Self::path(object)?);
            return directory.put(target, bytes).await;
        }
        let options = PutOptions {
            attributes: self.attributes(object, None),
            ..PutOptions::default()
        };
        self.store
            .put_opts(&Self::path(object)?, bytes.into(), options)
            .await?;
        Ok(())
    }

    pub async fn head(&self, object: &str) -> Result<ObjectInfo> {
        let meta = self.meta(object).await?;
        Ok(ObjectInfo { bytes: meta.size })
    }

    /// A stream of part of an object, for serving files.
    pub async fn read_range(
        &self,
        object: &str,
        range: std::ops::Range<u64>,
    ) -> Result<impl Stream<Item = Result<bytes::Bytes>> + Send + 'static> {
        let options = object_store::GetOptions {
            range: Some(range.into()),
            ..object_store::GetOptions::default()
        };
        let got = self.store.get_opts(&Self::path(object)?, options).await;
        let got = got.map_err(|error| self.absent(error.into()))?;
        Ok(got.into_stream().map_err(StorageError::from))
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, object: &str) -> Result<()> {
        if let Pieces::Directory(directory) = &self.pieces {
            let target = directory.file(&Self::path(object)?);
            return directory.remove(target).await;
        }
        match self.store.delete(&Self::path(object)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn link(
        &self,
        object: &str,
        ttl: Duration,
        download_name: Option<&str>,
    ) -> Result<Url> {
        self.signer.sign(object, ttl, download_name).await
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<()> {
        if let Pieces::Directory(directory) = &self.pieces {
            directory.check()?;
        }
        match self.store.head(&Self::path("ping")?).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where objects of the service's own go, which belong to no job.
const MARKS: &str = "service/marks";

impl Storage {
    /// Writes a mark of this name, as any object is written: whether anything can be.
    pub async fn mark(&self, name: &str) -> Result<()> {
        let mark = bytes::Bytes::from_static(b"filmlab was here\n");
        self.put_bytes(mark, &format!("{MARKS}/{name}")).await
    }

    /// Removes a mark; one that is not there is no error.
    pub async fn unmark(&self, name: &str) -> Result<()> {
        self.delete(&format!("{MARKS}/{name}")).await
    }

    /// Removes marks made at `before` or earlier: whoever made them died.
    pub async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        let old = |stored: &Stored| stored.modified <= before;
        self.sweep(MARKS, old).await.map(drop)
    }
}

/// Where an object goes and how it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub object: &'a str,
    /// Absent: by the name's ending.
    pub content_type: Option<&'a str>,
    /// An object that notes the upload while it is open, its name ending in [`UPLOAD_NOTE`].
    pub journal: Option<&'a str>,
}

impl<'a> Destination<'a> {
    #[must_use]
    pub fn new(object: &'a str) -> Self {
        Self {
            object,
            content_type: None,
            journal: None,
        }
    }
}

/// The ending of notes about open uploads, which lie under `work/`.
pub const UPLOAD_NOTE: &str = ".upload";

/// Writes a stream into a file beside `target`, and renames it at the end.
async fn put_beside(
    mut stream: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + Unpin,
    target: PathBuf,
    directory: Directory,
    max_bytes: u64,
) -> Result<u64> {
    let (file, hidden) = directory::blocking(move || directory.stage(&target)).await?;
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0_u64;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(StorageError::Stream)?;
        bytes = bytes.saturating_add(chunk.len() as u64);
        if bytes > max_bytes {
            return Err(StorageError::TooLarge { limit: max_bytes });
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    drop(file);
    directory::blocking(move || Ok(hidden.publish()?)).await?;
    Ok(bytes)
}

/// What a bucket keeps beside the bytes, by the object's area.
///
/// A result never changes under its name, so whoever opened a link may keep it; what users and
/// the provider gave is nobody's to keep, nor to show as a page under the bucket's address.
fn attributes(object: &str, content_type: Option<&str>) -> Attributes {
    let content_type = match content_type {
        Some(given) => given.to_owned(),
        None => mime_guess::from_path(object)
            .first_or_octet_stream()
            .to_string(),
    };
    let (cache, disposition) = if object.starts_with("results/") {
        ("private, max-age=86400, immutable", "inline")
    } else {
        ("private, no-store", "attachment")
    };
    Attributes::from_iter([
        (Attribute::ContentType, content_type),
        (Attribute::CacheControl, cache.to_owned()),
        (Attribute::ContentDisposition, disposition.to_owned()),
    ])
}
