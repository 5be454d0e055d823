//! Ways to store an object that does not lie in memory as a whole.

use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::directory::{Directory, blocking};
use super::error::{Result, StorageError};
use super::object::Destination;
use super::store::{Backend, Storage};
use super::upload::{Target, upload};
use super::writer::{ObjectSink, Route};

impl Storage {
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
        match self.route(&to)? {
            Route::Parts(target) => upload(target, stream, max_bytes).await,
            Route::File { target, directory } => {
                put_beside(stream, target, directory, max_bytes).await
            }
        }
    }

    /// An object to be written from a thread that may block; every wait ends with `stop`. Must be
    /// called within a runtime.
    pub fn sink(&self, to: Destination<'_>, stop: &CancellationToken) -> Result<ObjectSink> {
        let route = self.route(&to)?;
        Ok(ObjectSink::new(
            self.clone(),
            to.object,
            route,
            stop.clone(),
        ))
    }

    fn route(&self, to: &Destination<'_>) -> Result<Route> {
        let path = Self::path(to.object)?;
        match &self.backend {
            Backend::Parts(parts) => Ok(Route::Parts(Target {
                store: Arc::clone(&self.store),
                parts: Arc::clone(parts),
                path,
                attributes: self.attributes(to.object, to.content_type),
                journal: to.journal.map(Self::path).transpose()?,
            })),
            Backend::Directory(directory) => Ok(Route::File {
                target: directory.file(&path),
                directory: directory.clone(),
            }),
            Backend::None => Err(StorageError::Unavailable(
                "this store takes no object in parts".to_owned(),
            )),
        }
    }
}

/// Writes a stream into a file beside `target`, and renames it at the end.
async fn put_beside(
    mut stream: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + Unpin,
    target: PathBuf,
    directory: Directory,
    max_bytes: u64,
) -> Result<u64> {
    let (file, hidden) = blocking(move || directory.stage(&target)).await?;
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
    blocking(move || Ok(hidden.publish()?)).await?;
    Ok(bytes)
}
