//! What a filter graph must deliver.

use crate::media::av::Frame;
use crate::media::color::Color;
use crate::media::image::Image;
use crate::media::probe::Crop;
use crate::media::profile::{Background, Deinterlace};
use crate::media::ratio::Ratio;

/// What the graph must deliver whatever comes in.
#[derive(Clone)]
pub(crate) struct VideoSpec {
    pub width: u32,
    pub height: u32,
    /// Clockwise, as in the probe.
    pub rotation: u16,
    pub flipped: bool,
    /// The part of a coded picture that the container shows, and the size of the
    /// pictures it is meant for.
    pub crop: Option<(Crop, (u32, u32))>,
    /// Thin out to this rate.
    pub fps: Option<Ratio>,
    pub tone_map: bool,
    pub deinterlace: Deinterlace,
    pub background: Background,
    /// The container's pixel shape; decoders do not always repeat it.
    pub sample_aspect: Ratio,
    /// Colours of the result.
    pub color: Color,
    pub overlay: Option<Overlay>,
    pub threads: usize,
}

impl VideoSpec {
    /// What is cut out of a frame. One of another size, in mid-stream, is shown whole:
    /// the container's numbers are not about it.
    pub(super) fn crop_of(&self, frame: &Frame) -> Option<Crop> {
        let size = (frame.width(), frame.height());
        self.crop
            .filter(|(_, meant)| *meant == size)
            .map(|(crop, _)| crop)
    }

    /// The size of what is shown of a frame.
    pub(super) fn visible(&self, frame: &Frame) -> (u32, u32) {
        self.crop_of(frame)
            .map_or((frame.width(), frame.height()), |crop| {
                (crop.width, crop.height)
            })
    }
}

/// A picture that moves over the frames, already at its final size. Marks that
/// stand still are blended later, see `render::marks`.
#[derive(Clone)]
pub(crate) struct Overlay {
    pub image: Image,
    /// Expressions are constants of ours with numbers in them, never text from
    /// outside.
    pub x: String,
    pub y: String,
}
