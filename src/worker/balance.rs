//! Watches the account at the provider: without funds every job waits.

use std::sync::Mutex;
use std::time::Duration;

use super::services::Services;
use crate::clock::elapsed;
use crate::job::Timestamp;
use crate::telemetry::metrics;

/// Between two looks. A look is free; the balance moves by cents.
const EVERY: Duration = Duration::from_secs(600);
/// The sweep that looks is not to be held up by it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// When the balance was last looked at.
#[derive(Debug, Default)]
pub(super) struct LastLook(Mutex<Option<Timestamp>>);

impl LastLook {
    /// Whether it is time; if so, the next one is later.
    fn is_due(&self, now: Timestamp) -> bool {
        let mut last = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|at| elapsed(at, now) >= EVERY);
        if due {
            *last = Some(now);
        }
        due
    }
}

/// Looks at the balance if it has not been looked at for a while, and warns where it is low.
pub(super) async fn watch(services: &Services, last: &LastLook) {
    if !last.is_due(services.clock.now()) {
        return;
    }
    match tokio::time::timeout(TIMEOUT, services.provider.balance()).await {
        Ok(Ok(balance)) => {
            metrics::provider_balance(balance);
            if let Some(low) = services.settings.low_balance
                && balance < low
            {
                tracing::warn!(
                    balance_usd = balance,
                    low_balance_usd = low,
                    "the account at the provider runs low"
                );
            }
        }
        // Jobs say so themselves where it matters.
        Ok(Err(error)) => tracing::debug!(%error, "the provider's balance is not known"),
        Err(_) => tracing::debug!("the provider's balance is not known in time"),
    }
}
