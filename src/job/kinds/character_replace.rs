use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::prompt::Prompt;
use super::resolution::Resolution;
use super::seed::{SEED, seed};
use crate::fields::{Choice, Described, Fault, Field, Object, Usual};

/// What the models that replace can make.
pub const RESOLUTIONS: &[Resolution] = &[Resolution::P480, Resolution::P720];

static PROMPT: Field<Prompt> = Field::optional(
    "prompt",
    Prompt::Optional,
    "What else is to be said to the model.",
);
static RESOLUTION: Usual<Choice<Resolution>> =
    Usual::new("resolution", Choice(RESOLUTIONS), Resolution::P720, "");

pub(super) static FIELDS: &[&dyn Described] = &[&PROMPT, &RESOLUTION, &SEED];

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
    pub(super) fn read(params: Object<'_>, faults: &mut Vec<Fault>) -> Self {
        Self {
            prompt: params.field(&PROMPT, faults).flatten(),
            resolution: params.usual(&RESOLUTION, faults),
            seed: seed(params, faults),
        }
    }
}
