//! `filmlab owner`: all that is kept of one owner, handed over or removed. Beside a running
//! service or without one.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::exit::{Exit, say};
use crate::app::erasure::{Erasure, Holdings};
use crate::app::handover::hand_over;
use crate::clock::{SharedClock, SystemClock};
use crate::config::Config;
use crate::job::{Code, Failure, Owner};

#[derive(Debug, Args)]
pub(super) struct OwnerArgs {
    #[command(subcommand)]
    command: OwnerCommand,
}

#[derive(Debug, Subcommand)]
enum OwnerCommand {
    /// Write everything of an owner into a folder: records as JSON, and files.
    Export {
        owner: Owner,
        /// Folder; it must not be there yet. One that broke off is gone on with.
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Remove everything of an owner. Says first what there is, and asks for the name.
    Delete {
        owner: Owner,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// How long to wait for jobs under way, which are cancelled.
        #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
        wait: Duration,
    },
}

pub(super) async fn run(args: OwnerArgs, config: &Config) -> Result<(), Exit> {
    let clock: SharedClock = Arc::new(SystemClock);
    match args.command {
        OwnerCommand::Export { owner, to } => {
            let done = hand_over(config, &owner, &to, &clock).await?;
            say(&format!(
                "{}: {} jobs, {} records, {} objects ({})",
                to.display(),
                done.jobs,
                done.records,
                done.objects,
                bytesize::ByteSize(done.bytes),
            ));
            incomplete("could not be read", done.missing.iter())
        }
        OwnerCommand::Delete { owner, yes, wait } => {
            let erasure = Erasure::open(config, owner.clone(), clock).await?;
            let holdings = erasure.holdings().await?;
            if holdings.is_empty() {
                say(&format!("nothing is kept of {owner}"));
                return Ok(());
            }
            say(&told(&owner, &holdings));
            if !yes {
                confirmed(&owner)?;
            }
            let done = erasure.run(wait).await?;
            say(&format!(
                "removed: {} jobs with their files, {} uploads and copies, {} other records",
                done.jobs, done.uploads, done.records
            ));
            incomplete("is still there", done.left.iter())
        }
    }
}

fn told(owner: &Owner, holdings: &Holdings) -> String {
    let mut lines = vec![format!("all of {owner} is to be removed, for good:")];
    lines.push(format!(
        "  {} jobs, {} of them under way: they are cancelled",
        holdings.jobs, holdings.under_way
    ));
    lines.push(format!("  {} objects", holdings.objects));
    for (part, count) in &holdings.records {
        lines.push(format!("  {part}: {count}"));
    }
    lines.join("\n")
}

/// Whether somebody types the owner's name.
fn confirmed(owner: &Owner) -> Result<(), Exit> {
    let mut out = std::io::stdout();
    let _ = write!(out, "type the owner's name to go on: ").and_then(|()| out.flush());
    let mut typed = String::new();
    let read = std::io::stdin().read_line(&mut typed);
    if read.is_ok() && typed.trim_end_matches(['\r', '\n']) == owner.as_str() {
        return Ok(());
    }
    let fault = format!("that is not {owner}: nothing was removed; --yes does not ask");
    Err(Exit::Usage(vec![fault]))
}

/// Fails where something was passed over, and names each.
fn incomplete<'a>(what: &str, left: impl ExactSizeIterator<Item = &'a String>) -> Result<(), Exit> {
    let count = left.len();
    if count == 0 {
        return Ok(());
    }
    for one in left {
        say(&format!("{what}: {one}"));
    }
    let message = format!("{count} things were passed over; doing it again tries them again");
    Err(Failure::new(Code::Conflict, message).into())
}
