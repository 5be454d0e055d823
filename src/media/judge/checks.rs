//! What is looked at besides what is always verified.

use serde::{Deserialize, Serialize};

use super::expectation::{DecodeDepth, Expectation};

/// Further checks of a result, chosen by whoever runs the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checks {
    /// Decode every frame of the result, not the first and last groups only.
    pub full_decode: bool,
    /// Longest time the picture may stay black, in milliseconds. Looked at
    /// before a mark is laid on, in the frames that are encoded anyway.
    pub max_black_ms: Option<u64>,
    /// Longest time nothing may move, in milliseconds; likewise.
    pub max_frozen_ms: Option<u64>,
}

impl Checks {
    /// Whether frames are looked at.
    pub(crate) fn look(&self) -> bool {
        self.max_black_ms.is_some() || self.max_frozen_ms.is_some()
    }

    /// How much of the result is decoded.
    #[must_use]
    pub fn depth(&self) -> DecodeDepth {
        if self.full_decode {
            DecodeDepth::Full
        } else {
            DecodeDepth::Ends
        }
    }

    /// The same for a file that was not looked at while it was made.
    pub(crate) fn onto(&self, expectation: Expectation) -> Expectation {
        Expectation {
            max_black_ms: self.max_black_ms,
            max_frozen_ms: self.max_frozen_ms,
            ..expectation
        }
    }
}
