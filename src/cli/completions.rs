//! `filmlab completions`: what a shell needs to complete the command line.

use clap::{Args, Command};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

/// The script for `command`'s line, as text.
pub(super) fn script(args: &CompletionsArgs, command: &mut Command) -> String {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
