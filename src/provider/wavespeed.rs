//! WaveSpeed.ai, REST API version 3.
//!
//! What it costs to be wrong here is money, so two roads are kept apart. Calls that may be
//! repeated go through a client with `retry::RetryPassing`; a submission goes through a bare
//! client that follows no redirect, keeps no connection and repeats nothing. The key is put on a
//! request only where its address was built from `base_url`; addresses that come out of answers
//! (uploads, outputs) are used by others that never saw the key and keep to [`crate::outgoing`].
//!
//! Facts about the API come from its public documentation and its official clients; the ones no
//! public source settles are read tolerantly (see `wire`).

mod answer;
mod callback;
mod calls;
mod catalogue;
mod client;
mod config;
mod download;
mod invalid;
mod listing;
mod models;
mod upload;
mod wire;

pub use super::model::Returns;
pub use crate::retry::RetryLimits;
pub use crate::secret::Secret;
pub use callback::{CallbackConfig, Callbacks, SignatureCheck};
pub use calls::WaveSpeed;
pub use catalogue::{
    Catalogue, CatalogueUse, Compared, Comparison, Difference, PRICED_S, Unlisted, compare, priced,
};
pub use config::WaveSpeedConfig;
pub use invalid::InvalidConfig;
pub use models::{Listed, ModelOverride, ModelOverrides, ModelTable};
