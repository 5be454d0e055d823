//! What a result says of how it was made, and what a file says of it.
//!
//! A result carries an XMP packet in a `uuid` box before its media, and, where the operator names a
//! producer, the entry `AIGC` in the metadata of its index. Where there is a key, a C2PA manifest signs
//! for all of the file. No name, prompt or address of a user is in any of them.

mod aigc;
mod cbor;
mod jumbf;
mod leaves;
mod local;
mod manifest;
mod signing;
mod statement;
mod terms;
mod validity;
mod xmp;

pub(crate) use jumbf::UUID as MANIFEST_UUID;
pub use local::{LocalSigner, MOST_PEM};
pub use manifest::Signer;
pub(crate) use signing::{Digests, Placed};
pub(crate) use statement::{Made, Statement};
pub use terms::{Provenance, ProvenanceInfo, SourceType};
pub(crate) use xmp::{MOST as MOST_XMP, UUID as XMP_UUID, read as read_xmp};
