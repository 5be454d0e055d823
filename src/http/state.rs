//! What the routes work with.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::jobs::streams::EventStreams;
use super::settings::HttpSettings;
use super::shared::Shared;
use super::visits::Visits;
use crate::clock::SharedClock;
use crate::job::{Fault, Label, WatermarkSpec};
use crate::ledger::Ledger;
use crate::provider::CallbackGate;
use crate::queue::Queue;
use crate::storage::{LinkVerifier, Storage};

/// What is wrong with what a job wants drawn: the layers of its watermark, and a label in words of
/// its own. Who puts the service together knows its fonts.
#[derive(Clone)]
pub struct CheckMarks {
    rule: Arc<MarkRule>,
    places: Arc<Semaphore>,
}

type MarkRule = dyn Fn(&[WatermarkSpec], Option<&Label>) -> Vec<Fault> + Send + Sync;

/// Bodies that are judged at once. Each may read fonts of tens of megabytes.
const JUDGED: usize = 2;

impl CheckMarks {
    /// Goes by a rule, which may take its time.
    pub fn new(
        rule: impl Fn(&[WatermarkSpec], Option<&Label>) -> Vec<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self {
            rule: Arc::new(rule),
            places: Arc::new(Semaphore::new(JUDGED)),
        }
    }

    pub(super) async fn faults(
        &self,
        layers: &[WatermarkSpec],
        words: Option<&Label>,
    ) -> Vec<Fault> {
        if layers.is_empty() && words.is_none() {
            return Vec::new();
        }
        let (rule, layers, words) = (Arc::clone(&self.rule), layers.to_vec(), words.cloned());
        let place = Arc::clone(&self.places).acquire_owned().await;
        let judged = tokio::task::spawn_blocking(move || {
            let _place = place;
            rule(&layers, words.as_ref())
        });
        match judged.await.map_err(JoinError::try_into_panic) {
            Ok(faults) => faults,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The service ends. Whoever prepares the job looks again.
            Err(Err(_)) => Vec::new(),
        }
    }
}

impl fmt::Debug for CheckMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckMarks(..)")
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
    /// Fields are those of a creation: `output.watermark[1].anchor`, `label`.
    pub check_marks: CheckMarks,
    pub events: EventStreams,
    pub shared: Shared,
    pub settings: Arc<HttpSettings>,
}
