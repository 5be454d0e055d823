//! `filmlab backup` and `filmlab restore`: what a single machine keeps, as a copy.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::exit::{Exit, say};
use crate::app::backup::{backup, is_of_one_machine, restore};
use crate::clock::{SharedClock, SystemClock};
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Folder for the copy; it must not be there yet.
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A folder that `filmlab backup` made.
    #[arg(value_name = "DIR")]
    from: PathBuf,
}

fn checked(config: &Config) -> Result<(), Exit> {
    if is_of_one_machine(config) {
        return Ok(());
    }
    let fault = "database, queue and objects must all lie on this machine; docs/operations.md, \
        “Backups”, says what there is in the cloud";
    Err(Exit::Usage(vec![fault.to_owned()]))
}

pub(super) async fn run_backup(args: BackupArgs, config: &Config) -> Result<(), Exit> {
    checked(config)?;
    let copied = backup(config, &args.to).await?;
    say(&format!(
        "{}: the database and {} objects ({}); {} went away meanwhile",
        args.to.display(),
        copied.objects,
        bytesize::ByteSize(copied.bytes),
        copied.gone,
    ));
    Ok(())
}

pub(super) async fn run_restore(args: RestoreArgs, config: &Config) -> Result<(), Exit> {
    checked(config)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let restored = restore(config, &args.from, &clock).await?;
    say(&format!(
        "{}: the database and {} objects ({})",
        config.data_dir.display(),
        restored.copied.objects,
        bytesize::ByteSize(restored.copied.bytes),
    ));
    for id in &restored.cancelled {
        say(&format!(
            "{id} will be cancelled: nobody knows whether it was paid for since; `filmlab jobs \
             retry {id}` pays"
        ));
    }
    Ok(())
}
