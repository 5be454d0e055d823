//! How a sandbox is set up.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use super::drift::Drifts;
use super::faults::Faults;

/// Settings of a sandbox. The defaults suit one person on one machine.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address it gives out for uploads and outputs; absent: that of its listener.
    pub public_url: Option<Url>,
    /// The key callers must show.
    pub api_key: String,
    /// Signs its webhooks, prefix included.
    pub webhook_secret: String,
    /// First pause between two tries of a webhook; it doubles.
    pub webhook_backoff: Duration,
    /// 1: a place to PUT at. 2: only the multipart form, as older servers.
    pub upload_generation: u8,
    pub max_upload_bytes: u64,
    /// Videos made at once.
    pub workers: usize,
    /// Predictions under way at once, waiting ones included; beyond it answers are 429.
    pub max_running: usize,
    /// A prediction shows as done only after this many looks at it found it running.
    /// With anything but 0 it needs to be polled: no webhook comes before that.
    pub polls_until_done: u32,
    /// A prediction shows as done only this long after it was accepted.
    pub min_time: Duration,
    /// Whether videos keep their sound. Many models return silent ones.
    pub audio: bool,
    /// US dollars that the account shows; nothing is taken from it.
    pub balance: f64,
    /// Makes ids and chances repeatable.
    pub seed: Option<u64>,
    pub faults: Faults,
    /// How its catalogue has moved.
    pub drifts: Drifts,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            api_key: "sandbox".into(),
            webhook_secret: "whsec_sandbox".into(),
            webhook_backoff: Duration::from_secs(1),
            upload_generation: 1,
            max_upload_bytes: 200 * 1024 * 1024,
            workers: 1,
            max_running: 16,
            polls_until_done: 0,
            min_time: Duration::ZERO,
            audio: false,
            balance: 100.0,
            seed: None,
            faults: Faults::default(),
            drifts: Drifts::default(),
        }
    }
}
