//! What the routes work with.

use std::fmt;
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

/// What is wrong with a watermark's layers: who puts the service together knows its fonts.
#[derive(Clone)]
pub struct CheckWatermark(Arc<CheckLayers>);

type CheckLayers = dyn Fn(&[WatermarkSpec]) -> Vec<Fault> + Send + Sync;

impl CheckWatermark {
    /// Goes by a rule.
    pub fn new(rule: impl Fn(&[WatermarkSpec]) -> Vec<Fault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    pub(super) fn faults(&self, layers: &[WatermarkSpec]) -> Vec<Fault> {
        (self.0)(layers)
    }
}

impl fmt::Debug for CheckWatermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckWatermark(..)")
    }
}

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
    pub check_watermark: CheckWatermark,
    pub events: EventStreams,
    pub shared: Shared,
    pub settings: Arc<HttpSettings>,
}
