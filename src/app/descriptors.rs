//! How many files may be open, sockets included, and what of that connections may take.
//!
//! A service that connections leave without a file fails the jobs that it was paid for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More is of no use to us, and some systems go through all numbers when a process starts another.
const WANTED: u64 = 65_536;
/// For everything but callers: visits with their streams, the ledger, the store, the provider.
const KEPT: u64 = 512;
/// With fewer nothing can be served; such a limit is somebody's slip.
const FEWEST: usize = 16;

/// Raises what this process may open as far as it may by itself; gives what it may now.
pub(super) fn raise() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let Some(current) = now.current else {
        return WANTED;
    };
    let wanted = now.maximum.unwrap_or(WANTED).min(WANTED);
    if current >= wanted {
        return current;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: now.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, current, wanted, "the limit of open files stays as it is");
            current
        }
    }
}

/// How many connections fit: each is a file, and its request may open another.
pub(super) fn connections(files: u64) -> usize {
    let connections = files.saturating_sub(KEPT.min(files / 2)) / 2;
    usize::try_from(connections)
        .unwrap_or(usize::MAX)
        .max(FEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_back_whatever_the_limit() {
        for (files, fit) in [
            (64, 16),
            (256, 64),
            (1024, 256),
            (4096, 1792),
            (65_536, 32_512),
        ] {
            assert_eq!(connections(files), fit, "{files}");
        }
    }

    #[test]
    fn the_soft_limit_goes_up_to_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let raised = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(raised));
        let most = before.maximum.unwrap_or(WANTED).min(WANTED);
        assert_eq!(raised, before.current.unwrap_or(WANTED).max(most));
        assert_eq!(raise(), raised);
    }
}
