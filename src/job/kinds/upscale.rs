use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resolution::Resolution;
use crate::fields::{Choice, Described, Fault, Object, Usual};

/// What the models that upscale can make.
pub const TARGETS: &[Resolution] = &[
    Resolution::P720,
    Resolution::P1080,
    Resolution::K2,
    Resolution::K4,
];

static TARGET: Usual<Choice<Resolution>> =
    Usual::new("target", Choice(TARGETS), Resolution::P1080, "");

pub(super) static FIELDS: &[&dyn Described] = &[&TARGET];

/// Raise `source.video` to `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Upscale {
    pub target: Resolution,
}

impl Upscale {
    pub(super) fn read(params: Object<'_>, faults: &mut Vec<Fault>) -> Self {
        Self {
            target: params.usual(&TARGET, faults),
        }
    }
}
