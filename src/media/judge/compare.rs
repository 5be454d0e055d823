//! What was found, held against what was expected.

use super::expectation::{AudioExpectation, Expectation};
use super::length::{require_least, require_length};
use super::playable::obstacle;
use super::verified::Verified;
use super::watch::require_lively;
use crate::media::error::{MediaCode, MediaError};

pub(crate) fn compare(found: &Verified, expect: &Expectation) -> Result<(), MediaError> {
    let fail = |code, message: String| Err(MediaError::new(code, message));
    let video = found.probe.require_video()?;
    if let Some(wanted) = expect.duration_ms {
        require_length(found.duration_ms, wanted)?;
    }
    if let Some(least) = expect.min_duration_ms {
        require_least(found.duration_ms, least)?;
    }
    if let Some((wanted, tolerance)) = expect.frames
        && found.frames.abs_diff(wanted) > tolerance
    {
        return fail(
            MediaCode::FramesMissing,
            format!("{} frames, expected {wanted} ± {tolerance}", found.frames),
        );
    }
    let looked = found.black_ms.zip(found.frozen_ms);
    require_lively(looked, (expect.max_black_ms, expect.max_frozen_ms))?;
    let size = (video.display_width, video.display_height);
    if expect.width.is_some_and(|width| width != size.0)
        || expect.height.is_some_and(|height| height != size.1)
    {
        let wanted = match (expect.width, expect.height) {
            (Some(width), Some(height)) => format!("{width}×{height}"),
            (Some(width), None) => format!("a width of {width}"),
            (None, height) => format!("a height of {}", height.unwrap_or_default()),
        };
        return fail(
            MediaCode::WrongSize,
            format!("{}×{}, expected {wanted}", size.0, size.1),
        );
    }
    if let Some(shape) = expect.shape.filter(|shape| !shape.fits(size.0, size.1)) {
        return fail(
            MediaCode::WrongSize,
            format!(
                "{}×{}, expected about the proportions of {}×{}",
                size.0, size.1, shape.width, shape.height
            ),
        );
    }
    match (expect.audio, &found.probe.audio) {
        (AudioExpectation::Required, None) => {
            return fail(MediaCode::AudioMissing, "there is no sound".to_owned());
        }
        (AudioExpectation::Absent, Some(_)) => {
            return fail(MediaCode::AudioUnexpected, "there is sound".to_owned());
        }
        _ => {}
    }
    if expect.audible && found.audible == Some(false) {
        return fail(
            MediaCode::AudioSilent,
            "the sound is digital silence".to_owned(),
        );
    }
    let wrong = |expected: &Option<String>, found: &str| {
        expected
            .as_ref()
            .filter(|expected| *expected != found)
            .cloned()
    };
    if let Some(expected) = wrong(&expect.video_codec, &video.codec) {
        return fail(
            MediaCode::WrongCodec,
            format!("{}, expected {expected}", video.codec),
        );
    }
    if let Some(obstacle) = obstacle(video).filter(|_| expect.playable) {
        return fail(MediaCode::NotPlayable, obstacle);
    }
    if let Some(audio) = &found.probe.audio
        && let Some(expected) = wrong(&expect.audio_codec, &audio.codec)
    {
        return fail(
            MediaCode::WrongCodec,
            format!("{}, expected {expected}", audio.codec),
        );
    }
    Ok(())
}
