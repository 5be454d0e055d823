//! What users see (status), where the worker is (stage), and the moves between them.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// For users.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    Queued,
    Processing,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    /// Whether the job's round is over. An ended job is never visited again.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The transition table. An ended job goes back to `queued` only as a new round.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Processing | Self::Failed | Self::Cancelled),
            Self::Processing => next.is_ended(),
            Self::Completed | Self::Failed | Self::Cancelled => next == Self::Queued,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Where in `processing` a job is. Stages are entered in this order; a retry may go back to
/// `submit` only when the provider failed the prediction.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    Submit,
    Generate,
    Fetch,
    Process,
    Settle,
}

impl Stage {
    /// The next stage of the road, or the way back to a new submission.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self == next
            || next == Self::Submit
            || matches!(
                (self, next),
                (Self::Submit, Self::Generate)
                    | (Self::Generate, Self::Fetch)
                    | (Self::Fetch, Self::Process)
                    | (Self::Process, Self::Settle)
            )
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator as _;

    #[test]
    fn ended_jobs_only_start_a_new_round() {
        for ended in Status::iter().filter(|status| status.is_ended()) {
            for next in Status::iter() {
                assert_eq!(
                    ended.may_become(next),
                    next == Status::Queued,
                    "{ended:?} → {next:?}"
                );
            }
        }
    }

    #[test]
    fn no_stage_is_skipped() {
        for from in Stage::iter() {
            for to in Stage::iter().filter(|to| *to > from) {
                let adjacent = to as u8 == from as u8 + 1;
                assert_eq!(from.may_become(to), adjacent, "{from:?} → {to:?}");
            }
        }
    }
}
