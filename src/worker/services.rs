//! Everything the worker works with.

use std::sync::Arc;

use super::settings::Settings;
use crate::clock::SharedClock;
use crate::ledger::Ledger;
use crate::notify::Notifier;
use crate::outgoing::Fetcher;
use crate::provider::{CallbackGate, Provider};
use crate::queue::Queue;
use crate::storage::Storage;

/// Ports, the clock, and what was told at the start.
#[derive(Debug)]
pub struct Services {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn Queue>,
    pub provider: Arc<dyn Provider>,
    pub callbacks: Arc<dyn CallbackGate>,
    pub storage: Storage,
    pub notifiers: Vec<Arc<dyn Notifier>>,
    pub fetcher: Arc<dyn Fetcher>,
    pub clock: SharedClock,
    pub settings: Settings,
}
