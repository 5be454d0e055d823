//! Which codecs are decoded, and the parameters a stream carries.

use ffmpeg_next::ffi;

use super::error::{AvError, check};
use super::{int_field, text};

/// Codec name → the decoder that serves it. Everything else is refused, also
/// while libav probes: an exotic decoder is attack surface for no use.
const DECODERS: &[(&str, &str)] = &[
    ("h264", "h264"),
    ("hevc", "hevc"),
    ("vp8", "vp8"),
    ("vp9", "vp9"),
    // FFmpeg's own av1 decoder only drives hardware.
    ("av1", "libdav1d"),
    ("mpeg4", "mpeg4"),
    ("mjpeg", "mjpeg"),
    ("prores", "prores"),
    ("gif", "gif"),
    ("mpeg1video", "mpeg1video"),
    ("mpeg2video", "mpeg2video"),
    ("h263", "h263"),
    ("flv1", "flv"),
    ("dvvideo", "dvvideo"),
    ("msmpeg4v2", "msmpeg4v2"),
    // libav's name for the third version, which most call DivX 3.
    ("msmpeg4v3", "msmpeg4"),
    ("dnxhd", "dnxhd"),
    ("aac", "aac"),
    ("mp3", "mp3float"),
    ("opus", "opus"),
    ("vorbis", "vorbis"),
    ("flac", "flac"),
    ("ac3", "ac3"),
    ("eac3", "eac3"),
    ("mp2", "mp2float"),
    ("amr_nb", "amrnb"),
    ("amr_wb", "amrwb"),
    ("alac", "alac"),
    ("aac_latm", "aac_latm"),
    ("dts", "dca"),
    ("truehd", "truehd"),
    ("pcm_bluray", "pcm_bluray"),
    ("adpcm_ima_wav", "adpcm_ima_wav"),
    ("adpcm_ima_qt", "adpcm_ima_qt"),
    ("adpcm_ms", "adpcm_ms"),
    ("pcm_s16le", "pcm_s16le"),
    ("pcm_s16be", "pcm_s16be"),
    ("pcm_s24le", "pcm_s24le"),
    ("pcm_s24be", "pcm_s24be"),
    ("pcm_s32le", "pcm_s32le"),
    ("pcm_s32be", "pcm_s32be"),
    ("pcm_f32le", "pcm_f32le"),
    ("pcm_f32be", "pcm_f32be"),
    ("pcm_u8", "pcm_u8"),
    ("pcm_s8", "pcm_s8"),
    ("pcm_alaw", "pcm_alaw"),
    ("pcm_mulaw", "pcm_mulaw"),
];

/// The decoder for a codec we accept.
pub(crate) fn decoder_name(codec: &str) -> Option<&'static str> {
    DECODERS
        .iter()
        .find(|(name, _)| *name == codec)
        .map(|(_, decoder)| *decoder)
}

/// Still pictures; their format is told by their first bytes.
const PICTURES: &[&str] = &["png", "webp"];

/// Every decoder that may be opened.
pub(super) fn decoders() -> impl Iterator<Item = &'static str> {
    let streams = DECODERS.iter().map(|(_, decoder)| *decoder);
    streams.chain(PICTURES.iter().copied())
}

/// The list libav's `codec_whitelist` option takes.
pub(super) fn whitelist() -> String {
    let names: Vec<&str> = DECODERS.iter().map(|(_, decoder)| *decoder).collect();
    names.join(",")
}

/// Name of a codec and of its profile.
pub(super) fn describe(codec_id: i32, profile: i32) -> (String, Option<String>) {
    let mut descriptor = std::ptr::null();
    loop {
        // SAFETY: iterates libav's static table; the pointer comes from it.
        descriptor = unsafe { ffi::avcodec_descriptor_next(descriptor) };
        if descriptor.is_null() {
            return ("unknown".to_owned(), None);
        }
        // SAFETY: not null, static.
        if unsafe { int_field!(descriptor, id) } == codec_id {
            break;
        }
    }
    // SAFETY: static data; the profile table ends at FF_PROFILE_UNKNOWN (-99).
    unsafe {
        let mut entry = (*descriptor).profiles;
        let mut name = None;
        while !entry.is_null() && (*entry).profile != -99 {
            if (*entry).profile == profile {
                name = Some(text((*entry).name));
                break;
            }
            entry = entry.add(1);
        }
        (text((*descriptor).name), name)
    }
}

/// Owns an `AVCodecParameters`.
pub(crate) struct CodecParams {
    pointer: *mut ffi::AVCodecParameters,
}

impl CodecParams {
    /// A copy of another owner's parameters.
    ///
    /// # Safety
    /// `source` points to valid parameters.
    pub(super) unsafe fn copy(source: *const ffi::AVCodecParameters) -> Result<Self, AvError> {
        // SAFETY: alloc takes nothing; the copy's source is the caller's promise.
        unsafe {
            let pointer = ffi::avcodec_parameters_alloc();
            if pointer.is_null() {
                return Err(AvError::memory("avcodec_parameters_alloc"));
            }
            let params = Self { pointer };
            check(
                ffi::avcodec_parameters_copy(pointer, source),
                "avcodec_parameters_copy",
            )?;
            Ok(params)
        }
    }

    /// The decoder's configuration as the container keeps it; may be empty.
    pub(crate) fn configuration(&self) -> &[u8] {
        // SAFETY: the parameters are ours and keep `extradata` as long as they
        // live; it has `extradata_size` bytes.
        unsafe {
            let length = usize::try_from((*self.pointer).extradata_size).unwrap_or(0);
            if (*self.pointer).extradata.is_null() || length == 0 {
                return &[];
            }
            std::slice::from_raw_parts((*self.pointer).extradata, length)
        }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVCodecParameters {
        self.pointer
    }
}

impl Drop for CodecParams {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::avcodec_parameters_free(&mut self.pointer) };
    }
}
