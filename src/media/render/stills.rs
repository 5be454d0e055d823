//! The pictures that are taken of a result's frames as they pass by.

use super::poster::PosterPicker;
use super::storyboard::Storyboard;
use crate::media::av::{AvError, Frame};

/// Those that were asked for.
#[derive(Default)]
pub(crate) struct Stills {
    pub poster: Option<PosterPicker>,
    pub storyboard: Option<Storyboard>,
}

impl Stills {
    /// Considers a frame shown at `at_ms`.
    pub(crate) fn consider(&mut self, frame: &Frame, at_ms: u64) -> Result<(), AvError> {
        if let Some(poster) = &mut self.poster {
            poster.consider(frame, at_ms)?;
        }
        match &mut self.storyboard {
            Some(storyboard) => storyboard.consider(frame, at_ms),
            None => Ok(()),
        }
    }
}
