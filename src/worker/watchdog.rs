//! Native work that does not stop when it is told to.
//!
//! Cancellation is looked at between packets and frames; a call that never returns, as a read
//! from a hung network mount, looks at nothing. No thread can be ended from outside, so the
//! process has to: in order, that no other visit pays for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::stop::{Stop, StopReason};

/// Remembers that a thread of this process is lost.
#[derive(Debug, Default)]
pub(super) struct Watchdog(CancellationToken);

impl Watchdog {
    /// Resolves when work was told to stop and has had `patience` to do so. Never after a
    /// shutdown: that has its own, shorter patience, and ends the process anyway.
    pub(super) async fn overdue(stop: &Stop, patience: Duration) -> StopReason {
        let reason = stop.stopped().await;
        if reason == StopReason::Shutdown {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(patience).await;
        stop.reason().unwrap_or(reason)
    }

    pub(super) fn bark(&self) {
        self.0.cancel();
    }

    /// Resolves when the process has to be replaced.
    pub(super) async fn barked(&self) {
        self.0.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const PATIENCE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn nothing_is_overdue_before_it_is_told_to_stop() {
        let stop = Stop::default();
        let overdue = Watchdog::overdue(&stop, Duration::ZERO);
        assert_eq!(tokio::time::timeout(PATIENCE, overdue).await.ok(), None);
    }

    #[tokio::test]
    async fn patience_is_counted_from_the_stop() {
        for reason in [
            StopReason::Requested,
            StopReason::LeaseLost,
            StopReason::Deadline,
            StopReason::Budget,
        ] {
            let stop = Stop::default();
            stop.stop(reason);
            assert_eq!(Watchdog::overdue(&stop, PATIENCE).now_or_never(), None);
            let began = tokio::time::Instant::now();
            assert_eq!(Watchdog::overdue(&stop, PATIENCE).await, reason);
            assert!(began.elapsed() >= PATIENCE);
        }
    }

    #[tokio::test]
    async fn a_shutdown_has_a_patience_of_its_own() {
        let stop = Stop::default();
        stop.stop(StopReason::Shutdown);
        let overdue = Watchdog::overdue(&stop, Duration::ZERO);
        assert_eq!(tokio::time::timeout(PATIENCE, overdue).await.ok(), None);
    }
}
