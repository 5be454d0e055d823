//! The slots for event streams.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::http::slots::OwnerSlots;

/// How often a stream looks and how often it shows that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPace {
    /// Between two reads of the ledger.
    pub look: Duration,
    /// Between two comments while nothing happens: below what proxies take for silence.
    pub heartbeat: Duration,
}

impl Default for EventPace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// The slots for streams, and the end of all of them.
#[derive(Debug, Clone)]
pub struct EventStreams {
    pub(in crate::http) slots: OwnerSlots,
    pub(in crate::http) closing: CancellationToken,
    pub(in crate::http) pace: EventPace,
}

impl EventStreams {
    /// So many in all, and so many for the jobs of one owner.
    #[must_use]
    pub fn new(most: usize, most_per_owner: usize, pace: EventPace) -> Self {
        Self {
            slots: OwnerSlots::new(most, most_per_owner),
            closing: CancellationToken::new(),
            pace,
        }
    }

    /// Ends every stream, and begins none any more.
    pub fn close(&self) {
        self.closing.cancel();
    }
}
