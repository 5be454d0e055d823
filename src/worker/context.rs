//! What stages work with, and how they say what became of them.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::admission::Permit;
use super::awaited::Awaited;
use super::deadline::Deadline;
use super::native::About;
use super::places::{Place, Places};
use super::stop::{Stop, StopReason};
use super::writer::Writer;
use super::{Services, Settings, Worker};
use crate::job::{Code, Disposition, Failure, JobError, Owner, Party, Timestamp};
use crate::ledger::LedgerError;
use crate::media::{Limits, MediaError};

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
    /// Nothing to do before `until`.
    Wait {
        until: Timestamp,
        reason: Option<Failure>,
    },
}

/// What a stage works with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) worker: &'a Worker,
    pub(super) services: &'a Services,
    pub(super) writer: Writer<'a>,
    pub(super) stop: Stop,
    /// Whose job it is.
    pub(super) owner: Owner,
    /// Whether the visit's own place is one to fetch inputs in.
    pub(super) fetches: bool,
    /// The submission whose callback it is made for.
    pub(super) heard: Option<String>,
    pub(super) awaited: Awaited,
    /// The place its pass has, while it has one.
    pub(super) pass: Mutex<Option<Permit>>,
    pub(super) started: Instant,
    /// How the visit stands to the job's deadline.
    pub(super) deadline: Deadline,
}

impl Context<'_> {
    pub(super) fn settings(&self) -> &Settings {
        &self.services.settings
    }

    pub(super) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    pub(super) fn after(&self, by: Duration) -> Timestamp {
        self.worker.after(by)
    }

    /// Waits for `work` unless the visit has to stop first. Not for paying.
    pub(super) async fn interruptible<F: Future>(&self, work: F) -> Result<F::Output, Halt> {
        tokio::select! {
            biased;
            reason = self.stop.stopped() => Err(Halt::Stopped(reason)),
            output = work => Ok(output),
        }
    }

    /// Waits for a place for a pass that takes `bytes`; everything that is run before the answer
    /// is dropped has it.
    pub(super) async fn pass(&self, bytes: u64) -> Result<Pass<'_>, Halt> {
        let patience = self.settings().media_slot_patience;
        let began = Instant::now();
        let turn = self.place_of(&self.worker.places.passes).await?;
        let left = patience.saturating_sub(began.elapsed());
        let bytes = if self.has_to_be_alone().await {
            u64::MAX
        } else {
            bytes
        };
        let permit = self.worker.media.pass(bytes, left);
        let permit = self.interruptible(permit).await?.ok_or(Halt::NoPlace)?;
        *self.held() = Some(permit.clone());
        Ok(Pass {
            permit,
            context: self,
            _turn: turn,
        })
    }

    /// A place of one kind, beside the visit's own.
    async fn place_of(&self, places: &Places) -> Result<Place, Halt> {
        let place = places.get(&self.owner, self.settings().media_slot_patience);
        self.interruptible(place).await?.ok_or(Halt::NoPlace)
    }

    /// A place to fetch an input in; none where the visit's own is one.
    pub(super) async fn fetching(&self) -> Result<Option<Place>, Halt> {
        if self.fetches {
            return Ok(None);
        }
        self.place_of(&self.worker.places.fetches).await.map(Some)
    }

    /// The pass's place, or one for a probe with its turn.
    pub(super) async fn place(&self) -> Result<(Permit, Option<Place>), Halt> {
        let held = self.held().clone();
        if let Some(permit) = held {
            return Ok((permit, None));
        }
        let turn = self.place_of(&self.worker.places.probes).await?;
        let probe = self.worker.media.probe(self.settings().media_slot_patience);
        let permit = self.interruptible(probe).await?.ok_or(Halt::NoPlace)?;
        Ok((permit, Some(turn)))
    }

    /// The bounds of a piece of work, with the threads it may use now.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            threads: self.held().as_ref().map_or(1, Permit::threads),
            ..self.settings().limits.clone()
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Permit>> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pass that has its place until this is dropped, and what it still runs has ended.
pub(super) struct Pass<'a> {
    permit: Permit,
    context: &'a Context<'a>,
    _turn: Place,
}

impl Pass<'_> {
    /// Whether work of this cost may go on in it.
    pub(super) fn covers(&self, bytes: u64) -> bool {
        self.permit.covers(bytes)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.context.held().take();
    }
}

pub(super) fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Internal, Code::Internal.about()).because(error.to_string())
}

/// The failure that a media error stands for, laid at the door of whoever made the file.
pub(super) fn media_failure(error: MediaError, made_by: Party) -> Failure {
    let code = error.code.as_str().parse().unwrap_or(Code::Internal);
    let message = error.message.clone();
    // What the caller gave will not get better; what the provider or we made may.
    let disposition = match (made_by, code.disposition()) {
        (Party::Caller, Disposition::Retry) if code.party() == Party::Provider => {
            Disposition::Abort
        }
        (Party::Provider | Party::Service, Disposition::Abort) => Disposition::Retry,
        (_, usual) => usual,
    };
    // An encoder that fails, or a full disk, is ours whoever made the input.
    let party = if code.party() == Party::Service {
        Party::Service
    } else {
        made_by
    };
    Failure::new(code, message)
        .by(party)
        .with(disposition)
        .because(error)
}

/// A failure with the provider's own words, which help the caller; they are text of a third
/// party, so they are quoted.
pub(super) fn provider_said(code: Code, words: &str) -> Failure {
    Failure::new(code, quoting(code.about(), words))
}

pub(super) fn quoting(sentence: &str, words: &str) -> String {
    if words.is_empty() {
        sentence.to_owned()
    } else {
        format!("{sentence} It said: “{words}”")
    }
}

/// The failure as the job's document shows it.
pub(super) async fn error_of(context: &Context<'_>, failure: &Failure) -> JobError {
    let job = context.writer.job().await;
    // Bounded: a document stays far below Firestore's 1 MiB whatever a library says.
    let message = failure.message.chars().take(500).collect();
    JobError {
        code: failure.code,
        message,
        party: failure.party,
        stage: job.stage,
        attempt: job.attempt,
        at: context.now(),
    }
}
