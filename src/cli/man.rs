//! `filmlab man`: manual pages, made from the command line's own help.

use std::path::{Path, PathBuf};

use clap::{Args, Command};

use super::exit::say;
use crate::job::{Code, Failure};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder for the pages of filmlab and of each of its commands; without it, filmlab's own page
    /// is printed.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let Some(folder) = &args.output else {
        let mut page = Vec::new();
        // Into memory, where nothing can go wrong.
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        say(&String::from_utf8_lossy(&page));
        return Ok(());
    };
    let unwritable = |path: &Path, error: &std::io::Error| {
        Failure::new(
            Code::OutputUnwritable,
            format!("{}: {error}", path.display()),
        )
    };
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    clap_mangen::generate_to(command, folder).map_err(|error| unwritable(folder, &error))
}
