//! Where a watermark goes. Pure geometry: no pixels here.

mod length;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::{MediaCode, MediaError};
use super::input::Input;

pub use length::{Length, LengthError};

/// Layers one video may get. Each is blended into every frame it is shown in.
pub const MAX_LAYERS: usize = 8;

/// The same with the visible label, which stands beside them.
pub(crate) const MAX_DRAWN: usize = MAX_LAYERS + 1;

/// A picture laid over the frames; several are drawn in order.
#[derive(Clone, Debug)]
pub struct Watermark {
    /// PNG, JPEG or WebP; straight alpha.
    pub image: Arc<dyn Input>,
    /// Where, how large, how strong.
    pub placement: Placement,
}

/// Where, how large and how strong a watermark is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// The corner, edge or centre it is tied to.
    pub anchor: Anchor,
    /// Distance from the anchored left or right edge; percent of the short
    /// side. For a centred anchor it moves the mark to the right.
    pub offset_x: Length,
    /// Distance from the anchored top or bottom edge; percent of the short
    /// side. For a centred anchor it moves the mark down.
    pub offset_y: Length,
    /// Width of the mark: pixels, or percent of the frame's short side, so
    /// that portrait and landscape show it at the same visual size.
    pub size: Length,
    /// 0 (invisible) to 1.
    pub opacity: f32,
    /// Shown from here on, in milliseconds of the result.
    pub from_ms: u64,
    /// Shown until before this; to the end without it.
    pub until_ms: Option<u64>,
    /// Fades in over this time, from `from_ms` on.
    pub fade_in_ms: u64,
    /// Fades out over this time, up to `until_ms` or the end of the result.
    pub fade_out_ms: u64,
}

impl Placement {
    /// Where a mark is that nobody places.
    pub const USUAL: Self = Self {
        anchor: Anchor::BottomRight,
        offset_x: Length::Percent(3.0),
        offset_y: Length::Percent(3.0),
        size: Length::Percent(20.0),
        opacity: 0.85,
        from_ms: 0,
        until_ms: None,
        fade_in_ms: 0,
        fade_out_ms: 0,
    };
}

impl Default for Placement {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Nine places on a frame.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Anchor {
    TopLeft,
    Top,
    TopRight,
    Left,
    Center,
    Right,
    BottomLeft,
    Bottom,
    BottomRight,
}

/// A rectangle of the output frame in pixels; all four numbers are even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rectangle {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Placement {
    /// Where a logo of `logo` pixels lands on a frame of `frame` pixels.
    ///
    /// The mark keeps its proportions, never leaves the frame, and lands on
    /// even pixels: 4:2:0 chroma has half the resolution, and an odd position
    /// would shift the mark's colour against its shape.
    ///
    /// # Errors
    /// `invalid_watermark`: a size of zero or less, an opacity outside 0–1,
    /// a time that ends before it begins or is shorter than its fades, a logo or
    /// frame without pixels.
    pub fn rectangle(&self, frame: (u32, u32), logo: (u32, u32)) -> Result<Rectangle, MediaError> {
        let invalid = |message: &str| MediaError::new(MediaCode::InvalidWatermark, message);
        if let Some((field, why)) = self.faults().first() {
            return Err(invalid(&format!("the watermark's {field} {why}")));
        }
        if logo.0 == 0 || logo.1 == 0 {
            return Err(invalid("the watermark has no pixels"));
        }
        if frame.0 < 2 || frame.1 < 2 {
            return Err(invalid("the video is too small for a watermark"));
        }
        let short = frame.0.min(frame.1);
        let wanted = self.size.pixels(short);
        if !wanted.is_finite() || wanted <= 0.0 {
            return Err(invalid("the watermark's size must be more than zero"));
        }
        let ratio = f64::from(logo.1) / f64::from(logo.0);
        // Too large in either direction: shrink as a whole.
        let width = wanted
            .min(f64::from(frame.0))
            .min(f64::from(frame.1) / ratio);
        let width_px = even(width, frame.0);
        let height_px = even(width * ratio, frame.1);
        let (left, top) = (self.offset_x.pixels(short), self.offset_y.pixels(short));
        Ok(Rectangle {
            x: position(self.anchor.horizontal(), left, frame.0, width_px),
            y: position(self.anchor.vertical(), top, frame.1, height_px),
            width: width_px,
            height: height_px,
        })
    }
}

impl Placement {
    /// What is wrong whatever the frame: fields as settings and requests name
    /// them, and the end of a sentence about each.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        let (Length::Percent(size) | Length::Pixels(size)) = self.size;
        if size.is_nan() || size <= 0.0 {
            faults.push(("scale", "must be more than 0"));
        }
        if !(0.0..=1.0).contains(&self.opacity) {
            faults.push(("opacity", "must lie between 0 and 1"));
        }
        let fades = self.fade_in_ms.saturating_add(self.fade_out_ms);
        match self.until_ms {
            Some(until) if until <= self.from_ms => {
                faults.push(("until_ms", "must lie behind from_ms"));
            }
            Some(until) if until - self.from_ms < fades => {
                faults.push(("until_ms", "leaves less time than the fades take"));
            }
            _ => {}
        }
        faults
    }

    /// Its opacity at a time of the result, which ends at `end_ms` if that is known.
    pub(crate) fn opacity_at(&self, at_ms: f64, end_ms: Option<f64>) -> f32 {
        let from = self.from_ms as f64;
        let until = self.until_ms.map(|until| until as f64);
        // Half open, so that two marks may follow one another.
        if at_ms < from || until.is_some_and(|until| at_ms >= until) {
            return 0.0;
        }
        let part = |passed: f64, fade: u64| match fade {
            0 => 1.0,
            fade => (passed / fade as f64).clamp(0.0, 1.0),
        };
        let rise = part(at_ms - from, self.fade_in_ms);
        let fall = until
            .or(end_ms)
            .map_or(1.0, |end| part(end - at_ms, self.fade_out_ms));
        self.opacity * rise.min(fall) as f32
    }
}

impl Anchor {
    /// -1 left, 0 centre, 1 right.
    fn horizontal(self) -> i8 {
        match self {
            Self::TopLeft | Self::Left | Self::BottomLeft => -1,
            Self::Top | Self::Center | Self::Bottom => 0,
            Self::TopRight | Self::Right | Self::BottomRight => 1,
        }
    }

    /// -1 top, 0 centre, 1 bottom.
    fn vertical(self) -> i8 {
        match self {
            Self::TopLeft | Self::Top | Self::TopRight => -1,
            Self::Left | Self::Center | Self::Right => 0,
            Self::BottomLeft | Self::Bottom | Self::BottomRight => 1,
        }
    }
}

/// The nearest even number from 2 to the largest even number within `most`.
fn even(value: f64, most: u32) -> u32 {
    (((value / 2.0).round() * 2.0) as u32).clamp(2, most & !1)
}

fn position(side: i8, offset: f64, frame: u32, mark: u32) -> u32 {
    let free = f64::from(frame.saturating_sub(mark));
    let wanted = match side {
        -1 => offset,
        0 => free / 2.0 + offset,
        _ => free - offset,
    };
    let most = frame.saturating_sub(mark) & !1;
    (((wanted / 2.0).round().max(0.0) * 2.0) as u32).min(most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn placements_read_from_json_with_defaults() {
        let placement: Placement =
            serde_json::from_str(r#"{"anchor":"top-left","size":"15%","offset_x":24}"#).unwrap();
        assert_eq!(placement.anchor, Anchor::TopLeft);
        assert_eq!(placement.size, Length::Percent(15.0));
        assert_eq!(placement.offset_x, Length::Pixels(24.0));
        assert!(serde_json::from_str::<Placement>(r#"{"size":"huge"}"#).is_err());
        assert!(serde_json::from_str::<Placement>(r#"{"anchor":"middle"}"#).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |placement: Placement| {
            placement.rectangle((640, 360), (100, 50)).unwrap_err().code
                == MediaCode::InvalidWatermark
        };
        assert!(refused(Placement {
            size: Length::Percent(0.0),
            ..Placement::default()
        }));
        assert!(refused(Placement {
            size: Length::Pixels(-3.0),
            ..Placement::default()
        }));
        assert!(refused(Placement {
            opacity: 1.5,
            ..Placement::default()
        }));
        assert!(refused(Placement {
            opacity: f32::NAN,
            ..Placement::default()
        }));
    }

    #[test]
    fn portrait_and_landscape_show_the_same_size() {
        let placement = Placement::default();
        let landscape = placement.rectangle((1920, 1080), (300, 100)).unwrap();
        let portrait = placement.rectangle((1080, 1920), (300, 100)).unwrap();
        assert_eq!(
            (landscape.width, landscape.height),
            (portrait.width, portrait.height)
        );
        assert_eq!(landscape.width, 216);
    }

    #[test]
    fn anchors_put_it_where_they_say() {
        let at = |anchor| {
            let placement = Placement {
                anchor,
                offset_x: Length::Pixels(10.0),
                offset_y: Length::Pixels(20.0),
                size: Length::Pixels(100.0),
                opacity: 1.0,
                ..Placement::default()
            };
            let r = placement.rectangle((640, 360), (100, 50)).unwrap();
            (r.x, r.y)
        };
        assert_eq!(at(Anchor::TopLeft), (10, 20));
        assert_eq!(at(Anchor::BottomRight), (530, 290));
        assert_eq!(at(Anchor::Center), (280, 176));
        assert_eq!(at(Anchor::TopRight), (530, 20));
    }

    proptest! {
        #[test]
        fn marks_stay_inside_on_even_pixels(
            frame in (2u32..5000, 2u32..5000),
            logo in (1u32..4000, 1u32..4000),
            anchor in 0usize..9,
            size in 0.1f32..300.0,
            offset in (-400f32..400.0, -400f32..400.0),
            pixels in any::<bool>(),
        ) {
            let length = |v: f32| if pixels { Length::Pixels(v) } else { Length::Percent(v) };
            let placement = Placement {
                anchor: Anchor::iter().nth(anchor).unwrap(),
                offset_x: length(offset.0),
                offset_y: length(offset.1),
                size: length(size),
                opacity: 0.5,
                ..Placement::default()
            };
            let r = placement.rectangle(frame, logo).unwrap();
            prop_assert!(r.width >= 2 && r.height >= 2);
            prop_assert!(r.x + r.width <= frame.0);
            prop_assert!(r.y + r.height <= frame.1);
            prop_assert!([r.x, r.y, r.width, r.height].iter().all(|v| v % 2 == 0));
        }

        #[test]
        fn turning_the_frame_keeps_the_size_while_it_fits(
            long in 400u32..4000,
            short in 200u32..400,
            logo in (50u32..400, 50u32..400),
            size in 5f32..40.0,
        ) {
            let placement = Placement { size: Length::Percent(size), ..Placement::default() };
            let landscape = placement.rectangle((long, short), logo).unwrap();
            let portrait = placement.rectangle((short, long), logo).unwrap();
            // Only a logo taller than the short side has to shrink.
            let tall = f64::from(size) / 100.0 * f64::from(logo.1) / f64::from(logo.0) > 0.99;
            prop_assume!(!tall);
            prop_assert_eq!(
                (landscape.width, landscape.height),
                (portrait.width, portrait.height)
            );
        }
    }
}
