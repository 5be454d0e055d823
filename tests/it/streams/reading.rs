//! Reading an object by range.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use filmlab::storage::ReadProblem;
use tokio_util::sync::CancellationToken;

use super::stand::*;
use crate::support::gcs::{FakeGcs, Fault, Op};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_in_order_takes_few_requests() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let bytes = pattern(25 * MIB + 77);
    put(&storage, "sources/a", bytes.clone()).await;
    let source = source(&storage, "sources/a").await;
    let before = gcs.count(Op::Get);
    let read = blocking(move || {
        let mut all = Vec::new();
        source.reader(None).read_to_end(&mut all).unwrap();
        all
    })
    .await;
    assert!(read == bytes);
    let requests = gcs.count(Op::Get) - before;
    // One for the first block, then four blocks each.
    assert!((7..=9).contains(&requests), "{requests}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_places_read_in_turn_share_the_blocks() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let bytes = pattern(24 * MIB);
    put(&storage, "sources/a", bytes.clone()).await;
    let source = source(&storage, "sources/a").await;
    let before = gcs.count(Op::Get);
    blocking(move || {
        let mut reader = source.reader(None);
        let mut got = vec![0; 16 << 10];
        for step in 0..(12 * MIB) / (16 << 10) {
            for start in [0, 12 * MIB] {
                let at = start + step * (16 << 10);
                reader.seek(SeekFrom::Start(at)).unwrap();
                reader.read_exact(&mut got).unwrap();
                assert!(got == bytes[at as usize..][..got.len()]);
            }
        }
    })
    .await;
    let requests = gcs.count(Op::Get) - before;
    assert!(requests <= 12, "{requests} for 24 blocks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_backend_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let gcs = FakeGcs::default();
    for storage in [directory(folder.path()), bucket(&gcs).await] {
        let bytes = pattern(3 * MIB + 5);
        put(&storage, "sources/a", bytes.clone()).await;
        let source = source(&storage, "sources/a").await;
        assert_eq!(source.bytes(), bytes.len() as u64);
        blocking(move || {
            for (at, length) in [(0, 10), (MIB - 3, 6), (3 * MIB, 5), (2 * MIB, 1), (5, 0)] {
                let read = read_at(&source, at, length).unwrap();
                assert!(read == bytes[at as usize..][..length], "{at} {length}");
            }
            assert!(read_at(&source, 3 * MIB + 3, 5).is_err(), "past the end");
            let mut reader = source.reader(None);
            assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), bytes.len() as u64);
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            assert!(reader.seek(SeekFrom::Current(-i64::MAX)).is_err());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_replaced_is_an_error_and_never_a_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let gcs = FakeGcs::default();
    for storage in [directory(folder.path()), bucket(&gcs).await] {
        put(&storage, "sources/a", pattern(9 * MIB)).await;
        let source = source(&storage, "sources/a").await;
        let read = source.clone();
        blocking(move || read_at(&read, 0, 10).unwrap()).await;
        // As large as before: only its tag differs.
        put(&storage, "sources/a", vec![7; 9 << 20]).await;
        let read = source.clone();
        let error = blocking(move || read_at(&read, 8 * MIB, 10).unwrap_err()).await;
        let problem = error.downcast::<ReadProblem>().unwrap();
        assert_eq!(problem, ReadProblem::Changed);
        assert_eq!(source.problem(), Some(ReadProblem::Changed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_what_stays_is_told() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let bytes = pattern(2 * MIB);
    put(&storage, "sources/a", bytes.clone()).await;
    let opened = source(&storage, "sources/a").await;
    for _ in 0..4 {
        gcs.fail_next(Op::Get, Fault::Unavailable);
    }
    gcs.fail_next(Op::Get, Fault::AnswerLost);
    let read = opened.clone();
    let got = blocking(move || read_at(&read, 0, 100).unwrap()).await;
    assert_eq!(got, bytes[..100]);
    assert_eq!(opened.problem(), None);

    let opened = source(&storage, "sources/a").await;
    storage.delete("sources/a").await.unwrap();
    let read = opened.clone();
    blocking(move || read_at(&read, 0, 100).unwrap_err()).await;
    assert_eq!(opened.problem(), Some(ReadProblem::Gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_waits_is_stopped_at_once() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    put(&storage, "sources/a", pattern(MIB)).await;
    gcs.hold(Op::Get, true);
    let stop = CancellationToken::new();
    let source = storage.source("sources/a", MIB, &stop).await.unwrap();
    let read = source.clone();
    let waiting = tokio::task::spawn_blocking(move || read_at(&read, 0, 10));
    gcs.until_held().await;
    let began = Instant::now();
    stop.cancel();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(
        error.downcast::<ReadProblem>().unwrap(),
        ReadProblem::Stopped
    );
    assert!(began.elapsed() < Duration::from_secs(5));

    // And so it is at the reader's own deadline.
    let source = storage
        .source("sources/a", MIB, &CancellationToken::new())
        .await
        .unwrap();
    let error = blocking(move || {
        let mut reader = source.reader(Some(Instant::now() + Duration::from_millis(20)));
        reader.read(&mut [0]).unwrap_err()
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    gcs.hold(Op::Get, false);
}
