//! What the store has told of outlasts a power cut.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use filmlab::storage::{Storage, StorageError};

use super::stand::*;
use crate::support::disk::Unsynced;
use crate::support::objects::PutFile as _;

fn stand(folder: &std::path::Path) -> (Storage, Arc<Unsynced>) {
    let disk = Unsynced::over(folder);
    (directory_on(Arc::clone(&disk) as _, folder), disk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_writing_ends_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, disk) = stand(folder.path());
    let small = bytes::Bytes::from_static(b"small");
    storage
        .put_bytes(small, "results/j/1-1/poster.jpg")
        .await
        .unwrap();
    put(&storage, "sources/u1/01hx/clip.mp4", pattern(3 * MIB)).await;
    let file = folder.path().join("given");
    std::fs::write(&file, "given").unwrap();
    let given = storage
        .put_file(&file, "work/j/1-1/given", "video/mp4")
        .await;
    assert_eq!(given.unwrap(), 5);
    let media = pattern(MIB);
    let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
    blocking(move || {
        write_video(&mut sink.open().unwrap(), &media);
        sink.finish().unwrap();
    })
    .await;
    // Into folders that are there by now, and over what lies there.
    put(&storage, "results/j/1-1/metadata.json", b"{}".to_vec()).await;
    put(&storage, "results/j/1-1/poster.jpg", b"other".to_vec()).await;

    let left: BTreeMap<_, _> = disk
        .cut_power()
        .into_iter()
        .map(|(name, bytes)| (name, bytes.len() as u64))
        .collect();
    let expected = [
        ("results/j/1-1/metadata.json", 2),
        ("results/j/1-1/poster.jpg", 5),
        ("results/j/1-1/video.mp4", MIB + 1000),
        ("sources/u1/01hx/clip.mp4", 3 * MIB),
        ("work/j/1-1/given", 5),
    ];
    let expected = expected.map(|(name, bytes)| (name.to_owned(), bytes));
    assert_eq!(left, BTreeMap::from(expected));
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, disk) = stand(folder.path());
    for object in ["work/j/1-1/a", "work/j/1-1/b", "results/j/1-1/video.mp4"] {
        put(&storage, object, b"x".to_vec()).await;
    }
    storage.delete("work/j/1-1/a").await.unwrap();
    // The last one of its folder: that goes too, and its name is in the one above.
    storage.delete("results/j/1-1/video.mp4").await.unwrap();
    let left: Vec<_> = disk.cut_power().into_keys().collect();
    assert_eq!(left, ["work/j/1-1/b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_finished_is_told_from_objects() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, _) = stand(folder.path());
    let mut sink = Sink::new(&storage, "results/j/1-1/video.mp4").sink;
    let (storage, sink) = blocking(move || {
        sink.open().unwrap().write_all(b"half").unwrap();
        (storage, sink)
    })
    .await;
    let names = storage.list("results").await.unwrap();
    let [part] = names.as_slice() else {
        panic!("{names:?}")
    };
    assert_eq!(storage.unfinished(part), Some("video.mp4"), "{part}");
    blocking(move || drop(sink)).await;
    for (object, name) in [
        ("work/j/1-1/.video.AbCdEf.part", Some("video")),
        ("work/j/1-1/poster.jpg#1", Some("poster.jpg")),
        ("work/j/1-1/poster.jpg", None),
        ("work/j/1-1/take#two", None),
        ("work/j/1-1/a.part", None),
    ] {
        assert_eq!(storage.unfinished(object), name, "{object}");
    }
}

#[tokio::test]
async fn a_page_holds_the_first_names_whatever_the_disk_lists_first() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, _) = stand(folder.path());
    for number in (0..25).rev() {
        let object = format!("work/j{number:02}/1-1/x");
        put(&storage, &object, b"x".to_vec()).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let fits = |stored: &filmlab::storage::Stored| !stored.object.contains("j07");
        let page = storage
            .page("work", after.as_deref(), 10, fits)
            .await
            .unwrap();
        assert!(page.objects.len() <= 10);
        seen.extend(page.objects.into_iter().map(|it| it.object));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..25)
        .filter(|number| *number != 7)
        .map(|number| format!("work/j{number:02}/1-1/x"))
        .collect();
    assert_eq!(seen, expected);
}

/// A disk that was unmounted has no files: that says nothing about the objects on it.
#[tokio::test]
async fn what_lies_on_a_disk_that_is_gone_is_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("objects");
    std::fs::create_dir(&root).unwrap();
    let (storage, _) = stand(&root);
    put(&storage, "work/j/1-1/a", b"abc".to_vec()).await;
    std::fs::rename(&root, folder.path().join("away")).unwrap();
    std::fs::create_dir(&root).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let told = [
        storage.head("work/j/1-1/a").await.err(),
        storage.source("work/j/1-1/a", 9, &stop).await.err(),
        storage.read_range("work/j/1-1/a", 0..3).await.err(),
        storage.put_bytes("x".into(), "work/j/1-1/b").await.err(),
    ];
    for error in told {
        assert!(matches!(error, Some(StorageError::File(_))), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}
