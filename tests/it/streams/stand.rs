//! A bucket of its own for each test.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::SystemClock;
use filmlab::google::{GoogleAccess, Identity};
use filmlab::media::{Input, Output, ReadSeek, WriteSeek};
use filmlab::retry::RetryLimits;
use filmlab::staging::disk::{Disk, SystemDisk};
use filmlab::storage::gcs::{self, GcsConfig};
use filmlab::storage::links::HmacLinks;
use filmlab::storage::{Destination, ObjectSink, ObjectSource, Storage};
use tokio_util::sync::CancellationToken;

use crate::support::gcs::{BUCKET, FakeGcs};

pub(super) const MIB: u64 = 1 << 20;

pub(super) async fn bucket(gcs: &FakeGcs) -> Storage {
    bucket_at(gcs.start().await).await
}

pub(super) async fn bucket_at(endpoint: url::Url) -> Storage {
    let access = GoogleAccess::new(&Identity::Token("token".into()))
        .await
        .unwrap();
    let config = GcsConfig {
        endpoint: Some(endpoint),
        retry: RetryLimits {
            retries: 1,
            least_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
            total: Duration::from_secs(5),
        },
        ..GcsConfig::new(BUCKET)
    };
    gcs::open(&config, &access).unwrap()
}

pub(super) fn directory(folder: &std::path::Path) -> Storage {
    directory_on(Arc::new(SystemDisk), folder)
}

pub(super) fn directory_on(disk: Arc<dyn Disk>, folder: &std::path::Path) -> Storage {
    let base = "http://127.0.0.1:1".parse().unwrap();
    let links = HmacLinks::new(base, &[1; 32], Arc::new(SystemClock)).unwrap();
    Storage::in_directory_on(disk, folder, Arc::new(links)).unwrap()
}

pub(super) fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at / 7 % 251) as u8).collect()
}

pub(super) async fn put(storage: &Storage, object: &str, bytes: Vec<u8>) {
    let stream = futures::stream::iter([Ok(bytes::Bytes::from(bytes))]);
    storage.put_stream(stream, object, u64::MAX).await.unwrap();
}

pub(super) async fn source(storage: &Storage, object: &str) -> ObjectSource {
    let stop = CancellationToken::new();
    storage.source(object, u64::MAX, &stop).await.unwrap()
}

/// Runs on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub(super) fn read_at(source: &ObjectSource, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut reader = source.reader(None);
    reader.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// An object as the media core reads it.
#[derive(Debug)]
pub(super) struct Source(pub(super) ObjectSource);

impl Input for Source {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(self.0.reader(None)))
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes())
    }
    fn describe(&self) -> String {
        self.0.name().to_owned()
    }
}

/// An object as the media core writes it.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) sink: ObjectSink,
    pub(super) staged: Option<ObjectSource>,
}

impl Sink {
    pub(super) fn new(storage: &Storage, object: &str) -> Self {
        let stop = CancellationToken::new();
        Self {
            sink: storage.sink(Destination::new(object), &stop).unwrap(),
            staged: None,
        }
    }
}

impl Output for Sink {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        Ok(Box::new(self.sink.open().map_err(io::Error::other)?))
    }
    fn finish(&mut self) -> io::Result<()> {
        self.staged = Some(self.sink.finish().map_err(io::Error::other)?);
        Ok(())
    }
    fn staged(&self) -> Arc<dyn Input> {
        Arc::new(Source(self.staged.clone().unwrap()))
    }
    fn commit(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn discard(&mut self) {
        self.sink.discard();
    }
    fn describe(&self) -> String {
        self.sink.name().to_owned()
    }
}

/// Writes as the MP4 muxer does: room at the front, media, the index into the room.
pub(super) fn write_video(writer: &mut (impl Write + Seek), media: &[u8]) {
    writer.write_all(b"ftyp").unwrap();
    writer.seek(SeekFrom::Start(1000)).unwrap();
    for chunk in media.chunks(32_768) {
        writer.write_all(chunk).unwrap();
    }
    writer.seek(SeekFrom::Start(4)).unwrap();
    writer.write_all(b"moov").unwrap();
}
