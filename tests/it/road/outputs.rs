//! Outputs that are whole and still not what the job is to give back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use filmlab::job::{Job, Kind};
use filmlab::media::{Checks, FileInput, Limits, is_audible};
use serde_json::json;

use super::bench::Bench;
use crate::support::require;

/// An output made of the fixture clip with the reference program.
pub(super) fn made(bench: &Bench, arguments: &str, name: &str) -> Option<PathBuf> {
    let ffmpeg = require::ffmpeg()?;
    let clip = require::fixture("tiny.mp4")?;
    let file = bench.dir.path().join(name);
    let ran = Command::new(ffmpeg)
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(clip)
        .args(arguments.split_whitespace())
        .arg(&file)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{log}");
    Some(file)
}

pub(super) fn gives(bench: &Bench, file: &Path) {
    let mut script = bench.studio.script();
    script.downloads = std::iter::repeat_with(|| Ok(file.to_owned()))
        .take(9)
        .collect();
}

pub(super) fn result(bench: &Bench, job: &Job) -> PathBuf {
    let name = &job.result.as_ref().unwrap().video;
    bench.dir.path().join("objects").join(name)
}

#[tokio::test]
async fn a_silent_track_counts_as_dropped_sound() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let arguments = "-af volume=0 -c:v copy -c:a aac";
    let Some(file) = made(&bench, arguments, "silent.mp4") else {
        return;
    };
    gives(&bench, &file);
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_completed_once(&job).await;
    let heard = |path: &Path| {
        is_audible(
            &FileInput::new(path),
            &Limits::default(),
            &filmlab::media::Cancel::new(),
        )
        .unwrap()
    };
    assert!(!heard(&file) && heard(&result(&bench, &job)));
}

#[tokio::test]
async fn a_result_has_a_storyboard_unless_the_settings_say_no() {
    for wanted in [true, false] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        bench.settings.storyboard = wanted;
        let id = bench.create("j").await;
        let job = bench.drive(&bench.worker(), &id).await;
        // Beside the result nothing lies there.
        bench.assert_completed_once(&job).await;
        let published = job.result.as_ref().unwrap();
        assert_eq!(published.objects().count(), if wanted { 5 } else { 3 });
        let text = |object: &String| {
            let path = bench.dir.path().join("objects").join(object);
            std::fs::read_to_string(path).unwrap()
        };
        let metadata: serde_json::Value = serde_json::from_str(&text(&published.metadata)).unwrap();
        let tiles = metadata["processing"]["storyboard"]["times_ms"].as_array();
        assert_eq!(tiles.is_some(), wanted, "{metadata}");
        if let (Some(vtt), Some(tiles)) = (&published.storyboard_vtt, tiles) {
            let cues = text(vtt).matches("storyboard.jpg#xywh=").count();
            assert!(cues == tiles.len() && cues > 1, "{cues}");
        }
    }
}

#[tokio::test]
async fn a_black_output_ends_the_job_where_that_is_asked_for() {
    for (asked, code) in [(Some(500), Some("picture_black")), (None, None)] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        bench.settings.checks = Checks {
            max_black_ms: asked,
            ..Checks::default()
        };
        let arguments = "-vf drawbox=color=black:t=fill -c:v libx264 -preset ultrafast -c:a copy";
        let Some(file) = made(&bench, arguments, "black.mp4") else {
            return;
        };
        gives(&bench, &file);
        let id = bench.create("j").await;
        let job = bench.drive(&bench.worker(), &id).await;
        match code {
            Some(code) => bench.assert_ended_without_trace(&job, code).await,
            None => bench.assert_completed_once(&job).await,
        }
    }
}

#[tokio::test]
async fn no_profile_makes_an_upscale_smaller_again() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    for profile in bench.settings.profiles.values_mut() {
        profile.video.max_height = Some(180);
        profile.video.max_fps = Some(12.0);
    }
    let arguments = "-vf scale=1280:720 -c:v libx264 -preset ultrafast -an";
    let Some(file) = made(&bench, arguments, "upscaled.mp4") else {
        return;
    };
    gives(&bench, &file);
    let id = bench
        .create_as("j", Kind::Upscale, json!({"target": "720p"}), |_| {})
        .await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_completed_once(&job).await;
    let result = job.result.as_ref().unwrap();
    assert_eq!((result.width, result.height), (1280, 720));
    let found = filmlab::media::count_frames(
        &FileInput::new(self::result(&bench, &job)),
        &Limits::default(),
        &filmlab::media::Cancel::new(),
    );
    assert_eq!(found.unwrap(), 48);
}

#[tokio::test]
async fn an_extension_may_come_whole_or_as_the_new_part_only() {
    let still = "-c:v libx264 -preset ultrafast -g 24 -pix_fmt yuv420p";
    // Two seconds of source, one new one. What is known of the model, what it returns, and
    // whether the source has to be put before it.
    let new = format!("-vf trim=0:1,scale=640:360,negate -an {still}");
    let whole = format!("-vf tpad=stop_duration=1:stop_mode=clone {still} -c:a copy");
    for (segments, arguments, joined) in [
        (true, &new, true),
        (false, &new, true),
        (true, &whole, false),
        (false, &whole, false),
    ] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        bench.studio.segments.store(segments, Ordering::Relaxed);
        let Some(file) = made(&bench, arguments, "extended.mp4") else {
            return;
        };
        gives(&bench, &file);
        let params = json!({"prompt": "on", "seconds": 1});
        let id = bench.create_as("j", Kind::Extend, params, |_| {}).await;
        let job = bench.drive(&bench.worker(), &id).await;
        bench.assert_completed_once(&job).await;
        let published = job.result.as_ref().unwrap();
        assert!(published.duration_ms.abs_diff(3000) <= 60, "{published:?}");
        let width = if joined { 640 } else { 320 };
        assert_eq!(published.width, width, "{segments} {arguments}");
    }
}

#[tokio::test]
async fn an_extension_without_anything_new_is_caught() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let Some(file) = made(&bench, "-c copy", "same.mp4") else {
        return;
    };
    gives(&bench, &file);
    // As long as the source, and as long as what was asked for.
    let params = json!({"prompt": "on", "seconds": 2});
    let id = bench.create_as("j", Kind::Extend, params, |_| {}).await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "wrong_duration")
        .await;
}

/// How loud the first second of a file's sound is, in dB.
fn level(path: &Path) -> Option<f64> {
    let ran = Command::new(require::ffmpeg()?)
        .args(["-nostdin", "-t", "1", "-i"])
        .arg(path)
        .args(["-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-"])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ran.stderr).into_owned();
    let level = log.split("mean_volume:").nth(1)?;
    level.split_whitespace().next()?.parse().ok()
}

/// The source gets a second track, the first one's sound 30 dB quieter, in German.
fn two_languages(bench: &Bench) -> Option<PathBuf> {
    let arguments = "-map 0:v -map 0:a -map 0:a -c:v copy -c:a aac -filter:a:1 volume=-30dB \
                     -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu";
    let file = made(bench, arguments, "two.mp4")?;
    let source = bench.dir.path().join("objects/sources/u1/clip.mp4");
    std::fs::copy(&file, source).unwrap();
    Some(file)
}

#[tokio::test]
async fn the_track_of_sound_that_is_asked_for_is_what_comes_out() {
    for (track, quieter) in [
        (None, false),
        (Some("1"), false),
        (Some("2"), true),
        (Some("deu"), true),
    ] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        // The provider returns a sound of its own.
        let Some(file) = two_languages(&bench) else {
            return;
        };
        let id = bench
            .create_as("j", Kind::CharacterReplace, json!({}), |new| {
                new.source.audio_track = track.map(str::to_owned);
            })
            .await;
        let job = bench.drive(&bench.worker(), &id).await;
        bench.assert_completed_once(&job).await;
        let found = level(&result(&bench, &job)).unwrap() - level(&file).unwrap();
        let wanted = if quieter { -30.0 } else { 0.0 };
        assert!((found - wanted).abs() < 4.0, "{track:?}: {found} dB");
    }
}

#[tokio::test]
async fn a_continued_video_keeps_the_track_of_sound_that_is_asked_for() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.studio.segments.store(true, Ordering::Relaxed);
    let new = "-vf trim=0:1 -an -c:v libx264 -preset ultrafast -g 24 -pix_fmt yuv420p";
    let (Some(file), Some(part)) = (two_languages(&bench), made(&bench, new, "new.mp4")) else {
        return;
    };
    gives(&bench, &part);
    let params = json!({"prompt": "on", "seconds": 1});
    let id = bench
        .create_as("j", Kind::Extend, params, |new| {
            new.source.audio_track = Some("deu".into());
        })
        .await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench.assert_completed_once(&job).await;
    let found = level(&result(&bench, &job)).unwrap() - level(&file).unwrap();
    assert!((found + 30.0).abs() < 4.0, "{found} dB");
}

#[tokio::test]
async fn a_track_of_sound_that_is_not_there_is_told_before_anything_is_paid() {
    for (track, code) in [("3", "unsupported_codec"), ("not a track", "invalid_job")] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        if two_languages(&bench).is_none() {
            return;
        }
        let id = bench
            .create_as("j", Kind::CharacterReplace, json!({}), |new| {
                new.source.audio_track = Some(track.into());
            })
            .await;
        let job = bench.drive(&bench.worker(), &id).await;
        bench.assert_ended_without_trace(&job, code).await;
        assert_eq!(bench.studio.submitted(), 0, "{track}");
    }
}
