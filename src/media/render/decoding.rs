//! Decoders of pictures, with the threads that they need.

use super::graph::VideoSpec;
use crate::media::av::{Decoder, DecoderOptions, decoder_name};
use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::Limits;
use crate::media::probe::Opened;

/// What it takes to decode a pixel, in the unit of [`encoding`]: H.264 and HEVC took 2, VP9 3.
const DECODING: f64 = 3.0;

/// What it takes to encode a pixel. Measured on 720p with one encoder each: of the time that
/// `veryfast` took (10), `ultrafast` took 4, `superfast` 7, `faster` 20 and `slow` 50.
fn encoding(preset: &str) -> f64 {
    match preset {
        "ultrafast" => 4.0,
        "superfast" => 7.0,
        "veryfast" => 10.0,
        _ => 20.0,
    }
}

/// Threads for a decoder that feeds an encoder: its share of all `threads`, which are 0 for one
/// a core. `decoded` and `encoded` are pixels of one frame.
///
/// Each thread of a decoder holds frames, and one that waits for the encoder wins nothing: on
/// two cores, 720p with `veryfast` took 8 MiB less and was not slower.
fn share(threads: usize, decoded: u64, encoded: u64, preset: &str) -> usize {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let decoding = DECODING * decoded as f64;
    let share = decoding / (decoding + encoding(preset) * encoded as f64).max(1.0);
    ((threads as f64 * share).ceil() as usize).clamp(1, threads)
}

/// A decoder that feeds an encoder.
pub(super) fn beside_encoder(
    input: &Opened,
    spec: &VideoSpec,
    preset: &str,
    limits: &Limits,
) -> Result<Decoder, MediaError> {
    let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let decoded = pixels(input.video.width, input.video.height);
    let encoded = pixels(spec.width, spec.height);
    let threads = share(spec.threads, decoded, encoded, preset);
    open(input, threads, limits)
}

pub(super) fn open(input: &Opened, threads: usize, limits: &Limits) -> Result<Decoder, MediaError> {
    let stream = &input.video;
    let name = decoder_name(&stream.codec).ok_or_else(|| {
        MediaError::new(
            MediaCode::UnsupportedCodec,
            format!("{} is not supported", stream.codec),
        )
    })?;
    let options = DecoderOptions {
        threads,
        max_pixels: limits.max_pixels,
        strict: input.strict,
    };
    input
        .demuxer
        .params(stream.index)
        .and_then(|params| Decoder::open(name, Some(&params), stream.time_base, options))
        .map_err(|error| {
            MediaError::new(
                MediaCode::UnsupportedCodec,
                format!("this {} stream cannot be decoded: {error}", stream.codec),
            )
            .at("decode")
            .on_stream(stream.index)
            .with_log()
        })
}

/// The decoder of pictures whose transparency Matroska keeps beside them.
pub(super) fn of_transparency(input: &Opened) -> Option<&'static str> {
    let codec = input.video.codec.as_str();
    matches!(codec, "vp8" | "vp9")
        .then(|| decoder_name(codec))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::share;

    const HD: u64 = 1280 * 720;
    const UHD: u64 = 3840 * 2160;

    #[test]
    fn a_decoder_has_the_threads_that_keep_it_ahead_of_the_encoder() {
        assert_eq!(share(1, HD, HD, "veryfast"), 1);
        assert_eq!(share(2, HD, HD, "veryfast"), 1);
        assert_eq!(share(8, HD, HD, "veryfast"), 2);
        assert_eq!(share(8, HD, HD, "medium"), 2);
        assert_eq!(share(8, HD, HD, "ultrafast"), 4);
        // Much is decoded for little that is encoded.
        assert_eq!(share(2, UHD, HD, "veryfast"), 2);
        assert_eq!(share(2, 0, 0, "veryfast"), 1);
    }
}
