//! What a job did when, as it is recorded. An entry lasts until the next one begins.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Code, Stage, WaitsFor};

/// Entries of a round.
pub(super) const MOST_ENTRIES: usize = 48;

/// What a job did, or waited for, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    pub at: Timestamp,
    /// Absent from the end of the round on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Absent while somebody works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    pub attempt: u32,
    /// What had gone wrong last, by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Entries that followed it were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

impl TimelineEntry {
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let of = |entry: &Self| (entry.stage, entry.waits_for, entry.attempt);
        of(self) == of(other)
    }
}

/// What a later release may have written is no reason to leave the job alone: nothing is decided
/// by it.
pub(super) fn readable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<TimelineEntry>, D::Error> {
    let given = serde_json::Value::deserialize(deserializer)?;
    let given = given.as_array().map(Vec::as_slice).unwrap_or_default();
    let entries = given.iter().take(MOST_ENTRIES);
    Ok(entries
        .filter_map(|entry| TimelineEntry::deserialize(entry).ok())
        .collect())
}
