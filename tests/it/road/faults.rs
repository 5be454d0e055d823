//! Each way in which a job fails: code, party, attempts, submissions, credits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use filmlab::job::attempt::Attempts;
use filmlab::job::{Intent, IntentState, Job, MAX_SUBMISSIONS, Party, Status};
use filmlab::media::{self, Cancel, FileInput};
use filmlab::provider::{Prediction, ProviderError, SubmitError};

use super::bench::Bench;
use super::studio::Script;
use crate::media::support::ffprobe;
use crate::support::require;

/// Runs a job against a script; checks that it fails with `code` and leaves nothing.
async fn fails(
    script: impl FnOnce(&mut Script),
    code: &str,
    party: Party,
    attempt: u32,
    submitted: usize,
) -> Option<Job> {
    let bench = Bench::new().await?;
    script(&mut bench.studio.script());
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(job.status, Status::Failed);
    bench.assert_ended_without_trace(&job, code).await;
    let error = job.error.clone().unwrap();
    assert_eq!(
        (error.party, job.attempt, bench.studio.submitted()),
        (party, attempt, submitted),
        "{code}: {error:?}"
    );
    Some(job)
}

fn said(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn what_the_provider_refuses_at_once_is_the_callers() {
    let refused = || SubmitError::Rejected {
        message: said("HTTP 400: Unknown resolution."),
        words: said("Unknown resolution."),
    };
    let job = fails(
        |script| script.submits.push_back(Err(refused())),
        "provider_rejected",
        Party::Caller,
        1,
        0,
    )
    .await;
    if let Some(job) = job {
        assert_eq!(
            job.error.unwrap().message,
            "The provider refused the inputs or parameters. It said: “Unknown resolution.”",
        );
    }
    let refused = || SubmitError::ContentRefused {
        message: said("nsfw"),
    };
    fails(
        |script| script.submits.push_back(Err(refused())),
        "content_refused",
        Party::Caller,
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn a_redirect_takes_nothing_and_is_tried_three_times() {
    let redirected = || SubmitError::Redirected {
        message: said("HTTP 307"),
    };
    let job = fails(
        |script| script.submits.extend((0..9).map(|_| Err(redirected()))),
        "provider_protocol",
        Party::Provider,
        3,
        0,
    )
    .await;
    if let Some(job) = job {
        let refused = |intent: &Intent| intent.state == IntentState::Refused;
        assert!(job.intents.iter().all(refused), "{:?}", job.intents);
    }
}

#[tokio::test]
async fn a_wrong_model_is_ours() {
    let unknown = || SubmitError::UnknownModel {
        message: said("404"),
    };
    fails(
        |script| script.submits.push_back(Err(unknown())),
        "model_unknown",
        Party::Service,
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn an_unreachable_provider_is_tried_three_times() {
    let unsent = || SubmitError::NotSent {
        message: said("refused"),
    };
    fails(
        |script| script.submits.extend((0..9).map(|_| Err(unsent()))),
        "provider_unavailable",
        Party::Provider,
        3,
        0,
    )
    .await;
}

#[tokio::test]
async fn failed_predictions_are_bought_anew_three_times() {
    let failed = || Prediction::Failed {
        message: said("1405"),
    };
    fails(
        |script| script.predictions.extend((0..9).map(|_| Ok(failed()))),
        "provider_failed",
        Party::Provider,
        3,
        3,
    )
    .await;
    fails(
        |script| {
            script
                .predictions
                .extend((0..9).map(|_| Ok(Prediction::NoOutput)));
        },
        "provider_no_output",
        Party::Provider,
        3,
        3,
    )
    .await;
}

#[tokio::test]
async fn as_many_submissions_as_the_settings_allow_fit_into_a_job_in_every_round() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let pause = Duration::from_secs(5);
    let attempts = u32::try_from(MAX_SUBMISSIONS).unwrap() - 1;
    bench.settings.attempts = Attempts::try_new(attempts, pause, pause).unwrap();
    bench.settings.max_resubmissions = 1;
    let id = bench.create("j").await;
    let worker = bench.worker();
    for round in 1..=3 {
        {
            let mut script = bench.studio.script();
            let lost = SubmitError::Ambiguous {
                message: said("reset"),
                words: None,
            };
            script.submits.push_back(Err(lost));
            let failed = || Prediction::Failed {
                message: said("1405"),
            };
            script.predictions.clear();
            script.predictions.extend((0..20).map(|_| Ok(failed())));
        }
        let job = bench.drive(&worker, &id).await;
        let error = job.error.clone().unwrap();
        assert_eq!(
            error.code.as_str(),
            "provider_failed",
            "round {round}: {error:?}"
        );
        let made = job.intents.iter();
        let made = made.filter(|intent| intent.id.starts_with(&format!("{round}-")));
        assert_eq!(made.count(), MAX_SUBMISSIONS);
        if round < 3 {
            bench.retry(&id).await;
        }
    }
}

#[tokio::test]
async fn refused_content_is_not_bought_anew() {
    let refused = || Prediction::ContentRefused {
        message: said("1200"),
    };
    fails(
        |script| script.predictions.push_back(Ok(refused())),
        "content_refused",
        Party::Caller,
        1,
        1,
    )
    .await;
    let unreachable = || Prediction::InputUnreachable {
        message: said("1402"),
    };
    fails(
        |script| script.predictions.push_back(Ok(unreachable())),
        "provider_input_unreachable",
        Party::Caller,
        1,
        1,
    )
    .await;
}

#[tokio::test]
async fn one_failed_prediction_is_made_good() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let failed = Prediction::Failed {
        message: said("1405"),
    };
    bench.studio.script().predictions.push_back(Ok(failed));
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(
        (job.status, job.attempt, bench.studio.submitted()),
        (Status::Completed, 2, 2)
    );
    assert!(job.error.is_none(), "a job that succeeded shows no error");
}

#[tokio::test]
async fn a_key_that_is_not_accepted_waits_for_an_operator() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let refused = || SubmitError::Unauthorized {
        message: said("401"),
    };
    bench
        .studio
        .script()
        .submits
        .extend((0..5).map(|_| Err(refused())));
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(job.attempt, 1);
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn questions_without_an_answer_use_no_attempt() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    {
        let mut script = bench.studio.script();
        for _ in 0..4 {
            script
                .predictions
                .push_back(Err(ProviderError::Unavailable {
                    message: said("502"),
                }));
            script.predictions.push_back(Err(ProviderError::Busy {
                message: said("429"),
                retry_after: None,
            }));
            script
                .predictions
                .push_back(Err(ProviderError::Unauthorized {
                    message: said("401"),
                }));
        }
    }
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(job.attempt, 1);
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn an_output_that_cannot_be_fetched_is_tried_three_times_and_bought_once() {
    let broken = || ProviderError::Incomplete {
        message: said("cut"),
    };
    fails(
        |script| script.downloads.extend((0..9).map(|_| Err(broken()))),
        "download_failed",
        Party::Provider,
        3,
        1,
    )
    .await;
}

/// A file for the studio to give, made from the fixture clip.
async fn made(name: &str, make: impl FnOnce(&Path, &Path) + Send + 'static) -> Option<PathBuf> {
    let clip = require::fixture("tiny.mp4")?;
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("road-{}-{name}", std::process::id()));
    let target = file.clone();
    tokio::task::spawn_blocking(move || make(&clip, &target))
        .await
        .unwrap();
    Some(file)
}

/// The copy is fetched `copies` times, and bought once.
async fn bad_output(file: PathBuf, code: &str, copies: u32) -> Option<Job> {
    let job = fails(
        |script| script.downloads.extend((0..9).map(|_| Ok(file.clone()))),
        code,
        Party::Provider,
        copies,
        1,
    )
    .await;
    std::fs::remove_file(file).unwrap();
    job
}

#[tokio::test]
async fn a_truncated_output_is_caught() {
    let file = made("cut.mp4", |clip, target| {
        let bytes = std::fs::read(clip).unwrap();
        std::fs::write(target, &bytes[..bytes.len() * 6 / 10]).unwrap();
    });
    let Some(file) = file.await else { return };
    bad_output(file, "truncated", 3).await;
}

/// Whole, and not what was asked for: no fresh copy is better, and what was paid for stays.
async fn wrong_output(file: PathBuf, code: &str, says: &str) {
    let Some(job) = bad_output(file, code, 1).await else {
        return;
    };
    assert_eq!(job.error.unwrap().message, says);
    assert!(job.kept.generated.is_some());
}

#[tokio::test]
async fn an_output_of_the_wrong_length_is_caught_at_once() {
    let file = made("long.mp4", |clip, target| {
        media::synth::extend(&FileInput::new(clip), 3.0, false, target, &Cancel::new()).unwrap();
    });
    let Some(file) = file.await else { return };
    let says =
        "The video has another length than it should. It is 5000 ms long, expected 2000 ± 250.";
    wrong_output(file, "wrong_duration", says).await;
}

#[tokio::test]
async fn an_output_of_another_shape_is_caught_at_once() {
    let file = made("narrow.mp4", |clip, target| {
        media::synth::squeeze(&FileInput::new(clip), false, target, &Cancel::new()).unwrap();
    });
    let Some(file) = file.await else { return };
    let says = "The video has another size than it should. It is 160×180, expected about the \
        proportions of 320×180.";
    wrong_output(file, "wrong_size", says).await;
}

#[tokio::test]
async fn another_round_buys_anew_what_was_made_wrong() {
    let file = made("long-once.mp4", |clip, target| {
        media::synth::extend(&FileInput::new(clip), 3.0, false, target, &Cancel::new()).unwrap();
    });
    let (Some(file), Some(bench)) = (file.await, Bench::new().await) else {
        return;
    };
    bench.studio.script().downloads.push_back(Ok(file));
    let id = bench.create("j").await;
    let worker = bench.worker();
    assert_eq!(bench.drive(&worker, &id).await.status, Status::Failed);
    bench.retry(&id).await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!(
        (job.status, bench.studio.submitted()),
        (Status::Completed, 2)
    );
}

#[tokio::test]
async fn an_output_that_is_no_video_is_caught() {
    let file = made("page.mp4", |_, target| {
        std::fs::write(target, "<html>Bad gateway</html>").unwrap();
    });
    let Some(file) = file.await else { return };
    bad_output(file, "unsupported_format", 3).await;
}

#[tokio::test]
async fn a_fresh_copy_heals_a_damaged_one() {
    let file = made("cut-once.mp4", |clip, target| {
        let bytes = std::fs::read(clip).unwrap();
        std::fs::write(target, &bytes[..bytes.len() / 2]).unwrap();
    });
    let (Some(file), Some(bench)) = (file.await, Bench::new().await) else {
        return;
    };
    bench.studio.script().downloads.push_back(Ok(file));
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(job.attempt, 2);
    bench.assert_completed_once(&job).await;
}

/// Three groups of pictures, the key frame of one of them overwritten from its middle on.
fn overwritten(bench: &Bench, group: usize) -> Option<PathBuf> {
    let arguments = "-c:v libx264 -preset veryfast -x264-params keyint=18:scenecut=0 -c:a copy";
    let file = super::outputs::made(bench, arguments, &format!("group-{group}.mp4"))?;
    let packets = ffprobe(&file, "v", "packet=pos,size,flags");
    let keys: Vec<_> = packets
        .chunks(3)
        .filter(|packet| packet.iter().any(|said| said.starts_with('K')))
        .collect();
    assert_eq!(keys.len(), 3, "{packets:?}");
    // Sizes come before places.
    let [size, pos] = [0, 1].map(|at| keys[group][at].parse::<usize>().unwrap());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[pos + size / 2..pos + size].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    Some(file)
}

#[tokio::test]
async fn damage_in_the_middle_is_mended_and_that_at_an_end_fetched_anew() {
    for (group, fetched) in [(0, 2), (1, 1), (2, 2)] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let Some(file) = overwritten(&bench, group) else {
            return;
        };
        bench.studio.script().downloads.push_back(Ok(file));
        let id = bench.create("j").await;
        let job = bench.drive(&bench.worker(), &id).await;
        bench.assert_completed_once(&job).await;
        assert_eq!(job.attempt, fetched, "{group}");
        let metadata = job.result.as_ref().unwrap().metadata.clone();
        let metadata = std::fs::read(bench.dir.path().join("objects").join(metadata)).unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
        let damage = &metadata["processing"]["damage"];
        let bad = damage["bad_packets"].as_u64().unwrap() + damage["bad_frames"].as_u64().unwrap();
        assert_eq!(bad > 0, fetched == 1, "{group}: {damage}");
    }
}

#[tokio::test]
async fn a_notice_that_is_not_taken_comes_again_under_the_same_name() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    *bench.letters.failing.lock().unwrap() = 2;
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_completed_once(&job).await;
    let got = bench.letters.got.lock().unwrap();
    assert_eq!(got[0].id, "j:1:job.completed");
    assert_eq!(got[0].deliveries, 2, "two tries before it");
}
