//! What a result says of how it was made, and what a file says of it.
//!
//! A result carries an XMP packet in a `uuid` box before its media, and, where the operator names a
//! producer, the entry `AIGC` in the metadata of its index. Where there is a key, a C2PA manifest signs
//! for all of the file. No name, prompt or address of a user is in any of them.

mod aigc;
mod binding;
mod boxes;
mod brought;
mod cbor;
mod certificate;
mod chain;
mod checking;
mod cose;
mod following;
mod holding;
mod ingredient;
mod item;
mod jumbf;
mod leaves;
mod local;
mod made;
mod manifest;
mod signing;
mod stamp;
mod statement;
mod terms;
mod xmp;

pub(crate) use brought::{Brought, MOST_MANIFEST};
pub use chain::{Chain, MOST_PEM};
pub use cose::{Signer, es256_of_der};
pub(crate) use following::{Following, SharedBrought};
pub(crate) use jumbf::UUID as MANIFEST_UUID;
pub use local::LocalSigner;
pub(crate) use made::Made;
pub(crate) use signing::{Digests, Placed};
pub use stamp::{MOST_STAMP, stamp_of, stamp_query};
pub(crate) use statement::Statement;
pub use terms::{
    IngredientInfo, ManifestInfo, ManifestState, Provenance, ProvenanceInfo, SourceType,
};
pub(crate) use xmp::{MOST as MOST_XMP, UUID as XMP_UUID, read as read_xmp};
