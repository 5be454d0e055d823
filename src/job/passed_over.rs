//! Models that a round has given up for the next one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// Why a model was passed over: nothing was paid for each time.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PassedFor {
    /// The provider took a submission and failed it, which it does not charge for.
    Failed,
    /// The provider refused the inputs or parameters.
    Refused,
    /// The provider's moderation refused the content, before it took anything.
    Content,
    /// The provider does not know the model.
    Unknown,
    /// It was waited for as long as `provider.fallback_after` says.
    Wait,
    /// It rests after failures.
    Rest,
    /// It does not take such a source, or such parameters.
    Unfit,
    /// It costs more than the job's `max_price`, or nobody knows what it costs.
    Price,
}

impl PassedFor {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A model that the present round asks nothing of any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassedOver {
    pub model: String,
    pub why: PassedFor,
    /// For a person.
    pub reason: String,
    pub at: Timestamp,
}
