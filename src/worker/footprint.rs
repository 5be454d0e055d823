//! The memory that a pass over a video is expected to take.
//!
//! Measured with `filmlab process`, 3.4 s of a moving, noisy test picture, peak resident size. See
//! the table in the tests.

use crate::media::Preset;

const MIB: f64 = (1 << 20) as f64;
/// libavcodec takes no more by itself: beyond, frames in flight cost memory and win little.
pub(super) const MOST_THREADS: usize = 16;

/// What a pass takes whatever its size: the program, demuxer, muxer, sound, block caches, x264's
/// tables.
const BASE: f64 = 96.0 * MIB;
/// 4:2:0 in 10 bit, which may come in. (In 8 bit it is half of that.)
const DECODED_BYTES_PER_PIXEL: f64 = 3.0;
/// References of a decoder, and what filters, poster, storyboard and we hold of them.
const DECODED_FRAMES: f64 = 12.0;
/// More for each thread, of which a decoder has a share only.
const DECODED_FRAMES_PER_THREAD: f64 = 0.5;

/// Bytes a pixel of x264's own: what it works on, and its tables for it.
const ENCODER: f64 = 11.0;
/// A frame that waits in the lookahead: the picture (1.5), its quarter planes (1), what was found.
const AHEAD: f64 = 3.3;
/// A frame that is referred to has half-pel planes besides.
const REFERENCE: f64 = 8.0;

/// Frames that x264 holds with a preset: waiting in its lookahead, and to refer to or to reorder.
fn held(preset: Preset) -> (f64, f64) {
    match preset {
        Preset::Ultrafast => (0.0, 1.0),
        Preset::Superfast => (0.0, 4.0),
        Preset::Veryfast => (10.0, 4.0),
        Preset::Faster => (20.0, 5.0),
        Preset::Fast => (30.0, 5.0),
        Preset::Medium => (40.0, 6.0),
        Preset::Slow => (50.0, 8.0),
        Preset::Slower => (60.0, 11.0),
        Preset::Veryslow => (60.0, 28.0),
    }
}

/// The bytes a pass is expected to take at its peak: `decoded` and `encoded` are pixels of one
/// frame.
pub(super) fn of_pass(decoded: u64, encoded: u64, threads: usize, preset: Preset) -> u64 {
    let threads = threads.clamp(1, MOST_THREADS) as f64;
    let (ahead, references) = held(preset);
    // With threads, one of them looks ahead by itself, and each encodes a frame.
    let (own_ahead, in_flight) = match threads {
        1.0 => (0.0, 0.0),
        _ => (4.0, threads),
    };
    let decoder = DECODED_BYTES_PER_PIXEL * (DECODED_FRAMES + DECODED_FRAMES_PER_THREAD * threads);
    let encoder = ENCODER + AHEAD * (ahead + own_ahead) + REFERENCE * (references + in_flight);
    // A float that is too large for it becomes the largest number.
    (BASE + decoder * decoded as f64 + encoder * encoded as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: u64 = 1920 * 1080;
    const UHD: u64 = 3840 * 2160;

    /// Pixels, preset, threads, MiB; HD in 10 bit, where more was measured.
    #[rustfmt::skip]
    const MEASURED: &[(u64, Preset, usize, u64)] = &[
        (640 * 360, Preset::Ultrafast, 1, 93),
        (640 * 360, Preset::Veryfast, 1, 109),
        (640 * 360, Preset::Medium, 1, 138),
        (1280 * 720, Preset::Ultrafast, 1, 112),
        (1280 * 720, Preset::Veryfast, 1, 167),
        (1280 * 720, Preset::Medium, 1, 261),
        (1280 * 720, Preset::Veryslow, 1, 446),
        (HD, Preset::Ultrafast, 1, 134),
        (HD, Preset::Veryfast, 1, 290),
        (HD, Preset::Medium, 1, 487),
        (UHD, Preset::Veryfast, 1, 695),
        (640 * 360, Preset::Ultrafast, 2, 95),
        (640 * 360, Preset::Veryfast, 2, 116),
        (640 * 360, Preset::Medium, 2, 144),
        (1280 * 720, Preset::Ultrafast, 2, 119),
        (1280 * 720, Preset::Veryfast, 2, 190),
        (1280 * 720, Preset::Medium, 2, 285),
        (1280 * 720, Preset::Veryslow, 2, 494),
        (HD, Preset::Ultrafast, 2, 147),
        (HD, Preset::Veryfast, 2, 343),
        (HD, Preset::Medium, 2, 534),
        (UHD, Preset::Veryfast, 2, 847),
        (640 * 360, Preset::Ultrafast, 8, 110),
        (640 * 360, Preset::Veryfast, 8, 135),
        (640 * 360, Preset::Medium, 8, 165),
        (1280 * 720, Preset::Ultrafast, 8, 176),
        (1280 * 720, Preset::Veryfast, 8, 257),
        (1280 * 720, Preset::Medium, 8, 365),
        (1280 * 720, Preset::Veryslow, 8, 579),
        (HD, Preset::Ultrafast, 8, 248),
        (HD, Preset::Veryfast, 8, 473),
        (HD, Preset::Medium, 8, 662),
        (UHD, Preset::Veryfast, 8, 1307),
    ];

    #[test]
    fn what_was_measured_fits_and_not_much_is_kept_free() {
        for &(pixels, preset, threads, mib) in MEASURED {
            let expected = of_pass(pixels, pixels, threads, preset) >> 20;
            assert!(
                (mib..=mib * 2).contains(&expected),
                "{pixels} pixels, {preset:?}, {threads} threads: {mib} MiB, expected {expected}"
            );
        }
    }

    #[test]
    fn it_follows_pixels_and_threads() {
        let cost = |decoded, encoded, threads| of_pass(decoded, encoded, threads, Preset::Medium);
        assert!(cost(HD, HD, 1) < cost(HD, HD, 16));
        assert_eq!(cost(HD, HD, 16), cost(HD, HD, 64));
        assert!(cost(UHD, UHD, 4) > 3 * cost(HD, HD, 4));
        assert!(cost(UHD, HD, 4) < cost(UHD, UHD, 4));
        assert_eq!(cost(u64::MAX, u64::MAX, 1), u64::MAX);
    }
}
