//! Who makes the sandbox's videos.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::media::{Cancel, FileInput, Limits, MediaError, probe, synth};

/// One video to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub video: PathBuf,
    pub make: Make,
    /// Whether the sound is kept.
    pub audio: bool,
}

/// What is made of the video.
#[derive(Debug, Clone, PartialEq)]
pub enum Make {
    /// Scaled until the short side has this many pixels.
    Upscale {
        short_side: u32,
    },
    Extend {
        seconds: f64,
    },
    /// The new part of an extension, without the source and without sound.
    Segment {
        seconds: f64,
    },
    CharacterReplace {
        picture: PathBuf,
    },
    /// Squeezed to half its width.
    Squeeze,
}

/// Why a video could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MakeError(pub String);

/// Makes videos. Called on a thread that may block.
pub trait Maker: Debug + Send + Sync {
    fn make(&self, task: &Task, out: &Path, cancel: &Cancel) -> Result<(), MakeError>;
}

impl From<MediaError> for MakeError {
    fn from(error: MediaError) -> Self {
        Self(error.to_string())
    }
}

/// Makes real videos with our own media code.
#[derive(Debug, Clone, Copy, Default)]
pub struct MediaMaker;

impl Maker for MediaMaker {
    fn make(&self, task: &Task, out: &Path, cancel: &Cancel) -> Result<(), MakeError> {
        let video = FileInput::new(&task.video);
        match &task.make {
            Make::Upscale { short_side } => {
                let found = probe(&video, &Limits::default(), cancel)?;
                let found = found.require_video()?;
                let (width, height) = (found.display_width.max(1), found.display_height);
                // An upright video's short side is its width.
                let factor = f64::from(*short_side) / f64::from(width.min(height).max(1));
                let target_height = (f64::from(height) * factor).round() as u32;
                synth::upscale(&video, target_height, task.audio, out, cancel)?;
            }
            Make::Extend { seconds } => {
                synth::extend(&video, *seconds, task.audio, out, cancel)?;
            }
            Make::Segment { seconds } => {
                synth::segment(&video, *seconds, out, cancel)?;
            }
            Make::Squeeze => synth::squeeze(&video, task.audio, out, cancel).map(drop)?,
            Make::CharacterReplace { picture } => {
                let picture = FileInput::new(picture);
                synth::character_replace(&video, &picture, task.audio, out, cancel)?;
            }
        }
        Ok(())
    }
}

/// Gives the source back as it came: for tests of the API that look at no picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyMaker;

impl Maker for CopyMaker {
    fn make(&self, task: &Task, out: &Path, _: &Cancel) -> Result<(), MakeError> {
        std::fs::copy(&task.video, out)
            .map(|_| ())
            .map_err(|error| MakeError(error.to_string()))
    }
}
