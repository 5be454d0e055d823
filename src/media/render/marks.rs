//! Marks: pictures that stand still on finished frames.
//!
//! Blended here rather than by a filter: the opacity of a fade is exact for
//! every frame, several layers cost one graph no more, and each is scaled and
//! converted once.

use crate::media::av::{AvError, Frame, FramePool};
use crate::media::color::Color;
use crate::media::error::MediaError;
use crate::media::logo::{self, Logo, Planes};
use crate::media::watermark::{Placement, Rectangle};

/// The layers of one result, in the order they are drawn.
#[derive(Clone, Default)]
pub(crate) struct Marks(Vec<Mark>);

#[derive(Clone)]
struct Mark {
    placement: Placement,
    /// Position of the left upper corner; even.
    at: (usize, usize),
    planes: Planes,
    /// Alpha of each chroma sample: the mean of its four pixels.
    chroma_alpha: Vec<u8>,
    /// Where the result ends, if that is known: a fade out needs it.
    end_ms: Option<f64>,
}

impl Marks {
    pub(crate) fn add(
        &mut self,
        logo: &Logo,
        placement: &Placement,
        at: Rectangle,
        color: Color,
        end_ms: Option<f64>,
    ) -> Result<(), MediaError> {
        let planes = logo::to_planes(&logo.at(at.width, at.height)?, color);
        // The transparent border that logos come with need not be blended.
        let Some(((left, top), planes)) = planes.visible() else {
            return Ok(());
        };
        self.0.push(Mark {
            placement: placement.clone(),
            at: (at.x as usize + left, at.y as usize + top),
            chroma_alpha: quarter(&planes.alpha, planes.width),
            planes,
            end_ms,
        });
        Ok(())
    }

    /// Draws every layer that is shown at a time of the result. A frame that its decoder still
    /// refers to is copied first, into a buffer of the pool.
    pub(crate) fn draw(
        &self,
        frame: &mut Frame,
        at_ms: f64,
        pool: &mut FramePool,
    ) -> Result<(), AvError> {
        for mark in &self.0 {
            let opacity = mark.placement.opacity_at(at_ms, mark.end_ms);
            // In 1/256: finer than eight bits can show.
            let strength = (opacity.clamp(0.0, 1.0) * 256.0).round() as u32;
            if strength > 0 {
                pool.own(frame)?;
                mark.draw(frame, strength)?;
            }
        }
        Ok(())
    }
}

impl Mark {
    fn draw(&self, frame: &mut Frame, strength: u32) -> Result<(), AvError> {
        let (w, h) = (self.planes.width, self.planes.height);
        let (x, y) = self.at;
        let (cw, ch) = (w / 2, h / 2);
        let [cb, cr] = &self.planes.chroma;
        let layers = [
            (&self.planes.luma, &self.planes.alpha, (x, y), (w, h)),
            (cb, &self.chroma_alpha, (x / 2, y / 2), (cw, ch)),
            (cr, &self.chroma_alpha, (x / 2, y / 2), (cw, ch)),
        ];
        for (plane, (source, alpha, (x, y), (w, h))) in layers.into_iter().enumerate() {
            let (target, stride) = frame.plane_mut(plane)?;
            let rows = target.chunks_mut(stride).skip(y).take(h);
            for ((row, source), alpha) in
                rows.zip(source.chunks_exact(w)).zip(alpha.chunks_exact(w))
            {
                let Some(row) = row.get_mut(x..x + w) else {
                    return Err(AvError::invalid("a mark outside the frame"));
                };
                blend(row, source, alpha, strength);
            }
        }
        Ok(())
    }
}

fn blend(row: &mut [u8], source: &[u8], alpha: &[u8], strength: u32) {
    const WHOLE: u32 = 255 * 256;
    for ((target, source), alpha) in row.iter_mut().zip(source).zip(alpha) {
        let weight = u32::from(*alpha) * strength;
        let mixed = u32::from(*target) * (WHOLE - weight) + u32::from(*source) * weight;
        *target = ((mixed + WHOLE / 2) / WHOLE) as u8;
    }
}

/// The mean of each square of four; sides are even.
fn quarter(alpha: &[u8], width: usize) -> Vec<u8> {
    alpha
        .chunks_exact(width * 2)
        .flat_map(|rows| {
            let (upper, lower) = rows.split_at(width);
            upper
                .chunks_exact(2)
                .zip(lower.chunks_exact(2))
                .map(|(a, b)| {
                    let sum = [a[0], a[1], b[0], b[1]].map(u32::from).iter().sum::<u32>();
                    ((sum + 2) / 4) as u8
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::image::Image;

    #[test]
    fn blending_is_exact_at_both_ends_and_in_the_middle() {
        for (alpha, strength, wanted) in [
            (255, 256, 200),
            (0, 256, 100),
            (255, 0, 100),
            (255, 128, 150),
            (128, 256, 150),
            (128, 128, 125),
        ] {
            let mut row = [100u8];
            blend(&mut row, &[200], &[alpha], strength);
            assert!(row[0].abs_diff(wanted) <= 1, "{alpha} {strength}: {row:?}");
        }
        let mut row = [255u8, 0];
        blend(&mut row, &[255, 0], &[255, 255], 256);
        assert_eq!(row, [255, 0]);
    }

    #[test]
    fn only_the_part_of_a_mark_that_shows_is_drawn() {
        // A point off the corner of its square of four, and another below it, in a wide border.
        let mut image = Image {
            width: 40,
            height: 30,
            rgba: vec![0; 40 * 30 * 4],
        };
        for (x, y) in [(13, 9), (16, 20)] {
            image.rgba[(y * 40 + x) * 4..][..4].copy_from_slice(&[250, 20, 30, 200]);
        }
        let planes = logo::to_planes(&image, Color::SDR_HD);
        let (at, part) = planes.visible().unwrap();
        assert_eq!((at, part.width, part.height), ((12, 8), 6, 14));
        let gray = || {
            let mut frame = Frame::video("yuv420p", 64, 48).unwrap();
            for plane in 0..3 {
                frame.plane_mut(plane).unwrap().0.fill(90);
            }
            frame
        };
        let mark = |at: (usize, usize), planes: Planes| Mark {
            placement: Placement::default(),
            at,
            chroma_alpha: quarter(&planes.alpha, planes.width),
            planes,
            end_ms: None,
        };
        let (mut whole, mut less) = (gray(), gray());
        mark((8, 4), planes).draw(&mut whole, 256).unwrap();
        mark((8 + at.0, 4 + at.1), part)
            .draw(&mut less, 256)
            .unwrap();
        for plane in 0..3 {
            let (one, other) = (whole.plane(plane).unwrap(), less.plane(plane).unwrap());
            assert_eq!(one, other, "{plane}");
            assert!(one.0.iter().any(|value| *value != 90), "{plane}");
        }
        image.rgba.fill(0);
        assert!(logo::to_planes(&image, Color::SDR_HD).visible().is_none());
    }

    #[test]
    fn chroma_takes_the_mean_of_four() {
        let alpha = [255, 255, 0, 0, 255, 255, 0, 4];
        assert_eq!(quarter(&alpha, 4), [255, 1]);
    }
}
