//! Where a command prints: what it found out goes to standard output, how it is going to
//! standard error. Tests hand in one that remembers.

use std::fmt::Debug;
use std::io::{IsTerminal as _, Write as _};

/// Takes lines.
pub trait Console: Debug + Send + Sync {
    /// A line of the result.
    fn say(&self, line: &str);
    /// A line on the way there.
    fn note(&self, line: &str);
    /// Whether notes are seen as they come, so that a bar may be drawn over them.
    fn is_terminal(&self) -> bool;
}

/// The process's own streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdio;

impl Console for Stdio {
    // A reader that went away is no failure of ours.
    fn say(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn note(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }
}
