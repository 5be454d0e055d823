//! Sending an object up in parts, each with its number.
//!
//! The parts of an upload that is neither completed nor aborted stay, and cost, until a lifecycle
//! rule of the bucket removes them. So every way out of here ends it, and where a journal is
//! given, the upload is noted there first: a process that is killed leaves a note by which
//! another one finds what to abort.

use std::future::Future;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    Attributes, MultipartId, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions,
    PutPayload,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::error::{Result, StorageError};

/// 5 MiB is the smallest part the GCS XML API takes; two parts in flight besides the one being
/// filled keep an upload at 15 MiB of memory.
pub(super) const PART_BYTES: usize = 5 * 1024 * 1024;
pub(super) const PARTS_IN_FLIGHT: usize = 2;

/// Where an object goes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) path: Path,
    pub(super) attributes: Attributes,
    /// Where the upload is noted while it is open.
    pub(super) journal: Option<Path>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a journal says.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    object: String,
    upload: String,
}

impl Target {
    /// Stores it in one request.
    pub(super) async fn put(&self, bytes: Bytes) -> Result<()> {
        let options = PutOptions {
            attributes: self.attributes.clone(),
            ..PutOptions::default()
        };
        self.store
            .put_opts(&self.path, PutPayload::from(bytes), options)
            .await?;
        Ok(())
    }

    /// Begins an upload in parts.
    pub(super) async fn begin(&self) -> Result<Open> {
        let options = PutMultipartOptions {
            attributes: self.attributes.clone(),
            ..PutMultipartOptions::default()
        };
        let id = self
            .parts
            .create_multipart_opts(&self.path, options)
            .await?;
        let open = Open {
            target: self.clone(),
            runtime: Handle::current(),
            id: Some(id.clone()),
        };
        if let Some(journal) = &self.journal {
            let note = Note {
                object: self.path.to_string(),
                upload: id,
            };
            let note = serde_json::to_vec(&note)
                .map_err(|error| StorageError::Unavailable(error.to_string()))?;
            self.store.put(journal, note.into()).await?;
        }
        Ok(open)
    }
}

/// Aborts the upload that a journal tells of, and removes the note.
pub(super) async fn abort_noted(
    store: &dyn ObjectStore,
    parts: &dyn MultipartStore,
    journal: &Path,
) -> Result<()> {
    let note = match store.get(journal).await {
        Ok(got) => got.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if let Ok(Note { object, upload }) = serde_json::from_slice(&note) {
        let path = Path::parse(&object).map_err(|error| StorageError::Name(error.to_string()))?;
        match parts.abort_multipart(&path, &upload).await {
            // Completed after all, or aborted by whoever died before removing the note.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match store.delete(journal).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Stores the stream; gives its size. What fits into one part goes up in one request.
pub(super) async fn upload(
    target: Target,
    stream: impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
    max_bytes: u64,
) -> Result<u64> {
    // It is asked once more after its end.
    let mut stream = stream.fuse();
    let mut filling = BytesMut::new();
    let mut total = 0_u64;
    let Some(first) = next_part(&mut stream, &mut filling, &mut total, max_bytes).await? else {
        target.put(filling.freeze()).await?;
        return Ok(total);
    };
    let open = target.begin().await?;
    let sent = async {
        let mut done: Vec<Option<PartId>> = Vec::new();
        let mut flying = FuturesUnordered::new();
        let mut next = Some(first);
        while let Some(part) = next {
            let number = done.len();
            done.push(None);
            let put = open.part(number, part);
            flying.push(async move { Ok::<_, StorageError>((number, put.await?)) });
            if flying.len() >= PARTS_IN_FLIGHT
                && let Some(put) = flying.next().await
            {
                let (number, part) = put?;
                done[number] = Some(part);
            }
            next = next_part(&mut stream, &mut filling, &mut total, max_bytes).await?;
            if next.is_none() && !filling.is_empty() {
                next = Some(filling.split().freeze());
            }
        }
        while let Some(put) = flying.next().await {
            let (number, part) = put?;
            done[number] = Some(part);
        }
        Ok::<_, StorageError>(done.into_iter().flatten().collect::<Vec<_>>())
    };
    match sent.await {
        Ok(done) => open.complete(done, total).await.map(|()| total),
        Err(error) => {
            open.abort().await;
            Err(error)
        }
    }
}

/// Fills one part; `None` once the stream has ended, with the rest in `filling`.
async fn next_part(
    stream: &mut (impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin),
    filling: &mut BytesMut,
    total: &mut u64,
    max_bytes: u64,
) -> Result<Option<Bytes>> {
    while filling.len() < PART_BYTES {
        let Some(chunk) = stream.next().await else {
            return Ok(None);
        };
        let chunk = chunk.map_err(StorageError::Stream)?;
        *total = total.saturating_add(chunk.len() as u64);
        if *total > max_bytes {
            return Err(StorageError::TooLarge { limit: max_bytes });
        }
        filling.extend_from_slice(&chunk);
    }
    Ok(Some(filling.split_to(PART_BYTES).freeze()))
}

/// An upload that has begun.
#[derive(Debug)]
pub(super) struct Open {
    target: Target,
    /// Where an upload is aborted that somebody stopped waiting for.
    runtime: Handle,
    /// Absent once it has ended.
    id: Option<MultipartId>,
}

impl Open {
    /// Sends a part; numbers begin at 0, their order in time does not matter.
    pub(super) fn part(
        &self,
        number: usize,
        bytes: Bytes,
    ) -> impl Future<Output = Result<PartId>> + Send + 'static {
        let (parts, path) = (Arc::clone(&self.target.parts), self.target.path.clone());
        let id = self.id.clone().unwrap_or_default();
        async move {
            let put = parts.put_part(&path, &id, number, PutPayload::from(bytes));
            Ok(put.await?)
        }
    }

    /// Makes the object of all parts, given in their order.
    pub(super) async fn complete(mut self, parts: Vec<PartId>, total: u64) -> Result<()> {
        let id = self.id.clone().unwrap_or_default();
        let target = &self.target;
        match target
            .parts
            .complete_multipart(&target.path, &id, parts)
            .await
        {
            Ok(_) => {}
            // The answer may be what was lost, not the request. Names hold the fence, so an
            // object of that name and size is this one.
            Err(error) => match target.store.head(&target.path).await {
                Ok(meta) if meta.size == total => {}
                _ => {
                    self.abort().await;
                    return Err(error.into());
                }
            },
        }
        self.id = None;
        forget(&self.target).await;
        Ok(())
    }

    pub(super) async fn abort(mut self) {
        if let Some(id) = self.id.take() {
            abort(&self.target, &id).await;
        }
    }
}

impl Drop for Open {
    /// Somebody stopped waiting for the upload.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let target = self.target.clone();
        self.runtime.spawn(async move { abort(&target, &id).await });
    }
}

async fn abort(target: &Target, id: &MultipartId) {
    match target.parts.abort_multipart(&target.path, id).await {
        Ok(()) => forget(target).await,
        Err(error) => {
            tracing::warn!(object = %target.path, %error, "parts of an upload stay until they are swept");
        }
    }
}

/// Removes the note of an upload that has ended.
async fn forget(target: &Target) {
    let Some(journal) = &target.journal else {
        return;
    };
    if let Err(error) = target.store.delete(journal).await {
        tracing::debug!(object = %journal, %error, "the note of an ended upload stays until it is swept");
    }
}
