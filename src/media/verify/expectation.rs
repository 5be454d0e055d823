//! What a file must be, and holding what was found against it.

use serde::{Deserialize, Serialize};

use super::verified::Verified;
use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::Limits;
use crate::media::playable::obstacle;
use crate::media::probe::Ending;

/// How much is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecodeDepth {
    /// The first and the last group of pictures.
    #[default]
    Ends,
    /// Every frame.
    Full,
}

/// What is expected of the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioExpectation {
    /// There must be sound.
    Required,
    /// There must be none.
    Absent,
    /// Either will do.
    #[default]
    Any,
}

/// The proportions of another picture, and how far they may be missed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    pub width: u32,
    pub height: u32,
    /// The largest accepted factor between both ratios of width to height; 1 is none.
    pub within: f64,
}

impl Shape {
    fn fits(self, width: u32, height: u32) -> bool {
        let ratio = |width: u32, height: u32| f64::from(width) / f64::from(height.max(1));
        let factor = ratio(width, height) / ratio(self.width, self.height);
        (1.0 / self.within..=self.within).contains(&factor)
    }
}

/// What a file must be. `Default` expects only that it is whole and decodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expectation {
    /// Length of the video and tolerance, both in milliseconds.
    pub duration_ms: Option<(u64, u64)>,
    /// Shortest accepted length in milliseconds.
    pub min_duration_ms: Option<u64>,
    /// Frames and tolerance.
    pub frames: Option<(u64, u64)>,
    /// Width as shown.
    pub width: Option<u32>,
    /// Height as shown.
    pub height: Option<u32>,
    /// Proportions as shown.
    pub shape: Option<Shape>,
    /// Sound.
    pub audio: AudioExpectation,
    /// Whether something must be heard on it: a track of digital silence is
    /// `audio_silent`.
    pub audible: bool,
    /// Whether to find out if something is heard, without demanding it.
    pub listen: bool,
    /// Whether it must be H.264 that players know.
    pub playable: bool,
    /// Whether it is a result of ours: its first picture stands at 0, and its sample table holds
    /// the length that it claims.
    pub own: bool,
    /// Codec of the video by libav's name.
    pub video_codec: Option<String>,
    /// Codec of the sound by libav's name, if there is sound.
    pub audio_codec: Option<String>,
    /// Longest time the picture may stay black, in milliseconds. Looked at in
    /// every frame: this and the next ask for full depth.
    pub max_black_ms: Option<u64>,
    /// Longest time nothing may move, in milliseconds.
    pub max_frozen_ms: Option<u64>,
    /// How much is decoded.
    pub depth: DecodeDepth,
}

impl Expectation {
    /// Whether frames are looked at, not only decoded.
    pub(super) fn looks(&self) -> bool {
        self.max_black_ms.is_some() || self.max_frozen_ms.is_some()
    }

    pub(super) fn depth(&self) -> DecodeDepth {
        if self.looks() {
            DecodeDepth::Full
        } else {
            self.depth
        }
    }
}

/// What a file claims against what it holds.
pub(crate) struct Truncation {
    pub claimed_ms: u64,
    pub reached_ms: u64,
    /// 0 where the container does not say.
    pub claimed_frames: u64,
    pub frames: u64,
    /// The longest time a frame is shown.
    pub longest_ms: u64,
    /// What the container's structure says.
    pub ending: Ending,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Truncation {
    /// As [`Truncation::check`]; says whether it is cut where that is allowed.
    pub(crate) fn judge(&self, limits: &Limits) -> Result<bool, MediaError> {
        match self.check() {
            Err(_) if limits.allow_truncated => Ok(true),
            checked => checked.map(|()| false),
        }
    }

    /// Frames decide where they are counted; elsewhere time does, generously:
    /// containers round, and a last frame may stand as long as any before it.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        let cut = if let Ending::Cut { bytes } = self.ending {
            return Err(MediaError::new(
                MediaCode::Truncated,
                format!(
                    "the file breaks off: it should have {bytes} bytes and has {}",
                    self.bytes
                ),
            ));
        } else if self.claimed_frames > 0 {
            // One may be an empty entry: AVI writes them for delayed frames.
            let spare = (self.claimed_frames / 50).max(1);
            self.frames == 0 || self.claimed_frames > self.frames + spare
        } else if self.ending == Ending::Whole {
            // All bytes are there: what the header says of time was wrong.
            false
        } else {
            let tolerance = 1000
                .max(self.claimed_ms / 50)
                .max(self.longest_ms.saturating_mul(2));
            self.claimed_ms.saturating_sub(self.reached_ms) > tolerance
        };
        if !cut {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::Truncated,
            format!(
                "the file claims {} ms and {} frames, but holds {} ms and {}",
                self.claimed_ms, self.claimed_frames, self.reached_ms, self.frames
            ),
        ))
    }
}

pub(super) fn compare(found: &Verified, expect: &Expectation) -> Result<(), MediaError> {
    let fail = |code, message: String| Err(MediaError::new(code, message));
    let video = found.probe.require_video()?;
    if let Some((wanted, tolerance)) = expect.duration_ms
        && found.duration_ms.abs_diff(wanted) > tolerance
    {
        return fail(
            MediaCode::WrongDuration,
            format!(
                "{} ms long, expected {wanted} ± {tolerance}",
                found.duration_ms
            ),
        );
    }
    if let Some(least) = expect
        .min_duration_ms
        .filter(|least| found.duration_ms < *least)
    {
        return fail(
            MediaCode::WrongDuration,
            format!("{} ms long, expected at least {least}", found.duration_ms),
        );
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

/// Neither black nor still for longer than allowed; all in milliseconds.
pub(crate) fn require_lively(
    found: Option<(u64, u64)>,
    most: (Option<u64>, Option<u64>),
) -> Result<(), MediaError> {
    let Some((black, frozen)) = found else {
        return Ok(());
    };
    for (what, code, found, most) in [
        ("black", MediaCode::PictureBlack, black, most.0),
        ("still", MediaCode::PictureFrozen, frozen, most.1),
    ] {
        if let Some(most) = most.filter(|most| found > *most) {
            return Err(MediaError::new(
                code,
                format!("the picture stays {what} for {found} ms, {most} are allowed"),
            ));
        }
    }
    Ok(())
}
