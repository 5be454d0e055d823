//! The provider's own list of its models: what they take, and what they cost.
//!
//! It comes from outside and decides what is paid for, so everything read from it is bounded, and
//! nothing waits for it: where it is unreachable, malformed or old, the table alone applies.

mod compare;
mod formula;
mod live;
mod reading;
mod schema;
mod syntax;
mod value;
mod watched;

pub use compare::{Compared, Comparison, Difference, PRICED_S, Unlisted, compare, priced};
pub use live::Catalogue;
pub use watched::CatalogueUse;

pub(super) use reading::{Unreadable, read};
pub(super) use watched::Watched;
