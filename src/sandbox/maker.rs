//! Who makes the sandbox's videos.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says that work under way is no longer wanted.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

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
    Upscale { target_height: u32 },
    Extend { seconds: f64 },
    CharacterReplace { picture: PathBuf },
}

/// Why a video could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MakeError(pub String);

/// Makes videos. Called on a thread that may block.
pub trait Maker: Debug + Send + Sync {
    fn make(&self, task: &Task, out: &Path, stop: &Stop) -> Result<(), MakeError>;
}

/// Gives the source back as it came: for tests of the API that look at no picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyMaker;

impl Maker for CopyMaker {
    fn make(&self, task: &Task, out: &Path, _: &Stop) -> Result<(), MakeError> {
        std::fs::copy(&task.video, out)
            .map(|_| ())
            .map_err(|error| MakeError(error.to_string()))
    }
}
