//! Choosing a poster among the frames that pass by, and writing it as JPEG.

use std::io::Write;
use std::path::Path;

use tempfile::TempPath;

use super::still;
use crate::media::av::{AvError, Frame};
use crate::media::color::Color;
use crate::media::error::{MediaCode, MediaError};
use crate::staging::hidden_beside;

/// Below this mean luma (limited range, black is 16) a frame counts as black.
const DARK: f32 = 30.0;
/// Below this deviation a frame is one colour: a fade, a title background.
const FLAT: f32 = 6.0;
/// JPEG quality on libav's scale: visually lossless for a preview.
const QUALITY: u8 = 3;

/// A frame of whose pixels more than this share has as good as one lightness is a title card, a
/// fade or a blank screen: it shows nothing of the video.
const BLANK: f32 = 0.9;

/// Lightness of a frame, sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Luma {
    pub mean: f32,
    pub deviation: f32,
    /// Share of the pixels that have the most usual lightness, give or take a few steps.
    pub uniform: f32,
}

impl Luma {
    /// Whether there is something to see.
    fn has_content(self) -> bool {
        self.mean > DARK && self.deviation > FLAT && self.uniform < BLANK
    }

    /// Light above black.
    fn light(self) -> f32 {
        (self.mean - 16.0).max(0.0)
    }
}

/// Looks at every eighth pixel of every eighth row: enough to tell black from
/// picture, and cheap on a 4K frame.
pub(crate) fn luma(frame: &Frame) -> Option<Luma> {
    let (data, stride) = frame.plane(0)?;
    let width = frame.width() as usize;
    let (mut count, mut sum, mut squares) = (0f64, 0f64, 0f64);
    // Bins of 8 steps; three neighbours are one lightness.
    let mut bins = [0u32; 32];
    for row in data.chunks(stride).step_by(8) {
        for value in row.iter().take(width).step_by(8) {
            bins[usize::from(*value) / 8] += 1;
            let value = f64::from(*value);
            count += 1.0;
            sum += value;
            squares += value * value;
        }
    }
    if count == 0.0 {
        return None;
    }
    let mean = sum / count;
    let deviation = (squares / count - mean * mean).max(0.0).sqrt();
    let uniform = bins
        .windows(3)
        .map(|bins| bins.iter().sum::<u32>())
        .max()
        .unwrap_or(0);
    Some(Luma {
        mean: mean as f32,
        deviation: deviation as f32,
        uniform: (f64::from(uniform) / count) as f32,
    })
}

/// How good a choice a frame is, better ones last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Black, or of one colour.
    Blank,
    /// Before the wanted place.
    Early,
    Wanted,
}

/// Keeps a reference to the best frame so far.
pub(crate) struct PosterPicker {
    /// From here on the first good frame is taken.
    wanted_ms: u64,
    best: Option<Choice>,
}

struct Choice {
    frame: Frame,
    at_ms: u64,
    rank: Rank,
    luma: Luma,
}

impl PosterPicker {
    /// Prefers a frame an eighth into the video: past the fade-in, before the
    /// story is told.
    pub(crate) fn new(duration_ms: u64) -> Self {
        Self {
            wanted_ms: duration_ms / 8,
            best: None,
        }
    }

    /// Whether a frame from the wanted place with something to see is there. A later one still
    /// takes its place if it is more than twice as light: this one was in a fade-in.
    pub(crate) fn is_content(&self) -> bool {
        self.best
            .as_ref()
            .is_some_and(|best| best.rank == Rank::Wanted)
    }

    /// Considers a frame shown at `at_ms`.
    pub(crate) fn consider(&mut self, frame: &Frame, at_ms: u64) -> Result<(), AvError> {
        let Some(luma) = luma(frame) else {
            return Ok(());
        };
        let rank = match luma.has_content() {
            false => Rank::Blank,
            true if at_ms < self.wanted_ms => Rank::Early,
            true => Rank::Wanted,
        };
        let better = match &self.best {
            None => true,
            Some(best) if best.rank != rank => rank > best.rank,
            // Rather anything than nothing, and rather a shade than black.
            Some(best) if rank == Rank::Blank => {
                let worth = |luma: Luma| luma.deviation + luma.light() / 16.0;
                worth(luma) > worth(best.luma) * 1.25 && luma.uniform <= best.luma.uniform
            }
            Some(best) => luma.light() > best.luma.light() * 2.0,
        };
        if better {
            self.best = Some(Choice {
                frame: frame.share()?,
                at_ms,
                rank,
                luma,
            });
        }
        Ok(())
    }

    /// The choice and its time in milliseconds.
    pub(crate) fn take(self) -> Option<(Frame, u64)> {
        self.best.map(|best| (best.frame, best.at_ms))
    }
}

/// Encodes a frame as JPEG.
pub(crate) fn encode(frame: Frame, color: Color) -> Result<Vec<u8>, AvError> {
    let full = still::full_range(frame, color, None)?;
    still::jpeg(&full, color, QUALITY)
}

/// A poster on its way to its final name; removed on drop unless kept.
pub(crate) struct StagedPoster<'a> {
    target: &'a Path,
    /// Until it is published.
    hidden: Option<TempPath>,
    kept: bool,
}

impl<'a> StagedPoster<'a> {
    pub(crate) fn write(target: &'a Path, jpeg: &[u8]) -> Result<Self, MediaError> {
        let (mut file, hidden) = hidden_beside(target).map_err(|error| unwritable(&error))?;
        file.write_all(jpeg).map_err(|error| unwritable(&error))?;
        Ok(Self {
            target,
            hidden: Some(hidden),
            kept: false,
        })
    }

    /// Gives it its final name. It still goes away if the video does not follow.
    pub(crate) fn publish(&mut self) -> Result<(), MediaError> {
        match self.hidden.take() {
            Some(hidden) => hidden
                .persist(self.target)
                .map_err(|error| unwritable(&error.error)),
            None => Ok(()),
        }
    }

    /// The video stands as well.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for StagedPoster<'_> {
    fn drop(&mut self) {
        if !self.kept && self.hidden.is_none() {
            let _ = std::fs::remove_file(self.target);
        }
    }
}

fn unwritable(error: &std::io::Error) -> MediaError {
    MediaError::new(
        MediaCode::OutputUnwritable,
        format!("the poster cannot be written: {error}"),
    )
}
