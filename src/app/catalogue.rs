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
    let client = &wavespeed;
    let find = move || async move { counted("models", read(client, TIME).await) };
    let share = || rand::rng().random_range(0.0..SPREAD);
    let watched = again_and_again(find, share, tokio::time::sleep);
    stop.run_until_cancelled(watched).await;
}

/// `find`, and after each a pause that is longer by a `share` of itself, for ever.
async fn again_and_again<F, S>(
    find: impl Fn() -> F,
    share: impl Fn() -> f64,
    sleep: impl Fn(Duration) -> S,
) where
    F: Future<Output = Result<Comparison, ProviderError>>,
    S: Future<Output = ()>,
{
    let mut told = String::new();
    loop {
        let pause = tell(find().await, &mut told);
        sleep(pause.mul_f64(1.0 + share())).await;
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// The pauses in seconds, where reads end like this and each pause is longer by that share.
    async fn pauses(reads: &[(bool, f64)]) -> Vec<f64> {
        let left = RefCell::new(reads.iter().copied().collect::<VecDeque<_>>());
        let paused = RefCell::new(Vec::new());
        let done = &CancellationToken::new();
        let find = || {
            let next = left.borrow().front().map(|(works, _)| *works);
            async move {
                match next {
                    Some(true) => Ok(Comparison::default()),
                    Some(false) => Err(ProviderError::Unavailable {
                        message: "x".into(),
                    }),
                    None => {
                        done.cancel();
                        std::future::pending().await
                    }
                }
            }
        };
        let share = || left.borrow_mut().pop_front().unwrap().1;
        let sleep = |pause: Duration| {
            paused.borrow_mut().push(pause.as_secs_f64().round());
            std::future::ready(())
        };
        let watched = again_and_again(find, share, sleep);
        assert_eq!(done.run_until_cancelled(watched).await, None);
        paused.into_inner()
    }

    #[tokio::test]
    async fn it_is_read_hourly_and_sooner_after_a_failure() {
        let reads = [
            (true, 0.0),
            (true, 0.0),
            (false, 0.0),
            (false, 0.0),
            (true, 0.0),
        ];
        assert_eq!(pauses(&reads).await, [3600.0, 3600.0, 300.0, 300.0, 3600.0]);
    }

    #[tokio::test]
    async fn each_pause_is_longer_by_up_to_a_fifth() {
        let reads = [(true, 0.1), (false, 0.2), (true, 0.05)];
        assert_eq!(pauses(&reads).await, [3960.0, 360.0, 3780.0]);
        assert!((SPREAD - 0.2).abs() < 1e-9);
    }
}
