//! What the client is told once, at the start.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::callback::CallbackConfig;
use super::catalogue::CatalogueUse;
use super::models::ModelTable;
use crate::clock::{SharedClock, SystemClock};
use crate::outgoing::LeastRate;
use crate::retry::RetryLimits;
use crate::secret::Secret;

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
    /// Whether a request has to be what the provider's own catalogue describes.
    pub catalogue: CatalogueUse,
    /// Tells how old the catalogue is.
    pub clock: SharedClock,
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
            catalogue: CatalogueUse::default(),
            clock: Arc::new(SystemClock),
        }
    }
}
