//! Is the video good? What watches while a result is made, what verifies it afterwards and what
//! judges a provider's video go by the same bounds, and these stand here alone.
//!
//! It reads no file and decodes nothing: `verify` and `render` do, and stand on this. Who wants a
//! verdict says what was asked for, and knows no bound.

mod checks;
mod compare;
mod expectation;
mod generated;
mod heard;
mod length;
mod playable;
mod truncation;
mod verified;
mod watch;

pub use checks::Checks;
pub use expectation::{AudioExpectation, DecodeDepth, Expectation, Shape};
pub use generated::{Asked, Shown};
pub use length::{require_length, result_length, stands_alone};
pub use verified::Verified;

pub(crate) use compare::compare;
pub(crate) use heard::is_heard;
pub(crate) use length::{require_beginning, require_table};
pub(crate) use playable::obstacle;
pub(crate) use truncation::{Truncation, require_frames};
pub(crate) use watch::{Watch, require_lively};
