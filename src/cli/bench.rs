//! `filmlab bench`: what a machine can do with clips of a kind.
//!
//! It measures this program, in this process, and starts no other.

mod args;
mod measure;
mod show;

use std::sync::Arc;

use super::exit::{Exit, say};
use super::probe::media_failure;
use super::signal::StopSignals;
use crate::config::Config;
use crate::job::{Code, Failure};
use crate::media::{self, Cancel, CancelReason};
pub(super) use args::BenchArgs;
use args::Task;
use measure::Measured;
use show::Bar;

pub(super) async fn run(
    args: BenchArgs,
    settings: Result<Config, Vec<String>>,
) -> Result<(), Exit> {
    let json = args.json;
    let task = Arc::new(args.check(settings).map_err(Exit::Usage)?);
    // From here on a signal stops the work, which cleans up.
    let mut signals = StopSignals::listen();
    let cancel = Cancel::new();
    let mut work = tokio::task::spawn_blocking({
        let (task, cancel) = (Arc::clone(&task), cancel.clone());
        move || all(&task, &cancel)
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
    let measured = match ended {
        Ok(Ok(measured)) => measured,
        Ok(Err(failure)) => {
            return Err(match stopped {
                Some(signal) if failure.code == Code::Cancelled => Exit::Stopped(signal),
                _ => Exit::Failed(failure),
            });
        }
        Err(error) => {
            return Err(Failure::new(Code::Internal, "the work panicked")
                .because(error)
                .into());
        }
    };
    if json {
        let json = serde_json::to_string_pretty(&measured)
            .map_err(|error| Failure::new(Code::Internal, format!("no JSON: {error}")))?;
        say(&json);
    } else {
        say(&show::table(&measured));
    }
    Ok(())
}

/// Measures one row after the other. Blocks.
fn all(task: &Task, cancel: &Cancel) -> Result<Measured, Failure> {
    media::limit_allocations(task.max_allocation);
    let bar = Bar::new(task.passes());
    let rows = task.rows().map(|row| {
        bar.begin(&row);
        let measured = measure::row(task, &row, cancel, &|| bar.one_more());
        measured.map_err(|error| media_failure(error, &row.name))
    });
    let rows = rows.collect::<Result<Vec<_>, Failure>>();
    bar.clear();
    let rows = rows?;
    let advice = show::advice(&rows, task.cores);
    Ok(Measured::of(task, rows, advice))
}
