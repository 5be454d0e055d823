//! What a plan is asked for, and what it says.

use serde::{Deserialize, Serialize};

use crate::media::limits::Limits;
use crate::media::probe::Probe;
use crate::media::profile::{Background, Deinterlace, Profile};
use crate::media::watermark::{Placement, Rectangle};

/// Everything a plan depends on.
#[derive(Clone, Debug)]
pub struct PlanRequest<'a> {
    /// The video to process.
    pub main: &'a Probe,
    /// Where sound may be taken from when `main` has none.
    pub audio_from: Option<&'a Probe>,
    /// `main` has a sound track with nothing to hear on it.
    pub main_is_silent: bool,
    /// Sound of a source was announced, and nothing comes on it.
    pub source_is_silent: bool,
    /// A certain track of it is asked for: it goes before `main`'s own.
    pub source_is_asked_for: bool,
    /// What `main` continues: both become one video.
    pub before: Option<&'a Probe>,
    /// Encoding settings.
    pub profile: &'a Profile,
    /// Placements of watermarks and their pictures' width and height.
    pub watermarks: Vec<(&'a Placement, (u32, u32))>,
    /// Bounds of the result.
    pub limits: &'a Limits,
    /// Re-encode even where a copy would do.
    pub force: Force,
}

/// Changes asked for whatever the probe says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Force {
    /// Encode the picture.
    pub video: bool,
    /// Encode the sound.
    pub audio: bool,
    /// What the plan says about the picture; without it, that it was asked for.
    pub because: Option<&'static str>,
    /// The same of the sound.
    pub sound_because: Option<&'static str>,
}

impl Force {
    pub(super) fn reason(self) -> String {
        self.because.unwrap_or("re-encoding was asked for").into()
    }
}

/// What will be done and why; users can read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Always `mp4`, with the index first.
    pub container: String,
    /// Name of the profile.
    pub profile: String,
    /// The picture.
    pub video: VideoPlan,
    /// The sound.
    pub audio: AudioPlan,
    /// Length in milliseconds of what the processed video continues, where the
    /// result holds both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues_ms: Option<u64>,
    /// Where each watermark lands, in pixels of the result.
    pub watermarks: Vec<Rectangle>,
}

/// What happens to the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum VideoPlan {
    /// Packets are copied as they are.
    Copy {
        /// Why nothing has to change.
        reason: String,
    },
    /// Decoded and encoded to H.264.
    Encode {
        /// Width of the result.
        width: u32,
        /// Height of the result.
        height: u32,
        /// Constant rate factor.
        crf: f32,
        /// x264's preset.
        preset: String,
        /// Peak bits per second.
        max_rate: Option<u64>,
        /// How much may be spent at once, in milliseconds of that peak.
        #[serde(default = "second")]
        burst_ms: u64,
        /// Frame rate the video is thinned to; `None` keeps the source's timing.
        fps: Option<f64>,
        /// Whether HDR is mapped to the standard range.
        tone_map: bool,
        /// What becomes of interlaced frames, should there be any.
        #[serde(default)]
        deinterlace: Deinterlace,
        /// What transparent parts are laid on, should there be any.
        #[serde(default)]
        background: Background,
        /// What has to change.
        reason: String,
    },
}

/// Which file the sound is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioFrom {
    /// The processed video.
    Main,
    /// The user's source, whose sound is put back.
    Source,
    /// One after the other: that of the video before, then that of the
    /// processed one, silence where either has none.
    Both,
}

/// What happens to the sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum AudioPlan {
    /// Packets are copied as they are.
    Copy {
        /// Which file.
        from: AudioFrom,
        /// Why nothing has to change.
        reason: String,
    },
    /// Decoded and encoded to AAC.
    Encode {
        /// Which file.
        from: AudioFrom,
        /// Samples per second.
        sample_rate: u32,
        /// Channels of the result.
        channels: u32,
        /// Bits per second.
        bit_rate: u64,
        /// What has to change.
        reason: String,
    },
    /// The result is silent.
    None {
        /// Why.
        reason: String,
    },
}

impl AudioPlan {
    /// Which file the sound comes from, if there is any.
    #[must_use]
    pub fn from(&self) -> Option<AudioFrom> {
        match self {
            Self::Copy { from, .. } | Self::Encode { from, .. } => Some(*from),
            Self::None { .. } => None,
        }
    }
}

impl Plan {
    /// Whether both streams are copied and only the container is rewritten.
    #[must_use]
    pub fn is_remux(&self) -> bool {
        matches!(self.video, VideoPlan::Copy { .. })
            && !matches!(self.audio, AudioPlan::Encode { .. })
    }
}

/// Where an older plan does not say it.
fn second() -> u64 {
    1000
}
