//! Reading an object by range, from threads that may block.
//!
//! libav reads a few kilobytes here and there and seeks a lot; a request for each would cost
//! more than the transfer. So an object is read through a few blocks in memory
//! ([`super::blocks`]), fetched by tasks of the runtime: what lies ahead of a place that is read
//! in order is on its way while the reader works.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::blocks::{BLOCK_BYTES, Blocks, Found};
use super::error::{ReadProblem, StorageError};

/// Tries for one request beyond the first, the store's own retries not counted: those end with
/// the answer's head, while a body may break off at any time.
const RETRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest silence of a store that is being read from.
const SILENCE: Duration = Duration::from_secs(30);

/// An object that is read as it was when it was opened. Clones and readers share its blocks;
/// with the last of them, requests under way end.
#[derive(Debug, Clone)]
pub struct ObjectSource {
    shared: Arc<Shared>,
    _running: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn ObjectStore>,
    path: Path,
    meta: ObjectMeta,
    runtime: Handle,
    stop: CancellationToken,
    state: Mutex<State>,
    /// Something in `state` changed.
    news: Condvar,
}

#[derive(Debug)]
struct State {
    blocks: Blocks,
    /// The first problem a reader was told of.
    problem: Option<ReadProblem>,
}

impl ObjectSource {
    /// Must be called within a runtime, which does the fetching.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        meta: ObjectMeta,
        stop: &CancellationToken,
    ) -> Self {
        let stop = stop.child_token();
        let shared = Arc::new(Shared {
            store,
            path: meta.location.clone(),
            runtime: Handle::current(),
            stop: stop.clone(),
            state: Mutex::new(State {
                blocks: Blocks::new(meta.size),
                problem: None,
            }),
            news: Condvar::new(),
            meta,
        });
        // Whoever waits is woken by the stop, not by the next block.
        let (waker, stopped) = (Arc::downgrade(&shared), stop.clone());
        shared.runtime.spawn(async move {
            stopped.cancelled().await;
            if let Some(shared) = waker.upgrade() {
                let _state = shared.lock();
                shared.news.notify_all();
            }
        });
        Self {
            shared,
            _running: Arc::new(stop.drop_guard()),
        }
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.meta.size
    }

    /// The object's name without its folders.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.path.filename().unwrap_or_default()
    }

    /// A reader at the first byte. No read waits beyond `deadline`.
    #[must_use]
    pub fn reader(&self, deadline: Option<Instant>) -> ObjectReader {
        ObjectReader {
            source: self.clone(),
            position: 0,
            current: None,
            deadline,
        }
    }

    /// The first problem a reader met: says whether a file that could not be read is damaged or
    /// its store is.
    #[must_use]
    pub fn problem(&self) -> Option<ReadProblem> {
        self.shared.lock().problem.clone()
    }

    fn block(&self, number: u64, deadline: Option<Instant>) -> io::Result<Bytes> {
        let result = self.shared.wait_for(number, deadline);
        result.map_err(|problem| {
            let mut state = self.shared.lock();
            state.problem.get_or_insert_with(|| problem.clone());
            problem.into()
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(
        self: &Arc<Self>,
        number: u64,
        deadline: Option<Instant>,
    ) -> Result<Bytes, ReadProblem> {
        let mut state = self.lock();
        // What failed before anybody wanted it is asked for again.
        let mut wanted = false;
        loop {
            if self.stop.is_cancelled() {
                return Err(ReadProblem::Stopped);
            }
            match state.blocks.find(number) {
                Found::Here(bytes) => {
                    self.fetch(state.blocks.ahead(number));
                    return Ok(bytes);
                }
                Found::Failed(problem) if wanted || problem == ReadProblem::Changed => {
                    return Err(problem);
                }
                Found::Failed(_) | Found::Absent => {
                    self.fetch(state.blocks.wanted(number));
                }
                Found::Coming => {}
            }
            wanted = true;
            let patience = match deadline {
                Some(at) => at
                    .checked_duration_since(Instant::now())
                    .ok_or(ReadProblem::Late)?,
                None => SILENCE,
            };
            state = self
                .news
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn fetch(self: &Arc<Self>, blocks: Range<u64>) {
        if blocks.is_empty() {
            return;
        }
        let run = Run {
            shared: Arc::clone(self),
            left: blocks,
            problem: ReadProblem::Stopped,
        };
        self.runtime.spawn(run.fetch());
    }
}

/// One request and its repetitions. Whatever ends it, nobody waits for its blocks afterwards.
struct Run {
    shared: Arc<Shared>,
    left: Range<u64>,
    problem: ReadProblem,
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.blocks.failed(self.left.clone(), &self.problem);
        self.shared.news.notify_all();
    }
}

impl Run {
    async fn fetch(mut self) {
        let stop = self.shared.stop.clone();
        let mut pause = FIRST_PAUSE;
        for retries_left in (0..=RETRIES).rev() {
            let problem = tokio::select! {
                () = stop.cancelled() => ReadProblem::Stopped,
                tried = self.request() => match tried {
                    Ok(()) => return,
                    Err(problem) => problem,
                },
            };
            let passing = matches!(problem, ReadProblem::Unavailable(_));
            tracing::debug!(object = %self.shared.path, blocks = ?self.left, %problem, "a read failed");
            self.problem = problem;
            if !passing || retries_left == 0 {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause *= 3;
        }
    }

    async fn request(&mut self) -> Result<(), ReadProblem> {
        let meta = &self.shared.meta;
        let (start, end) = (
            self.left.start * BLOCK_BYTES,
            (self.left.end * BLOCK_BYTES).min(meta.size),
        );
        let options = GetOptions {
            range: Some((start..end).into()),
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        let silent = |_| ReadProblem::Unavailable("it does not answer".to_owned());
        let asked = self.shared.store.get_opts(&self.shared.path, options);
        let got = tokio::time::timeout(SILENCE, asked)
            .await
            .map_err(silent)??;
        if got.meta.e_tag != meta.e_tag || got.meta.size != meta.size {
            return Err(ReadProblem::Changed);
        }
        let mut body = got.into_stream();
        let mut block = BytesMut::with_capacity(self.length(self.left.start));
        while let Some(chunk) = tokio::time::timeout(SILENCE, body.next())
            .await
            .map_err(silent)?
        {
            let mut chunk = chunk?;
            while !chunk.is_empty() {
                let room = self.length(self.left.start) - block.len();
                if room == 0 {
                    return Err(ReadProblem::Unavailable("more came than was asked".into()));
                }
                block.extend_from_slice(&chunk.split_to(room.min(chunk.len())));
                if block.len() == self.length(self.left.start) {
                    self.arrived(block);
                    block = BytesMut::with_capacity(self.length(self.left.start));
                }
            }
        }
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(ReadProblem::Unavailable("the transfer broke off".into()))
        }
    }

    /// Bytes of a block; 0 beyond the last one asked for.
    fn length(&self, number: u64) -> usize {
        if number >= self.left.end {
            return 0;
        }
        (self.shared.meta.size - number * BLOCK_BYTES).min(BLOCK_BYTES) as usize
    }

    fn arrived(&mut self, block: BytesMut) {
        let mut state = self.shared.lock();
        state.blocks.arrived(self.left.start, block.freeze());
        self.left.start += 1;
        self.shared.news.notify_all();
    }
}

/// Reads an object from a thread that may block.
#[derive(Debug)]
pub struct ObjectReader {
    source: ObjectSource,
    position: u64,
    /// The block that was read last: most reads stay within it.
    current: Option<(u64, Bytes)>,
    deadline: Option<Instant>,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.source.bytes() || buffer.is_empty() {
            return Ok(0);
        }
        let number = self.position / BLOCK_BYTES;
        let block = match self.current.take() {
            Some((known, bytes)) if known == number => bytes,
            _ => self.source.block(number, self.deadline)?,
        };
        let at = (self.position % BLOCK_BYTES) as usize;
        let count = buffer.len().min(block.len().saturating_sub(at));
        buffer[..count].copy_from_slice(&block[at..at + count]);
        self.position += count as u64;
        self.current = Some((number, block));
        Ok(count)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.source.bytes().checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl From<ReadProblem> for StorageError {
    fn from(problem: ReadProblem) -> Self {
        Self::Unavailable(problem.to_string())
    }
}
