//! Native work that does not stop when it is told to.
//!
//! Cancellation is looked at between packets and frames; a call that never returns, as a read
//! from a hung network mount, looks at nothing. No thread can be ended from outside, so the
//! process has to: in order, that no other visit pays for it.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::stop::{Stop, StopReason};

/// Remembers that a thread of this process is lost.
#[derive(Debug, Clone, Default)]
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

    /// Waits for native work that belongs to no visit: tells it to stop after `limit`, and barks
    /// where it does not come back within `patience` of being told, also where nobody waits for it
    /// any more. `None` if it did not.
    pub(super) async fn guard<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        stop: &Stop,
        limit: Duration,
        patience: Duration,
    ) -> Option<T> {
        let (watchdog, stop) = (self.clone(), stop.clone());
        let guarded = async move {
            let limited = async {
                tokio::time::sleep(limit).await;
                stop.stop(StopReason::Budget);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                done = work => Some(done),
                reason = Self::overdue(&stop, patience) => {
                    tracing::error!(
                        ?reason,
                        "media work does not stop; the service gives its leases back and ends"
                    );
                    watchdog.bark();
                    None
                }
                () = limited => None,
            }
        };
        // A task of its own: who waits for a quote may go away at any time.
        let guarded = tokio::spawn(guarded.in_current_span());
        guarded.await.ok().flatten()
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

    const LONG: Duration = Duration::from_secs(60);

    /// Work that ends once it is told to, as native work should.
    async fn obedient(stop: Stop) -> StopReason {
        stop.stopped().await
    }

    #[tokio::test]
    async fn work_of_no_visit_is_told_to_stop_when_its_time_is_over() {
        let (watchdog, stop) = (Watchdog::default(), Stop::default());
        let work = obedient(stop.clone());
        let done = watchdog.guard(work, &stop, PATIENCE, LONG).await;
        assert_eq!(done, Some(StopReason::Budget));
        assert_eq!(watchdog.barked().now_or_never(), None);
        let stop = Stop::default();
        let done = watchdog.guard(async { 5 }, &stop, LONG, LONG).await;
        assert_eq!((done, stop.reason()), (Some(5), None));
    }

    #[tokio::test]
    async fn work_of_no_visit_that_does_not_come_back_is_barked_at() {
        let (watchdog, stop) = (Watchdog::default(), Stop::default());
        let work = std::future::pending::<()>();
        let done = watchdog.guard(work, &stop, PATIENCE, PATIENCE).await;
        assert_eq!((done, stop.reason()), (None, Some(StopReason::Budget)));
        assert_eq!(watchdog.barked().now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn it_is_barked_at_though_nobody_waits_any_more() {
        for obeys in [false, true] {
            let (watchdog, stop) = (Watchdog::default(), Stop::default());
            let told = stop.clone();
            let (ended, end) = tokio::sync::oneshot::channel();
            let work = async move {
                told.stopped().await;
                if !obeys {
                    std::future::pending::<()>().await;
                }
                let _ = ended.send(());
            };
            {
                let waiting = watchdog.guard(work, &stop, LONG, PATIENCE);
                assert!(tokio::time::timeout(PATIENCE, waiting).await.is_err());
            }
            assert_eq!(watchdog.barked().now_or_never(), None);
            stop.stop(StopReason::Requested);
            if obeys {
                end.await.unwrap();
                assert_eq!(watchdog.barked().now_or_never(), None);
            } else {
                let barked = tokio::time::timeout(LONG, watchdog.barked()).await;
                assert!(barked.is_ok());
            }
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
