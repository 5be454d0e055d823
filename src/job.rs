//! The domain: what a job is, how it may change, what it costs, why it fails.
//!
//! Pure: no I/O, no clock, nothing of ours imported. Adapters store and carry these types;
//! the worker decides with them.
//!
//! Architecture invariant: a [`Job`] is changed through [`Change::apply`] only. A ledger loads,
//! checks the fence, applies, stores.

pub mod attempt;
pub mod change;
pub mod credits;
pub mod failure;
pub mod ids;
pub mod kinds;
pub mod lease;
pub mod native;
pub mod notification;
pub mod progress;
pub mod round;
pub mod status;
mod watermark;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use jiff::Timestamp;

pub use change::{Change, Ending, IllegalChange};
pub use credits::{
    Account, CancelAfterSubmit, CreditEntry, CreditState, Credits, CreditsMode, EntryKind,
    JobCredits, PriceTable,
};
pub use failure::{Code, Disposition, Failure, OrFailure, Party};
pub use ids::{Fence, JobId, MediaRef, Owner};
pub use kinds::{CharacterReplace, Extend, Fault, Kind, Params, Resolution, Upscale};
pub use lease::{Claim, Lease};
pub use native::{MAX_CRASHES, NativeWork, Phase};
pub use notification::{Channel, Event, Notification, Notify};
pub use progress::Progress;
pub use round::{Keeping, Kept};
pub use status::{Stage, Status};
pub use watermark::WatermarkSpec;

/// A job, as it is recorded.
///
/// All fields but `cancel_requested` belong to the worker that holds the lease. Fields that
/// somebody else wrote and we do not know survive in `extra`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The newest [`SCHEMA_VERSION`] that wrote it as a whole or claimed it; absent in what is
    /// older than versions, and in what other programs create.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub schema_version: u32,
    pub id: JobId,
    pub owner: Owner,
    #[serde(flatten)]
    pub params: Params,
    pub source: Source,
    #[serde(default)]
    pub output: Output,
    /// Whom to tell when the round is over.
    #[serde(default)]
    pub notify: Notify,

    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    #[serde(default)]
    pub progress: Progress,
    #[serde(default = "one")]
    pub attempt: u32,
    /// The next claim begins a new attempt, since this one ended in a retryable failure.
    #[serde(default)]
    pub attempt_failed: bool,
    /// Deaths of a process inside native work on this job's files: they cost no attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crashes: u32,
    /// Native work that runs in the process of the holder, or the last one a process died in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeWork>,
    /// One, plus one for each manual retry of an ended job.
    #[serde(default = "one")]
    pub round: u32,
    /// Counts the owner's writes, so that a commit whose answer was lost can be recognised.
    #[serde(default)]
    pub revision: u64,

    #[serde(default)]
    pub lease: Lease,
    #[serde(default)]
    pub wake: Wake,
    /// When somebody has to look at the job next: the planned visit, or the end of the lease.
    /// Absent once the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_visit_at: Option<Timestamp>,
    pub deadline_at: Timestamp,

    #[serde(default)]
    pub provider: ProviderState,
    /// Every decision to pay, oldest first; bounded by [`MAX_INTENTS`].
    #[serde(default)]
    pub intents: Vec<Intent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Published>,
    /// When the result was deleted for its age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_expired_at: Option<Timestamp>,
    /// What is to be deleted in time.
    #[serde(default)]
    pub kept: Kept,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    #[serde(default)]
    pub credits: JobCredits,
    #[serde(default)]
    pub timings: Timings,

    /// The submission whose callback was acted on: another visit for it would find nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<String>,

    /// Written by anybody, acted on by the worker.
    #[serde(default)]
    pub cancel_requested: bool,

    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,

    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What of a record a revision has to understand. It is raised with a change that the revision
/// before would misread or damage; that one then leaves such records alone. A field that it may
/// overlook raises nothing.
pub const SCHEMA_VERSION: u32 = 1;

/// Decisions to pay that a job remembers: a document stays small.
pub const MAX_INTENTS: usize = 16;

/// Submissions of one round that are remembered, whatever went before. A round makes no more than
/// its attempts, since each other one follows a prediction that failed, and the resubmissions
/// allowed, since one more that is lost ends the round. The configuration keeps their sum below
/// this.
pub const MAX_SUBMISSIONS: usize = MAX_INTENTS - round::REMEMBERED_INTENTS;

/// What the user gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    pub video: MediaRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<MediaRef>,
}

/// How the result is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The name of a profile.
    pub profile: String,
    /// Layers, drawn in order; none: the operator's own watermark, if one is configured. One
    /// layer is written without a list around it, and either is read.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "watermark::one_or_many"
    )]
    #[schema(value_type = Option<watermark::OneOrMany>)]
    pub watermark: Vec<WatermarkSpec>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            profile: "web".into(),
            watermark: Vec::new(),
        }
    }
}

/// The planned later visit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wake {
    /// Names the task: a task of an older number is late and does nothing.
    pub seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What we know of the job at the provider. Emptied when a new submission is due.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProviderState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// How often we asked; the pause between two grows with it.
    #[serde(default)]
    pub polls: u32,
    /// Where the provider reads the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<ProviderInputs>,
    /// Where the provider's output lies, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_url: Option<String>,
    /// Since when the provider says that it does not know the prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
    /// Addresses of the output that did not open; the pause between two grows with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub closed_addresses: u32,
    /// When the first of them did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_since: Option<Timestamp>,
}

impl ProviderState {
    /// The output opens, or another one is awaited.
    pub(crate) fn forget_trouble(&mut self) {
        self.missing_since = None;
        self.closed_addresses = 0;
        self.closed_since = None;
    }
}

/// Addresses at which the provider reads the inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderInputs {
    pub video: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Uploads are kept for a limited time: afterwards they are made again.
    pub expires_at: Timestamp,
    /// What the source's probe found, in the facts later stages need.
    pub facts: SourceFacts,
}

/// The facts of a source that later stages compare with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Our own copy of the video, under `sources/`.
    pub video_object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_object: Option<String>,
    pub duration_ms: u64,
    /// As displayed, after rotation.
    pub width: u32,
    pub height: u32,
    pub fps: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    pub has_audio: bool,
}

/// One decision to pay the provider, recorded before the request is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// `{round}-{fence}`: unique within the job, since a visit submits once at most.
    pub id: String,
    pub model: String,
    pub at: Timestamp,
    pub state: IntentState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction_id: Option<String>,
    /// No second submission before this moment while the outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_until: Option<Timestamp>,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// Recorded; whether the request was sent is known only by whoever sent it.
    Open,
    /// The request may have been accepted, its answer never came.
    Unknown,
    /// The provider gave a prediction id.
    Accepted,
    /// The provider took nothing.
    Refused,
    /// The prediction failed at the provider.
    Failed,
    /// Given up after waiting: possibly paid for, recorded as waste.
    Wasted,
}

/// What the provider returned, kept as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generated {
    pub object: String,
    pub bytes: u64,
}

/// What we publish: object names. Links are signed when asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    pub video: String,
    pub poster: String,
    pub metadata: String,
    pub bytes: u64,
    pub duration_ms: u64,
    pub width: u32,
    pub height: u32,
}

/// Why the job failed, for the caller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobError {
    pub code: Code,
    pub message: String,
    pub party: Party,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    pub attempt: u32,
    pub at: Timestamp,
}

/// How long each stage took in total over all visits, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    #[serde(default)]
    pub stages_ms: BTreeMap<String, u64>,
}

/// A job that somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub id: JobId,
    pub owner: Owner,
    pub params: Params,
    pub source: Source,
    pub output: Output,
    pub notify: Notify,
    pub cost: Option<Credits>,
    /// What a cancellation costs once the provider is paid; absent: what the operator says of
    /// jobs that do not say it.
    pub cancel_after_submit: Option<CancelAfterSubmit>,
    pub deadline_at: Timestamp,
    pub created_at: Timestamp,
    /// The caller's key for "this request, once", and a digest of the request it stands for.
    pub idempotency: Option<Idempotency>,
}

/// A caller's promise that two requests are the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    pub key: String,
    pub request_sha256: String,
}

impl NewJob {
    /// Whether the job there is what this request asks for. Moments are left out: who asks again
    /// does so later. A cost that was left open may have been computed since.
    #[must_use]
    pub fn asks_for(&self, job: &Job) -> bool {
        self.owner == job.owner
            && self.params == job.params
            && self.source == job.source
            && self.output == job.output
            && self.notify == job.notify
            && (self.cost.is_none() || self.cost == job.credits.cost)
    }

    /// The record as first written: due at once, held by nobody.
    #[must_use]
    pub fn into_job(self) -> Job {
        Job {
            schema_version: SCHEMA_VERSION,
            id: self.id,
            owner: self.owner,
            params: self.params,
            source: self.source,
            output: self.output,
            notify: self.notify,
            status: Status::Queued,
            stage: None,
            progress: Progress::default(),
            attempt: 1,
            attempt_failed: false,
            crashes: 0,
            native: None,
            round: 1,
            revision: 0,
            lease: Lease::default(),
            wake: Wake {
                seq: 1,
                at: Some(self.created_at),
            },
            next_visit_at: Some(self.created_at),
            deadline_at: self.deadline_at,
            provider: ProviderState::default(),
            intents: Vec::new(),
            generated: None,
            result: None,
            result_expired_at: None,
            kept: Kept::default(),
            error: None,
            credits: JobCredits {
                cost: self.cost,
                state: CreditState::None,
                cancel_after_submit: self.cancel_after_submit,
            },
            timings: Timings::default(),
            heard: None,
            cancel_requested: false,
            created_at: self.created_at,
            updated_at: self.created_at,
            completed_at: None,
            extra: BTreeMap::new(),
        }
    }
}

impl Job {
    /// The intent that stands for the present submission, if any.
    #[must_use]
    pub fn current_intent(&self) -> Option<&Intent> {
        // Another round decides anew, whatever became of the last one's.
        let this_round = format!("{}-", self.round);
        self.intents.last().filter(|intent| {
            intent.id.starts_with(&this_round)
                && matches!(
                    intent.state,
                    IntentState::Open | IntentState::Unknown | IntentState::Accepted
                )
        })
    }

    /// The submission that the provider is to say something about.
    #[must_use]
    pub fn awaited(&self) -> Option<&Intent> {
        let waits = matches!(self.stage, Some(Stage::Submit | Stage::Generate));
        self.current_intent().filter(|_| waits)
    }

    /// The present submission, where nobody has said yet what became of it.
    #[must_use]
    pub fn unanswered_intent(&self) -> Option<&Intent> {
        self.current_intent()
            .filter(|intent| matches!(intent.state, IntentState::Open | IntentState::Unknown))
    }

    /// Whether the provider is known to have taken a submission of this round, and has not failed
    /// it.
    #[must_use]
    pub fn has_paid(&self) -> bool {
        let this_round = format!("{}-", self.round);
        self.intents.iter().any(|intent| {
            intent.id.starts_with(&this_round) && intent.state == IntentState::Accepted
        })
    }

    /// Whether the provider may have been paid in this round.
    #[must_use]
    pub fn may_have_paid(&self) -> bool {
        let this_round = format!("{}-", self.round);
        self.intents
            .iter()
            .filter(|intent| intent.id.starts_with(&this_round))
            .any(|intent| intent.state != IntentState::Refused)
    }

    /// Where this claim's objects of the given folder go. The fence in the name keeps a worker
    /// that lost its lease from overwriting the next one's work.
    #[must_use]
    pub fn folder(&self, area: &str) -> String {
        format!("{area}/{}/{}-{}", self.id, self.round, self.lease.fence)
    }
}
