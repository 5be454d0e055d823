//! Jobs whose media are worked on in a child, and files that end it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filmlab::clock::Clock as _;
use filmlab::job::{
    Change, Code, Job, JobId, Kind, MAX_CRASHES, NativeWork, Output, Params, Party, Phase, Source,
    Status,
};
use filmlab::ledger::{Claimed, Commit, Ledger as _};
use filmlab::quarantine::Mode;
use filmlab::worker::{QuoteError, QuoteRequest, Worker};
use serde_json::{Value, json};

use super::bench::{Bench, OWNER};
use super::outputs::gives;
use crate::support::objects::PutFile as _;
use crate::support::quarantine::{broken, child, children, until_gone};
use crate::support::require;

const BROKEN: &str = "sources/u1/broken.mp4";

/// A source that breaks who reads it, in our store.
async fn source(bench: &Bench, told: &str) {
    let clip = require::fixture("tiny.mp4").unwrap();
    let file = broken(&clip, told, &bench.dir.path().join("broken.mp4"));
    bench
        .storage
        .put_file(&file, BROKEN, "video/mp4")
        .await
        .unwrap();
}

async fn create_broken(bench: &Bench, id: &str) -> JobId {
    bench
        .create_as(id, Kind::CharacterReplace, json!({}), |new| {
            new.source.video = BROKEN.parse().unwrap();
        })
        .await
}

async fn bench(mode: Mode) -> Option<Bench> {
    let mut bench = Bench::new().await?;
    bench.settings.quarantine.mode = mode;
    Some(bench)
}

/// What the metadata say without the times that things took.
fn metadata(bench: &Bench, job: &Job) -> Value {
    let name = &job.result.as_ref().unwrap().metadata;
    let file = bench.dir.path().join("objects").join(name);
    let mut read: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    read["processing"]["timings"].take();
    read
}

fn video(bench: &Bench, job: &Job) -> Vec<u8> {
    let name = &job.result.as_ref().unwrap().video;
    std::fs::read(bench.dir.path().join("objects").join(name)).unwrap()
}

#[tokio::test]
async fn a_job_of_each_kind_comes_to_the_same_in_a_child() {
    for (kind, params) in [
        (Kind::CharacterReplace, json!({})),
        (Kind::Upscale, json!({"target": "720p"})),
        (Kind::Extend, json!({"prompt": "on", "seconds": 2})),
    ] {
        let mut made = Vec::new();
        for mode in [Mode::Never, Mode::Always] {
            let Some(bench) = bench(mode).await else {
                return;
            };
            let id = bench.create_as("j", kind, params.clone(), |_| {}).await;
            let job = bench.drive(&bench.worker(), &id).await;
            let error = job.error.as_ref().map(|error| (error.code, &error.message));
            made.push(match job.status {
                Status::Completed => (metadata(&bench, &job), video(&bench, &job)),
                // Some of what the studio gives is not what is asked for: told alike.
                _ => (json!(format!("{error:?}")), Vec::new()),
            });
            assert_eq!((job.crashes, job.attempt), (0, 1), "{kind:?}: {job:#?}");
            if kind == Kind::CharacterReplace {
                bench.assert_completed_once(&job).await;
            }
        }
        assert_eq!(made[0].0, made[1].0, "{kind:?}");
        assert!(made[0].1 == made[1].1, "{kind:?}: another file");
    }
}

#[tokio::test]
async fn a_source_that_ends_its_child_three_times_is_the_callers() {
    let Some(bench) = bench(Mode::Always).await else {
        return;
    };
    source(&bench, "abort@source").await;
    let id = create_broken(&bench, "j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "media_crashed")
        .await;
    let error = job.error.clone().unwrap();
    assert_eq!((error.party, job.crashes), (Party::Caller, MAX_CRASHES));
    assert_eq!((job.attempt, bench.studio.submitted()), (1, 0));
}

#[tokio::test]
async fn a_generated_file_that_ends_its_child_is_the_providers_and_bought_once() {
    for phase in ["check", "render"] {
        let Some(bench) = bench(Mode::Always).await else {
            return;
        };
        let clip = require::fixture("tiny.mp4").unwrap();
        let file = bench.dir.path().join("out.mp4");
        gives(&bench, &broken(&clip, &format!("abort@{phase}"), &file));
        let id = bench.create("j").await;
        let job = bench.drive(&bench.worker(), &id).await;
        bench
            .assert_ended_without_trace(&job, "media_crashed")
            .await;
        let error = job.error.clone().unwrap();
        assert_eq!((error.party, job.crashes), (Party::Provider, MAX_CRASHES));
        assert_eq!((job.attempt, bench.studio.submitted()), (1, 1), "{phase}");
        // Another round buys another, and is on its guard.
        bench.studio.script().downloads.clear();
        let again = bench.retry(&id).await;
        assert_eq!(again.crashes, 1);
        let job = bench.drive(&bench.worker(), &id).await;
        assert_eq!(job.status, Status::Completed, "{job:#?}");
        assert_eq!(bench.studio.submitted(), 2);
    }
}

/// A process that dies while it does native work for the job.
async fn dies(bench: &Bench, id: &JobId, process: &str) -> Job {
    let now = bench.clock.now();
    let holder = format!("{process}-1");
    let lease = bench.settings.lease;
    let claimed = bench.ledger.claim(id, &holder, now, lease).await.unwrap();
    let Claimed::Taken { claim, .. } = claimed else {
        panic!("{claimed:?}");
    };
    let begun = Change::NativeBegun(NativeWork {
        process: process.into(),
        fence: claim.fence,
        phase: Phase::Source,
        party: Party::Caller,
    });
    let written = bench.ledger.record(id, &claim, &begun, now).await.unwrap();
    bench.clock.advance(lease + Duration::from_secs(1));
    match written {
        Commit::Done(job) => *job,
        Commit::Lost => panic!("lost"),
    }
}

#[tokio::test]
async fn after_a_death_the_job_goes_on_in_a_child_and_an_innocent_one_completes() {
    let Some(bench) = bench(Mode::AfterDeath).await else {
        return;
    };
    let id = bench.create("j").await;
    dies(&bench, &id, "w-x").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_completed_once(&job).await;
    assert_eq!((job.crashes, job.attempt), (1, 1));
}

#[tokio::test]
async fn after_a_death_a_guilty_one_harms_this_process_no_more() {
    let Some(bench) = bench(Mode::AfterDeath).await else {
        return;
    };
    source(&bench, "abort@source").await;
    let id = create_broken(&bench, "j").await;
    dies(&bench, &id, "w-x").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "media_crashed")
        .await;
    assert_eq!((job.crashes, job.attempt), (MAX_CRASHES, 1));
}

#[tokio::test]
async fn without_children_the_third_death_ends_the_job() {
    let Some(bench) = bench(Mode::Never).await else {
        return;
    };
    let id = bench.create("j").await;
    for process in ["w-x", "w-y", "w-z"] {
        let job = dies(&bench, &id, process).await;
        assert_eq!((&job.error, job.attempt), (&None, 1));
    }
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "media_crashed")
        .await;
    assert_eq!(job.error.unwrap().party, Party::Caller);
}

/// Visits a job whose child waits for ever; gives the child once it does.
async fn stalled(bench: &Bench) -> (Arc<Worker>, JobId, u32) {
    source(bench, "stall@source").await;
    let id = create_broken(bench, "j").await;
    let worker = bench.worker();
    let visit = Arc::clone(&worker);
    let (name, seq) = (id.clone(), bench.job(&id).await.wake.seq);
    tokio::spawn(async move { visit.visit(name, seq).await });
    let pid = tokio::task::spawn_blocking(|| child(std::process::id(), "source"));
    (worker, id, pid.await.unwrap())
}

async fn until(bench: &Bench, id: &JobId, fits: impl Fn(&Job) -> bool) -> Job {
    let began = Instant::now();
    loop {
        let job = bench.job(id).await;
        if fits(&job) {
            return job;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{job:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_child_ends_with_what_its_job_ends_with() {
    // Cancellation, deadline, the visit's budget, a shutdown, a lost lease.
    for what in ["cancel", "deadline", "budget", "shutdown", "lease"] {
        let Some(mut bench) = bench(Mode::Always).await else {
            return;
        };
        bench.settings.progress_every = Duration::from_millis(50);
        bench.settings.heartbeat = Duration::from_millis(50);
        if what == "budget" {
            bench.settings.budget = Duration::from_secs(2);
        }
        let (worker, id, pid) = stalled(&bench).await;
        let now = bench.clock.now();
        match what {
            "cancel" => {
                bench.ledger.request_cancel(&id, now).await.unwrap();
            }
            "deadline" => bench.clock.advance(Duration::from_secs(3 * 3600)),
            "shutdown" => assert!(worker.drain(Duration::from_secs(20)).await),
            "lease" => {
                // Somebody else claims it, past its end.
                let late = filmlab::clock::later(now, Duration::from_secs(9000));
                let claimed = bench
                    .ledger
                    .claim(&id, "w-o-1", late, Duration::from_secs(9))
                    .await;
                assert!(matches!(claimed.unwrap(), Claimed::Taken { .. }));
            }
            _ => {}
        }
        tokio::task::spawn_blocking(move || until_gone(pid))
            .await
            .unwrap();
        let job = match what {
            "cancel" | "deadline" => until(&bench, &id, |job| job.status.is_ended()).await,
            "lease" => bench.job(&id).await,
            _ => until(&bench, &id, |job| job.lease.holder.is_none()).await,
        };
        let expected = match what {
            "cancel" => (Status::Cancelled, Some(Code::Cancelled)),
            "deadline" => (Status::Failed, Some(Code::DeadlineExceeded)),
            "budget" => (Status::Processing, Some(Code::TooLongToProcess)),
            _ => (Status::Processing, None),
        };
        let code = job.error.as_ref().map(|error| error.code);
        assert_eq!((job.status, code), expected, "{what}: {job:#?}");
        assert_eq!(job.crashes, 0, "{what}");
    }
}

#[tokio::test]
async fn a_source_asked_the_price_of_harms_no_process() {
    let Some(bench) = bench(Mode::AfterDeath).await else {
        return;
    };
    source(&bench, "abort@source").await;
    let worker = bench.worker();
    let ask = |video: &str| QuoteRequest {
        owner: OWNER.parse().unwrap(),
        params: Params::parse(Kind::Upscale, &json!({"target": "1080p"})).unwrap(),
        source: Source {
            video: video.parse().unwrap(),
            image: None,
            audio_track: None,
        },
        output: Output::default(),
        label: None,
    };
    match worker.quote(ask(BROKEN)).await {
        Err(QuoteError::Failed(failure)) => {
            assert_eq!(
                (failure.code, failure.party),
                (Code::MediaCrashed, Party::Caller)
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(worker.quote(ask("sources/u1/clip.mp4")).await.is_ok());
    assert_eq!(children(std::process::id()), []);
}

#[tokio::test]
async fn native_work_is_noted_before_it_begins_and_over_before_the_provider_is_asked() {
    let Some(bench) = bench(Mode::AfterDeath).await else {
        return;
    };
    // The upload to the provider hangs: the source has been looked at by then.
    bench.studio.script().hang_in = Some(filmlab::job::Stage::Submit);
    let id = bench.create("j").await;
    let worker = bench.worker();
    let visit = Arc::clone(&worker);
    let name = id.clone();
    tokio::spawn(async move { visit.visit(name, 1).await });
    let noted = until(&bench, &id, |job| job.native.is_some()).await;
    let note = noted.native.unwrap();
    assert_eq!(note.fence, noted.lease.fence);
    let holder = noted.lease.holder.unwrap();
    assert_eq!(holder.rsplit_once('-').unwrap().0, note.process);
    let job = until(&bench, &id, |job| job.native.is_none()).await;
    // In the same visit, which waits for the provider now.
    assert_eq!((job.lease.holder, job.crashes), (Some(holder), 0));
}
