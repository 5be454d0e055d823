use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::prompt::Prompt;
use super::resolution::Resolution;
use super::seed::{SEED, seed};
use crate::fields::{Bounds, Choice, Described, Fault, Field, Object, Usual, Whole};

/// The widest range any documented model takes.
pub const SECONDS: std::ops::RangeInclusive<u32> = 1..=30;
/// What the models that extend can make.
pub const RESOLUTIONS: &[Resolution] = &[
    Resolution::P480,
    Resolution::P540,
    Resolution::P720,
    Resolution::P768,
    Resolution::P1080,
    Resolution::K4,
];

static PROMPT: Field<Prompt> = Field::needed(
    "prompt",
    Prompt::Needed,
    "How the video goes on; more than spaces.",
);
static LENGTH: Usual<Whole<u32>> = Usual::new(
    "seconds",
    Whole(Bounds::Within(*SECONDS.start(), *SECONDS.end())),
    // 5 s is the usual default.
    5,
    "Length of the new part. Models narrow this further.",
);
static RESOLUTION: Usual<Choice<Resolution>> =
    Usual::new("resolution", Choice(RESOLUTIONS), Resolution::P720, "");

pub(super) static FIELDS: &[&dyn Described] = &[&PROMPT, &LENGTH, &RESOLUTION, &SEED];

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
    pub(super) fn read(params: Object<'_>, faults: &mut Vec<Fault>) -> Self {
        Self {
            prompt: params.field(&PROMPT, faults).flatten().unwrap_or_default(),
            seconds: params.usual(&LENGTH, faults),
            resolution: params.usual(&RESOLUTION, faults),
            seed: seed(params, faults),
        }
    }
}
