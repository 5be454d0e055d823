//! How a command went, as the shell sees it.

use std::process::ExitCode;

use super::signal::Signal;
use crate::job::{Code, Failure};

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Exit {
    /// Flags or settings are wrong: every fault, exit status 64 (`EX_USAGE`).
    Usage(Vec<String>),
    /// Exit status by party.
    Failed(Failure),
    /// Somebody stopped the command; exit status as a shell gives it.
    Stopped(Signal),
}

impl From<Failure> for Exit {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// `EX_USAGE` of `sysexits.h`.
const USAGE: u8 = 64;

pub(super) fn told(outcome: Result<(), Exit>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit::Usage(faults)) => {
            for fault in &faults {
                complain(&format!("filmlab: {}", fault.trim_end()));
            }
            complain("filmlab: `filmlab --help` lists the commands and their flags");
            ExitCode::from(USAGE)
        }
        Err(Exit::Failed(failure)) => {
            complain(&format!("filmlab: {failure}"));
            ExitCode::from(failure.exit_code())
        }
        Err(Exit::Stopped(signal)) => {
            complain(&format!(
                "filmlab: {}: stopped by {signal}",
                Code::Cancelled
            ));
            ExitCode::from(signal.exit_code())
        }
    }
}

/// Prints to standard output; a reader that went away is no failure of ours.
pub(super) fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// Prints to standard error.
fn complain(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
