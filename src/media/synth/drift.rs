//! A slow camera move into a still frame.

use crate::media::av::{AvError, Frame};

/// Relative growth per second. Slow enough to look meant, fast enough to be
/// seen as motion in every second.
const ZOOM: f64 = 0.05;
/// The view's centre wanders by this share of the frame.
const WANDER: f64 = 0.02;
/// More would wait for the encoder.
const MOST_THREADS: usize = 4;

/// The view of `still` after `seconds`; at 0 it is the still itself.
pub(super) fn into(still: &Frame, seconds: f64) -> Result<Frame, AvError> {
    let (width, height) = (still.width(), still.height());
    let mut moved = Frame::video("yuv420p", width, height)?;
    let zoom = 1.0 + ZOOM * seconds;
    // Within what the zoom leaves free, so no edge is ever shown.
    let free = (1.0 - 1.0 / zoom) / 2.0;
    let (dx, dy) = (
        (WANDER * (seconds * 0.9).sin()).clamp(-free, free),
        (WANDER * (seconds * 0.7).sin()).clamp(-free, free),
    );
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS);
    for plane in 0..3 {
        let (source, source_stride) = still.plane(plane).ok_or(AvError::invalid("plane"))?;
        let (w, h) = if plane == 0 {
            (width as usize, height as usize)
        } else {
            (width.div_ceil(2) as usize, height.div_ceil(2) as usize)
        };
        let columns = taps(w, zoom, dx);
        let rows = taps(h, zoom, dy);
        let (target, stride) = moved.plane_mut(plane)?;
        let draw = |target: &mut [u8], rows: &[Tap]| {
            for (target, (top, bottom, v)) in target.chunks_mut(stride).zip(rows) {
                let upper = &source[top * source_stride..];
                let lower = &source[bottom * source_stride..];
                for (pixel, (left, right, u)) in target.iter_mut().zip(&columns) {
                    let mix = |line: &[u8]| {
                        u32::from(line[*left]) * (256 - u) + u32::from(line[*right]) * u
                    };
                    *pixel = ((mix(upper) * (256 - v) + mix(lower) * v + (1 << 15)) >> 16) as u8;
                }
            }
        };
        // A build for tests takes 50 ms a picture of 720 lines.
        let piece = h.div_ceil(threads);
        std::thread::scope(|scope| {
            for (target, rows) in target.chunks_mut(piece * stride).zip(rows.chunks(piece)) {
                scope.spawn(|| draw(target, rows));
            }
        });
    }
    Ok(moved)
}

/// For one position: its two neighbours in the still and the weight of the
/// second, in 1/256.
type Tap = (usize, usize, u32);

fn taps(length: usize, zoom: f64, shift: f64) -> Vec<Tap> {
    let last = length.saturating_sub(1);
    let center = length as f64 / 2.0;
    (0..length)
        .map(|at| {
            let position = center + (at as f64 + 0.5 - center) / zoom + shift * length as f64 - 0.5;
            let position = position.clamp(0.0, last as f64);
            let left = position.floor() as usize;
            (
                left,
                (left + 1).min(last),
                ((position - left as f64) * 256.0) as u32,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zero_is_the_still_itself() {
        for length in [2, 7, 640] {
            for (at, (left, _, weight)) in taps(length, 1.0, 0.0).iter().enumerate() {
                assert_eq!((*left, *weight), (at, 0));
            }
        }
    }

    #[test]
    fn views_stay_inside() {
        for (left, right, weight) in taps(100, 1.3, 0.2) {
            assert!(left < 100 && right < 100 && weight < 256);
        }
    }
}
