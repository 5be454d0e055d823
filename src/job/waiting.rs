//! What a job waits for, in one closed list.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

use super::failure::Code;
use super::ids::Fence;

/// What a job waits for that nobody works on at this moment.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WaitsFor {
    /// A worker: the job is due.
    Worker,
    /// The provider, which has taken the job: it is in its queue, or being made.
    Provider,
    /// A place of our account at the provider.
    Account,
    /// The end of the pause before the next try.
    Attempt,
    /// A place for media work.
    MediaPlace,
    /// A model that rests after failures.
    Breaker,
    /// An operator: the provider does not take our key, or the account has no funds.
    Operator,
    /// To learn whether the provider took a paid request.
    Answer,
    /// The provider or a store of ours, which does not answer.
    Outage,
}

impl WaitsFor {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// One sentence for a person.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Worker => "The job is due; a worker comes to it as soon as one is free.",
            Self::Provider => "The provider has taken the job and has not finished it.",
            Self::Account => "The account at the provider makes as many videos as it may.",
            Self::Attempt => "A pause before the next try.",
            Self::MediaPlace => "As much media work is being done as may be.",
            Self::Breaker => "The model rests after failures.",
            Self::Operator => "The account at the provider needs its operator.",
            Self::Answer => "Nobody knows yet whether the provider took the request.",
            Self::Outage => "The provider or a store does not answer.",
        }
    }

    /// What is waited for where a visit gives `code` as the reason.
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::ProviderBusy => Self::Account,
            Code::ProviderUnauthorized | Code::ProviderBalance => Self::Operator,
            Code::ProviderAnswerLost => Self::Answer,
            // It has the prediction, or is believed to have it.
            Code::ProviderLostJob | Code::DownloadFailed => Self::Provider,
            Code::ProviderUnavailable
            | Code::StorageUnavailable
            | Code::LedgerUnavailable
            | Code::QueueUnavailable
            | Code::DataGone => Self::Outage,
            Code::Overloaded => Self::MediaPlace,
            _ => Self::Worker,
        }
    }
}

/// What of it is recorded: the rest is told by the job as it stands, see
/// [`Job::wait`](super::Job::wait).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    #[serde(rename = "for")]
    pub what: WaitsFor,
    /// The first of several waits in a row for the same.
    pub since: Timestamp,
    /// Of the claim that noted it. A release that knows no such record leaves it behind when it
    /// claims the job, and it is void then.
    pub fence: Fence,
}
