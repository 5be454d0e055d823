//! The record of a job.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channel::Notify;
use super::credits::{CreditState, Credits, JobCredits};
use super::failure::{Code, Party};
use super::ids::{Fence, JobId, Owner};
use super::inputs::MediaRef;
use super::intent::{Intent, IntentState, ProviderState, is_zero};
use super::kinds::Params;
use super::origin::{ResultOrigin, if_readable};
use super::passed_over::PassedOver;
use super::phase::NativeWork;
use super::progress::Progress;
use super::provenance::Provenance;
use super::status::{Stage, Status};
use super::timeline::{self, TimelineEntry};
use super::waiting::Waiting;
use super::watermark::{OneOrMany, WatermarkSpec, one_or_many};

/// What of a record a revision has to understand. It is raised with a change that the revision
/// before would misread or damage; that one then leaves such records alone. A field that it may
/// overlook raises nothing.
pub const SCHEMA_VERSION: u32 = 1;

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
    /// Words of the creator's, for lists and notices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,

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
    /// US dollars that a submission may cost by the price list; absent: whatever it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<f64>,
    /// What the result says of how it was made; absent: what the operator's settings say when it is
    /// made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// W3C's `traceparent` of the request that created the job: its trace is part of the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,

    #[serde(default)]
    pub provider: ProviderState,
    /// Every decision to pay, oldest first; bounded by [`MAX_INTENTS`](super::intent::MAX_INTENTS).
    #[serde(default)]
    pub intents: Vec<Intent>,
    /// Models that this round asks no more, oldest first; no more than there are to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
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
    /// What nobody but the last visit knows of why there is another: see [`Job::wait`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "if_readable"
    )]
    pub waiting: Option<Waiting>,
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

/// What the user gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    pub video: MediaRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<MediaRef>,
    /// Which of the video's tracks of sound is put into the result: its number, from 1, or its
    /// language; absent: what the provider returns, or the first that can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_track: Option<String>,
}

/// How the result is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The name of a profile.
    pub profile: String,
    /// Layers, drawn in order; none: the operator's own watermark, if one is configured. One
    /// layer is written without a list around it, and either is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    #[schema(value_type = Option<OneOrMany>)]
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

/// Who holds a job. The fence stays when the holder goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    #[serde(default)]
    pub fence: Fence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Lease {
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.holder.is_some() && self.expires_at.is_some_and(|until| now < until)
    }
}

/// Files that outlive their round for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeping {
    /// What a completed job published.
    Results,
    /// What the provider made for a job that failed or was cancelled.
    Generated,
}

/// Since when each of them waits to be swept; absent where there is nothing to sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Timestamp>,
}

impl Kept {
    #[must_use]
    pub fn since(&self, what: Keeping) -> Option<Timestamp> {
        match what {
            Keeping::Results => self.results,
            Keeping::Generated => self.generated,
        }
    }
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
    /// The sprite of small pictures, and the WebVTT that says when each is shown; absent where
    /// none was made, as in what is older than storyboards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard_vtt: Option<String>,
    pub bytes: u64,
    pub duration_ms: u64,
    pub width: u32,
    pub height: u32,
    /// How it was made, and from what; absent in what is older than the record of it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "if_readable"
    )]
    pub provenance: Option<Box<ResultOrigin>>,
}

impl Published {
    /// Every object that it names.
    pub fn objects(&self) -> impl Iterator<Item = &String> {
        let Self {
            video,
            poster,
            metadata,
            storyboard,
            storyboard_vtt,
            bytes: _,
            duration_ms: _,
            width: _,
            height: _,
            provenance: _,
        } = self;
        let always = [video, poster, metadata].into_iter();
        always.chain(storyboard).chain(storyboard_vtt)
    }
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

/// How long each stage took in total over all visits, in milliseconds, and what the job did when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    #[serde(default)]
    pub stages_ms: BTreeMap<String, u64>,
    /// What this round did, or waited for, from when on: at most 48 entries, oldest first. Absent
    /// in lists.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "timeline::readable"
    )]
    pub timeline: Vec<TimelineEntry>,
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

    /// Whether this round asks a model no more.
    #[must_use]
    pub fn has_passed_over(&self, model: &str) -> bool {
        self.passed_over.iter().any(|over| over.model == model)
    }

    /// Whether a submission of this round was given up that may have been paid for.
    #[must_use]
    pub fn may_have_wasted(&self) -> bool {
        let this_round = format!("{}-", self.round);
        self.intents
            .iter()
            .any(|intent| intent.id.starts_with(&this_round) && intent.state == IntentState::Wasted)
    }

    /// Where this claim's objects of the given folder go. The fence in the name keeps a worker
    /// that lost its lease from overwriting the next one's work.
    #[must_use]
    pub fn folder(&self, area: &str) -> String {
        format!("{area}/{}/{}-{}", self.id, self.round, self.lease.fence)
    }

    /// Notes that `amount` was reserved for this round, as one ledger write. The source has been
    /// looked at by then.
    pub fn hold(&mut self, amount: Credits, now: Timestamp) {
        self.end_native_work();
        self.credits.cost = Some(amount);
        self.credits.state = CreditState::Held;
        self.updated_at = now;
        self.revision += 1;
    }
}
