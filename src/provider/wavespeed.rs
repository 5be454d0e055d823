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
mod client;
mod download;
mod models;
mod upload;
mod wire;

use std::time::Duration;

use url::Url;

use crate::job::Fault;

use crate::outgoing::LeastRate;
pub use crate::retry::RetryLimits;
pub use crate::secret::Secret;
pub use callback::{CallbackConfig, Callbacks, SignatureCheck};
pub use client::WaveSpeed;
pub use models::{ModelOverride, ModelOverrides, ModelTable};

/// Everything the client needs. [`WaveSpeedConfig::new`] fills in what most want.
#[derive(Debug, Clone)]
pub struct WaveSpeedConfig {
    /// Where the API is, without `/api/v3`.
    pub base_url: Url,
    pub api_key: Secret,
    /// For the connection alone, TLS included.
    pub connect_timeout: Duration,
    /// For one try of a call that may be repeated.
    pub get_timeout: Duration,
    /// For the whole of a submission. A resubmission waits at least this long.
    pub submit_timeout: Duration,
    /// For one try of an upload.
    pub upload_timeout: Duration,
    /// For the whole of a download.
    pub download_timeout: Duration,
    /// The longest pause between two parts of a download.
    pub download_idle_timeout: Duration,
    /// The least that has to come of a download.
    pub least_rate: LeastRate,
    /// Larger files are not uploaded. The official clients hold 200 MB.
    pub max_upload_bytes: u64,
    pub retry: RetryLimits,
    pub models: ModelTable,
    /// Lets addresses that come out of answers name this machine, over plain HTTP: for the
    /// sandbox, on a single machine.
    pub allow_loopback: bool,
    pub callback: CallbackConfig,
}

impl WaveSpeedConfig {
    /// The defaults, for an API at `base_url`.
    #[must_use]
    pub fn new(base_url: Url, api_key: Secret) -> Self {
        Self {
            base_url,
            api_key,
            connect_timeout: Duration::from_secs(10),
            get_timeout: Duration::from_secs(30),
            submit_timeout: Duration::from_secs(60),
            upload_timeout: Duration::from_secs(300),
            download_timeout: Duration::from_secs(900),
            download_idle_timeout: Duration::from_secs(30),
            least_rate: LeastRate::default(),
            max_upload_bytes: 200 * 1024 * 1024,
            retry: RetryLimits::default(),
            models: ModelTable::default(),
            allow_loopback: false,
            callback: CallbackConfig::default(),
        }
    }
}

/// Settings that cannot be used, all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.faults))]
pub struct InvalidConfig {
    pub faults: Vec<Fault>,
}

fn listed(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
