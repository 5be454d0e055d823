//! Where the media core meets the object store: videos are read by range and written in parts,
//! and lie on no disk of ours in between.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

use super::Services;
use super::context::Context;
use super::failures::{stored_failure, unavailable};
use super::halt::Halt;
use crate::job::Failure;
use crate::media::{Input, Output, ReadSeek, WriteSeek};
use crate::provider::UploadBody;
use crate::storage::{Destination, ObjectSink, ObjectSource, ReadProblem, Storage, StorageError};

/// An object as the media core reads it.
#[derive(Debug, Clone)]
pub(super) struct ObjectInput {
    source: ObjectSource,
    /// How long one reader may be read from, all its waiting included.
    patience: Option<Duration>,
}

impl ObjectInput {
    /// Opens an object of at most `max_bytes`.
    pub(super) async fn open(
        context: &Context<'_>,
        object: &str,
        max_bytes: u64,
    ) -> Result<Self, Halt> {
        let opened = Self::of(context.services, object, max_bytes, context.stop.token());
        Ok(context.interruptible(opened).await??)
    }

    /// As [`ObjectInput::open`], for whoever makes no visit.
    pub(super) async fn of(
        services: &Services,
        object: &str,
        max_bytes: u64,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let opened = services.storage.source(object, max_bytes, stop).await;
        let patience = services.settings.limits.deadline_ms;
        Ok(Self {
            source: opened.map_err(|error| stored_failure(error, object))?,
            patience: patience.map(Duration::from_millis),
        })
    }

    /// What to say where it could not be read because of its store, whatever libav made of it.
    pub(super) fn failure(&self) -> Option<Failure> {
        store_failure(&self.source)
    }
}

fn store_failure(source: &ObjectSource) -> Option<Failure> {
    match source.problem()? {
        // Whoever stopped it knows why.
        ReadProblem::Stopped | ReadProblem::Late => None,
        problem => Some(unavailable(problem)),
    }
}

impl Input for ObjectInput {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        let deadline = self
            .patience
            .and_then(|patience| Instant::now().checked_add(patience));
        Ok(Box::new(self.source.reader(deadline)))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.source.bytes())
    }

    fn describe(&self) -> String {
        self.source.name().to_owned()
    }
}

/// An object as the media core writes it. Its name is final: what publishes it is its name in
/// the job, so it may stand before it is verified.
#[derive(Debug)]
pub(super) struct ObjectOutput {
    sink: ObjectSink,
    staged: Option<ObjectSource>,
    read_back: ReadBack,
    committed: bool,
}

impl ObjectOutput {
    pub(super) fn new(
        context: &Context<'_>,
        object: &str,
        content_type: &str,
        note: &str,
    ) -> Result<Self, Failure> {
        let to = Destination {
            content_type: Some(content_type),
            journal: Some(note),
            ..Destination::new(object)
        };
        let storage = &context.services.storage;
        let sink = storage
            .sink(to, context.stop.token())
            .map_err(unavailable)?;
        Ok(Self {
            sink,
            staged: None,
            read_back: ReadBack::default(),
            committed: false,
        })
    }

    /// Says what became of reading it back, also when it has been given away.
    pub(super) fn read_back(&self) -> ReadBack {
        self.read_back.clone()
    }
}

/// The reading back of an output before it counts.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadBack(Arc<Mutex<Option<ObjectSource>>>);

impl ReadBack {
    fn begins(&self, source: ObjectSource) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// What to say where it could not be read back because of its store.
    pub(super) fn failure(&self) -> Option<Failure> {
        let source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store_failure(source.as_ref()?)
    }
}

impl Output for ObjectOutput {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        self.staged = None;
        Ok(Box::new(self.sink.open().map_err(io::Error::other)?))
    }

    fn finish(&mut self) -> io::Result<()> {
        let staged = self.sink.finish().map_err(io::Error::other)?;
        self.read_back.begins(staged.clone());
        self.staged = Some(staged);
        Ok(())
    }

    fn staged(&self) -> Arc<dyn Input> {
        match &self.staged {
            Some(source) => Arc::new(ObjectInput {
                source: source.clone(),
                patience: None,
            }),
            None => Arc::new(crate::media::BytesInput::new(
                self.describe(),
                Vec::<u8>::new(),
            )),
        }
    }

    fn commit(&mut self) -> io::Result<()> {
        self.committed = true;
        Ok(())
    }

    fn discard(&mut self) {
        self.staged = None;
        self.sink.discard();
    }

    fn describe(&self) -> String {
        self.sink.name().to_owned()
    }
}

impl Drop for ObjectOutput {
    fn drop(&mut self) {
        if !self.committed {
            self.discard();
        }
    }
}

/// An object on its way to the provider.
#[derive(Debug)]
pub(super) struct ObjectBody {
    storage: Storage,
    object: String,
    bytes: u64,
    /// The first problem of the store while it was read.
    problem: Arc<OnceLock<String>>,
}

impl ObjectBody {
    pub(super) fn new(storage: Storage, object: String, bytes: u64) -> Self {
        Self {
            storage,
            object,
            bytes,
            problem: Arc::default(),
        }
    }

    /// What to say where it could not be sent because of its store, whatever the provider made
    /// of that.
    pub(super) fn failure(&self) -> Option<Failure> {
        let problem = self.problem.get()?;
        Some(unavailable(StorageError::Unavailable(problem.clone())))
    }
}

#[async_trait]
impl UploadBody for ObjectBody {
    fn name(&self) -> String {
        self.object
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    async fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    async fn open(&self) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
        let note = |problem: &OnceLock<String>, error: &dyn std::error::Error| {
            let _ = problem.set(error.to_string());
        };
        let stream = self
            .storage
            .read_range(&self.object, 0..self.bytes)
            .await
            .map_err(|error| {
                note(&self.problem, &error);
                io::Error::other(error)
            })?;
        let problem = Arc::clone(&self.problem);
        let stream = stream.map_err(move |error| {
            note(&problem, &error);
            io::Error::other(error)
        });
        Ok(stream.boxed())
    }
}

/// The error that a stream passed through the store, if it was of this type.
pub(super) fn passed_through<E>(error: StorageError) -> Result<E, StorageError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match error {
        StorageError::Stream(error) => match error.downcast::<E>() {
            Ok(inner) => Ok(inner),
            Err(error) => Err(StorageError::Stream(error)),
        },
        other => Err(other),
    }
}
