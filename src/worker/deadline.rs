//! The deadline of a job that was paid for.
//!
//! A deadline ends waiting. It does not end a job whose submission the provider may have finished
//! by now: the provider is asked once more first, since the deadline has passed. If the video is
//! there, this visit goes on with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::job::{Job, Timestamp};

#[derive(Debug, Default)]
pub(super) struct Deadline {
    /// Whether an answer of the provider is waited for.
    asks: AtomicBool,
    /// Whether the provider has delivered since: no deadline counts any more.
    is_lifted: AtomicBool,
    /// When it was first seen to have passed.
    passed: Mutex<Option<Instant>>,
}

impl Deadline {
    /// Before each stage: whether the provider will say something of what was paid for.
    pub(super) fn enters(&self, job: &Job) -> bool {
        let asks = job.awaited().is_some();
        self.asks.store(asks, Ordering::Relaxed);
        asks
    }

    pub(super) fn lift(&self) {
        self.is_lifted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lifted(&self) -> bool {
        self.is_lifted.load(Ordering::Relaxed)
    }

    /// Whether the visit has to stop for it by now. An answer that is waited for has as long as
    /// `patience`, from the moment the deadline is seen to have passed.
    pub(super) fn is_over(&self, now: Timestamp, deadline: Timestamp, patience: Duration) -> bool {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if now < deadline || self.is_lifted() {
            *passed = None;
            return false;
        }
        let passed = passed.get_or_insert_with(Instant::now);
        !self.asks.load(Ordering::Relaxed) || passed.elapsed() >= patience
    }
}
