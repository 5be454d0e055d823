//! What a result says of how it was made, and what a file says of it.
//!
//! A result carries an XMP packet in a `uuid` box before its media, and, where the operator names a
//! producer, the entry `AIGC` in the metadata of its index. No name, prompt or address of a user is
//! in either.

mod aigc;
mod statement;
mod terms;
mod xmp;

pub(crate) use statement::Statement;
pub use terms::{Provenance, ProvenanceInfo, SourceType};
pub(crate) use xmp::{MOST as MOST_XMP, UUID as XMP_UUID, read as read_xmp};
