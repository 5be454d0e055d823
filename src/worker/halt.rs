//! How stages say what became of them.

use super::stop::StopReason;
use crate::job::{Change, Code, Failure, Party, Phase, Timestamp, WaitsFor};
use crate::ledger::LedgerError;

/// What native work is about: what is done, and who made the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) phase: Phase,
    pub(super) party: Party,
}

impl About {
    pub(super) fn new(phase: Phase, party: Party) -> Self {
        Self { phase, party }
    }
}

/// Why a visit does not go on to its next stage.
#[derive(Debug)]
pub(super) enum Halt {
    Failed(Failure),
    /// The visit was told to stop.
    Stopped(StopReason),
    /// It was told to stop, and its native work does not come back.
    Stuck(StopReason),
    /// The process that worked on its files alone died of one.
    Crashed {
        about: About,
        how: String,
    },
    /// Another claim has been made: nothing more may be written.
    Lost,
    /// No place for media work came free in time.
    NoPlace,
    Ledger(LedgerError),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<LedgerError> for Halt {
    fn from(error: LedgerError) -> Self {
        match error {
            // A defect of ours: it ends as a failed attempt, which names the stage.
            LedgerError::Illegal(illegal) => {
                Self::Failed(Failure::new(Code::Internal, Code::Internal.about()).because(illegal))
            }
            other => Self::Ledger(other),
        }
    }
}

/// What a stage says when it has done its part.
#[derive(Debug)]
pub(super) enum Step {
    /// The next stage is recorded; go on.
    Next,
    /// This records the next stage; go on then.
    Done(Box<Change>),
    /// Nothing to do before `until`.
    Wait {
        until: Timestamp,
        reason: Option<Failure>,
        what: WaitsFor,
    },
}

impl Step {
    pub(super) fn done(change: Change) -> Self {
        Self::Done(Box::new(change))
    }

    /// A wait for what `failure` is about.
    pub(super) fn wait(until: Timestamp, failure: Failure) -> Self {
        Self::Wait {
            until,
            what: WaitsFor::of(failure.code),
            reason: Some(failure),
        }
    }

    /// A wait for something that nothing is wrong with.
    pub(super) fn wait_for(what: WaitsFor, until: Timestamp) -> Self {
        Self::Wait {
            until,
            reason: None,
            what,
        }
    }
}
