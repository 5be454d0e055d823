//! `filmlab bench`: what a machine can do with clips of a kind.
//!
//! It measures this program, in this process, and starts no other.

mod args;
mod measure;
mod show;

use super::exit::{Exit, say};
use super::probe::media_failure;
use super::stoppable;
use crate::config::Config;
use crate::job::{Code, Failure};
use crate::media::{self, Cancel};
pub(super) use args::BenchArgs;
use args::Task;
use measure::Measured;
use show::Bar;

pub(super) async fn run(
    args: BenchArgs,
    settings: Result<Config, Vec<String>>,
) -> Result<(), Exit> {
    let json = args.json;
    let task = args.check(settings).map_err(Exit::Usage)?;
    let measured = stoppable::run(move |cancel| all(&task, cancel)).await?;
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
