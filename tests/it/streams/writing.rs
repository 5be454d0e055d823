//! Writing an object in parts, its head held back.

use std::io::Write as _;

use filmlab::storage::{Destination, StorageError};
use tokio_util::sync::CancellationToken;

use super::stand::*;
use crate::support::gcs::{FakeGcs, Fault, Op};

fn expected(media: &[u8]) -> Vec<u8> {
    let mut whole = b"ftypmoov".to_vec();
    whole.resize(1000, 0);
    whole.extend_from_slice(media);
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_go_up_in_parts_and_small_ones_in_one_request() {
    for (bytes, puts, parts) in [(100, 1, 0), (4 * MIB, 1, 0), (17 * MIB, 0, 4)] {
        let gcs = FakeGcs::default();
        let storage = bucket(&gcs).await;
        let media = pattern(bytes);
        let whole = expected(&media);
        let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
        blocking(move || {
            write_video(&mut sink.open().unwrap(), &media);
            let source = sink.finish().unwrap();
            assert_eq!(source.bytes(), 1000 + bytes);
        })
        .await;
        let object = gcs.object("results/j/1-1/video.mp4").unwrap();
        assert!(object.bytes == whole, "{bytes}");
        assert_eq!(object.headers["content-type"], "video/mp4");
        assert_eq!((gcs.count(Op::Put), gcs.count(Op::Part)), (puts, parts));
        assert_eq!(gcs.open_uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_gets_the_same_bytes_by_a_rename() {
    let folder = tempfile::tempdir().unwrap();
    let storage = directory(folder.path());
    let media = pattern(7 * MIB);
    let whole = expected(&media);
    let target = folder.path().join("results/j/1-1/video.mp4");
    let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
    let seen = target.clone();
    blocking(move || {
        write_video(&mut sink.open().unwrap(), &media);
        assert!(!seen.exists(), "it stands before it is complete");
        sink.finish().unwrap();
    })
    .await;
    assert!(std::fs::read(&target).unwrap() == whole);
    let files = std::fs::read_dir(target.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1);
    // What is thrown away leaves nothing, at whatever point.
    let mut sink = Sink::new(&storage, "results/j/1-2/video.mp4").sink;
    blocking(move || {
        sink.open().unwrap().write_all(&[1; 100]).unwrap();
        drop(sink);
    })
    .await;
    assert_eq!(storage.list("results/j/1-2").await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_finished_is_taken_back() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    for finish in [false, true] {
        let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
        blocking(move || {
            write_video(&mut sink.open().unwrap(), &pattern(12 * MIB));
            if finish {
                sink.finish().unwrap();
                sink.discard();
            }
        })
        .await;
        gcs.until(|gcs| gcs.open_uploads() == 0).await;
        assert_eq!(gcs.names(), Vec::<String>::new(), "finished: {finish}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_the_last_request_loses_nothing() {
    for fault in [Fault::DoneButUnavailable, Fault::AnswerLost] {
        let gcs = FakeGcs::default();
        let storage = bucket(&gcs).await;
        let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
        gcs.fail_next(Op::Complete, fault);
        blocking(move || {
            write_video(&mut sink.open().unwrap(), &pattern(12 * MIB));
            sink.finish().unwrap();
        })
        .await;
        assert_eq!(gcs.names(), ["results/j/1-1/video.mp4"], "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_a_part_ends_the_work() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    for _ in 0..20 {
        gcs.fail_next(Op::Part, Fault::Unavailable);
    }
    let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
    let failed = blocking(move || {
        let mut writer = sink.open().unwrap();
        let written = writer.write_all(&pattern(60 * MIB));
        drop(sink);
        written
    })
    .await;
    assert!(failed.is_err());
    gcs.until(|gcs| gcs.open_uploads() == 0).await;
    assert!(gcs.names().is_empty());
}

/// Back-pressure: an encoder that is faster than the store waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_a_few_parts_wait_for_the_store_and_a_stop_ends_the_wait() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    gcs.hold(Op::Part, true);
    let stop = CancellationToken::new();
    let mut sink = storage.sink(Destination::new("results/a"), &stop).unwrap();
    let (told, mut written) = tokio::sync::watch::channel(0_u64);
    let work = tokio::task::spawn_blocking(move || {
        let mut writer = sink.open().unwrap();
        let chunk = vec![1; 1 << 20];
        loop {
            if let Err(error) = writer.write_all(&chunk) {
                return (error, sink);
            }
            told.send_modify(|written| *written += MIB);
        }
    });
    gcs.until_held().await;
    // The head, the parts on their way, the one that waits to be: 5 MiB each.
    written
        .wait_for(|written| *written >= 19 * MIB)
        .await
        .unwrap();
    stop.cancel();
    let (error, sink) = work.await.unwrap();
    let stopped = error.downcast::<StorageError>().unwrap();
    assert!(matches!(stopped, StorageError::Stopped), "{stopped:?}");
    assert!(*written.borrow() <= 20 * MIB, "{}", *written.borrow());
    gcs.hold(Op::Part, false);
    blocking(move || drop(sink)).await;
    gcs.until(|gcs| gcs.open_uploads() == 0).await;
}

/// A process that is killed leaves parts behind, and a note by which they are found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_left_behind_is_found_by_its_note() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let to = Destination {
        journal: Some("work/j/1-1/video.mp4.upload"),
        ..Destination::new("results/j/1-1/video.mp4")
    };
    let sink = storage.sink(to, &CancellationToken::new()).unwrap();
    let _gone = blocking(move || {
        let mut sink = sink;
        write_video(&mut sink.open().unwrap(), &pattern(12 * MIB));
        // Nothing of it runs any more: neither its end nor its clearing up.
        std::mem::ManuallyDrop::new(sink)
    })
    .await;
    assert_eq!(gcs.open_uploads(), 1);
    assert_eq!(gcs.names(), ["work/j/1-1/video.mp4.upload"]);
    gcs.fail_next(Op::Abort, Fault::DoneButUnavailable);
    storage
        .discard("work/j/1-1/video.mp4.upload")
        .await
        .unwrap();
    assert_eq!((gcs.open_uploads(), gcs.names().len()), (0, 0));
    // A second sweep finds nothing to do.
    storage
        .discard("work/j/1-1/video.mp4.upload")
        .await
        .unwrap();
}

/// An upload of a user's may be called like a note: it is bytes, and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_is_only_what_lies_among_work_files() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let to = Destination {
        journal: Some("work/j/1-1/video.mp4.upload"),
        ..Destination::new("results/j/1-1/video.mp4")
    };
    let mut sink = storage.sink(to, &CancellationToken::new()).unwrap();
    let mut writer = blocking(move || {
        let mut writer = sink.open().unwrap();
        write_video(&mut writer, &pattern(12 * MIB));
        (sink, writer)
    })
    .await;
    let note = gcs.object("work/j/1-1/video.mp4.upload").unwrap().bytes;
    let forged = "sources/u1/01hx/clip.upload";
    put(&storage, forged, note.to_vec()).await;
    let reads = gcs.count(Op::Get);
    storage.discard(forged).await.unwrap();
    assert!(gcs.object(forged).is_none());
    assert_eq!((gcs.open_uploads(), gcs.count(Op::Get)), (1, reads));
    blocking(move || {
        writer.0.discard();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_upload_leaves_no_note() {
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let to = Destination {
        journal: Some("work/j/1-1/video.mp4.upload"),
        ..Destination::new("results/j/1-1/video.mp4")
    };
    let mut sink = storage.sink(to, &CancellationToken::new()).unwrap();
    blocking(move || {
        write_video(&mut sink.open().unwrap(), &pattern(12 * MIB));
        sink.finish().unwrap();
    })
    .await;
    assert_eq!(gcs.names(), ["results/j/1-1/video.mp4"]);
}
