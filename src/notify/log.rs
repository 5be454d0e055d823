//! Notices as lines in the log: the channel of a job that names no other.

use async_trait::async_trait;

use super::{Notifier, NotifyError};
use crate::job::{Channel, Notice};

/// Writes one line a notice.
#[derive(Debug, Default, Clone, Copy)]
pub struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    fn serves(&self, notice: &Notice) -> bool {
        notice.channel == Channel::Log
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        tracing::info!(
            notification = %notice.id,
            job = %notice.job,
            event = notice.event.as_str(),
            "the user's job has ended"
        );
        Ok(())
    }
}
