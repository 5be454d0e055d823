//! Wall-clock time, injected.
//!
//! Records carry wall-clock stamps, so that several machines can compare them; a service tells
//! them by a [`SteadyClock`], which passes as the monotonic clock does and follows no jump. Leases
//! are watched on the monotonic clock by the worker itself. Tests hand in a [`ManualClock`].

pub mod steady;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

pub use jiff::Timestamp;

pub use steady::{Jump, SinceBoot, SteadyClock};

/// Tells the time. Stamps are whole microseconds, since Firestore keeps no finer ones and a
/// stamp must compare equal after a round trip through any ledger.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        whole_micros(Timestamp::now())
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(whole_micros(start))))
    }

    pub fn advance(&self, by: std::time::Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = later(*now, by);
    }

    /// Moves forward to `to`; a moment that has passed already changes nothing.
    pub fn advance_to(&self, to: Timestamp) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (*now).max(whole_micros(to));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `at` cut down to whole microseconds.
#[must_use]
pub fn whole_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// `at + by`, or the end of time where that overflows.
#[must_use]
pub fn later(at: Timestamp, by: std::time::Duration) -> Timestamp {
    whole_micros(at.checked_add(by).unwrap_or(Timestamp::MAX))
}

/// The time from `earlier` to `later`; zero where it would be negative.
#[must_use]
pub fn elapsed(earlier: Timestamp, later: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
