//! Work that a signal stops, and that tidies up before it ends.

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::signal::StopSignals;
use crate::job::{Code, Failure};
use crate::media::{Cancel, CancelReason};

/// Runs `work` to its end. From the call on a signal cancels it, and it cleans up.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce(&Cancel) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Exit> {
    let mut signals = StopSignals::listen();
    let cancel = Cancel::new();
    let mut work = tokio::task::spawn_blocking({
        let cancel = cancel.clone();
        move || work(&cancel)
    });
    let mut stopped = None;
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended,
            signal = signals.next(), if stopped.is_none() => {
                stopped = Some(signal);
                cancel.cancel(CancelReason::Requested);
            }
        }
    };
    match ended {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(failure)) => Err(match stopped {
            Some(signal) if failure.code == Code::Cancelled => Exit::Stopped(signal),
            _ => Exit::Failed(failure),
        }),
        Err(error) => Err(Failure::new(Code::Internal, "the work panicked")
            .because(error)
            .into()),
    }
}

/// Waits for `work`, which is told to stop by the first signal, and for its tidying up.
pub(super) async fn wait<T>(work: impl AsyncFnOnce(CancellationToken) -> T) -> Result<T, Exit> {
    let mut signals = StopSignals::listen();
    let stop = CancellationToken::new();
    let mut work = std::pin::pin!(work(stop.clone()));
    tokio::select! {
        done = &mut work => Ok(done),
        signal = signals.next() => {
            stop.cancel();
            work.await;
            Err(Exit::Stopped(signal))
        }
    }
}
