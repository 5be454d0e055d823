//! Outages on the tests' clock.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filmlab::clock::{Clock as _, ManualClock, Timestamp, later};

#[derive(Debug, Clone, Copy)]
enum Phase {
    Before,
    Until(Timestamp),
    Over,
}

/// What a call waits for before it is given up; it passes on the tests' clock.
const CALL: Duration = Duration::from_secs(5);

/// One that begins with the nth call and lasts for a time on the tests' clock.
#[derive(Debug)]
pub(crate) struct Outage {
    nth: u32,
    lasts: Duration,
    clock: ManualClock,
    calls: AtomicU32,
    phase: Mutex<Phase>,
}

impl Outage {
    pub(crate) fn new(clock: &ManualClock, nth: u32, lasts: Duration) -> Arc<Self> {
        Arc::new(Self {
            nth,
            lasts,
            clock: clock.clone(),
            calls: AtomicU32::new(0),
            phase: Mutex::new(Phase::Before),
        })
    }

    /// Whether this call meets it.
    pub(crate) fn strikes(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut phase = self.phase.lock().unwrap();
        if matches!(*phase, Phase::Before) && call >= self.nth {
            *phase = Phase::Until(later(self.clock.now(), self.lasts));
        }
        let Phase::Until(end) = *phase else {
            return false;
        };
        if self.clock.now() >= end {
            *phase = Phase::Over;
            return false;
        }
        self.clock.advance(CALL);
        true
    }

    /// Whether it has come and gone.
    pub(crate) fn is_over(&self) -> bool {
        matches!(*self.phase.lock().unwrap(), Phase::Over)
    }

    /// Ends it; says whether it had begun.
    pub(crate) fn end(&self) -> bool {
        let mut phase = self.phase.lock().unwrap();
        let begun = !matches!(*phase, Phase::Before);
        *phase = Phase::Over;
        begun
    }
}
