//! What the routes work with.

use std::sync::Arc;

use super::jobs::streams::EventStreams;
use super::settings::HttpSettings;
use super::shared::Shared;
use super::visits::Visits;
use crate::clock::SharedClock;
use crate::job::{Fault, WatermarkSpec};
use crate::ledger::Ledger;
use crate::provider::CallbackGate;
use crate::queue::Queue;
use crate::storage::{LinkVerifier, Storage};

/// Everything the routes use; the composition root fills it.
#[derive(Debug, Clone)]
pub struct HttpState {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn Queue>,
    pub storage: Storage,
    pub worker: Arc<dyn Visits>,
    pub callbacks: Arc<dyn CallbackGate>,
    /// Absent: `/files` is not served, since links lead to a cloud's own signer.
    pub links: Option<Arc<dyn LinkVerifier>>,
    pub clock: SharedClock,
    /// What is wrong with a watermark's layers; fields are what follows `output.watermark`:
    /// `.anchor` of the only one, `[1].anchor` of several.
    pub check_watermark: fn(&[WatermarkSpec]) -> Vec<Fault>,
    pub events: EventStreams,
    pub shared: Shared,
    pub settings: Arc<HttpSettings>,
}
