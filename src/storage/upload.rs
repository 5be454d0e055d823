//! Sending a stream up in parts, each with its number.
//!
//! The parts of an upload that is neither completed nor aborted stay, and cost, until a lifecycle
//! rule of the bucket removes them, so every way out of here ends it.

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

use super::{Result, StorageError};

/// 5 MiB is the smallest part the GCS XML API takes; one part in flight besides the one being
/// filled keeps a file's upload at about 16 MiB of memory.
pub(super) const PART_BYTES: usize = 5 * 1024 * 1024;
pub(super) const PARTS_IN_FLIGHT: usize = 2;

/// Where an object goes.
pub(super) struct Target<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) path: Path,
    pub(super) attributes: Attributes,
}

/// Stores the stream; gives its size. What fits into one part goes up in one request.
pub(super) async fn upload(
    target: Target<'_>,
    stream: impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
    max_bytes: u64,
) -> Result<u64> {
    // It is asked once more after its end.
    let mut stream = stream.fuse();
    let mut filling = BytesMut::new();
    let mut total = 0_u64;
    let Some(first) = next_part(&mut stream, &mut filling, &mut total, max_bytes).await? else {
        let options = PutOptions {
            attributes: target.attributes,
            ..PutOptions::default()
        };
        let payload = PutPayload::from(filling.freeze());
        target
            .store
            .put_opts(&target.path, payload, options)
            .await?;
        return Ok(total);
    };
    let options = PutMultipartOptions {
        attributes: target.attributes,
        ..PutMultipartOptions::default()
    };
    let id = target
        .parts
        .create_multipart_opts(&target.path, options)
        .await?;
    let mut open = Open {
        parts: target.parts,
        path: target.path,
        id: Some(id.clone()),
    };
    let sent = async {
        let mut done: Vec<Option<PartId>> = Vec::new();
        let mut flying = FuturesUnordered::new();
        let mut next = Some(first);
        while let Some(part) = next {
            let number = done.len();
            done.push(None);
            let (parts, path, id) = (&open.parts, &open.path, &id);
            flying.push(async move {
                let put = parts.put_part(path, id, number, PutPayload::from(part));
                Ok::<_, object_store::Error>((number, put.await?))
            });
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
    let done = match sent.await {
        Ok(done) => done,
        Err(error) => {
            open.abort().await;
            return Err(error);
        }
    };
    match open.parts.complete_multipart(&open.path, &id, done).await {
        Ok(_) => open.id = None,
        // The answer may be what was lost, not the request. Names hold the fence, so an object of
        // that name and size is this one.
        Err(error) => match target.store.head(&open.path).await {
            Ok(meta) if meta.size == total => open.id = None,
            _ => {
                open.abort().await;
                return Err(error.into());
            }
        },
    }
    Ok(total)
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
        let chunk = chunk?;
        *total = total.saturating_add(chunk.len() as u64);
        if *total > max_bytes {
            return Err(StorageError::TooLarge { limit: max_bytes });
        }
        filling.extend_from_slice(&chunk);
    }
    Ok(Some(filling.split_to(PART_BYTES).freeze()))
}

/// An upload that has begun.
struct Open {
    parts: Arc<dyn MultipartStore>,
    path: Path,
    /// Absent once it has ended.
    id: Option<MultipartId>,
}

impl Open {
    async fn abort(&mut self) {
        let Some(id) = self.id.take() else { return };
        if let Err(error) = self.parts.abort_multipart(&self.path, &id).await {
            tracing::warn!(object = %self.path, %error, "parts of an upload stay until the bucket's lifecycle rule");
        }
    }
}

impl Drop for Open {
    /// Somebody stopped waiting for the upload.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (parts, path) = (Arc::clone(&self.parts), self.path.clone());
        runtime.spawn(async move {
            if let Err(error) = parts.abort_multipart(&path, &id).await {
                tracing::warn!(object = %path, %error, "parts of an upload stay until the bucket's lifecycle rule");
            }
        });
    }
}
