use serde::{Deserialize, Serialize};

use super::{Fields, Resolution};

/// Put the character of `source.image` in the place of the one in `source.video`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
            resolution: fields.resolution(
                "resolution",
                &[Resolution::P480, Resolution::P720],
                Resolution::P720,
            ),
            seed: fields.seed(),
        }
    }
}
