//! What a provider's video is held against.

use super::expectation::{AudioExpectation, Expectation, Shape};
use super::length::{as_source, least_added};

/// The proportions of what a provider makes may differ from the source's by this factor. Models
/// round sides to 8 to 32 pixels (up to 5 % at 480p), and some know only the usual shapes: 1:1,
/// 4:3, 16:9 and 21:9 are a third apart, so the nearest is off by a sixth at most. What is further
/// off was cropped, stretched or turned.
const WITHIN: f64 = 1.2;

/// What the provider was asked to make of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// As long as the source.
    Same,
    /// The same, with a short side of so many pixels.
    Larger { short_side: u32 },
    /// So many milliseconds more; whether alone or behind the source is its own affair.
    Longer { added_ms: u64 },
}

/// The source as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub width: u32,
    pub height: u32,
    pub duration_ms: u64,
}

impl Expectation {
    /// What a provider's video must be.
    #[must_use]
    pub fn of_generated(asked: Asked, source: Shown) -> Self {
        let mut expected = Self {
            audio: AudioExpectation::Any,
            shape: Some(Shape {
                width: source.width,
                height: source.height,
                within: WITHIN,
            }),
            ..Self::default()
        };
        match asked {
            Asked::Same | Asked::Larger { .. } => {
                expected.duration_ms = Some(as_source(source.duration_ms));
            }
            // What more there must be is said by `stands_alone`.
            Asked::Longer { added_ms } => expected.min_duration_ms = Some(least_added(added_ms)),
        }
        if let Asked::Larger { short_side } = asked {
            if source.width >= source.height {
                expected.height = Some(short_side);
            } else {
                expected.width = Some(short_side);
            }
        }
        expected
    }
}
