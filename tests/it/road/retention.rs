//! Files go by age, and nothing goes that is still needed.

use std::time::{Duration, SystemTime};

use filmlab::clock::{Clock as _, later};
use filmlab::job::{CreditState, Stage, Status};

use filmlab::provider::Prediction;
use filmlab::worker::Cleaned;

use super::bench::{Bench, DAY, OWNER};
use crate::support::objects::PutFile as _;

/// Makes an object look as if it had been written so long before the bench's present.
pub(super) fn aged(bench: &Bench, object: &str, age: Duration) {
    let written = SystemTime::from(bench.clock.now()) - age;
    let path = bench.dir.path().join("objects").join(object);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(written).unwrap();
}

pub(super) async fn put(bench: &Bench, object: &str, age: Duration) {
    let bytes = bytes::Bytes::from_static(b"x");
    bench.storage.put_bytes(bytes, object).await.unwrap();
    aged(bench, object, age);
}

pub(super) async fn is_there(bench: &Bench, object: &str) -> bool {
    bench.storage.head(object).await.is_ok()
}

#[tokio::test]
async fn a_result_goes_after_its_time_and_the_job_says_so() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let done = bench.drive(&bench.worker(), &id).await;
    let ended = done.completed_at.unwrap();
    let just_before = 30 * DAY - Duration::from_secs(1);
    bench.clock.advance_to(later(ended, just_before));
    assert_eq!(bench.worker().clean().await, Cleaned::default());
    bench.assert_completed_once(&done).await;

    bench.clock.advance(Duration::from_secs(1));
    let forever = bench.settings.retention.results.take();
    assert_eq!(bench.worker().clean().await, Cleaned::default());
    bench.settings.retention.results = forever;
    let cleaned = bench.worker().clean().await;
    assert_eq!(
        cleaned,
        Cleaned {
            results: 1,
            ..Cleaned::default()
        }
    );
    assert_eq!(bench.objects(), Vec::<String>::new());
    let job = bench.job(&id).await;
    assert_eq!(
        (job.status, job.result, job.result_expired_at),
        (Status::Completed, None, Some(bench.clock.now()))
    );
    assert_eq!(job.credits.state, CreditState::Captured);
    assert_eq!(bench.worker().clean().await, Cleaned::default());
}

#[tokio::test]
async fn a_broken_off_sweep_is_made_good_by_the_next() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let done = bench.drive(&bench.worker(), &id).await;
    bench.clock.advance(31 * DAY);
    // As if a process had died after the deletion and before its note.
    bench
        .storage
        .delete(&done.result.unwrap().video)
        .await
        .unwrap();
    assert_eq!(bench.worker().clean().await.results, 1);
    assert_eq!(bench.objects(), Vec::<String>::new());
    assert_eq!(bench.job(&id).await.result, None);
}

#[tokio::test]
async fn what_a_failed_round_leaves_goes_and_another_round_does_without() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    let mut without = bench.settings.clone();
    without.profiles.clear();
    let failing = bench.worker_with(without);
    let ended = bench.drive(&failing, &id).await;
    assert_eq!(ended.error.unwrap().stage, Some(Stage::Process));
    let object = ended.generated.unwrap().object;
    bench.clock.advance(6 * DAY);
    assert_eq!(worker.clean().await, Cleaned::default());
    assert!(is_there(&bench, &object).await);
    bench.clock.advance(DAY);
    assert_eq!(worker.clean().await.generated, 1);
    assert_eq!(bench.objects(), Vec::<String>::new());
    assert_eq!(bench.retry(&id).await.stage, Some(Stage::Generate));
    let job = bench.drive(&worker, &id).await;
    assert_eq!(
        (job.status, bench.studio.submitted()),
        (Status::Completed, 1)
    );
}

#[tokio::test]
async fn inputs_go_by_their_upload_and_never_under_a_running_job() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let upload = format!("sources/{OWNER}/01hx/clip.mp4");
    let copy = format!("sources/{OWNER}/j/video");
    let free = format!("sources/{OWNER}/01hy/old.mp4");
    let young = format!("sources/{OWNER}/01hz/new.mp4");
    let foreign = "sources/someone-elses.mp4";
    let clip = bench.dir.path().join("objects/sources/u1/clip.mp4");
    bench
        .storage
        .put_file(&clip, &upload, "video/mp4")
        .await
        .unwrap();
    aged(&bench, &upload, 8 * DAY);
    for (object, days) in [(copy.as_str(), 8), (&free, 8), (&young, 6), (foreign, 99)] {
        put(&bench, object, days * DAY).await;
    }
    let source = upload.clone();
    let id = bench
        .create_as(
            "j",
            filmlab::job::Kind::CharacterReplace,
            serde_json::json!({}),
            |new| new.source.video = source.parse().unwrap(),
        )
        .await;
    let worker = bench.worker();
    assert_eq!(worker.clean().await.sources, 1);
    assert!(!is_there(&bench, &free).await);
    for object in [&upload, &copy, &young, foreign] {
        assert!(is_there(&bench, object).await, "{object}");
    }
    bench.drive(&worker, &id).await;
    assert_eq!(worker.clean().await.sources, 2);
    for (object, stays) in [
        (upload.as_str(), false),
        (&copy, false),
        (&young, true),
        (foreign, true),
    ] {
        assert_eq!(is_there(&bench, object).await, stays, "{object}");
    }
}

#[tokio::test]
async fn work_files_of_a_lost_claim_go_while_the_job_goes_on() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench
        .studio
        .script()
        .predictions
        .extend((0..3).map(|_| Ok(Prediction::Running)));
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.job(&id).await.stage != Some(Stage::Generate) {
        assert!(bench.step(&worker).await);
    }
    let fence = bench.job(&id).await.lease.fence;
    let lost = "work/j/1-0/generated.mp4";
    let present = format!("work/j/1-{fence}/generated.mp4");
    let fresh = "work/j/1-00/generated.mp4";
    put(&bench, lost, DAY + Duration::from_secs(1)).await;
    put(&bench, &present, 2 * DAY).await;
    put(&bench, fresh, DAY / 2).await;
    put(&bench, "work/unknown/1-1/generated.mp4", 2 * DAY).await;
    let cleaned = worker.clean().await;
    assert_eq!(cleaned.leftovers, 2);
    assert_eq!(bench.objects(), [fresh.to_owned(), present]);
    let job = bench.drive(&worker, &id).await;
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn a_scheduler_that_calls_often_cleans_once_an_hour() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let worker = bench.worker();
    assert_eq!(worker.clean_when_due().await, Some(Cleaned::default()));
    assert_eq!(worker.clean_when_due().await, None);
}

/// What the provider reads has to be there until the job's last moment.
#[tokio::test]
async fn inputs_at_the_provider_outlive_the_deadline_of_every_round() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.studio.script().predictions.extend((0..3).map(|_| {
        Ok(Prediction::Failed {
            message: "no".into(),
        })
    }));
    let id = bench.create("j").await;
    let worker = bench.worker();
    let first = bench.drive(&worker, &id).await;
    assert_eq!(first.status, Status::Failed);
    let before = first.provider.inputs.unwrap().expires_at;
    assert!(before > first.deadline_at);
    // The next round's deadline lies beyond what was uploaded for the first.
    bench.clock.advance_to(before);
    let round = bench.retry(&id).await;
    assert!(round.provider.inputs.unwrap().expires_at < round.deadline_at);
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.status, Status::Completed);
    let after = job.provider.inputs.unwrap().expires_at;
    assert!(after > job.deadline_at, "{after} {}", job.deadline_at);
}
