//! Pictures in SVG: read within bounds, drawn at the size that is needed.
//!
//! Nothing outside the file is opened: no other files, no addresses, no pictures inside. What would
//! come out differently from what its maker saw is refused by name, not left out.

mod cost;
mod scan;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

use super::error::{MediaCode, MediaError};
use super::image::Image;

/// Bytes of a file. Logos have some kilobytes; a label of 200 letters has 100 KB at most.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// The longer side that a drawing is said to have at least and at most: it has no pixels of its own,
/// and these give its proportions to a tenth of a percent.
const SIDES: (f32, f32) = (1000.0, 16_384.0);

/// A drawing, read and found to be within bounds.
pub(crate) struct Drawing {
    tree: Tree,
    /// As [`SIDES`] has it.
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Whether it may be an SVG: text that begins with markup and soon has the element.
pub(crate) fn is_svg(head: &[u8]) -> bool {
    let head = &head[..head.len().min(8 << 10)];
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let begin = text.iter().position(|byte| !byte.is_ascii_whitespace());
    let named = || has(text, b":svg") && has(text, b"http://www.w3.org/2000/svg");
    begin.is_some_and(|begin| text[begin] == b'<') && (has(text, b"<svg") || named())
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Drawing {
    /// Reads a file.
    ///
    /// # Errors
    /// `damaged_media`: it cannot be read, or has what is not drawn. `too_many_pixels`: drawing it
    /// would take too long.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, MediaError> {
        let unfit = |why: String| MediaError::new(MediaCode::DamagedMedia, why).at("picture");
        if bytes.len() > MOST_BYTES {
            return Err(unfit(format!(
                "an SVG picture has at most {} KiB",
                MOST_BYTES >> 10
            )));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| unfit("an SVG picture must be written in UTF-8".to_owned()))?;
        scan::scan(text).map_err(unfit)?;
        let options = Options {
            // Whatever the scan might have missed: nothing is opened.
            image_href_resolver: ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..Options::default()
        };
        let tree = Tree::from_str(text, &options)
            .map_err(|error| unfit(format!("the SVG picture cannot be read: {error}")))?;
        cost::hold(&tree)?;
        Self::of(tree).ok_or_else(|| unfit("the SVG picture has no usable size".to_owned()))
    }

    fn of(tree: Tree) -> Option<Self> {
        let (width, height) = (tree.size().width(), tree.size().height());
        let longer = width.max(height);
        let factor = longer.clamp(SIDES.0, SIDES.1) / longer;
        let side = |side: f32| Some((side * factor).round() as u32).filter(|side| *side > 0);
        let sides = (side(width)?, side(height)?);
        Some(Self {
            width: sides.0,
            height: sides.1,
            tree,
        })
    }

    /// Draws it as large as it fits into these pixels, in their middle.
    ///
    /// # Errors
    /// `too_many_pixels`: no picture of that size can be held.
    pub(crate) fn draw(&self, width: u32, height: u32) -> Result<Image, MediaError> {
        let mut pixels = Pixmap::new(width, height).ok_or_else(too_large)?;
        let size = self.tree.size();
        let (across, down) = (width as f32 / size.width(), height as f32 / size.height());
        let factor = across.min(down);
        let middle = |space: f32, side: f32| (space - side * factor) / 2.0;
        let place = Transform::from_row(
            factor,
            0.0,
            0.0,
            factor,
            middle(width as f32, size.width()),
            middle(height as f32, size.height()),
        );
        resvg::render(&self.tree, place, &mut pixels.as_mut());
        let rgba = pixels.pixels().iter().flat_map(|pixel| {
            let pixel = pixel.demultiply();
            [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()]
        });
        Ok(Image {
            width,
            height,
            rgba: rgba.collect(),
        })
    }
}

fn too_large() -> MediaError {
    MediaError::new(MediaCode::TooManyPixels, "the picture has too many pixels")
}

#[cfg(test)]
mod tests;
