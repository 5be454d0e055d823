//! Inputs that cannot be used: told before any money is spent.

use filmlab::job::{Code, Job, JobId, Kind, Party, Status, WatermarkSpec};
use filmlab::provider::ProviderError;
use serde_json::json;

use super::bench::Bench;
use crate::support::objects::PutFile as _;
use crate::support::require;

/// A job on another source video.
async fn job_on(bench: &Bench, fixture: &str) -> Option<Job> {
    let file = require::fixture(fixture)?;
    bench
        .storage
        .put_file(&file, "sources/u1/other", "video/mp4")
        .await
        .unwrap();
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.source.video = "sources/u1/other".parse().unwrap();
        })
        .await;
    Some(ended(bench, &id).await)
}

async fn ended(bench: &Bench, id: &JobId) -> Job {
    let job = bench.drive(&bench.worker(), id).await;
    assert_eq!(
        (job.status, bench.studio.submitted()),
        (Status::Failed, 0),
        "{job:#?}"
    );
    job
}

#[tokio::test]
async fn each_unusable_source_has_its_own_code() {
    for (fixture, code) in [
        ("text.mp4", "unsupported_format"),
        ("empty.mp4", "empty_file"),
        ("noise.mp4", "unsupported_format"),
        ("picture.mp4", "not_a_video"),
        ("playlist.mp4", "unsupported_format"),
        ("playlist.m3u8", "unsupported_format"),
        ("concat.mp4", "unsupported_format"),
        ("unsupported-codec.mkv", "unsupported_codec"),
        ("unsupported-codec.avi", "unsupported_codec"),
        ("unsupported-format.wmv", "unsupported_format"),
        ("audio-only.m4a", "no_video_stream"),
    ] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let Some(job) = job_on(&bench, fixture).await else {
            return;
        };
        let error = job.error.clone().unwrap();
        assert_eq!(
            (error.code.as_str(), error.party),
            (code, Party::Caller),
            "{fixture}: {error:?}"
        );
        bench.assert_ended_without_trace(&job, code).await;
    }
}

#[tokio::test]
async fn a_missing_source_is_told() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.source.video = "sources/u1/nowhere.mp4".parse().unwrap();
        })
        .await;
    let job = ended(&bench, &id).await;
    bench
        .assert_ended_without_trace(&job, "source_missing")
        .await;
}

#[tokio::test]
async fn a_video_is_no_picture() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.source.image = Some("sources/u1/clip.mp4".parse().unwrap());
        })
        .await;
    let job = ended(&bench, &id).await;
    bench
        .assert_ended_without_trace(&job, "not_a_picture")
        .await;
}

#[tokio::test]
async fn a_source_from_the_web_is_fetched_once_and_kept() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bytes = std::fs::read(clip).unwrap();
    let app = axum::Router::new()
        .route(
            "/clip.mp4",
            axum::routing::get(move || async move { bytes.clone() }),
        )
        .route(
            "/gone.mp4",
            axum::routing::get(|| async { http::StatusCode::GONE }),
        );
    tokio::spawn(async move { axum::serve(listener, app).await });
    let from = |path: &str| format!("http://{address}{path}").parse().unwrap();
    let (good, gone) = (from("/clip.mp4"), from("/gone.mp4"));
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.source.video = good;
        })
        .await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_completed_once(&job).await;
    let kept = job.provider.inputs.unwrap().facts.video_object;
    assert!(bench.storage.head(&kept).await.is_ok());

    let id = bench
        .create_as("j2", Kind::CharacterReplace, json!({}), |new| {
            new.source.video = gone;
        })
        .await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(job.error.unwrap().code.as_str(), "source_unreachable");
}

#[tokio::test]
async fn what_the_model_cannot_take_is_refused() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    // The studio's models take up to 60 s and no 4k.
    let id = bench
        .create_as("j", Kind::Upscale, json!({"target": "4k"}), |_| {})
        .await;
    let job = ended(&bench, &id).await;
    bench
        .assert_ended_without_trace(&job, "invalid_request")
        .await;
}

#[tokio::test]
async fn what_cannot_be_processed_in_a_visit_is_refused() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.budget = std::time::Duration::from_secs(1);
    bench.settings.media_time_factor = 100.0;
    let id = bench
        .create_as("j", Kind::Upscale, json!({"target": "2k"}), |_| {})
        .await;
    let job = ended(&bench, &id).await;
    bench
        .assert_ended_without_trace(&job, "too_long_to_process")
        .await;
}

#[tokio::test]
async fn an_unusable_watermark_or_profile_is_refused() {
    let spec = |scale: &str| WatermarkSpec {
        scale: Some(scale.into()),
        ..WatermarkSpec::default()
    };
    for (profile, mark, code) in [
        ("cinema", vec![], "invalid_profile"),
        ("web", vec![spec("wide")], "invalid_watermark"),
        ("web", vec![spec("0%")], "invalid_watermark"),
        ("web", vec![spec("9%"), spec("wide")], "invalid_watermark"),
        ("web", vec![spec("9%"); 9], "invalid_watermark"),
    ] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let id = bench
            .create_as("j", Kind::CharacterReplace, json!({}), |new| {
                new.output.profile = profile.into();
                new.output.watermark = mark;
            })
            .await;
        let job = ended(&bench, &id).await;
        bench.assert_ended_without_trace(&job, code).await;
    }
}

#[tokio::test]
async fn what_is_too_large_to_upload_is_read_by_a_link_that_outlives_the_job() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let too_large = || Err(ProviderError::TooLarge { limit: 10 });
    bench.studio.script().uploads.push_back(too_large());
    let id = bench.create("linked").await;
    let worker = bench.worker();
    worker.visit(id.clone(), 1).await;
    let job = bench.job(&id).await;
    let inputs = job.provider.inputs.clone().unwrap();
    assert!(
        inputs
            .video
            .starts_with("https://lab.example/files/sources/u1/clip.mp4?"),
        "{}",
        inputs.video
    );
    assert_eq!(
        inputs.image.as_deref(),
        Some("https://studio.example/upload")
    );
    assert!(inputs.expires_at > job.deadline_at);
    let paid = bench.studio.submissions.lock().unwrap()[0]
        .video
        .to_string();
    assert_eq!(paid, inputs.video);

    // A link that leads to this machine alone is of no use to anybody else.
    bench.link_to("http://127.0.0.1:1");
    bench.studio.script().uploads.push_back(too_large());
    let id = bench.create("local").await;
    let job = bench.drive(&bench.worker(), &id).await;
    let error = job.error.unwrap();
    assert_eq!(
        (error.code, error.party, error.attempt),
        (Code::InputTooLarge, Party::Caller, 1)
    );
    assert_eq!(bench.studio.submitted(), 1);
}
