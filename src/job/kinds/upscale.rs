use serde::{Deserialize, Serialize};

use super::{Fields, Resolution};

/// Raise `source.video` to `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upscale {
    pub target: Resolution,
}

impl Upscale {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            target: fields.resolution(
                "target",
                &[
                    Resolution::P720,
                    Resolution::P1080,
                    Resolution::K2,
                    Resolution::K4,
                ],
                Resolution::P1080,
            ),
        }
    }
}
