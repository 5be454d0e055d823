//! A decoded picture.

use super::picture::exif::Orientation;

/// Straight-alpha RGBA, 8 bits, rows without padding.
#[derive(Clone)]
pub(crate) struct Image {
    pub width: u32,
    pub height: u32,
    pub rgba: Vec<u8>,
}

impl Image {
    pub(crate) fn turned(self, orientation: Orientation) -> Self {
        let Self {
            width,
            height,
            rgba,
        } = self;
        let (width, height, rgba) = orientation.apply(width, height, rgba);
        Self {
            width,
            height,
            rgba,
        }
    }
}
