//! The head in memory, the tail on its way.

use std::future::Future;
use std::io::{self, SeekFrom};

use object_store::multipart::PartId;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::storage::error::{Result, StorageError};
use crate::storage::upload::{Open, PART_BYTES, PARTS_IN_FLIGHT, Target};

/// What follows the room for an index before the first frame: the head of the media's box, in
/// its long form, which gets its size at the end.
const BEHIND_THE_ROOM: usize = 64;

/// One object on its way up. Dropped unfinished, it takes back what it sent.
#[derive(Debug)]
pub(super) struct Pieces {
    target: Target,
    runtime: Handle,
    stop: CancellationToken,
    position: u64,
    /// The first bytes: sent last, so that they may still be changed.
    head: Vec<u8>,
    /// Bytes that belong to the head: at least a part, since the first is not the last one.
    head_bytes: usize,
    /// The part being filled, and where it begins.
    tail: Vec<u8>,
    tail_start: u64,
    upload: Option<Open>,
    flying: JoinSet<Result<(usize, PartId)>>,
    /// Of the tail, in order; absent while on the way.
    done: Vec<Option<PartId>>,
}

impl Pieces {
    pub(super) fn new(target: Target, runtime: Handle, stop: CancellationToken) -> Self {
        Self {
            target,
            runtime,
            stop,
            position: 0,
            head: Vec::new(),
            head_bytes: PART_BYTES,
            tail: Vec::new(),
            tail_start: PART_BYTES as u64,
            upload: None,
            flying: JoinSet::new(),
            done: Vec::new(),
        }
    }

    fn end(&self) -> u64 {
        if self.head.len() < self.head_bytes {
            self.head.len() as u64
        } else {
            self.tail_start + self.tail.len() as u64
        }
    }

    fn in_head(&self) -> bool {
        self.position < self.head_bytes as u64
    }

    pub(super) fn seek(&mut self, target: SeekFrom) -> Result<u64> {
        let end = self.end();
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
        }
        .ok_or(io::ErrorKind::InvalidInput)?;
        // Room for an index: it belongs to the head, however large it is.
        if position > end && self.head.len() < self.head_bytes {
            let room = usize::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
            self.head_bytes = self.head_bytes.max(room + BEHIND_THE_ROOM);
            self.tail_start = self.head_bytes as u64;
        }
        self.position = position;
        Ok(position)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        if self.in_head() {
            let at = self.position as usize;
            let (head, behind) = rest.split_at(rest.len().min(self.head_bytes - at));
            if self.head.len() < at + head.len() {
                self.head.resize(at + head.len(), 0);
            }
            self.head[at..at + head.len()].copy_from_slice(head);
            self.position += head.len() as u64;
            rest = behind;
        }
        while !rest.is_empty() {
            let at = self
                .position
                .checked_sub(self.tail_start)
                .and_then(|at| usize::try_from(at).ok())
                .filter(|at| *at <= self.tail.len() && self.head.len() == self.head_bytes)
                .ok_or_else(|| io::Error::other("that place is no longer held, or not yet"))?;
            if self.tail.capacity() == 0 {
                self.tail.reserve_exact(PART_BYTES);
            }
            let (now, behind) = rest.split_at(rest.len().min(PART_BYTES - at));
            let over = now.len().min(self.tail.len() - at);
            self.tail[at..at + over].copy_from_slice(&now[..over]);
            self.tail.extend_from_slice(&now[over..]);
            self.position += now.len() as u64;
            rest = behind;
            if self.tail.len() == PART_BYTES {
                self.send_tail()?;
            }
        }
        Ok(())
    }

    /// Sends the part being filled; waits while enough are on the way.
    fn send_tail(&mut self) -> Result<()> {
        if self.upload.is_none() {
            let begun = wait(&self.runtime, &self.stop, self.target.begin())?;
            self.upload = Some(begun);
        }
        let part = std::mem::take(&mut self.tail);
        self.tail_start += part.len() as u64;
        let at = self.done.len();
        self.done.push(None);
        self.send(at + 1, part);
        while self.flying.len() > PARTS_IN_FLIGHT {
            self.landed()?;
        }
        Ok(())
    }

    fn send(&mut self, number: usize, part: Vec<u8>) {
        let Some(upload) = &self.upload else { return };
        let put = upload.part(number, part.into());
        let put = async move { Ok((number, put.await?)) };
        self.flying.spawn_on(put, &self.runtime);
    }

    /// Waits for one part on the way; gives the head's, if it was that.
    fn landed(&mut self) -> Result<Option<PartId>> {
        let flying = &mut self.flying;
        let landed =
            wait(&self.runtime, &self.stop, async {
                flying.join_next().await.transpose().map_err(|error| {
                    StorageError::Unavailable(format!("a part was not sent: {error}"))
                })
            })?;
        let Some((number, id)) = landed.transpose()? else {
            return Ok(None);
        };
        match number.checked_sub(1) {
            Some(at) => {
                self.done[at] = Some(id);
                Ok(None)
            }
            None => Ok(Some(id)),
        }
    }

    /// Sends what is left, the head last, and completes the object.
    pub(super) fn finish(mut self) -> Result<()> {
        let total = self.end();
        if self.tail_start == self.head_bytes as u64 {
            // Nothing was sent: one request does.
            let mut whole = std::mem::take(&mut self.head);
            whole.append(&mut self.tail);
            return wait(&self.runtime, &self.stop, self.target.put(whole.into()));
        }
        if !self.tail.is_empty() {
            self.send_tail()?;
        }
        let head = std::mem::take(&mut self.head);
        self.send(0, head);
        let mut first = None;
        while !self.flying.is_empty() {
            first = self.landed()?.or(first);
        }
        let parts: Vec<_> = first
            .into_iter()
            .chain(self.done.drain(..).flatten())
            .collect();
        let Some(upload) = self.upload.take() else {
            return Ok(());
        };
        wait(&self.runtime, &self.stop, upload.complete(parts, total))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        // Parts that land after the upload was aborted would stay.
        self.flying.abort_all();
    }
}

/// Waits on a thread that may block, unless everything has to stop.
fn wait<T>(
    runtime: &Handle,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(StorageError::Stopped),
            done = work => done,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{Attributes, ObjectStoreExt as _};

    use super::*;

    const MIB: usize = 1 << 20;

    /// Writes as the MP4 muxer does, and gives the object.
    fn written(room: usize, media: usize) -> (Vec<u8>, usize) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Arc::new(InMemory::new());
        let target = Target {
            store: Arc::clone(&store) as _,
            parts: Arc::clone(&store) as _,
            path: Path::from("v"),
            attributes: Attributes::new(),
            journal: None,
        };
        let handle = runtime.handle().clone();
        let mut pieces = Pieces::new(target, handle, CancellationToken::new());
        pieces.write(b"ftyp").unwrap();
        pieces.seek(SeekFrom::Start(room as u64)).unwrap();
        pieces.write(b"mdat").unwrap();
        for chunk in pattern(media).chunks(777_777) {
            pieces.write(chunk).unwrap();
        }
        let parts = pieces.done.len();
        pieces.seek(SeekFrom::Start(4)).unwrap();
        pieces.write(b"moov").unwrap();
        pieces.seek(SeekFrom::End(0)).unwrap();
        pieces.write(b"end").unwrap();
        pieces.finish().unwrap();
        let bytes = runtime.block_on(async {
            let got = store.get(&Path::from("v")).await.unwrap();
            got.bytes().await.unwrap()
        });
        (bytes.to_vec(), parts)
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 7 % 251) as u8).collect()
    }

    #[test]
    fn the_head_is_held_back_and_everything_lands_in_its_place() {
        let table = [
            (100, 10, 0),
            (100, PART_BYTES - 104, 0),
            (100, PART_BYTES - 103, 0),
            (100, 12 * MIB, 1),
            (100, 25 * MIB, 4),
            (7 * MIB, 3 * MIB, 0),
            (7 * MIB, 20 * MIB, 3),
        ];
        for (room, media, parts) in table {
            let (bytes, sent) = written(room, media);
            let mut expected = b"ftypmoov".to_vec();
            expected.resize(room, 0);
            expected.extend_from_slice(b"mdat");
            expected.extend_from_slice(&pattern(media));
            expected.extend_from_slice(b"end");
            assert_eq!(bytes.len(), expected.len(), "{room} {media}");
            assert!(bytes == expected, "{room} {media}");
            assert_eq!(sent, parts, "{room} {media}");
        }
    }

    #[test]
    fn what_was_sent_is_not_written_again() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Arc::new(InMemory::new());
        let target = Target {
            store: Arc::clone(&store) as _,
            parts: store as _,
            path: Path::from("v"),
            attributes: Attributes::new(),
            journal: None,
        };
        let handle = runtime.handle().clone();
        let mut pieces = Pieces::new(target, handle, CancellationToken::new());
        pieces.write(&pattern(12 * MIB)).unwrap();
        pieces.seek(SeekFrom::Start(6 << 20)).unwrap();
        assert!(pieces.write(b"late").is_err());
        pieces.seek(SeekFrom::Start(13 << 20)).unwrap();
        assert!(pieces.write(b"early").is_err());
    }
}
