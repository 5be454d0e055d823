//! Cleaning goes on past what it cannot do, and touches nothing that is still somebody's.

use std::io::ErrorKind;
use std::time::Duration;

use filmlab::job::{Code, Stage, Status};
use filmlab::ledger::Deleted;
use filmlab::worker::Cleaned;

use super::bench::{Bench, DAY, OWNER};
use super::retention::{aged, is_there, put};
use crate::support::gcs::Op;

#[tokio::test]
async fn what_may_not_go_hides_nothing_behind_it() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.create("j").await;
    for number in 0..600 {
        // Not named as we name inputs, and in use by the job that waits.
        let foreign = format!("sources/a/clip{number}.mp4");
        let needed = format!("sources/{OWNER}/j/{number}.mp4");
        for object in [foreign, needed] {
            put(&bench, &object, 30 * DAY).await;
        }
    }
    let free = [
        "sources/a/01hx/old.mp4",
        "sources/u1/z/old.mp4",
        "sources/z/01hx/old.mp4",
    ];
    for object in free {
        put(&bench, object, 30 * DAY).await;
    }
    let cleaned = bench.worker().clean().await;
    let expected = Cleaned {
        sources: 3,
        ..Cleaned::default()
    };
    assert_eq!(cleaned, expected);
    for object in free {
        assert!(!is_there(&bench, object).await, "{object}");
    }
    assert!(is_there(&bench, "sources/u1/j/599.mp4").await);
}

#[tokio::test]
async fn a_bucket_is_cleaned_past_what_it_keeps() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let gcs = bench.in_bucket().await;
    for number in 0..700 {
        gcs.place(&format!("sources/a/clip{number}.mp4"));
        gcs.place(&format!("sources/b/held-{number:03}/a.mp4"));
    }
    for object in [
        "sources/c/01hx/a.mp4",
        "work/gone/1-1/a",
        "work/held-0/1-1/a",
    ] {
        gcs.place(object);
    }
    gcs.keep("held-");
    // More refuse than are tried at once.
    let first = bench.worker().clean().await;
    assert_eq!((first.leftovers, first.sources, first.failed), (1, 0, 501));
    // Another process goes on behind them: they come again after all others.
    let second = bench.worker().clean().await;
    assert_eq!((second.sources, second.failed), (1, 201));
    assert!(gcs.object("sources/c/01hx/a.mp4").is_none());
    let third = bench.worker().clean().await;
    assert_eq!(third.failed, 501, "from the beginning");
}

#[tokio::test]
async fn a_file_that_cannot_be_deleted_does_not_end_the_cleaning() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let disk = bench.on_unsynced_disk();
    let worker = bench.worker();
    let mut jobs = Vec::new();
    for name in ["a-stuck", "b"] {
        let id = bench.create(name).await;
        jobs.push(bench.drive(&worker, &id).await);
    }
    bench.clock.advance(31 * DAY);
    for object in [
        "work/gone/1-1/stuck",
        "work/gone/1-1/x",
        "sources/u1/01/stuck",
        "sources/u1/02/x",
    ] {
        put(&bench, object, 9 * DAY).await;
    }
    disk.refuse("stuck", ErrorKind::PermissionDenied);
    let cleaned = worker.clean().await;
    let expected = Cleaned {
        leftovers: 1,
        results: 1,
        generated: 0,
        sources: 1,
        // A left-over file, the first job, an input.
        failed: 3,
    };
    assert_eq!(cleaned, expected);
    // Its record still says what could not be deleted.
    assert!(bench.job(&jobs[0].id).await.result.is_some());
    assert_eq!(bench.job(&jobs[1].id).await.result, None);
    disk.allow_all();
    let cleaned = worker.clean().await;
    assert_eq!(
        (cleaned.results, cleaned.sources, cleaned.failed),
        (1, 1, 0)
    );
    assert_eq!(bench.objects(), Vec::<String>::new());
}

#[tokio::test]
async fn jobs_that_cannot_be_read_hide_no_others() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let worker = bench.worker();
    let id = bench.create("z").await;
    bench.drive(&worker, &id).await;
    bench.clock.advance(31 * DAY);
    let connection = rusqlite::Connection::open(bench.dir.path().join("lab.sqlite")).unwrap();
    let unreadable = |from: u32, to: u32| {
        connection
            .execute_batch(&format!(
                "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})
                 INSERT INTO jobs (id, doc, status, owner, kind, created_at, wake_seq, kept_results)
                 SELECT 'a' || i, 'no json', 'completed', 'u1', 'upscale', 1, 1, 1 FROM n"
            ))
            .unwrap();
    };
    unreadable(1, 250);
    let cleaned = worker.clean().await;
    assert_eq!((cleaned.results, cleaned.failed), (1, 250));
    assert_eq!(bench.job(&id).await.result, None);

    // More than are looked at in one cleaning: the next one begins behind them.
    let id = bench.create("zz").await;
    bench.drive(&worker, &id).await;
    bench.clock.advance(31 * DAY);
    unreadable(251, 2_100);
    let first = bench.worker().clean().await;
    assert_eq!((first.results, first.failed), (0, 2_000));
    let second = bench.worker().clean().await;
    assert_eq!((second.results, second.failed), (1, 100));
}

/// The visit that ended a round lists its files while a user asks for another round.
#[tokio::test]
async fn cleaning_after_a_round_leaves_the_next_one_alone() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let gcs = bench.in_bucket().await;
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    let mut without = bench.settings.clone();
    without.profiles.clear();
    let failing = bench.worker_with(without);
    gcs.hold(Op::List, true);
    let ending = async {
        // The visit that ends the round; the next one has begun when it comes back.
        while bench.job(&id).await.round == 1 {
            assert!(bench.step(&failing).await);
        }
    };
    let meanwhile = async {
        gcs.until_held().await;
        let ended = bench.job(&id).await;
        assert_eq!((ended.status, ended.round), (Status::Failed, 1));
        assert_eq!(bench.retry(&id).await.round, 2);
        // What the next round's first claim writes.
        gcs.place("work/j/2-9/generated.mp4");
        gcs.place("work/j/2-9/generated.mp4.upload");
        gcs.place("results/j/2-9/poster.jpg");
        gcs.place("results/j/1-2/poster.jpg");
        gcs.hold(Op::List, false);
    };
    tokio::join!(ending, meanwhile);
    let kept = bench.job(&id).await.generated.unwrap().object;
    let names = gcs.names();
    let left = names.iter().filter(|name| !name.starts_with("sources/"));
    let mut expected = vec![
        "results/j/2-9/poster.jpg",
        "work/j/2-9/generated.mp4",
        "work/j/2-9/generated.mp4.upload",
        kept.as_str(),
    ];
    expected.sort_unstable();
    assert_eq!(left.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_a_lost_claim_writes_late_goes_whoever_wrote_it_and_when() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let worker = bench.worker();
    let id = bench.create("j").await;
    let job = bench.drive(&worker, &id).await;
    let gone = bench.create("gone").await;
    bench.drive(&worker, &gone).await;
    assert_eq!(worker.delete(gone).await.unwrap(), Deleted::Done);
    let late = [
        "results/j/1-77/metadata.json",
        "results/j/1-77/poster.jpg",
        "results/j/1-77/.video.mp4.AbCdEf.part",
        "results/j/1-77/poster.jpg#1",
        "results/gone/1-77/video.mp4",
        "work/gone/1-77/generated.mp4",
    ];
    for object in late {
        put_raw(&bench, object, DAY / 2);
    }
    let cleaned = worker.clean().await;
    assert_eq!(cleaned, Cleaned::default(), "their writers may still live");
    for object in late {
        aged(&bench, object, 2 * DAY);
    }
    let cleaned = worker.clean().await;
    assert_eq!((cleaned.leftovers, cleaned.failed), (2, 0));
    let result = job.result.unwrap();
    let mut expected: Vec<String> = result.objects().cloned().collect();
    expected.sort();
    assert_eq!(bench.objects(), expected);
}

#[tokio::test]
async fn parts_of_a_dead_process_go_with_the_job_and_with_the_cleaning() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.retention.sources = None;
    let worker = bench.worker();
    let id = bench.create("j").await;
    bench.drive(&worker, &id).await;
    let its = [
        "sources/u1/j/video",
        "sources/u1/j/.video.AbCdEf.part",
        "sources/u1/j/image#1",
        "results/j/1-1/.poster.jpg.AbCdEf.part",
        "work/j/1-1/watermark-0#2",
    ];
    // An upload that happens to be called as the job is.
    let upload = "sources/u1/j/clip.mov";
    for object in its.into_iter().chain([upload]) {
        put_raw(&bench, object, Duration::ZERO);
    }
    assert_eq!(worker.delete(id).await.unwrap(), Deleted::Done);
    for object in its {
        assert!(
            !bench.dir.path().join("objects").join(object).exists(),
            "{object}"
        );
    }
    assert!(is_there(&bench, upload).await);
    assert_eq!(bench.objects(), Vec::<String>::new());

    // Of an upload that nobody finished: no setting keeps it.
    let (old, young) = (
        "sources/u2/01/.a.mp4.AbCdEf.part",
        "sources/u2/02/.a.mp4.AbCdEf.part",
    );
    put_raw(&bench, old, 2 * DAY);
    put_raw(&bench, young, DAY / 2);
    put(&bench, "sources/u2/03/a.mp4", 99 * DAY).await;
    assert_eq!(worker.clean().await.sources, 1);
    let objects = bench.dir.path().join("objects");
    assert!(!objects.join(old).exists() && objects.join(young).exists());
    assert!(is_there(&bench, "sources/u2/03/a.mp4").await);
}

/// Writes a file as something that died left it.
fn put_raw(bench: &Bench, object: &str, age: Duration) {
    let file = bench.dir.path().join("objects").join(object);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "x").unwrap();
    aged(bench, object, age);
}

#[tokio::test]
async fn a_deletion_goes_as_far_as_it_can_and_is_repeated() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let disk = bench.on_unsynced_disk();
    let worker = bench.worker();
    let id = bench.create("j").await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.stage, None::<Stage>);
    disk.refuse("metadata", ErrorKind::ReadOnlyFilesystem);
    let failure = worker.delete(id.clone()).await.unwrap_err();
    assert_eq!(failure.code, Code::StorageUnavailable);
    assert_eq!(bench.objects(), [job.result.unwrap().metadata]);
    assert_eq!(bench.job(&id).await.status, Status::Completed);
    disk.allow_all();
    assert_eq!(worker.delete(id.clone()).await.unwrap(), Deleted::Done);
    assert_eq!(bench.objects(), Vec::<String>::new());
}
