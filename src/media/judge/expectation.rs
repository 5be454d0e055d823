//! What a file must be.

use serde::{Deserialize, Serialize};

/// How much is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecodeDepth {
    /// Nothing: packets and times only, of a picture that a strict pass decodes.
    Packets,
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
    pub(super) fn fits(self, width: u32, height: u32) -> bool {
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
    pub(crate) fn looks(&self) -> bool {
        self.max_black_ms.is_some() || self.max_frozen_ms.is_some()
    }

    pub(crate) fn depth(&self) -> DecodeDepth {
        if self.looks() {
            DecodeDepth::Full
        } else {
            self.depth
        }
    }
}
