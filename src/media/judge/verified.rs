//! The findings of a verification.

use serde::{Deserialize, Serialize};

use crate::media::probe::Probe;

/// What verification found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// The headers.
    pub probe: Probe,
    /// Video packets read that are shown.
    pub frames: u64,
    /// Length of the video by its packets, in milliseconds.
    pub duration_ms: u64,
    /// When the first picture is shown, in milliseconds.
    #[serde(default)]
    pub begins_ms: u64,
    /// Length of the sound by its packets, in milliseconds.
    pub audio_duration_ms: Option<u64>,
    /// Whether anything is heard, if that was listened for.
    #[serde(default)]
    pub audible: Option<bool>,
    /// Frames decoded.
    pub decoded_frames: u64,
    /// Longest time the picture stays black, if that was looked at.
    #[serde(default)]
    pub black_ms: Option<u64>,
    /// Longest time nothing moves, if that was looked at.
    #[serde(default)]
    pub frozen_ms: Option<u64>,
}
