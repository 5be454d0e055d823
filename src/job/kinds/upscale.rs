use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::Fields;
use super::resolution::Resolution;

/// What the models that upscale can make.
pub const TARGETS: &[Resolution] = &[
    Resolution::P720,
    Resolution::P1080,
    Resolution::K2,
    Resolution::K4,
];

/// Raise `source.video` to `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Upscale {
    pub target: Resolution,
}

impl Upscale {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            target: fields.resolution("target", TARGETS, Resolution::P1080),
        }
    }
}
