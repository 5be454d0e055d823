use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::Fields;
use super::resolution::Resolution;

/// The widest range any documented model takes.
pub const SECONDS: std::ops::RangeInclusive<i64> = 1..=30;
/// What the models that extend can make.
pub const RESOLUTIONS: &[Resolution] = &[
    Resolution::P480,
    Resolution::P540,
    Resolution::P720,
    Resolution::P768,
    Resolution::P1080,
    Resolution::K4,
];

/// Continue `source.video` for `seconds` more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Extend {
    pub prompt: String,
    /// Length of the new part, in seconds. Models narrow this further.
    pub seconds: u32,
    pub resolution: Resolution,
    /// Absent: the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
}

impl Extend {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            prompt: fields.required_text("prompt"),
            // 5 s is the usual default.
            seconds: fields
                .integer("seconds", SECONDS)
                .map_or(5, |seconds| seconds as u32),
            resolution: fields.resolution("resolution", RESOLUTIONS, Resolution::P720),
            seed: fields.seed(),
        }
    }
}
