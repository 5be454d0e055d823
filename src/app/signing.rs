//! Learns in the background what the provider signs its callbacks with.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::provider::metered::counted;
use crate::provider::wavespeed::{Callbacks, WaveSpeed};

/// Between two tries: until one succeeds, signatures are not looked at, and nothing else is.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Only where signatures are looked at and do not decide: where they do, the start has asked.
pub(super) async fn learn(wavespeed: WaveSpeed, callbacks: Callbacks, stop: CancellationToken) {
    while callbacks.lacks_secret() {
        let asked = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            asked = wavespeed.webhook_secret() => counted("webhook_secret", asked),
        };
        match asked {
            Ok(secret) => callbacks.learn(&secret),
            Err(error) => {
                tracing::debug!(%error, "the provider does not tell what it signs callbacks with");
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
    }
}
