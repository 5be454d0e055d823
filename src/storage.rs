//! Objects: inputs, what the provider returned, and results.
//!
//! Over any `object_store` backend. Files go up in parts, so memory stays flat; links are signed
//! by whatever the deployment has.

pub mod gcs;
pub mod links;
mod upload;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::multipart::MultipartStore;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutOptions};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;
use upload::{PART_BYTES, PARTS_IN_FLIGHT};
use url::Url;

use crate::clock::Timestamp;

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
    #[error("local file: {0}")]
    File(#[from] std::io::Error),
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
    /// The backend's own multipart interface, with numbered parts; a directory has none.
    parts: Option<Arc<dyn MultipartStore>>,
}

impl Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("store", &self.store)
            .field("signer", &self.signer)
            .field("parts", &self.parts.is_some())
            .finish_non_exhaustive()
    }
}

impl Storage {
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, signer: Arc<dyn LinkSigner>, attributes: bool) -> Self {
        Self {
            store,
            signer,
            attributes,
            parts: None,
        }
    }

    /// Sends large files up through `parts`, which must be the same store.
    #[must_use]
    pub fn with_parts(mut self, parts: Arc<dyn MultipartStore>) -> Self {
        self.parts = Some(parts);
        self
    }

    fn path(object: &str) -> Result<object_store::path::Path> {
        object_store::path::Path::parse(object)
            .map_err(|error| StorageError::Name(error.to_string()))
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
        self.put(stream, object, Some(content_type), u64::MAX).await
    }

    /// Uploads a stream of at most `max_bytes`; gives its size. A stream that fails or grows too
    /// large leaves no object; its own failure comes back as [`StorageError::File`].
    pub async fn put_stream(
        &self,
        stream: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + Unpin,
        object: &str,
        max_bytes: u64,
    ) -> Result<u64> {
        self.put(stream, object, None, max_bytes).await
    }

    async fn put(
        &self,
        mut stream: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + Unpin,
        object: &str,
        content_type: Option<&str>,
        max_bytes: u64,
    ) -> Result<u64> {
        let path = Self::path(object)?;
        let attributes = self.attributes(object, content_type);
        if let Some(parts) = &self.parts {
            let target = upload::Target {
                store: &*self.store,
                parts: Arc::clone(parts),
                path,
                attributes,
            };
            return upload::upload(target, stream, max_bytes).await;
        }
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), path, PART_BYTES)
            .with_attributes(attributes)
            .with_max_concurrency(PARTS_IN_FLIGHT);
        let mut bytes = 0_u64;
        let copy = async {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk?;
                bytes = bytes.saturating_add(chunk.len() as u64);
                if bytes > max_bytes {
                    return Err(StorageError::TooLarge { limit: max_bytes });
                }
                writer.put(chunk).await?;
            }
            Ok(())
        };
        if let Err(error) = copy.await {
            // Parts that were sent would stay, and cost, for ever.
            let _ = writer.abort().await;
            return Err(error);
        }
        writer
            .shutdown()
            .await
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        Ok(bytes)
    }

    pub async fn put_bytes(&self, bytes: bytes::Bytes, object: &str) -> Result<()> {
        let options = PutOptions {
            attributes: self.attributes(object, None),
            ..PutOptions::default()
        };
        self.store
            .put_opts(&Self::path(object)?, bytes.into(), options)
            .await?;
        Ok(())
    }

    /// Downloads an object into a local file; gives its size. Leaves no file on failure.
    pub async fn get_file(&self, object: &str, file: &Path, max_bytes: u64) -> Result<u64> {
        let got = self.store.get(&Self::path(object)?).await?;
        if got.meta.size > max_bytes {
            return Err(StorageError::TooLarge { limit: max_bytes });
        }
        let size = got.meta.size;
        let write = async {
            let mut stream = got.into_stream();
            let mut out = tokio::fs::File::create(file).await?;
            while let Some(chunk) = stream.next().await {
                out.write_all(&chunk?).await?;
            }
            out.flush().await?;
            Ok(size)
        };
        let result = write.await;
        if result.is_err() {
            let _ = tokio::fs::remove_file(file).await;
        }
        result
    }

    pub async fn head(&self, object: &str) -> Result<ObjectInfo> {
        let meta = self.store.head(&Self::path(object)?).await?;
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
        let got = self.store.get_opts(&Self::path(object)?, options).await?;
        Ok(got.into_stream().map_err(StorageError::from))
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, object: &str) -> Result<()> {
        match self.store.delete(&Self::path(object)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names of all objects under a folder.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = Self::path(folder)?;
        let objects: Vec<_> = self.store.list(Some(&prefix)).try_collect().await?;
        Ok(objects
            .into_iter()
            .map(|meta| meta.location.to_string())
            .collect())
    }

    /// The objects under a folder, with their age.
    pub async fn stored(&self, folder: &str) -> Result<Vec<Stored>> {
        self.listed(folder).try_collect().await
    }

    /// Names of up to `limit` objects under a folder that were written at `before` or earlier.
    pub async fn older_than(
        &self,
        folder: &str,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<String>> {
        let old = self
            .listed(folder)
            .try_filter(|stored| std::future::ready(stored.modified <= before))
            .map_ok(|stored| stored.object);
        old.take(limit).try_collect().await
    }

    fn listed(&self, folder: &str) -> impl Stream<Item = Result<Stored>> + Send + '_ {
        let listed = Self::path(folder).map(|prefix| {
            let objects = self.store.list(Some(&prefix));
            objects.map_err(StorageError::from).map_ok(|meta| Stored {
                object: meta.location.to_string(),
                modified: Timestamp::from_microsecond(meta.last_modified.timestamp_micros())
                    .unwrap_or(Timestamp::MAX),
            })
        });
        futures::stream::once(std::future::ready(listed)).try_flatten()
    }

    /// Deletes everything under a folder; gives how many objects that were.
    pub async fn delete_folder(&self, folder: &str) -> Result<usize> {
        let objects = self.list(folder).await?;
        for object in &objects {
            self.delete(object).await?;
        }
        Ok(objects.len())
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
        match self.store.head(&Self::path("ping")?).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
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
