//! Every way in which the holder of a lease may change a job.

use serde::{Deserialize, Serialize};

use super::{
    CreditState, Credits, Generated, Intent, IntentState, Job, JobError, MAX_INTENTS, NativeWork,
    PassedOver, Progress, ProviderInputs, Published, Stage, Status, Timestamp, WaitsFor,
};

/// One owner write. Applied in the ledger, behind the fence.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The inputs are where the provider can read them.
    InputsReady(Box<ProviderInputs>),
    /// The price was computed.
    Priced(Credits),
    /// We are about to pay the provider.
    Intended(Intent),
    /// The provider accepted: the job goes on to `generate`.
    Submitted {
        intent: String,
        prediction_id: String,
        at: Timestamp,
    },
    /// The provider took nothing for this intent.
    IntentRefused { intent: String },
    /// Nobody knows whether the provider accepted.
    IntentUnknown { intent: String, until: Timestamp },
    /// Waited long enough: a second submission is allowed, this one may have been paid.
    IntentWasted { intent: String },
    /// The round asks this model no more, and goes on to the next one.
    PassedOver(PassedOver),
    /// A visit was made for the callback of this submission.
    Heard { intent: String },
    /// Asked the provider; it is not done.
    Polled,
    /// Asked the provider in vain. `missing_since`: it says, since then or for the first time,
    /// that it does not know the prediction.
    Unanswered { missing_since: Option<Timestamp> },
    /// The provider has made the video: on to `fetch`.
    OutputReady { url: String },
    /// The prediction failed or is gone: back to `submit`, for a new intent.
    PredictionLost,
    /// The output's address does not open: back to `generate`, for a fresh one.
    AddressClosed { at: Timestamp },
    /// The provider's output lies in our store: on to `process`.
    Fetched(Generated),
    /// The generated file is unusable: back to `fetch` for a fresh copy.
    GeneratedUnusable,
    /// The result is made and verified: on to `settle`.
    Processed(Box<Published>),
    /// Native work is about to begin in the process of the holder.
    NativeBegun(NativeWork),
    /// It is over, and the process lives.
    NativeOver,
    /// The process that did native work for this job alone died of it. With a next visit the
    /// lease is given back; without, the end follows.
    Crashed { next_visit: Option<Timestamp> },
    /// The visit goes on once it has what it waits for here, or has it now.
    Awaits(Option<WaitsFor>),
    /// Several changes in one write.
    Many(Vec<Change>),
    /// How long a stage took in this visit.
    Timed { stage: Stage, ms: u64 },
    /// Nothing to do for now: the lease is given back, the next visit planned.
    Waited {
        until: Timestamp,
        reason: Option<JobError>,
        what: WaitsFor,
    },
    /// This attempt failed and another follows: the lease is given back.
    AttemptFailed {
        error: JobError,
        next_visit: Timestamp,
    },
    /// The service is stopping: the lease is given back, no attempt used.
    GivenBack { next_visit: Timestamp },
    /// The round is over: the lease is given back.
    Ended(Ending),
}

/// How a round ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    pub status: Status,
    pub error: Option<JobError>,
    pub credits: CreditState,
    pub at: Timestamp,
}

/// A change that does not fit the job's state: a defect of ours, never a caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not allowed in status {status:?}, stage {stage:?}")]
pub struct IllegalChange {
    what: String,
    status: Status,
    stage: Option<Stage>,
}

impl IllegalChange {
    /// The refusal of `change` to `job` as it is.
    #[must_use]
    pub fn of(change: &Change, job: &Job) -> Self {
        let text = format!("{change:?}");
        let what = text
            .split(['(', ' ', '{'])
            .next()
            .unwrap_or_default()
            .to_owned();
        Self {
            what,
            status: job.status,
            stage: job.stage,
        }
    }
}

impl Change {
    /// Applies the change, or leaves the job as it was.
    pub fn apply(&self, job: &mut Job, now: Timestamp) -> Result<(), IllegalChange> {
        let mut changed = job.clone();
        self.apply_to(&mut changed, now)?;
        changed.note_time(now);
        changed.updated_at = now;
        changed.revision += 1;
        *job = changed;
        Ok(())
    }

    /// Whether to write it twice in a row is to write it once: after a lost answer it need not be
    /// read back.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Submitted { .. }
            | Self::IntentRefused { .. }
            | Self::IntentUnknown { .. }
            | Self::IntentWasted { .. }
            | Self::PassedOver(_) => true,
            Self::Many(changes) => changes.iter().all(Self::is_repeatable),
            _ => false,
        }
    }

    fn apply_to(&self, job: &mut Job, now: Timestamp) -> Result<(), IllegalChange> {
        match self {
            Self::InputsReady(inputs) => {
                require(job, job.stage == Some(Stage::Submit), self)?;
                job.provider.inputs = Some((**inputs).clone());
            }
            Self::Priced(cost) => job.credits.cost = Some(*cost),
            Self::Intended(_)
            | Self::Submitted { .. }
            | Self::IntentRefused { .. }
            | Self::IntentUnknown { .. }
            | Self::IntentWasted { .. }
            | Self::PassedOver(_) => self.apply_to_intents(job)?,
            Self::Heard { intent } => job.heard = Some(intent.clone()),
            Self::Polled => {
                job.provider.polls = job.provider.polls.saturating_add(1);
                job.provider.missing_since = None;
            }
            Self::Unanswered { missing_since } => {
                job.provider.polls = job.provider.polls.saturating_add(1);
                // What does not answer at all takes nothing back.
                let known = job.provider.missing_since;
                job.provider.missing_since = known.or(*missing_since);
            }
            Self::OutputReady { url } => {
                self.enter(job, Stage::Fetch)?;
                job.provider.output_url = Some(url.clone());
                job.provider.missing_since = None;
            }
            Self::AddressClosed { at } => {
                require(job, job.stage == Some(Stage::Fetch), self)?;
                job.stage = Some(Stage::Generate);
                let provider = &mut job.provider;
                provider.output_url = None;
                provider.closed_addresses = provider.closed_addresses.saturating_add(1);
                provider.closed_since.get_or_insert(*at);
            }
            Self::PredictionLost => {
                self.enter(job, Stage::Submit)?;
                job.drop_prediction();
            }
            Self::Fetched(generated) => {
                self.enter(job, Stage::Process)?;
                job.generated = Some(generated.clone());
                job.provider.forget_trouble();
            }
            Self::GeneratedUnusable => {
                require(job, job.stage == Some(Stage::Process), self)?;
                job.stage = Some(Stage::Fetch);
                job.generated = None;
            }
            Self::Processed(published) => {
                self.enter(job, Stage::Settle)?;
                job.end_native_work();
                job.result = Some((**published).clone());
            }
            Self::NativeBegun(_) | Self::NativeOver | Self::Crashed { .. } => {
                self.apply_to_native_work(job, now)?;
            }
            Self::Awaits(what) => match what {
                Some(what) => job.begin_waiting(*what, now),
                None => job.waiting = None,
            },
            Self::Many(changes) => {
                for change in changes {
                    change.apply_to(job, now)?;
                }
            }
            Self::Timed { stage, ms } => {
                let total = job
                    .timings
                    .stages_ms
                    .entry(stage.as_str().to_owned())
                    .or_default();
                *total = total.saturating_add(*ms);
            }
            Self::Waited {
                until,
                reason,
                what,
            } => {
                require(job, !job.status.is_ended(), self)?;
                job.error.clone_from(reason);
                job.leave(Some(*until));
                job.begin_waiting(*what, now);
            }
            Self::AttemptFailed { error, next_visit } => {
                require(job, !job.status.is_ended(), self)?;
                job.error = Some(error.clone());
                job.attempt_failed = true;
                job.leave(Some(*next_visit));
                job.waiting = None;
                job.begin_waiting(WaitsFor::Attempt, now);
            }
            Self::GivenBack { next_visit } => {
                require(job, !job.status.is_ended(), self)?;
                job.leave(Some(*next_visit));
                job.waiting = None;
            }
            Self::Ended(ending) => self.end(job, ending)?,
        }
        Ok(())
    }

    /// What becomes of decisions to pay.
    fn apply_to_intents(&self, job: &mut Job) -> Result<(), IllegalChange> {
        match self {
            Self::Intended(intent) => {
                // Refusals cost nothing and may be many while the provider is busy: only what
                // may have been paid has to be remembered.
                job.intents
                    .retain(|known| known.state != IntentState::Refused);
                let free = job.stage == Some(Stage::Submit)
                    && job.current_intent().is_none()
                    && !job.has_passed_over(&intent.model)
                    && job.intents.len() < MAX_INTENTS;
                require(job, free, self)?;
                job.intents.push(intent.clone());
                job.provider.model = Some(intent.model.clone());
            }
            Self::Submitted {
                intent,
                prediction_id,
                at,
            } => {
                self.enter(job, Stage::Generate)?;
                let known = mark(job, intent, IntentState::Accepted);
                require(job, known, self)?;
                if let Some(intent) = job.intents.iter_mut().find(|i| i.id == *intent) {
                    intent.prediction_id = Some(prediction_id.clone());
                    intent.unknown_until = None;
                    // It may be of an earlier round, or proven late.
                    job.provider.model = Some(intent.model.clone());
                }
                job.provider.prediction_id = Some(prediction_id.clone());
                job.provider.submitted_at = Some(*at);
                job.provider.polls = 0;
                job.provider.forget_trouble();
            }
            Self::IntentRefused { intent } => {
                let known = mark(job, intent, IntentState::Refused);
                require(job, known, self)?;
            }
            Self::IntentUnknown { intent, until } => {
                let known = mark(job, intent, IntentState::Unknown);
                require(job, known, self)?;
                if let Some(intent) = job.intents.iter_mut().find(|i| i.id == *intent) {
                    intent.unknown_until = Some(*until);
                }
            }
            Self::PassedOver(over) => {
                // Nothing of what went before is paid for, or may be.
                let is_over = job.stage == Some(Stage::Submit)
                    && job.current_intent().is_none()
                    && !job.may_have_wasted();
                require(job, is_over, self)?;
                if !job.has_passed_over(&over.model) {
                    job.passed_over.push(over.clone());
                }
            }
            Self::IntentWasted { intent } => {
                let known = mark(job, intent, IntentState::Wasted);
                require(job, known, self)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What becomes of native work and its crashes.
    fn apply_to_native_work(&self, job: &mut Job, now: Timestamp) -> Result<(), IllegalChange> {
        match self {
            Self::NativeBegun(work) => {
                require(job, work.fence == job.lease.fence, self)?;
                job.native = Some(work.clone());
            }
            Self::NativeOver => job.end_native_work(),
            Self::Crashed { next_visit } => {
                require(job, !job.status.is_ended(), self)?;
                job.crashes = job.crashes.saturating_add(1);
                job.end_native_work();
                if next_visit.is_some() {
                    job.error = None;
                    job.leave(*next_visit);
                    job.begin_waiting(WaitsFor::Attempt, now);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self, job: &mut Job, ending: &Ending) -> Result<(), IllegalChange> {
        let allowed = job.status.may_become(ending.status) && ending.status.is_ended();
        let complete = ending.status != Status::Completed || job.result.is_some();
        require(job, allowed && complete, self)?;
        job.status = ending.status;
        job.error.clone_from(&ending.error);
        job.credits.state = ending.credits;
        job.completed_at = Some(ending.at);
        if ending.status == Status::Completed {
            job.stage = None;
            job.progress = Progress::done();
            job.kept.results = Some(ending.at);
        } else {
            // The name of a result is what publishes it.
            job.result = None;
            // Another round may use what was paid for.
            job.kept.generated = job.generated.as_ref().map(|_| ending.at);
        }
        job.waiting = None;
        job.leave(None);
        Ok(())
    }

    fn enter(&self, job: &mut Job, next: Stage) -> Result<(), IllegalChange> {
        let allowed = job.status == Status::Processing
            && job.stage.is_some_and(|stage| stage.may_become(next));
        require(job, allowed, self)?;
        job.stage = Some(next);
        job.waiting = None;
        let begun = Progress::within(next, 0.0);
        if begun.percent >= job.progress.percent {
            job.progress = begun;
        }
        Ok(())
    }
}

fn require(job: &Job, allowed: bool, change: &Change) -> Result<(), IllegalChange> {
    if allowed {
        return Ok(());
    }
    Err(IllegalChange::of(change, job))
}

pub(super) fn mark(job: &mut Job, intent: &str, state: IntentState) -> bool {
    let found = job.intents.iter_mut().find(|known| known.id == intent);
    let known = found.is_some();
    if let Some(intent) = found {
        intent.state = state;
    }
    known
}

#[cfg(test)]
pub(crate) mod tests;
