//! The visits that run in this process, so that they can be stopped.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::stop::{Stop, StopReason};
use crate::job::JobId;

#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<JobId, Stop>>);

impl Running {
    pub(super) fn enter(&self, id: &JobId, stop: Stop) -> Entered<'_> {
        self.lock().insert(id.clone(), stop);
        Entered {
            running: self,
            id: id.clone(),
        }
    }

    /// Whether a visit of this job runs here, whatever has become of its lease.
    pub(super) fn has(&self, id: &JobId) -> bool {
        self.lock().contains_key(id)
    }

    pub(super) fn stop(&self, id: &JobId, reason: StopReason) {
        if let Some(stop) = self.lock().get(id) {
            stop.stop(reason);
        }
    }

    pub(super) fn stop_all(&self, reason: StopReason) {
        for stop in self.lock().values() {
            stop.stop(reason);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Stop>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the visit off the list when it is over, however it ends.
#[derive(Debug)]
pub(super) struct Entered<'a> {
    running: &'a Running,
    id: JobId,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
    }
}
