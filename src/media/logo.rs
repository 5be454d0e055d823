//! Turning a logo into the video's own colours, once.
//!
//! A generic conversion uses the wrong matrix (a red logo came out `ff1800`)
//! and scales straight alpha, which bleeds the colour of transparent pixels
//! into the edges. So the logo is resampled with premultiplied alpha and
//! converted with the matrix of the video it is laid on.

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::F32x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::av::{AvError, Frame};
use super::color::Color;
use super::drawing::Drawing;
use super::error::{MediaError, memory};
use super::image::Image;

/// A watermark's picture as it came.
pub(crate) enum Logo {
    Picture(Image),
    /// Has no pixels of its own.
    Drawing(Box<Drawing>),
}

impl Logo {
    /// Its sides; those of a drawing give its proportions only.
    pub(crate) fn size(&self) -> (u32, u32) {
        match self {
            Self::Picture(image) => (image.width, image.height),
            Self::Drawing(drawing) => (drawing.width, drawing.height),
        }
    }

    /// As large as it is shown.
    pub(crate) fn at(&self, width: u32, height: u32) -> Result<Image, MediaError> {
        match self {
            Self::Picture(image) => resize(image, width, height).map_err(memory),
            Self::Drawing(drawing) => drawing.draw(width, height),
        }
    }
}

/// Resamples to another size: bicubic (Catmull-Rom), over all pixels that fall into one where it
/// gets smaller.
///
/// # Errors
/// A side of no pixels.
pub(crate) fn resize(image: &Image, width: u32, height: u32) -> Result<Image, AvError> {
    let failed = || AvError::invalid("resize");
    // Floats: eight bits would lose the colour of what is nearly transparent.
    let from = image
        .rgba
        .chunks_exact(4)
        .map(|pixel| F32x4::new([pixel[0], pixel[1], pixel[2], pixel[3]].map(f32::from)))
        .collect();
    let from = TypedImage::from_pixels(image.width, image.height, from).map_err(|_| failed())?;
    let mut to = TypedImage::<F32x4>::new(width, height);
    let bicubic = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(true);
    Resizer::new()
        .resize_typed(&from, &mut to, &bicubic)
        .map_err(|_| failed())?;
    Ok(Image {
        width,
        height,
        rgba: to
            .pixels()
            .iter()
            .flat_map(|pixel| whole(pixel.0))
            .collect(),
    })
}

/// A pixel in whole numbers; what is not seen has no colour.
fn whole(pixel: [f32; 4]) -> [u8; 4] {
    // The filter overshoots at edges.
    let [r, g, b, alpha] = pixel.map(|value| value.round().clamp(0.0, 255.0) as u8);
    if alpha == 0 {
        return [0; 4];
    }
    [r, g, b, alpha]
}

/// 8-bit limited-range Y′CbCr of one R′G′B′ pixel (0–255).
pub(crate) fn to_ycbcr(rgb: [f32; 3], color: Color) -> [f32; 3] {
    let (kr, kb) = color.luma_weights();
    let [r, g, b] = rgb.map(|value| value / 255.0);
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    [
        16.0 + 219.0 * y,
        128.0 + 224.0 * (b - y) / (2.0 * (1.0 - kb)),
        128.0 + 224.0 * (r - y) / (2.0 * (1.0 - kr)),
    ]
}

/// A picture in a video's colours: 8-bit 4:2:0, straight alpha, no padding.
#[derive(Clone)]
pub(crate) struct Planes {
    pub width: usize,
    pub height: usize,
    pub luma: Vec<u8>,
    /// Cb and Cr, each half as wide and high (rounded up).
    pub chroma: [Vec<u8>; 2],
    pub alpha: Vec<u8>,
}

impl Planes {
    /// The part that shows, and where it begins; sides and corner stay even. `None` where nothing
    /// of it shows.
    pub(crate) fn visible(&self) -> Option<((usize, usize), Self)> {
        let shows = |row: &&[u8]| row.iter().any(|alpha| *alpha > 0);
        let rows = || self.alpha.chunks_exact(self.width);
        let top = rows().position(|row| shows(&row))? & !1;
        let bottom = (rows().rposition(|row| shows(&row))? / 2 + 1) * 2;
        let first = |row: &[u8]| row.iter().position(|alpha| *alpha > 0);
        let last = |row: &[u8]| row.iter().rposition(|alpha| *alpha > 0);
        let left = rows().filter_map(first).min()? & !1;
        let right = (rows().filter_map(last).max()? / 2 + 1) * 2;
        let (bottom, right) = (bottom.min(self.height), right.min(self.width));
        let cut = |plane: &[u8], width: usize, shift: u32| -> Vec<u8> {
            let (left, right) = (left >> shift, right >> shift);
            plane
                .chunks_exact(width)
                .take(bottom >> shift)
                .skip(top >> shift)
                .flat_map(|row| row.get(left..right).unwrap_or_default())
                .copied()
                .collect()
        };
        let part = Self {
            width: right - left,
            height: bottom - top,
            luma: cut(&self.luma, self.width, 0),
            chroma: [0, 1].map(|index| cut(&self.chroma[index], self.width / 2, 1)),
            alpha: cut(&self.alpha, self.width, 0),
        };
        Some(((left, top), part))
    }
}

/// The logo in the video's colours.
///
/// Chroma is the mean of four pixels weighted by their alpha, so transparent
/// neighbours do not tint the edge.
pub(crate) fn to_planes(image: &Image, color: Color) -> Planes {
    let (w, h) = (image.width as usize, image.height as usize);
    let mut luma = vec![0u8; w * h];
    let mut alpha = vec![0u8; w * h];
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    // Sums of Cb, Cr and weight for each chroma sample.
    let mut sums = vec![[0f32; 3]; cw * ch];
    for (at, pixel) in image.rgba.chunks_exact(4).enumerate().take(w * h) {
        let rgb = [
            f32::from(pixel[0]),
            f32::from(pixel[1]),
            f32::from(pixel[2]),
        ];
        let [y, cb, cr] = to_ycbcr(rgb, color);
        luma[at] = y.round().clamp(0.0, 255.0) as u8;
        alpha[at] = pixel[3];
        let weight = f32::from(pixel[3]) + 1e-3;
        let sum = &mut sums[(at / w / 2) * cw + (at % w) / 2];
        *sum = [sum[0] + cb * weight, sum[1] + cr * weight, sum[2] + weight];
    }
    let plane = |index: usize| -> Vec<u8> {
        sums.iter()
            .map(|sum| (sum[index] / sum[2].max(1e-6)).round().clamp(0.0, 255.0) as u8)
            .collect()
    };
    Planes {
        width: w,
        height: h,
        luma,
        chroma: [plane(0), plane(1)],
        alpha,
    }
}

/// The same as a `yuva420p` frame. Width and height must be even.
pub(crate) fn to_frame(image: &Image, color: Color) -> Result<Frame, AvError> {
    let planes = to_planes(image, color);
    let mut frame = Frame::video("yuva420p", image.width, image.height)?;
    copy(&mut frame, 0, &planes.luma, planes.width)?;
    for (index, plane) in planes.chroma.iter().enumerate() {
        copy(&mut frame, index + 1, plane, planes.width.div_ceil(2))?;
    }
    copy(&mut frame, 3, &planes.alpha, planes.width)?;
    frame.set_color(color);
    Ok(frame)
}

fn copy(frame: &mut Frame, plane: usize, source: &[u8], width: usize) -> Result<(), AvError> {
    let (target, stride) = frame.plane_mut(plane)?;
    for (to, from) in target.chunks_mut(stride).zip(source.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::color::{BT709, SMPTE170M};

    fn color(matrix: i32) -> Color {
        Color {
            matrix,
            ..Color::SDR_HD
        }
    }

    #[test]
    fn red_has_the_code_values_of_its_matrix() {
        let red = [255.0, 0.0, 0.0];
        assert_eq!(
            to_ycbcr(red, color(BT709)).map(f32::round),
            [63.0, 102.0, 240.0]
        );
        assert_eq!(
            to_ycbcr(red, color(SMPTE170M)).map(f32::round),
            [81.0, 90.0, 240.0]
        );
    }

    #[test]
    fn transparent_pixels_do_not_bleed_into_the_edge() {
        // Half opaque red, half transparent green: no green may come out.
        let mut rgba = Vec::new();
        for _ in 0..16 {
            for x in 0..16 {
                rgba.extend_from_slice(if x < 8 {
                    &[255, 0, 0, 255]
                } else {
                    &[0, 255, 0, 0]
                });
            }
        }
        let small = resize(
            &Image {
                width: 16,
                height: 16,
                rgba,
            },
            6,
            6,
        )
        .unwrap();
        for pixel in small.rgba.chunks_exact(4).filter(|pixel| pixel[3] > 0) {
            assert!(pixel[0] > 250 && pixel[1] < 5, "{pixel:?}");
        }
    }

    #[test]
    fn resizing_keeps_a_flat_picture_flat() {
        let image = Image {
            width: 7,
            height: 5,
            rgba: [10, 200, 30, 128].repeat(35),
        };
        for (w, h) in [(2, 2), (14, 10), (40, 4)] {
            let out = resize(&image, w, h).unwrap();
            assert_eq!(out.rgba.len(), (w * h * 4) as usize);
            for pixel in out.rgba.chunks_exact(4) {
                assert!(
                    pixel[3].abs_diff(128) <= 1 && pixel[1].abs_diff(200) <= 2,
                    "{pixel:?}"
                );
            }
        }
    }

    #[test]
    fn the_frame_carries_colour_and_alpha() {
        let image = Image {
            width: 4,
            height: 4,
            rgba: [255, 0, 0, 200].repeat(16),
        };
        let frame = to_frame(&image, color(BT709)).unwrap();
        assert_eq!(frame.plane(3).unwrap().0[0], 200);
        assert_eq!(frame.plane(0).unwrap().0[0], 63);
        assert_eq!(frame.plane(2).unwrap().0[0], 240);
    }
}
