//! What some kinds let their model begin with.

use crate::fields::{Bounds, Fault, Field, Object, Whole};

/// The provider's documented bounds; −1 lets it choose.
pub(super) static SEED: Field<Whole<i64>> = Field::optional(
    "seed",
    Whole(Bounds::Within(-1, 2_147_483_647)),
    "-1, or left out: the provider chooses.",
);

/// Absent: the provider chooses.
pub(super) fn seed(params: Object<'_>, faults: &mut Vec<Fault>) -> Option<i64> {
    params.field(&SEED, faults).filter(|seed| *seed >= 0)
}
