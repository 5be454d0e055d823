//! The provider's catalogue beside our table: for commands, and in the background of a service.

use std::time::Duration;

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::provider::asking;
use crate::config::Config;
use crate::job::{Code, Failure};
use crate::provider::ProviderError;
use crate::provider::metered::counted;
use crate::provider::wavespeed::{Comparison, WaveSpeed};

/// The provider's own tools keep it for as long.
const EVERY: Duration = Duration::from_secs(3600);
/// After one that could not be read.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// A pause is longer by up to this share, so that many instances do not ask at once.
const SPREAD: f64 = 0.2;
/// For a whole read, repeats included.
const TIME: Duration = Duration::from_secs(120);
/// For one that somebody waits for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the catalogue says, for a command beside a service.
pub async fn live(config: &Config) -> Result<Comparison, Failure> {
    let wavespeed = asking(config)?;
    compared(&wavespeed).await.map_err(|error| {
        let code = match &error {
            ProviderError::Unauthorized { .. } => Code::ProviderUnauthorized,
            ProviderError::Protocol { .. } => Code::ProviderProtocol,
            _ => Code::ProviderUnavailable,
        };
        Failure::new(code, format!("the catalogue was not read: {error}"))
    })
}

/// Reads it within [`PATIENCE`].
pub(super) async fn compared(wavespeed: &WaveSpeed) -> Result<Comparison, ProviderError> {
    read(wavespeed, PATIENCE).await
}

async fn read(wavespeed: &WaveSpeed, time: Duration) -> Result<Comparison, ProviderError> {
    let read = async {
        let catalogue = wavespeed.read_catalogue().await?;
        // Thousands of small checks, and formulas.
        let client = wavespeed.clone();
        let compared = tokio::task::spawn_blocking(move || client.compare(&catalogue)).await;
        compared.map_err(|error| ProviderError::Protocol {
            message: format!("the catalogue was not compared: {error}"),
        })
    };
    tokio::time::timeout(time, read).await.unwrap_or_else(|_| {
        Err(ProviderError::Unavailable {
            message: format!("no answer within {} s", time.as_secs()),
        })
    })
}

/// Reads it now and then, and says how it stands where that is news. Nothing waits for it.
pub(super) async fn watch(wavespeed: WaveSpeed, stop: CancellationToken) {
    let mut told = String::new();
    loop {
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            found = read(&wavespeed, TIME) => counted("models", found),
        };
        let pause = tell(found, &mut told);
        let pause = pause.mul_f64(1.0 + rand::rng().random_range(0.0..SPREAD));
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Gives the pause until the next read.
fn tell(found: Result<Comparison, ProviderError>, told: &mut String) -> Duration {
    let (line, differs, pause) = match found {
        Ok(comparison) => {
            let differs = comparison.differing().next().is_some();
            (comparison.summary(), differs, EVERY)
        }
        Err(error) => {
            let line = format!("the provider's catalogue was not read: {error}");
            (line, true, AGAIN)
        }
    };
    if line != *told {
        if differs {
            tracing::warn!("{line}; see `filmlab models --live`");
        } else {
            tracing::info!("{line}");
        }
        *told = line;
    }
    pause
}
