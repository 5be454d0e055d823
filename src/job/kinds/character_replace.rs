use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::Fields;
use super::resolution::Resolution;

/// What the models that replace can make.
pub const RESOLUTIONS: &[Resolution] = &[Resolution::P480, Resolution::P720];

/// Put the character of `source.image` in the place of the one in `source.video`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CharacterReplace {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    pub resolution: Resolution,
    /// Absent: the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
}

impl CharacterReplace {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            prompt: fields.text("prompt"),
            resolution: fields.resolution("resolution", RESOLUTIONS, Resolution::P720),
            seed: fields.seed(),
        }
    }
}
