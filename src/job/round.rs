//! A new round of an ended job. What the last round has already paid for, and what is not the
//! reason why it failed, is used again.

use jiff::SignedDuration;

use super::change::mark;
use super::{
    Code, CreditState, DurationMeaning, IntentState, Job, JobError, Keeping, Kept, Lease,
    MAX_INTENTS, Party, Progress, Stage, Status, Terms, Timestamp, Wake,
};

/// What a job remembers of its earlier rounds' decisions to pay; the rest of the list is the new
/// round's own.
const REMEMBERED_INTENTS: usize = MAX_INTENTS / 2;

/// Submissions of one round that are remembered, whatever went before. A round makes no more than
/// its attempts, since each other one follows a prediction that failed, and the resubmissions
/// allowed, since one more that is lost ends the round. The configuration keeps their sum below
/// this.
pub const MAX_SUBMISSIONS: usize = MAX_INTENTS - REMEMBERED_INTENTS;

/// How long an output's addresses may have been closed before another round takes it for gone:
/// no outage of a CDN lasts as long.
const CLOSED_FOR_GOOD: SignedDuration = SignedDuration::from_hours(24);

/// Why a job cannot have another round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRetried {
    /// The present round goes on.
    NotEnded,
    /// It has a result: more of it is another job.
    Completed,
}

impl Job {
    /// What this round asked `model` by before. Whoever asks once more asks for the same: the
    /// first request may have been taken.
    #[must_use]
    pub fn terms_before(&self, model: &str) -> Option<Terms> {
        let round = format!("{}-", self.round);
        let intent = self
            .intents
            .iter()
            .rfind(|intent| intent.id.starts_with(&round) && intent.model == model)?;
        // Release 0.1.0 kept none, and asked by its first row.
        Some(intent.terms.unwrap_or(Terms {
            revision: 1,
            duration: DurationMeaning::Added,
            usd: None,
        }))
    }

    /// Begins another round of a failed or cancelled job, due at once.
    pub fn retry(&mut self, now: Timestamp, deadline_at: Timestamp) -> Result<(), NotRetried> {
        match self.status {
            Status::Failed | Status::Cancelled => {}
            Status::Completed => return Err(NotRetried::Completed),
            Status::Queued | Status::Processing => return Err(NotRetried::NotEnded),
        }
        let closed_for_good = |since: Timestamp| now.duration_since(since) >= CLOSED_FOR_GOOD;
        if self.error.as_ref().is_some_and(blames_the_prediction)
            || self.generated.is_none() && self.provider.closed_since.is_some_and(closed_for_good)
        {
            self.drop_prediction();
        }
        let stage = if self.generated.is_some() {
            Stage::Process
        } else if self.provider.prediction_id.is_some() {
            // Asking is free, and gives an address that still opens.
            Stage::Generate
        } else {
            self.provider.output_url = None;
            Stage::Submit
        };
        let forgotten = self.intents.len().saturating_sub(REMEMBERED_INTENTS);
        self.intents.drain(..forgotten);

        self.schema_version = super::SCHEMA_VERSION;
        self.round += 1;
        self.attempt = 1;
        self.attempt_failed = false;
        // Files that a process died of are not let near another again.
        self.crashes = self.crashes.min(1);
        self.status = Status::Queued;
        self.stage = Some(stage);
        self.progress = Progress::within(stage, 0.0);
        self.error = None;
        self.waiting = None;
        // Another round decides anew.
        self.passed_over.clear();
        self.cancel_requested = false;
        self.completed_at = None;
        // A cancellation that was paid for has paid for the prediction that this round goes on
        // from; another one is held for anew.
        if self.credits.state != CreditState::Captured || stage == Stage::Submit {
            self.credits.state = CreditState::None;
        }
        self.provider.polls = 0;
        self.provider.missing_since = None;
        self.provider.closed_addresses = 0;
        // The fence goes on growing: it names objects and intents.
        self.lease = Lease {
            fence: self.lease.fence,
            ..Lease::default()
        };
        self.wake = Wake {
            seq: self.wake.seq + 1,
            at: Some(now),
        };
        self.next_visit_at = Some(now);
        self.deadline_at = deadline_at;
        self.kept = Kept::default();
        self.timings.timeline.clear();
        self.note_time(now);
        self.updated_at = now;
        Ok(())
    }

    /// Notes that files were deleted for their age. `false` if there is nothing to note: the job
    /// is in another round, or knows of no such files.
    pub fn forget(&mut self, what: Keeping, round: u32, now: Timestamp) -> bool {
        if self.round != round || !self.status.is_ended() {
            return false;
        }
        match what {
            Keeping::Results => {
                if self.result.take().is_some() {
                    self.result_expired_at = Some(now);
                } else if self.kept.results.is_none() {
                    return false;
                }
                self.kept.results = None;
            }
            Keeping::Generated => {
                if self.generated.take().is_none() && self.kept.generated.is_none() {
                    return false;
                }
                self.kept.generated = None;
            }
        }
        self.updated_at = now;
        true
    }

    /// The prediction gives nothing any more: only a new intent brings another.
    pub(super) fn drop_prediction(&mut self) {
        if let Some(id) = self.provider.prediction_id.take() {
            // It may be of an earlier round.
            for intent in &mut self.intents {
                if intent.prediction_id.as_ref() == Some(&id) {
                    intent.state = IntentState::Failed;
                }
            }
        }
        if let Some(intent) = self.current_intent().map(|intent| intent.id.clone()) {
            mark(self, &intent, IntentState::Failed);
        }
        self.provider.output_url = None;
        self.provider.forget_trouble();
        self.generated = None;
    }
}

/// Whether another download of the same output would fail in the same way. Our own limits are
/// not among these: an operator may raise them, and the output is paid for.
fn blames_the_prediction(error: &JobError) -> bool {
    error.party == Party::Provider
        && matches!(
            error.code,
            Code::ProviderFailed
                | Code::ProviderLostJob
                | Code::ProviderNoOutput
                | Code::EmptyFile
                | Code::UnsupportedFormat
                | Code::UnsupportedCodec
                | Code::NotAVideo
                | Code::NoVideoStream
                | Code::DamagedMedia
                | Code::Truncated
                | Code::WrongDuration
                | Code::WrongSize
                | Code::AudioMissing
                | Code::WrongCodec
                | Code::AudioUnexpected
                | Code::FramesMissing
                | Code::PictureBlack
                | Code::PictureFrozen
                | Code::NotDecodable
                | Code::MediaCrashed
        )
}

#[cfg(test)]
mod tests;
