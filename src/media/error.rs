//! One error type for the media core.
//!
//! A [`MediaError`] says what went wrong in the words of this crate
//! ([`MediaCode`]), where it happened, and what libav itself had to say about
//! it. Who is to blame is decided by the domain, not here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::av::AvError;

/// Every way media work can end badly. `as_str` is stable and documented.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum MediaCode {
    /// The bytes are not one of the containers we read.
    UnsupportedFormat,
    /// The container is fine, a codec in it is not one we decode.
    UnsupportedCodec,
    /// A still picture or a sound file was given where a video is needed.
    NotAVideo,
    /// Something other than PNG, JPEG or WebP was given as a picture.
    NotAPicture,
    /// Zero bytes.
    EmptyFile,
    /// The container or too large a share of its packets cannot be read.
    DamagedMedia,
    /// The container has no video stream.
    NoVideoStream,
    /// HDR video, and the linked build cannot tone-map it.
    HdrNotSupported,
    /// More bytes than `limits.max_bytes`.
    InputTooLarge,
    /// More streams than `limits.max_streams`.
    TooManyStreams,
    /// Stream parameters were not found within `probe_size` and `analyze_duration_ms`.
    ProbeLimit,
    /// More pixels per frame than `limits.max_pixels`.
    TooManyPixels,
    /// A higher frame rate than `limits.max_fps`.
    FrameRateTooHigh,
    /// Longer than `limits.max_duration_ms`, as claimed or as decoded.
    TooLong,
    /// More decoded frames than `limits.max_frames`.
    TooManyFrames,
    /// Gaps would be filled with more frames or silence than `limits.max_duplication` allows.
    TooManyDuplicates,
    /// A part of it asks for more memory than `limits.max_allocation`.
    MemoryLimit,
    /// The output grew past `limits.max_output_bytes`.
    OutputTooLarge,
    /// The wall-clock budget `limits.deadline_ms` ran out.
    DeadlineExceeded,
    /// Someone asked for the work to stop.
    Cancelled,
    /// The input could not be opened or read: missing, a directory, an I/O error.
    InputUnreadable,
    /// The output could not be created, written or renamed.
    OutputUnwritable,
    /// The watermark's placement or picture cannot be used.
    InvalidWatermark,
    /// The profile has settings that no player could use.
    InvalidProfile,
    /// An encoder refused its settings or a frame.
    EncoderFailed,
    /// Verification: the file claims more than it holds.
    Truncated,
    /// Verification: longer or shorter than expected.
    WrongDuration,
    /// Verification: another width or height than expected.
    WrongSize,
    /// Verification: another codec than expected.
    WrongCodec,
    /// Verification: no sound where there should be some.
    AudioMissing,
    /// Verification: sound where there should be none.
    AudioUnexpected,
    /// Verification: there is a sound track, and nothing to hear on it.
    AudioSilent,
    /// Verification: features of H.264 that players do not know.
    NotPlayable,
    /// Verification: fewer or more frames than expected.
    FramesMissing,
    /// Verification: the picture stays black for longer than it may.
    PictureBlack,
    /// Verification: nothing moves for longer than it may.
    PictureFrozen,
    /// Verification: the first or last group of pictures does not decode.
    NotDecodable,
    /// A fault of ours: a panic was caught, or libav ran out of memory.
    Internal,
}

impl MediaCode {
    /// The stable name, in `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Where an error came up and what libav logged just before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorContext {
    /// The stage: `open`, `probe`, `decode`, `filter`, `encode`, `mux`, `verify` …
    pub stage: Option<String>,
    /// Index of the stream in its container.
    pub stream: Option<usize>,
    /// The last warnings and errors libav logged on this thread, oldest first.
    pub log: Vec<String>,
}

/// What went wrong, for a machine (`code`), a person (`message`) and a log (`context`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MediaError {
    /// The reaction it calls for.
    pub code: MediaCode,
    /// One sentence for a person, without paths or secrets of the server.
    pub message: String,
    /// For the log.
    pub context: Box<ErrorContext>,
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl MediaError {
    /// An error with a code and a message and no context yet.
    pub fn new(code: MediaCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            context: Box::default(),
        }
    }

    /// Names the stage, unless a deeper one has been named already.
    #[must_use]
    pub fn at(mut self, stage: &str) -> Self {
        self.context.stage.get_or_insert_with(|| stage.to_owned());
        self
    }

    /// Names the stream.
    #[must_use]
    pub fn on_stream(mut self, index: usize) -> Self {
        self.context.stream = Some(index);
        self
    }

    /// Adds what libav logged on this thread since the operation began.
    #[must_use]
    pub(crate) fn with_log(mut self) -> Self {
        if self.context.log.is_empty() {
            self.context.log = super::av::log::recent();
        }
        self
    }
}

/// libav has no room for something small: no fault of the file's.
pub(crate) fn memory(error: AvError) -> MediaError {
    MediaError::new(MediaCode::Internal, format!("out of memory: {error}"))
}
