//! What the provider was asked and paid for, as the job records it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::origin::{Origin, if_readable};

/// Decisions to pay that a job remembers: a document stays small.
pub const MAX_INTENTS: usize = 16;

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
    /// What it says of how it was made; absent where that is nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "if_readable"
    )]
    pub provenance: Option<Box<Origin>>,
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
    /// What the model's row said when it was recorded; absent in those of release 0.1.0, which
    /// had no revisions and sent the new seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// As what the counters have it; absent until a round of it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

/// What a decision to pay was counted as when a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    Paid,
    Wasted,
}

/// What a payment was decided by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Of the model's row.
    pub revision: u32,
    pub duration: DurationMeaning,
    /// US dollars by the price list, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
}

/// What a model understands by the `duration` of an extension.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DurationMeaning {
    /// The new part.
    #[default]
    Added,
    /// The source and the new part.
    Whole,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}
