//! Looks at decoded frames: how long does the picture stay black, or still?

use crate::media::av::Frame;
use crate::media::error::{MediaCode, MediaError};
use crate::media::ratio::{Ratio, to_millis};

/// Every eighth pixel of every eighth row: enough to see a change, and cheap.
const STEP: usize = 8;
/// Mean luma up to which a picture is black (limited range: black is 16) and
/// how far its pixels may stray from that on average.
const BLACK: f32 = 24.0;
const FLAT: f32 = 3.0;
/// Mean distance up to which two pictures are the same. An encoder's own
/// unrest at key frames stays below; a slow camera move is past it in a second.
const SAME: f32 = 1.0;

/// Longest stretches, in the time base of the frames.
#[derive(Default)]
pub(crate) struct Watch {
    black: Stretch,
    frozen: Stretch,
    /// The picture others are compared with: the first of a still stretch.
    anchor: Vec<u8>,
    last: i64,
}

#[derive(Default)]
struct Stretch {
    since: Option<i64>,
    longest: i64,
}

impl Stretch {
    fn go_on(&mut self, at: i64) {
        let since = *self.since.get_or_insert(at);
        self.longest = self.longest.max(at - since);
    }
}

impl Watch {
    /// Looks at a frame shown at `at`; other formats than 8-bit 4:2:0 are not judged.
    pub(crate) fn see(&mut self, frame: &Frame, at: i64) {
        let Some((data, stride)) = frame.plane(0) else {
            return;
        };
        let width = frame.width() as usize;
        let sample: Vec<u8> = data
            .chunks(stride)
            .step_by(STEP)
            .flat_map(|row| row.iter().take(width).step_by(STEP))
            .copied()
            .collect();
        // After a seek time jumps; a stretch does not reach across.
        if at <= self.last {
            self.black.since = None;
            self.anchor.clear();
        }
        self.last = at;
        if is_black(&sample) {
            self.black.go_on(at);
        } else {
            // A frame stays until the next one comes.
            if self.black.since.is_some() {
                self.black.go_on(at);
            }
            self.black.since = None;
        }
        let same = distance(&self.anchor, &sample).is_some_and(|distance| distance <= SAME);
        if self.frozen.since.is_some() && !self.anchor.is_empty() {
            self.frozen.go_on(at);
        }
        if !same {
            self.frozen.since = Some(at);
            self.anchor = sample;
        }
    }

    /// Longest black and longest still stretch in milliseconds, the last frame
    /// being shown for `tail`.
    pub(crate) fn longest_ms(&self, base: Ratio, tail: i64) -> (u64, u64) {
        let until_end = |stretch: &Stretch| {
            let open = stretch.since.map_or(0, |since| self.last + tail - since);
            to_millis(stretch.longest.max(open), base)
        };
        (until_end(&self.black), until_end(&self.frozen))
    }
}

/// Neither black nor still for longer than allowed; all in milliseconds.
pub(crate) fn require_lively(
    found: Option<(u64, u64)>,
    most: (Option<u64>, Option<u64>),
) -> Result<(), MediaError> {
    let Some((black, frozen)) = found else {
        return Ok(());
    };
    for (what, code, found, most) in [
        ("black", MediaCode::PictureBlack, black, most.0),
        ("still", MediaCode::PictureFrozen, frozen, most.1),
    ] {
        if let Some(most) = most.filter(|most| found > *most) {
            return Err(MediaError::new(
                code,
                format!("the picture stays {what} for {found} ms, {most} are allowed"),
            ));
        }
    }
    Ok(())
}

fn is_black(sample: &[u8]) -> bool {
    let count = sample.len().max(1) as f32;
    let mean = sample.iter().map(|value| f32::from(*value)).sum::<f32>() / count;
    let stray = sample
        .iter()
        .map(|value| (f32::from(*value) - mean).abs())
        .sum::<f32>()
        / count;
    mean <= BLACK && stray <= FLAT
}

fn distance(before: &[u8], now: &[u8]) -> Option<f32> {
    if before.is_empty() || before.len() != now.len() {
        return None;
    }
    let sum: u64 = before
        .iter()
        .zip(now)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    Some(sum as f32 / now.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(luma: impl Fn(usize, usize) -> u8) -> Frame {
        let mut frame = Frame::video("yuv420p", 64, 64).unwrap();
        let (data, stride) = frame.plane_mut(0).unwrap();
        for (y, row) in data.chunks_mut(stride).enumerate() {
            for (x, value) in row.iter_mut().take(64).enumerate() {
                *value = luma(x, y);
            }
        }
        frame
    }

    #[test]
    fn stretches_are_measured_from_their_first_frame_to_the_next_other_one() {
        let mut watch = Watch::default();
        // 0–3 moving, 4–9 black (and therefore still), 10–12 moving.
        for at in 0..13i64 {
            let black = (4..10).contains(&at);
            let picture = frame(|x, _| {
                if black {
                    16
                } else {
                    (x as u8).wrapping_add(20 * at as u8)
                }
            });
            watch.see(&picture, at * 100);
        }
        assert_eq!(watch.longest_ms(Ratio::MILLIS, 100), (600, 600));
    }

    #[test]
    fn slow_motion_is_not_still_and_the_end_counts() {
        let mut watch = Watch::default();
        for at in 0..10i64 {
            watch.see(&frame(|x, y| (x + y + at as usize) as u8), at * 100);
        }
        // Each pixel moves by one a frame: the same for one frame, then not.
        assert!(watch.longest_ms(Ratio::MILLIS, 100).1 <= 200);
        for at in 10..20i64 {
            watch.see(&frame(|x, _| x as u8 * 2), at * 100);
        }
        assert_eq!(watch.longest_ms(Ratio::MILLIS, 100), (0, 1000));
    }
}
