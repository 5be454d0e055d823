//! Choosing a poster among the frames that pass by, and writing it as JPEG.

use std::io::Write;
use std::path::Path;

use tempfile::TempPath;

use crate::media::av::{AvError, Encoder, Frame, Graph, Packet, Received, VideoSource};
use crate::media::color::{Color, FULL, SMPTE170M};
use crate::media::error::{MediaCode, MediaError};
use crate::media::ratio::Ratio;
use crate::staging::hidden_beside;

/// Below this mean luma (limited range, black is 16) a frame counts as black.
const DARK: f32 = 30.0;
/// Below this deviation a frame is one colour: a fade, a title background.
const FLAT: f32 = 6.0;
/// JPEG quality on libav's scale: visually lossless for a preview.
const QUALITY: u8 = 3;

/// Mean and standard deviation of luma, sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Luma {
    pub mean: f32,
    pub deviation: f32,
}

/// Looks at every eighth pixel of every eighth row: enough to tell black from
/// picture, and cheap on a 4K frame.
pub(crate) fn luma(frame: &Frame) -> Option<Luma> {
    let (data, stride) = frame.plane(0)?;
    let width = frame.width() as usize;
    let (mut count, mut sum, mut squares) = (0f64, 0f64, 0f64);
    for row in data.chunks(stride).step_by(8) {
        for value in row.iter().take(width).step_by(8) {
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
    Some(Luma {
        mean: mean as f32,
        deviation: deviation as f32,
    })
}

/// Keeps a reference to the best frame so far.
pub(crate) struct PosterPicker {
    /// From here on the first good frame is taken.
    wanted_ms: u64,
    best: Option<(Frame, f32, u64)>,
    settled: bool,
}

impl PosterPicker {
    /// Prefers a frame an eighth into the video: past the fade-in, before the
    /// story is told.
    pub(crate) fn new(duration_ms: u64) -> Self {
        Self {
            wanted_ms: duration_ms / 8,
            best: None,
            settled: false,
        }
    }

    /// Whether no later frame will be taken.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Considers a frame shown at `at_ms`.
    pub(crate) fn consider(&mut self, frame: &Frame, at_ms: u64) -> Result<(), AvError> {
        if self.settled {
            return Ok(());
        }
        let Some(luma) = luma(frame) else {
            return Ok(());
        };
        let good = luma.mean > DARK && luma.deviation > FLAT;
        let score = luma.deviation + if luma.mean > DARK { 100.0 } else { 0.0 };
        // Early frames are kept only in case nothing better follows.
        let better = match &self.best {
            None => true,
            Some((_, best, _)) => score > best * 1.25,
        };
        let arrived = at_ms >= self.wanted_ms && good;
        if arrived || better {
            self.best = Some((frame.share()?, score, at_ms));
        }
        self.settled = arrived;
        Ok(())
    }

    /// The choice and its time in milliseconds.
    pub(crate) fn take(self) -> Option<(Frame, u64)> {
        self.best.map(|(frame, _, at_ms)| (frame, at_ms))
    }
}

/// Encodes a frame as JPEG (full range, BT.601, as JFIF wants it).
pub(crate) fn encode(frame: Frame, color: Color) -> Result<Vec<u8>, AvError> {
    let mut frame = frame;
    frame.set_pts(0);
    let mut graph = Graph::new(1)?;
    let source = graph.video_source(VideoSource::of(&frame, Ratio::new(1, 25), None))?;
    let scale = graph.then(
        source,
        c"scale",
        &[
            (c"in_color_matrix", color.sws_matrix()),
            (c"in_range", "limited"),
            (c"out_color_matrix", "bt601"),
            (c"out_range", "full"),
            (c"flags", "accurate_rnd"),
        ],
    )?;
    let format = graph.then(scale, c"format", &[(c"pix_fmts", "yuvj420p")])?;
    let sink = graph.video_sink(format)?;
    graph.configure()?;
    graph.push(source, Some(&mut frame))?;
    graph.push(source, None)?;
    let mut full = Frame::new()?;
    if graph.pull(sink, &mut full)? != Received::Item {
        return Err(AvError::invalid("av_buffersink_get_frame"));
    }
    let color = Color {
        matrix: SMPTE170M,
        range: FULL,
        ..color
    };
    full.set_color(color);
    full.forget_origin();
    let mut encoder = Encoder::jpeg(full.width(), full.height(), color, QUALITY)?;
    let mut packet = Packet::new()?;
    encoder.send(Some(&full))?;
    encoder.send(None)?;
    if encoder.receive(&mut packet)? != Received::Item {
        return Err(AvError::invalid("avcodec_receive_packet"));
    }
    Ok(packet.bytes().to_vec())
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
