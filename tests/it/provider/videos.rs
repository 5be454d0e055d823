//! The sandbox's videos are real: their size, length and sound are looked at by decoding.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use filmlab::media::{
    AudioExpectation, Cancel, DecodeDepth, Expectation, FileInput, Limits, Probe, probe, synth,
    verify,
};
use filmlab::provider::{Prediction, Provider, Submission};
use filmlab::sandbox::{Fault, FaultRule, MediaMaker, SandboxConfig, SandboxHandle};

use super::road::finished;
use super::{DownloadTo as _, character_replace, client, extend, fixture, upscale};
use crate::sandbox::start_with;

struct Studio {
    sandbox: SandboxHandle,
    folder: tempfile::TempDir,
    clip: PathBuf,
}

impl Studio {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        // The real clip, small: what is looked at here does not need its pixels.
        let clip = folder.path().join("clip.mp4");
        let real = FileInput::new(fixture("bigbuckbunny.mp4"));
        synth::upscale(&real, 180, true, &clip, &Cancel::default()).expect("a small clip");
        Self {
            sandbox: start_with(SandboxConfig::default(), Arc::new(MediaMaker)).await,
            folder,
            clip,
        }
    }

    /// Has `kind` made of a short clip; gives the output as a file.
    async fn make(&self, submission: impl FnOnce(url::Url, url::Url) -> Submission) -> PathBuf {
        let wavespeed = client(&self.sandbox.base_url());
        let video = wavespeed
            .upload(&self.clip, "video/mp4")
            .await
            .expect("uploaded");
        let image = wavespeed
            .upload(&fixture("character.png"), "image/png")
            .await
            .expect("uploaded");
        let id = wavespeed
            .submit(&submission(video, image))
            .await
            .expect("taken");
        let Prediction::Completed { output } = finished(&wavespeed, &id).await else {
            panic!("it did not complete");
        };
        let to = self.folder.path().join(id);
        wavespeed
            .download_to(&output, &to, 1 << 30)
            .await
            .expect("downloaded");
        to
    }
}

fn look(file: &Path) -> Probe {
    probe(
        &FileInput::new(file),
        &Limits::default(),
        &Cancel::default(),
    )
    .expect("a video")
}

fn size(probe: &Probe) -> (u32, u32) {
    let video = probe.require_video().expect("pictures");
    (video.display_width, video.display_height)
}

fn seconds(probe: &Probe) -> f64 {
    probe.require_video().expect("pictures").duration_ms as f64 / 1000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_s_video_is_what_was_asked_for() {
    let studio = Studio::open().await;
    let source = look(&studio.clip);

    let upscaled = look(&studio.make(|video, _| upscale(video)).await);
    assert_eq!(size(&upscaled), (1280, 720));
    assert!((seconds(&upscaled) - seconds(&source)).abs() < 0.05);
    assert!(upscaled.audio.is_none(), "silent unless told otherwise");

    let extended = look(&studio.make(|video, _| extend(video)).await);
    assert!((seconds(&extended) - seconds(&source) - 4.0).abs() < 0.1);
    assert_eq!(size(&extended), size(&source));

    let replaced = look(&studio.make(character_replace).await);
    assert!((seconds(&replaced) - seconds(&source)).abs() < 0.05);
    assert_eq!(size(&replaced), size(&source));
}

#[tokio::test(flavor = "multi_thread")]
async fn videos_go_wrong_on_demand() {
    let studio = Studio::open().await;
    let source = look(&studio.clip);
    let spoilt = async |fault: Fault| {
        studio.sandbox.add_fault(FaultRule::once(fault));
        studio.make(|video, _| upscale(video)).await
    };

    let loud = look(&spoilt(Fault::WithAudio).await);
    assert!(loud.audio.is_some());
    let small = look(&spoilt(Fault::WrongSize).await);
    assert_eq!(size(&small).1, 240);
    // Where no size is asked for, another shape is the wrong one.
    studio.sandbox.add_fault(FaultRule::once(Fault::WrongSize));
    let narrow = look(&studio.make(character_replace).await);
    assert_eq!(size(&narrow), (size(&source).0 / 2, size(&source).1));
    studio.sandbox.add_fault(FaultRule::once(Fault::WrongSize));
    let narrow = look(&studio.make(|video, _| extend(video)).await);
    assert_eq!(size(&narrow), (size(&source).0 / 2, size(&source).1));
    let long = look(&spoilt(Fault::WrongDuration).await);
    assert!(seconds(&long) > seconds(&source) + 1.0);

    let cut = spoilt(Fault::CutFile).await;
    let expectation = Expectation {
        audio: AudioExpectation::Any,
        depth: DecodeDepth::Full,
        ..Expectation::default()
    };
    let verified = verify(
        &FileInput::new(&cut),
        &expectation,
        &Limits::default(),
        &Cancel::default(),
    );
    assert!(verified.is_err(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_video_fails_there() {
    let studio = Studio::open().await;
    let wavespeed = client(&studio.sandbox.base_url());
    let picture = wavespeed
        .upload(&fixture("logo.png"), "video/mp4")
        .await
        .expect("uploaded");
    let id = wavespeed.submit(&upscale(picture)).await.expect("taken");
    let state = finished(&wavespeed, &id).await;
    assert!(matches!(state, Prediction::Failed { .. }), "{state:?}");
}
