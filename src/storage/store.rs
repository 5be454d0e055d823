//! The object store, with our names: what is done to an object by its name.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, TryStreamExt as _};
use object_store::multipart::MultipartStore;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutOptions};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::directory::Directory;
use super::error::{Result, StorageError};
use super::object::{ObjectInfo, UPLOAD_NOTE};
use super::reader::ObjectSource;
use super::signer::LinkSigner;
use super::upload;
use crate::staging::disk::{Disk, SystemDisk};

/// The object store, with our names.
#[derive(Clone)]
pub struct Storage {
    pub(super) store: Arc<dyn ObjectStore>,
    signer: Arc<dyn LinkSigner>,
    /// Whether the backend can keep content type and the like; a directory cannot.
    attributes: bool,
    pub(super) backend: Backend,
}

/// How an object is written that does not lie in memory as a whole.
#[derive(Clone)]
pub(super) enum Backend {
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
            backend: Backend::None,
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
            backend: Backend::Directory(directory),
        })
    }

    /// Sends large objects up through `parts`, which must be the same store.
    #[must_use]
    pub fn with_parts(mut self, parts: Arc<dyn MultipartStore>) -> Self {
        self.backend = Backend::Parts(parts);
        self
    }

    /// What the store says of an object. That it is not there is believed only of a store that is
    /// there itself: a folder that was moved away, or not mounted, holds nothing.
    async fn meta(&self, object: &str) -> Result<object_store::ObjectMeta> {
        match self.store.head(&Self::path(object)?).await {
            Err(object_store::Error::NotFound { path, .. }) => {
                if let Backend::Directory(directory) = &self.backend {
                    directory.check()?;
                }
                Err(StorageError::NotFound(path))
            }
            answer => Ok(answer?),
        }
    }

    pub(super) fn path(object: &str) -> Result<object_store::path::Path> {
        object_store::path::Path::parse(object)
            .map_err(|error| StorageError::Name(error.to_string()))
    }

    /// An object is missing only where its store is not.
    fn absent(&self, error: StorageError) -> StorageError {
        match (&error, &self.backend) {
            (StorageError::NotFound(_), Backend::Directory(directory)) => {
                directory.check().err().unwrap_or(error)
            }
            _ => error,
        }
    }

    pub(super) fn attributes(&self, object: &str, content_type: Option<&str>) -> Attributes {
        if self.attributes {
            attributes(object, content_type)
        } else {
            Attributes::new()
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
        match &self.backend {
            // Elsewhere that ending is part of a name which somebody else chose.
            Backend::Parts(parts)
                if object.starts_with("work/") && object.ends_with(UPLOAD_NOTE) =>
            {
                let journal = Self::path(object)?;
                upload::abort_noted(&*self.store, &**parts, &journal).await
            }
            _ => self.delete(object).await,
        }
    }

    pub async fn put_bytes(&self, bytes: bytes::Bytes, object: &str) -> Result<()> {
        if let Backend::Directory(directory) = &self.backend {
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
        if let Backend::Directory(directory) = &self.backend {
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
        if let Backend::Directory(directory) = &self.backend {
            directory.check()?;
        }
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
