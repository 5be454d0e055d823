//! Objects: inputs, what the provider returned, and results.
//!
//! Over any `object_store` backend. Objects are read through a few blocks in memory and go up in
//! parts, so memory stays flat whatever their size; links are signed by whatever the deployment
//! has.

mod blocks;
mod directory;
mod error;
pub mod gcs;
pub mod links;
mod listing;
mod marks;
mod object;
mod put;
mod reader;
mod signer;
mod store;
mod upload;
mod writer;

pub use error::{ReadProblem, Result, StorageError};
pub use listing::{Page, Swept};
pub use object::{Destination, ObjectInfo, Stored, UPLOAD_NOTE};
pub use reader::{ObjectReader, ObjectSource};
pub use signer::{LinkRefused, LinkSigner, LinkVerifier, SignedLink};
pub use store::Storage;
pub use writer::{ObjectSink, ObjectWriter};
