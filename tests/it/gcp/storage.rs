//! What holds for every backend of [`Storage`], and what only a bucket can do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filmlab::clock::SystemClock;
use filmlab::google::{GoogleAccess, Identity};
use filmlab::retry::RetryLimits;
use filmlab::storage::gcs::{self, GcsConfig};
use filmlab::storage::links::HmacLinks;
use filmlab::storage::{Storage, StorageError};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::gcs::{BUCKET, FakeGcs, Fault, Op};
use crate::support::objects::PutFile as _;

/// More than two parts, and not a whole number of them.
const LARGE: usize = 12 * 1024 * 1024 + 345;

struct Bench {
    storage: Storage,
    dir: TempDir,
}

/// Reads an object as the media core does.
trait Download {
    async fn download(&self, object: &str, to: &Path, most: u64) -> Result<u64, StorageError>;
}

impl Download for Storage {
    async fn download(&self, object: &str, to: &Path, most: u64) -> Result<u64, StorageError> {
        let source = self.source(object, most, &CancellationToken::new()).await?;
        let to = to.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::create(to)?;
            std::io::copy(&mut source.reader(None), &mut file)
        });
        Ok(read.await.unwrap()?)
    }
}

impl Bench {
    fn file(&self, bytes: &[u8]) -> PathBuf {
        let file = self.dir.path().join("in");
        std::fs::write(&file, bytes).unwrap();
        file
    }
}

fn no_links() -> Arc<HmacLinks> {
    let base = "http://127.0.0.1:1".parse().unwrap();
    Arc::new(HmacLinks::new(base, &[1; 32], Arc::new(SystemClock)).unwrap())
}

async fn bucket(gcs: &FakeGcs) -> Bench {
    let access = GoogleAccess::new(&Identity::Token("token".into()))
        .await
        .unwrap();
    let config = GcsConfig {
        endpoint: Some(gcs.start().await),
        retry: RetryLimits {
            retries: 2,
            least_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
            total: Duration::from_secs(5),
        },
        ..GcsConfig::new(BUCKET)
    };
    Bench {
        storage: gcs::open(&config, &access).unwrap(),
        dir: tempfile::tempdir().unwrap(),
    }
}

async fn every_backend() -> Vec<(&'static str, Bench)> {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(object_store::memory::InMemory::new());
    let directory = Bench {
        storage: Storage::in_directory(dir.path(), no_links()).unwrap(),
        dir,
    };
    let memory = Bench {
        storage: Storage::new(Arc::clone(&memory) as _, no_links(), true).with_parts(memory),
        dir: tempfile::tempdir().unwrap(),
    };
    vec![
        ("directory", directory),
        ("memory", memory),
        ("bucket", bucket(&FakeGcs::default()).await),
    ]
}

fn pattern(len: usize) -> Vec<u8> {
    // A period that no part's size is a multiple of.
    let period: Vec<u8> = (0..7 * 251).map(|at| (at / 7) as u8).collect();
    let mut bytes = period.repeat(len / period.len() + 1);
    bytes.truncate(len);
    bytes
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    for (name, bench) in every_backend().await {
        for len in [0, 1, 5 * 1024 * 1024, LARGE] {
            let bytes = pattern(len);
            let object = format!("results/j1/1-{len}/video ü.mp4");
            let file = bench.file(&bytes);
            let stored = bench
                .storage
                .put_file(&file, &object, "video/mp4")
                .await
                .unwrap();
            assert_eq!(stored, len as u64, "{name}");
            assert_eq!(bench.storage.head(&object).await.unwrap().bytes, len as u64);
            let out = bench.dir.path().join("out");
            let got = bench
                .storage
                .download(&object, &out, len as u64)
                .await
                .unwrap();
            assert_eq!(got, len as u64, "{name}");
            assert!(std::fs::read(&out).unwrap() == bytes, "{name} {len}");
            if len > 1 {
                let refused = bench.storage.download(&object, &out, len as u64 - 1).await;
                assert!(
                    matches!(refused, Err(StorageError::TooLarge { .. })),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_range_is_read_alone() {
    for (name, bench) in every_backend().await {
        let bytes = pattern(LARGE);
        let file = bench.file(&bytes);
        bench
            .storage
            .put_file(&file, "work/j1/a", "video/mp4")
            .await
            .unwrap();
        // Across the border of two parts, and at the end.
        let border = 5 * 1024 * 1024;
        for range in [0..1, border - 3..border + 3, LARGE - 5..LARGE] {
            let stream = bench
                .storage
                .read_range("work/j1/a", range.start as u64..range.end as u64)
                .await
                .unwrap();
            let got: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert_eq!(got.concat(), bytes[range], "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_and_deleting_it_is_no_error() {
    for (name, bench) in every_backend().await {
        let storage = &bench.storage;
        assert!(
            matches!(storage.head("work/x").await, Err(StorageError::NotFound(_))),
            "{name}"
        );
        let out = bench.dir.path().join("out");
        let got = storage.download("work/x", &out, 9).await;
        assert!(
            matches!(got, Err(StorageError::NotFound(_))) && !out.exists(),
            "{name}"
        );
        storage.delete("work/x").await.unwrap();
        storage.ping().await.unwrap();

        for object in ["work/j1/a", "work/j1/b/c", "work/j10/a"] {
            storage.put_bytes("x".into(), object).await.unwrap();
        }
        let mut found = storage.list("work/j1").await.unwrap();
        found.sort();
        assert_eq!(found, ["work/j1/a", "work/j1/b/c"], "{name}");
        let swept = storage.sweep("work/j1", |_| true).await.unwrap();
        assert_eq!((swept.deleted, swept.failed), (2, 0), "{name}");
        assert_eq!(
            storage.list("work").await.unwrap(),
            ["work/j10/a"],
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_breaks_or_grows_too_large_leaves_nothing() {
    for (name, bench) in every_backend().await {
        for chunks in [1, 60] {
            let good = || stream::iter((0..chunks).map(|_| Ok(Bytes::from(vec![7; 200 * 1024]))));
            let broken = stream::iter([Err(std::io::Error::other("hung up"))]);
            let stream = good().chain(broken);
            let put = bench
                .storage
                .put_stream(stream, "sources/u1/a", u64::MAX)
                .await;
            assert!(
                matches!(put, Err(StorageError::Stream(_))),
                "{name}: {put:?}"
            );
            let limit = chunks as u64 * 200 * 1024 - 1;
            let put = bench
                .storage
                .put_stream(good(), "sources/u1/a", limit)
                .await;
            assert!(
                matches!(put, Err(StorageError::TooLarge { .. })),
                "{name}: {put:?}"
            );
            assert_eq!(
                bench.storage.list("sources").await.unwrap(),
                [""; 0],
                "{name}"
            );
            let put = bench
                .storage
                .put_stream(good(), "sources/u1/a", limit + 1)
                .await;
            assert_eq!(put.unwrap(), limit + 1, "{name}");
            bench.storage.delete("sources/u1/a").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_bucket_keeps_what_browsers_ask_for() {
    let gcs = FakeGcs::default();
    let bench = bucket(&gcs).await;
    let small = bench.file(b"x");
    let headers = |object: &str| gcs.object(object).unwrap().headers;
    bench
        .storage
        .put_file(&small, "results/j/1-1/poster.jpg", "image/jpeg")
        .await
        .unwrap();
    bench
        .storage
        .put_bytes("{}".into(), "results/j/1-1/metadata.json")
        .await
        .unwrap();
    let part = |len: usize| stream::iter([Ok(Bytes::from(vec![0; len]))]);
    bench
        .storage
        .put_stream(part(1), "sources/u/page.html", 9)
        .await
        .unwrap();
    // In parts: the attributes travel with the first request.
    bench
        .storage
        .put_stream(part(LARGE), "sources/u/clip.webm", 1 << 30)
        .await
        .unwrap();
    for (object, content_type, cache, disposition) in [
        (
            "results/j/1-1/poster.jpg",
            "image/jpeg",
            "private, max-age=86400, immutable",
            "inline",
        ),
        (
            "results/j/1-1/metadata.json",
            "application/json",
            "private, max-age=86400, immutable",
            "inline",
        ),
        (
            "sources/u/page.html",
            "text/html",
            "private, no-store",
            "attachment",
        ),
        (
            "sources/u/clip.webm",
            "video/webm",
            "private, no-store",
            "attachment",
        ),
    ] {
        let headers = headers(object);
        assert_eq!(headers["content-type"], content_type, "{object}");
        assert_eq!(headers["cache-control"], cache, "{object}");
        assert_eq!(headers["content-disposition"], disposition, "{object}");
    }
    assert_eq!((gcs.count(Op::Put), gcs.count(Op::Create)), (3, 1));
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts_and_a_passing_failure_repeats_one() {
    let gcs = FakeGcs::default();
    let bench = bucket(&gcs).await;
    let bytes = pattern(LARGE);
    for op in [Op::Create, Op::Part, Op::Complete] {
        gcs.fail_next(op, Fault::Unavailable);
    }
    let file = bench.file(&bytes);
    let put = bench
        .storage
        .put_file(&file, "results/a/1-1/video.mp4", "video/mp4")
        .await;
    assert_eq!(put.unwrap(), LARGE as u64);
    assert!(gcs.object("results/a/1-1/video.mp4").unwrap().bytes == bytes);
    let counts = [Op::Create, Op::Part, Op::Complete, Op::Abort].map(|op| gcs.count(op));
    assert_eq!(counts, [2, 4, 2, 0]);
    assert_eq!(gcs.open_uploads(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_complete_is_looked_up() {
    for fault in [Fault::AnswerLost, Fault::DoneButUnavailable] {
        let gcs = FakeGcs::default();
        let bench = bucket(&gcs).await;
        gcs.fail_next(Op::Complete, fault);
        let file = bench.file(&pattern(LARGE));
        let put = bench
            .storage
            .put_file(&file, "results/a", "video/mp4")
            .await;
        assert_eq!(put.unwrap(), LARGE as u64, "{fault:?}");
        assert_eq!(
            (gcs.count(Op::Head), gcs.count(Op::Abort)),
            (1, 0),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_fails_leaves_no_parts() {
    for op in [Op::Part, Op::Complete] {
        let gcs = FakeGcs::default();
        let bench = bucket(&gcs).await;
        // The first try and both repeats, of each part that may be under way.
        for _ in 0..6 {
            gcs.fail_next(op, Fault::Unavailable);
        }
        let file = bench.file(&pattern(LARGE));
        let put = bench
            .storage
            .put_file(&file, "results/a", "video/mp4")
            .await;
        assert!(
            matches!(put, Err(StorageError::Unavailable(_))),
            "{op:?}: {put:?}"
        );
        assert_eq!((gcs.open_uploads(), gcs.names()), (0, vec![]), "{op:?}");
    }
    // Nor one that nobody waits for any more.
    let gcs = FakeGcs::default();
    let bench = bucket(&gcs).await;
    let endless = stream::iter([Ok(Bytes::from(vec![0; LARGE]))])
        .chain(stream::pending::<std::io::Result<Bytes>>());
    let put = bench.storage.put_stream(endless, "work/a", u64::MAX);
    let gave_up = tokio::time::timeout(Duration::from_millis(90), put).await;
    assert!(gave_up.is_err() && gcs.count(Op::Part) > 0);
    crate::http::until("the parts are gone", || gcs.open_uploads() == 0).await;
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_unavailable() {
    let access = GoogleAccess::new(&Identity::Token("token".into()))
        .await
        .unwrap();
    let config = GcsConfig {
        endpoint: Some("http://127.0.0.1:1".parse().unwrap()),
        retry: RetryLimits {
            retries: 0,
            ..RetryLimits::default()
        },
        ..GcsConfig::new(BUCKET)
    };
    let storage = gcs::open(&config, &access).unwrap();
    let ping = storage.ping().await;
    assert!(
        matches!(ping, Err(StorageError::Unavailable(_))),
        "{ping:?}"
    );
}
