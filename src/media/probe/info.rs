//! The stable fields of a probe.

use serde::{Deserialize, Serialize};

use crate::media::error::{MediaCode, MediaError};
use crate::media::provenance::ProvenanceInfo;

/// Everything we say about a file. The field names are stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The file as a whole.
    pub container: ContainerInfo,
    /// The video stream we work with.
    pub video: Option<VideoInfo>,
    /// The audio stream we work with.
    pub audio: Option<AudioInfo>,
    /// Streams we leave alone.
    pub other: OtherStreams,
    /// Tracks of sound that are not taken, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused_audio: Vec<UnusedAudio>,
    /// What it says of how it was made; nobody here vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceInfo>,
}

/// A track of sound that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedAudio {
    /// Its number among the tracks of sound, from 1.
    pub track: u32,
    /// libav's codec name, or `unknown`.
    pub codec: String,
    /// As the file writes it, such as `eng`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Why it is not taken.
    pub reason: String,
}

/// The file as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// `mp4`, `mov`, `matroska`, `webm`, `avi`, `mpegts`, `mpeg`, `flv` or `gif`.
    pub format: String,
    /// Claimed length in milliseconds.
    pub duration_ms: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Bits per second, all streams.
    pub bit_rate: u64,
    /// For MP4 and MOV: whether playback can start before all is downloaded.
    pub faststart: Option<bool>,
}

/// The video stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// libav's codec name, such as `h264`.
    pub codec: String,
    /// Codec profile, such as `High`.
    pub profile: Option<String>,
    /// Codec level as the codec counts it: 41 is H.264's level 4.1.
    #[serde(default)]
    pub level: Option<u32>,
    /// Coded width in pixels.
    pub width: u32,
    /// Coded height in pixels.
    pub height: u32,
    /// Width as shown: after squaring pixels and rotating.
    pub display_width: u32,
    /// Height as shown.
    pub display_height: u32,
    /// Left, top, width and height of the part of the coded picture that the container
    /// shows, where that is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[u32; 4]>,
    /// Width and height it begins with, where it changes in mid-stream and another size, that
    /// above, is shown longer: by a look at the first key frames before anything is decided, by
    /// all frames in the report of a render.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<[u32; 2]>,
    /// Clockwise degrees to turn for display: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Mirrored left to right before the rotation.
    pub flipped: bool,
    /// Average frames per second.
    pub fps: f64,
    /// Frames, where the container says so.
    pub frames: Option<u64>,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Bits per second; 0 if unknown.
    pub bit_rate: u64,
    /// How far its bytes run ahead of an even spread, in milliseconds of the average rate;
    /// absent where the container's index does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_ms: Option<u64>,
    /// libav's pixel format name.
    pub pixel_format: String,
    /// Bits per colour component.
    pub bit_depth: u32,
    /// Shape of one pixel, `1:1` when square.
    pub sample_aspect_ratio: String,
    /// Whether its lines are of two moments, as the file says.
    #[serde(default)]
    pub interlaced: bool,
    /// Colour description by libav's names; `unknown` where nothing is said.
    pub color: ColorInfo,
}

/// Colour description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColorInfo {
    /// Such as `bt709`.
    pub primaries: String,
    /// Such as `bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG).
    pub transfer: String,
    /// Such as `bt709`.
    pub matrix: String,
    /// `tv` or `pc`.
    pub range: String,
}

/// The audio stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioInfo {
    /// libav's codec name, such as `aac`.
    pub codec: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Such as `stereo` or `5.1`.
    pub channel_layout: String,
    /// Its number among the tracks of sound, from 1, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<u32>,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Bits per second; 0 if unknown.
    pub bit_rate: u64,
}

/// Streams nobody asked for: they are never copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherStreams {
    /// Further video streams.
    pub video: u32,
    /// Further audio streams.
    pub audio: u32,
    /// Subtitle streams.
    pub subtitle: u32,
    /// Data, timecode, attachments.
    pub data: u32,
    /// Cover pictures.
    pub attached_pictures: u32,
}

impl Probe {
    /// Of a file from which no sound was taken: whether each of its tracks was left for a reason.
    /// Else sound would be lost in silence.
    ///
    /// # Errors
    /// [`MediaCode::AudioMissing`].
    pub(crate) fn require_reasons_for_silence(&self) -> Result<(), MediaError> {
        let announced = self.other.audio + u32::from(self.audio.is_some());
        let reasons = u32::try_from(self.unused_audio.len()).unwrap_or(u32::MAX);
        if announced <= reasons {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::AudioMissing,
            format!("{announced} tracks of sound are announced, and none is in the result"),
        ))
    }

    /// The video, or `no_video_stream`.
    ///
    /// # Errors
    /// [`MediaCode::NoVideoStream`].
    pub fn require_video(&self) -> Result<&VideoInfo, MediaError> {
        self.video.as_ref().ok_or_else(|| {
            MediaError::new(MediaCode::NoVideoStream, "there is no video in the file")
        })
    }
}
