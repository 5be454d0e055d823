//! Ending a visit before it is done.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::media;

/// Why a visit has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The caller cancelled the job.
    Requested,
    /// Somebody else claimed the job, or the lease could not be renewed in time.
    LeaseLost,
    /// The service is stopping.
    Shutdown,
    /// The job's deadline has passed.
    Deadline,
    /// The visit has taken as long as it may.
    Budget,
}

/// Carries the first reason to whatever runs, native code included.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    reason: Arc<Mutex<Option<StopReason>>>,
    token: CancellationToken,
    media: media::Cancel,
}

impl Stop {
    /// The first reason counts, but for a lost lease: nothing may be written then.
    pub(super) fn stop(&self, reason: StopReason) {
        {
            let mut known = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_none() || reason == StopReason::LeaseLost {
                *known = Some(reason);
            }
        }
        self.media.cancel(match reason {
            StopReason::Requested => media::CancelReason::Requested,
            StopReason::LeaseLost => media::CancelReason::LeaseLost,
            StopReason::Shutdown => media::CancelReason::Shutdown,
            StopReason::Deadline | StopReason::Budget => media::CancelReason::Deadline,
        });
        self.token.cancel();
    }

    pub(super) fn reason(&self) -> Option<StopReason> {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn stopped(&self) -> StopReason {
        self.token.cancelled().await;
        self.reason().unwrap_or(StopReason::Shutdown)
    }

    /// For everything that waits.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// For native calls.
    pub(super) fn media(&self) -> media::Cancel {
        self.media.clone()
    }
}
