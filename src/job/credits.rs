//! Credits: what a job costs and which entries move them.
//!
//! Only settling moves credits. Entry names carry the round, so that doing it twice is seen by
//! the name and a manual retry holds anew.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

use super::kinds::{Kind, Params, Resolution};
use super::{JobId, Timestamp};

/// A number of credits. Never negative; what moves and in which direction says the entry.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct Credits(pub u64);

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When credits are taken.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CreditsMode {
    /// Reserved before the provider is paid, captured at the end, released on failure.
    Hold,
    /// Taken at the end, whatever the balance is by then.
    DeductOnCompletion,
    /// Nothing is counted.
    #[default]
    Off,
}

/// What happens to the credits of a job that is cancelled once the provider is known to be paid.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    EnumIter,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CancelAfterSubmit {
    /// The caller gets them back; the loss is ours.
    Release,
    /// The caller pays.
    #[default]
    Capture,
}

/// Where a job's credits are.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    EnumIter,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CreditState {
    /// Nothing was moved.
    #[default]
    None,
    Held,
    Captured,
    Released,
}

/// The credits part of a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCredits {
    /// Set by whoever created the job, else computed at submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Credits>,
    #[serde(default)]
    pub state: CreditState,
    /// What a cancellation costs once the provider has been paid, as it was when the job was
    /// created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_after_submit: Option<CancelAfterSubmit>,
}

/// What an entry does to an account.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryKind {
    /// `credits − n`, `credits_held + n`.
    Hold,
    /// `credits_held − n`.
    Capture,
    /// `credits + n`, `credits_held − n`.
    Release,
    /// `credits − n` at the end of a job that held nothing.
    Deduct,
    /// `credits + n`.
    Grant,
}

impl EntryKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// How `credits` and `credits_held` change.
    #[must_use]
    pub fn moves(self, amount: Credits) -> (i64, i64) {
        let n = i64::try_from(amount.0).unwrap_or(i64::MAX);
        match self {
            Self::Hold => (-n, n),
            Self::Capture => (0, -n),
            Self::Release => (n, -n),
            Self::Deduct => (-n, 0),
            Self::Grant => (n, 0),
        }
    }
}

/// One line of an account's history. Its name must not exist yet: that makes it happen once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreditEntry {
    pub id: String,
    pub kind: EntryKind,
    pub amount: Credits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    pub at: Timestamp,
}

impl CreditEntry {
    #[must_use]
    pub fn for_job(
        job: &JobId,
        round: u32,
        kind: EntryKind,
        amount: Credits,
        at: Timestamp,
    ) -> Self {
        Self {
            id: format!("{job}:{round}:{}", kind.as_str()),
            kind,
            amount,
            job: Some(job.clone()),
            at,
        }
    }

    /// The same for a job under an id that another job had before: its entry of that name stays,
    /// and this one names the job by when it was made, too.
    #[must_use]
    pub fn of_job_made_anew(mut self, created_at: Timestamp) -> Self {
        self.id = format!("{}:{}", self.id, created_at.as_microsecond());
        self
    }

    /// The entry that gives back what a job's `entries` hold, if they hold anything: for a job
    /// whose own document cannot be asked.
    #[must_use]
    pub fn release_of(entries: &[Self], now: Timestamp) -> Option<Self> {
        let mut held = 0u64;
        let mut last = None;
        for entry in entries {
            match entry.kind {
                EntryKind::Hold => {
                    held = held.saturating_add(entry.amount.0);
                    last = Some(entry);
                }
                EntryKind::Capture | EntryKind::Release => {
                    held = held.saturating_sub(entry.amount.0);
                }
                EntryKind::Deduct | EntryKind::Grant => {}
            }
        }
        let hold = last.filter(|_| held > 0)?;
        let (hold_word, release) = (EntryKind::Hold.as_str(), EntryKind::Release.as_str());
        let id = hold
            .id
            .replacen(&format!(":{hold_word}"), &format!(":{release}"), 1);
        Some(Self {
            id,
            kind: EntryKind::Release,
            amount: Credits(held),
            job: hold.job.clone(),
            at: now,
        })
    }
}

/// An account's balance. `credits` can be driven below zero only by `deduct_on_completion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub credits: i64,
    pub credits_held: i64,
}

/// What one kind costs: `base + per_second[resolution] × seconds`, rounded up to whole credits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub base: u64,
    /// Credits for each second of generated video. A resolution that is missing costs what the
    /// next higher one does.
    pub per_second: BTreeMap<Resolution, f64>,
}

/// Prices by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceTable(pub BTreeMap<Kind, Price>);

impl PriceTable {
    /// What a job costs. A kind without a price is free.
    #[must_use]
    pub fn cost(&self, params: &Params, source_s: f64) -> Credits {
        let Some(price) = self.0.get(&params.kind()) else {
            return Credits(0);
        };
        let rate = price
            .per_second
            .range(params.resolution()..)
            .next()
            .or_else(|| price.per_second.iter().next_back())
            .map_or(0.0, |(_, rate)| *rate);
        let seconds = params.billed_seconds(source_s).max(0.0);
        Credits(
            price
                .base
                .saturating_add((rate * seconds).ceil().max(0.0) as u64),
        )
    }
}

impl Default for PriceTable {
    /// One credit is one US cent of the provider's list price for the default models, rounded
    /// up a little: a start, to be set by the operator.
    fn default() -> Self {
        use Resolution::{K2, K4, P480, P720, P1080};
        let table = |base, rates: &[(Resolution, f64)]| Price {
            base,
            per_second: rates.iter().copied().collect(),
        };
        Self(BTreeMap::from([
            (
                Kind::CharacterReplace,
                table(1, &[(P480, 4.0), (P720, 8.0)]),
            ),
            (
                Kind::Extend,
                table(1, &[(P480, 6.0), (P720, 12.0), (P1080, 25.0), (K4, 60.0)]),
            ),
            (
                Kind::Upscale,
                table(1, &[(P720, 0.5), (P1080, 1.0), (K2, 2.0), (K4, 4.0)]),
            ),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn cost_is_base_plus_rate_times_seconds_rounded_up() {
        let params = Params::parse(Kind::Upscale, &json!({"target": "1080p"})).unwrap();
        assert_eq!(PriceTable::default().cost(&params, 5.28), Credits(1 + 6));
        let extend = Params::parse(Kind::Extend, &json!({"prompt": "x", "seconds": 4})).unwrap();
        assert_eq!(
            PriceTable::default().cost(&extend, 1_000.0),
            Credits(1 + 48)
        );
    }

    proptest! {
        /// Whatever a job goes through, credits and held credits together change only by what
        /// was captured.
        #[test]
        fn a_hold_ends_in_exactly_one_way(start in 0i64..1_000_000, n in 0u64..1_000, capture: bool) {
            let end = if capture { EntryKind::Capture } else { EntryKind::Release };
            let (mut credits, mut held) = (start, 0i64);
            for kind in [EntryKind::Hold, end] {
                let (dc, dh) = kind.moves(Credits(n));
                credits += dc;
                held += dh;
            }
            prop_assert_eq!(held, 0);
            prop_assert_eq!(credits, if capture { start - n as i64 } else { start });
        }
    }
}
