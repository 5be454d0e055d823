//! The commands. Each is a file; this one reads the command line and says how it went.

mod args;
mod backup;
mod bench;
mod client;
mod completions;
pub mod console;
pub mod credits;
#[cfg(feature = "sandbox")]
mod demo;
mod doctor;
mod exit;
mod figures;
pub mod jobs;
mod man;
pub mod models;
mod owner;
mod probe;
mod process;
mod ready;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod server;
mod signal;
mod stoppable;
pub mod submit;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{Config, Sources};
use crate::job::{Code, Failure, Phase};
use crate::quarantine;
use args::Parsed;
use exit::{Exit, say, told};
use signal::StopSignals;

/// Makes AI videos: generates with WaveSpeed.ai, watermarks, compresses, verifies, publishes.
#[derive(Debug, Parser)]
#[command(name = "filmlab", version = version(), propagate_version = true)]
struct Cli {
    /// Settings file; without it, filmlab.toml in the working directory is read if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service on this machine.
    Serve(serve::ServeArgs),
    /// Create a job, follow it, download what it made.
    Submit(Box<submit::SubmitArgs>),
    /// List, show, follow, cancel, retry and delete the jobs of a running service.
    Jobs(jobs::JobsArgs),
    /// Ask a running service whether it can take work.
    Ready(ready::ReadyArgs),
    /// Look whether everything is there that a service needs.
    Doctor(doctor::DoctorArgs),
    /// List the models that make each kind, with limits and prices.
    Models(models::ModelsArgs),
    /// Show accounts in the configured ledger, and give credits.
    Credits(credits::CreditsArgs),
    /// Hand over, or remove, everything that is kept of an owner.
    Owner(owner::OwnerArgs),
    /// Copy what this machine keeps, while a service runs.
    Backup(backup::BackupArgs),
    /// Put such a copy in place. Jobs that might pay twice are cancelled.
    Restore(backup::RestoreArgs),
    /// Watermark, compress and check one video here, without any service.
    Process(Box<process::ProcessArgs>),
    /// Measure what this machine can do with clips of a kind.
    Bench(bench::BenchArgs),
    /// Say what a video file holds.
    Probe(probe::ProbeArgs),
    /// Run a stand-in for the WaveSpeed API that really makes videos.
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::SandboxArgs),
    /// Show one job of each kind, from request to result, on this machine.
    #[cfg(feature = "sandbox")]
    Demo(demo::DemoArgs),
    /// Print the script that lets a shell complete filmlab's command line.
    Completions(completions::CompletionsArgs),
    /// Print filmlab's manual page, or write the pages of all commands.
    Man(man::ManArgs),
    /// Be the child process that works on one file: started by `serve`, and by nobody else.
    #[command(name = quarantine::COMMAND, hide = true)]
    Media(MediaArgs),
}

#[derive(Debug, clap::Args)]
struct MediaArgs {
    /// What is done.
    phase: Phase,
}

fn version() -> &'static str {
    concat!(env!("FILMLAB_VERSION"), " (", env!("FILMLAB_REVISION"), ")")
}

/// What a command waits for is done; files that are being closed get this long.
const LAST_MOMENT: Duration = Duration::from_millis(300);

/// Runs the command line `args`, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match args::parse::<Cli>(args) {
        Parsed::Command(cli) => *cli,
        Parsed::Shown(text) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Parsed::Faults(faults) => {
            let mut told_faults = faults.told;
            if let Some(rest) = faults.rest {
                told_faults.extend(further_faults(*rest, &faults.left_out));
            }
            return told(Err(Exit::Usage(told_faults)));
        }
    };
    // No runtime, no settings, no log: nothing but one file's bytes.
    if let Command::Media(args) = &cli.command {
        return quarantine::run_child(args.phase);
    }
    // These two are about the command line alone.
    match &cli.command {
        Command::Completions(args) => {
            say(&completions::script(args, &mut shown()));
            return ExitCode::SUCCESS;
        }
        Command::Man(args) => return told(man::run(args, shown()).map_err(Exit::from)),
        _ => {}
    }
    told(run(cli))
}

/// The command line without what nobody may start: generators of completions do not heed `hide`.
fn shown() -> clap::Command {
    let whole = Cli::command();
    let mut shown = clap::Command::new("filmlab")
        .version(version())
        .propagate_version(true)
        .args(whole.get_arguments().cloned())
        .subcommands(
            whole
                .get_subcommands()
                .filter(|command| !command.is_hide_set())
                .cloned(),
        );
    if let Some(about) = whole.get_about() {
        shown = shown.about(about.clone());
    }
    shown
}

/// What else is wrong with a command line of which the parser took `left_out` out.
fn further_faults(cli: Cli, left_out: &[String]) -> Vec<String> {
    let settings = settings(cli.config);
    match cli.command {
        Command::Process(args) => args.faults(settings, left_out),
        Command::Serve(_)
        | Command::Probe(_)
        | Command::Bench(_)
        | Command::Credits(_)
        | Command::Owner(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Models(_)
        | Command::Doctor(_) => settings.err().unwrap_or_default(),
        Command::Submit(_)
        | Command::Jobs(_)
        | Command::Ready(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Media(_) => Vec::new(),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(_) | Command::Demo(_) => Vec::new(),
    }
}

fn run(cli: Cli) -> Result<(), Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Internal, format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => {
                // First of all: from here on a signal ends it in order.
                let signals = StopSignals::listen();
                let settings = settings(cli.config).map_err(Exit::Usage)?;
                serve::run(args, &settings, signals).await
            }
            Command::Submit(args) => Ok(submit::run(*args).await?),
            Command::Jobs(args) => Ok(jobs::run(args).await?),
            Command::Ready(args) => Ok(ready::run(&args).await?),
            Command::Credits(args) => {
                let settings = settings(cli.config).map_err(Exit::Usage)?;
                Ok(credits::run(args, &settings).await?)
            }
            Command::Owner(args) => {
                let settings = settings(cli.config).map_err(Exit::Usage)?;
                owner::run(args, &settings).await
            }
            Command::Backup(args) => {
                let settings = settings(cli.config).map_err(Exit::Usage)?;
                backup::run_backup(args, &settings).await
            }
            Command::Restore(args) => {
                let settings = settings(cli.config).map_err(Exit::Usage)?;
                backup::run_restore(args, &settings).await
            }
            Command::Models(args) => {
                let settings = settings(cli.config).map_err(Exit::Usage)?;
                Ok(models::run(&args, &settings).await?)
            }
            Command::Doctor(args) => doctor::run(args, settings(cli.config)).await,
            Command::Process(args) => process::run(*args, settings(cli.config)).await,
            Command::Bench(args) => bench::run(args, settings(cli.config)).await,
            Command::Probe(args) => probe::run(args, settings(cli.config)).await,
            #[cfg(feature = "sandbox")]
            Command::Sandbox(args) => sandbox::run(args).await,
            #[cfg(feature = "sandbox")]
            Command::Demo(args) => demo::run(args).await,
            // Answered before there was a runtime.
            Command::Completions(_) | Command::Man(_) | Command::Media(_) => Ok(()),
        }
    });
    // Dropping it would wait for every blocking thread, also for one that never comes back.
    runtime.shutdown_timeout(LAST_MOMENT);
    outcome
}

/// The settings, or every fault of theirs.
fn settings(file: Option<PathBuf>) -> Result<Config, Vec<String>> {
    Config::load(&Sources::from_env(file))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}
