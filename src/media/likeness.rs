//! How much of a picture is left after it was encoded: structural similarity (SSIM) of two videos.

use super::av::{Decoder, DecoderOptions, Frame, Packet, Received, decoder_name};
use super::error::{MediaCode, MediaError, memory};
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::probe::{Opened, open};
use super::ratio::to_millis;
use super::watermark::Rectangle;

/// Every so many frames one is looked at: a figure to the third digit needs no more.
const STEP: u64 = 4;
/// Pixels of a block's side, as x264 and others have it.
const SIDE: usize = 8;
/// Frames are the same moment when their times are this near, in milliseconds.
const NEAR: u64 = 12;

/// The mean SSIM of the lightness of two videos, frame by frame; 1 is the same. The parts under
/// `marks` are left out. `None` where they cannot be compared: other sizes, formats or times.
///
/// # Errors
/// Those of [`super::probe()`], and `damaged_media`.
pub fn likeness(
    one: &dyn Input,
    other: &dyn Input,
    marks: &[Rectangle],
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Option<f64>, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        let mut one = Pictures::open(open(one, limits, &guard)?, limits)?;
        let mut other = Pictures::open(open(other, limits, &guard)?, limits)?;
        let (mut sum, mut count) = (0.0, 0u64);
        for number in 0.. {
            guard.check()?;
            if !(one.next()? && other.next()?) {
                break;
            }
            if number % STEP > 0 {
                continue;
            }
            if one.at_ms().abs_diff(other.at_ms()) > NEAR {
                return Ok(None);
            }
            let Some(alike) = compare(&one.frame, &other.frame, marks) else {
                return Ok(None);
            };
            sum += alike;
            count += 1;
        }
        Ok((count > 0).then(|| sum / count as f64))
    })
}

/// The decoded pictures of a video, one after the other.
struct Pictures {
    opened: Opened,
    decoder: Decoder,
    frame: Frame,
    packet: Packet,
    ended: bool,
}

impl Pictures {
    fn open(mut opened: Opened, limits: &Limits) -> Result<Self, MediaError> {
        let stream = &opened.video;
        let refused = |error| {
            MediaError::new(
                MediaCode::UnsupportedCodec,
                format!("the video cannot be decoded: {error}"),
            )
        };
        let options = DecoderOptions {
            threads: limits.threads,
            max_pixels: limits.max_pixels,
            strict: false,
        };
        let name = decoder_name(&stream.codec).unwrap_or_default();
        let params = opened.demuxer.params(stream.index).map_err(refused)?;
        let decoder = Decoder::open(name, Some(&params), stream.time_base, options);
        let index = stream.index;
        opened.demuxer.keep_only(&[index]);
        Ok(Self {
            decoder: decoder.map_err(refused)?,
            opened,
            frame: Frame::new().map_err(memory)?,
            packet: Packet::new().map_err(memory)?,
            ended: false,
        })
    }

    /// Decodes the next one; `false` at the end.
    fn next(&mut self) -> Result<bool, MediaError> {
        let damaged = |error| {
            MediaError::new(
                MediaCode::DamagedMedia,
                format!("a frame does not decode: {error}"),
            )
        };
        loop {
            match self.decoder.receive(&mut self.frame).map_err(damaged)? {
                Received::Item => return Ok(true),
                Received::End => return Ok(false),
                Received::Again if self.ended => return Ok(false),
                Received::Again => {}
            }
            if matches!(self.opened.demuxer.read(&mut self.packet), Ok(true)) {
                if self.packet.stream() == self.opened.video.index {
                    self.decoder.send(Some(&self.packet)).map_err(damaged)?;
                }
            } else {
                self.ended = true;
                self.decoder.send(None).map_err(damaged)?;
            }
        }
    }

    fn at_ms(&self) -> u64 {
        let base = self.opened.video.time_base;
        let begins = self.opened.video_begins().ticks(base);
        let at = self.frame.best_effort().unwrap_or(0);
        to_millis(at.saturating_sub(begins), base)
    }
}

/// The mean over all blocks that no mark touches.
fn compare(one: &Frame, other: &Frame, marks: &[Rectangle]) -> Option<f64> {
    let size = |frame: &Frame| (frame.width() as usize, frame.height() as usize);
    let (width, height) = size(one);
    if size(other) != (width, height) {
        return None;
    }
    let ((a, a_stride), (b, b_stride)) = (one.plane(0)?, other.plane(0)?);
    let marked = |x: usize, y: usize| {
        marks.iter().any(|mark| {
            let [left, top, wide, high] =
                [mark.x, mark.y, mark.width, mark.height].map(|side| side as usize);
            x < left + wide && left < x + SIDE && y < top + high && top < y + SIDE
        })
    };
    let (mut sum, mut count) = (0.0, 0u64);
    for y in (0..(height + 1).saturating_sub(SIDE)).step_by(SIDE) {
        for x in (0..(width + 1).saturating_sub(SIDE)).step_by(SIDE) {
            if marked(x, y) {
                continue;
            }
            let rows = (y..y + SIDE).map(|row| {
                let (a, b) = (row * a_stride + x, row * b_stride + x);
                (a..a + SIDE, b..b + SIDE)
            });
            let pairs = rows.filter_map(|(from, to)| Some((a.get(from)?, b.get(to)?)));
            sum += ssim(pairs);
            count += 1;
        }
    }
    (count > 0).then(|| sum / count as f64)
}

/// SSIM of one block, with the constants of Wang et al., 2004.
fn ssim<'a>(rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> f64 {
    const PIXELS: f64 = (SIDE * SIDE) as f64;
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let [mut a, mut b, mut aa, mut bb, mut ab] = [0u32; 5];
    for (one, other) in rows {
        for (one, other) in one.iter().zip(other) {
            let (one, other) = (u32::from(*one), u32::from(*other));
            a += one;
            b += other;
            aa += one * one;
            bb += other * other;
            ab += one * other;
        }
    }
    let mean = |sum: u32| f64::from(sum) / PIXELS;
    let (ma, mb) = (mean(a), mean(b));
    let variances = mean(aa) - ma * ma + mean(bb) - mb * mb;
    let covariance = mean(ab) - ma * mb;
    (2.0 * ma * mb + C1) * (2.0 * covariance + C2) / ((ma * ma + mb * mb + C1) * (variances + C2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(value: impl Fn(usize, usize) -> u8) -> Frame {
        let mut frame = Frame::video("yuv420p", 64, 32).unwrap();
        let (bytes, stride) = frame.plane_mut(0).unwrap();
        for (y, row) in bytes.chunks_mut(stride).enumerate() {
            for (x, at) in row.iter_mut().enumerate() {
                *at = value(x, y);
            }
        }
        frame
    }

    #[test]
    fn the_same_is_one_and_noise_is_less() {
        let picture = |x: usize, y: usize| (x * 3 + y * 5) as u8 / 2 + 40;
        let one = frame(picture);
        assert!((compare(&one, &frame(picture), &[]).unwrap() - 1.0).abs() < 1e-9);
        let noisy = |by: u8| frame(move |x, y| picture(x, y) + ((x * 7 + y * 13) % 5) as u8 * by);
        let [little, much] = [noisy(1), noisy(9)].map(|it| compare(&one, &it, &[]).unwrap());
        assert!(
            1.0 > little && little > 0.8 && little > much + 0.1,
            "{little} {much}"
        );
    }

    #[test]
    fn what_lies_under_a_mark_does_not_count() {
        let one = frame(|x, _| x as u8);
        let other = frame(|x, y| if x < 20 && y < 10 { 255 } else { x as u8 });
        assert!(compare(&one, &other, &[]).unwrap() < 0.9);
        let mark = Rectangle {
            x: 0,
            y: 0,
            width: 20,
            height: 10,
        };
        assert!(compare(&one, &other, &[mark]).unwrap() > 1.0 - 1e-9);
    }
}
