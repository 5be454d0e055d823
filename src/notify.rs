//! Delivering notices.

pub mod fcm;
pub mod log;
pub mod webhook;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::job::Notice;

#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The receiver will never take it: a wrong address, a redirect, 410.
    #[error("refused: {0}")]
    Refused(String),
    /// It may work later.
    #[error("not delivered: {message}")]
    Failed {
        message: String,
        retry_after: Option<Duration>,
    },
}

/// One way to reach a user.
#[async_trait]
pub trait Notifier: Debug + Send + Sync {
    /// Whether this notifier serves the notice's channel.
    fn serves(&self, notice: &Notice) -> bool;
    /// Delivers it. The notice's id stays the same over all tries.
    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError>;
}
