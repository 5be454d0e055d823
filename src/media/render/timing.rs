//! Where sound lies in time.

use crate::media::ratio::Time;

/// Where sound lies in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Subtracted from every timestamp.
    pub offset: Time,
    /// Sound starting at or after this is cut, in the result's time.
    pub end: Option<Time>,
    /// Until when there is a picture, as far as the file says, in the result's time.
    pub picture_ends: Time,
}

impl Timing {
    /// Whether what starts at `at` is cut.
    pub(super) fn is_over(&self, at: Time) -> bool {
        self.end.is_some_and(|end| at >= end)
    }
}
