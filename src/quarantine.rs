//! Native work where a crash harms nobody else: in a child process of this program.
//!
//! The child does one piece of work and ends. It is told what to do, and reads and writes media,
//! through its standard input and output: it opens no file and no connection, and knows no
//! credentials, since its environment is empty and nothing else is handed down. The parent keeps
//! the lease and the store; it believes the child nothing that the order does not allow.
//!
//! Architecture invariant: this is the only module that starts a process, and it starts this
//! program alone.

mod bounds;
mod child;
#[cfg(debug_assertions)]
mod fault;
mod lifeline;
mod parent;
mod protocol;
mod remote;
mod work;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

pub use bounds::Bounds;
pub use child::run as run_child;
pub use lifeline::Lifeline;
pub use parent::{Done, Lost};
pub use work::{Answer, Work};

/// The command by which the program knows itself as a child; no user's.
pub const COMMAND: &str = "__media";

/// Whose media are worked on in a child.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Those of a job that a process died of, and of quotes, which no record could blame.
    #[default]
    AfterDeath,
    /// All.
    Always,
    /// Nobody's.
    Never,
}

/// How children are started.
#[derive(Debug, Clone)]
pub struct Quarantine {
    pub mode: Mode,
    /// This program.
    pub program: PathBuf,
    /// The most libav may take in one piece, as in this process.
    pub max_allocation: u64,
}

/// The file this process was started from, also where another has taken its name since: parent
/// and child are of one build.
#[must_use]
pub fn this_program() -> PathBuf {
    let by_kernel = Path::new("/proc/self/exe");
    if by_kernel.exists() {
        return by_kernel.to_owned();
    }
    std::env::current_exe().unwrap_or_else(|_| by_kernel.to_owned())
}
