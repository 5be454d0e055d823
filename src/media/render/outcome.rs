//! What a pass leaves behind besides the staged file.

use super::report::Damage;
use super::sink::Finished;
use super::storyboard::Storyboard;
use crate::media::av::Frame;
use crate::media::color::Color;

/// Of one pass.
pub(crate) struct Outcome {
    pub poster: Option<(Frame, u64)>,
    pub storyboard: Option<Storyboard>,
    pub color: Color,
    pub damage: Damage,
    pub finished: Finished,
    /// Frames given to the encoder or copied.
    pub frames: u64,
    /// Something was heard in the source of the sound.
    pub heard: bool,
    /// Length of the result and how far it may be off, where a pass knows that.
    pub length_ms: Option<(u64, u64)>,
    /// Longest black and longest still stretch in milliseconds, if looked for.
    pub looked: Option<(u64, u64)>,
}
