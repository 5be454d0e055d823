//! The media core: probe, plan, one-pass processing, verification.
//!
//! libav* is linked in; no program is started here. `media::av` is the only module
//! with `unsafe` and the only one that knows libav*'s C interface. Everything here
//! blocks: call it from a thread that may.
//!
//! ```text
//! probe ──► plan (pure) ──► render: decode once → orient, scale, mark → encode ──► verify ──► commit
//!                                       └─► poster from the same frames
//! ```

mod av;
mod color;
mod count;
mod drawing;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod h264;
mod head;
mod image;
mod input;
mod judge;
mod likeness;
mod limits;
mod logo;
mod output;
mod picture;
mod plan;
mod probe;
mod profile;
mod provenance;
mod ratio;
mod render;
mod seal;
mod sizes;
mod sniff;
#[cfg(feature = "sandbox")]
pub mod synth;
mod text;
mod verify;
mod watermark;

pub use count::count_frames;
pub use error::{ErrorContext, MediaCode, MediaError};
pub use input::{BytesInput, FileInput, Input, ReadSeek};
pub use judge::{
    Asked, AudioExpectation, Checks, DecodeDepth, Expectation, Shape, Shown, Verified,
    require_length, result_length, stands_alone,
};
pub use likeness::likeness;
pub use limits::{Cancel, CancelReason, Limits};
pub use output::{FileOutput, Output, WriteSeek};
pub use picture::{MAX_PICTURE_BYTES, PictureProbe, probe_picture};
pub use plan::{AudioFrom, AudioPlan, Force, Plan, PlanRequest, VideoPlan, plan};
pub use probe::{
    AudioInfo, AudioTrack, ColorInfo, ContainerInfo, OtherStreams, Probe, UnusedAudio, VideoInfo,
    probe, probe_track, probe_whole,
};
pub use profile::{AudioSettings, Background, Deinterlace, Preset, Profile, VideoSettings};
pub use provenance::{
    Chain, IngredientInfo, LocalSigner, MOST_PEM, MOST_STAMP, ManifestInfo, ManifestState,
    Provenance, ProvenanceInfo, Signer, SourceType, es256_of_der, stamp_of, stamp_query,
};
pub use render::{
    Damage, Event, PosterInfo, PosterTo, Progress, Render, Report, StoryboardInfo, Timings, render,
};
pub use text::{
    Color, ColorError, DrawnText, FontError, Fonts, LEAST_LABEL_MS, LabelLanguage, MOST_LABEL,
    MOST_LETTERS, Paint, TextError, TextMark,
};
pub use verify::{is_audible, is_track_audible, verify};
pub use watermark::{Anchor, Length, LengthError, MAX_LAYERS, Placement, Rectangle, Watermark};

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

/// Prepares libav once; every operation calls it by itself. Racing callers are fine.
///
/// # Errors
/// [`MediaCode::Internal`] when the linked libav lacks something that cannot be
/// done without, by name.
pub fn init() -> Result<(), MediaError> {
    av::init();
    let (_, needed) = av::missing();
    if needed.is_empty() {
        return Ok(());
    }
    Err(MediaError::new(
        MediaCode::Internal,
        format!("the linked libav lacks {}", needed.join(", ")),
    ))
}

/// What [`limit_allocations`] is without being called.
pub const DEFAULT_MAX_ALLOCATION: u64 = av::DEFAULT_MAX_ALLOCATION;

/// The most libav may take in one piece, in this process: a header that claims
/// gigabytes fails before any of them is touched. Frames of `limits.max_pixels`
/// have to fit, at up to 8 bytes a pixel.
pub fn limit_allocations(bytes: u64) {
    av::limit_allocations(bytes);
}

/// Closes every descriptor but the three standard ones. For a process that has opened none itself,
/// before it does anything else.
pub fn close_inherited() {
    av::close_inherited();
}

/// What this process is linked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// FFmpeg's own name of the release.
    pub ffmpeg: String,
    /// Version of libavformat.
    pub libavformat: String,
    /// Version of libavcodec.
    pub libavcodec: String,
    /// Version of libavfilter.
    pub libavfilter: String,
    /// Whether H.264 can be encoded.
    pub x264: bool,
    /// Whether HDR can be tone-mapped.
    pub zscale: bool,
    /// What filmlab can use and this build lacks, as `kind name`.
    pub missing: Vec<String>,
    /// Licence of the linked libraries as a whole.
    pub license: String,
}

/// Says what this process is linked with.
#[must_use]
pub fn build_info() -> BuildInfo {
    av::init();
    let build = av::build();
    BuildInfo {
        ffmpeg: build.release,
        libavformat: build.avformat,
        libavcodec: build.avcodec,
        libavfilter: build.avfilter,
        x264: av::has_encoder(c"libx264"),
        zscale: av::has_filter(c"zscale") && av::has_filter(c"tonemap"),
        missing: av::missing().0,
        license: build.license,
    }
}

/// Runs an operation; a panic in it becomes [`MediaCode::Internal`].
pub(crate) fn shielded<T>(work: impl FnOnce() -> Result<T, MediaError>) -> Result<T, MediaError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(MediaError::new(
            MediaCode::Internal,
            format!("media work panicked: {text}"),
        ))
    })
}
