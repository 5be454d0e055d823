//! What one owner may have at once, and spend in a day.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::job::{CreditEntry, EntryKind, Owner, Timestamp};

/// Bounds of one owner; absent ones bound nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnerLimit {
    /// Jobs that have not ended.
    pub jobs: Option<u32>,
    /// Of them, those that nobody has begun.
    pub waiting: Option<u32>,
    /// Credits held or taken within 24 hours, less what was given back.
    pub credits_a_day: Option<u64>,
}

/// Bounds of all owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerLimits {
    pub all: OwnerLimit,
    /// What an owner has in place of these.
    pub own: BTreeMap<Owner, OwnerLimit>,
}

/// Which bound was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Jobs,
    Waiting,
    CreditsADay,
}

/// Why an owner gets no more for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{owner} has all that {bound:?} allows: {most}")]
pub struct Limited {
    pub owner: Owner,
    pub bound: Bound,
    pub most: u64,
    pub retry_after: Duration,
}

/// When it is worth trying again: jobs end in minutes.
const JOBS_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Entries live for ever; a day is what counts.
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

impl OwnerLimits {
    /// The bounds of one owner.
    #[must_use]
    pub fn of(&self, owner: &Owner) -> OwnerLimit {
        let own = self.own.get(owner).copied().unwrap_or_default();
        OwnerLimit {
            jobs: own.jobs.or(self.all.jobs),
            waiting: own.waiting.or(self.all.waiting),
            credits_a_day: own.credits_a_day.or(self.all.credits_a_day),
        }
    }
}

impl OwnerLimit {
    /// Whether `owner` may have one more job beside `open` ones.
    pub(super) fn one_more_job(self, owner: &Owner, open: u32) -> Result<(), Limited> {
        Self::one_more(owner, Bound::Jobs, self.jobs, open)
    }

    /// The same for jobs that nobody has begun.
    pub(super) fn one_more_waits(self, owner: &Owner, waiting: u32) -> Result<(), Limited> {
        Self::one_more(owner, Bound::Waiting, self.waiting, waiting)
    }

    fn one_more(owner: &Owner, bound: Bound, most: Option<u32>, there: u32) -> Result<(), Limited> {
        match most.filter(|most| there >= *most) {
            None => Ok(()),
            Some(most) => Err(Limited {
                owner: owner.clone(),
                bound,
                most: most.into(),
                retry_after: JOBS_RETRY_AFTER,
            }),
        }
    }

    /// The day has more entries than are summed.
    pub(super) fn beyond_counting(self, owner: &Owner) -> Limited {
        Limited {
            owner: owner.clone(),
            bound: Bound::CreditsADay,
            most: self.credits_a_day.unwrap_or_default(),
            retry_after: JOBS_RETRY_AFTER,
        }
    }

    /// Whether `more` credits may be spent at `now` after these entries of the last day. With
    /// nothing more: whether anything is left.
    pub(super) fn spend(
        self,
        owner: &Owner,
        entries: &[CreditEntry],
        more: u64,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let Some(most) = self.credits_a_day else {
            return Ok(());
        };
        let mut spent = spent(entries);
        let fits = |sum: u64| sum.saturating_add(more.max(1)) <= most;
        let mut sum: u64 = spent.iter().map(|(_, amount)| amount).sum();
        if fits(sum) {
            return Ok(());
        }
        // The oldest leave the day first.
        spent.sort_unstable();
        let mut retry_after = DAY;
        for (at, amount) in spent {
            sum = sum.saturating_sub(amount);
            if fits(sum) {
                let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
                retry_after = DAY.saturating_sub(age).max(Duration::from_secs(1));
                break;
            }
        }
        Err(Limited {
            owner: owner.clone(),
            bound: Bound::CreditsADay,
            most,
            retry_after,
        })
    }
}

/// What was spent when: a hold that was released is not spent.
fn spent(entries: &[CreditEntry]) -> Vec<(Timestamp, u64)> {
    let released: HashSet<_> = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Release)
        .map(|entry| entry.id.replacen(":release", ":hold", 1))
        .collect();
    let spends = |entry: &&CreditEntry| match entry.kind {
        EntryKind::Hold => !released.contains(&entry.id),
        EntryKind::Deduct => true,
        EntryKind::Capture | EntryKind::Release | EntryKind::Grant => false,
    };
    let spent = entries.iter().filter(spends);
    spent.map(|entry| (entry.at, entry.amount.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Credits;

    fn owner() -> Owner {
        "u1".parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn entry(id: &str, kind: EntryKind, amount: u64, second: i64) -> CreditEntry {
        CreditEntry {
            id: id.into(),
            kind,
            amount: Credits(amount),
            job: None,
            at: at(second),
        }
    }

    #[test]
    fn an_owners_own_bounds_go_before_those_of_all() {
        let limits = OwnerLimits {
            all: OwnerLimit {
                jobs: Some(5),
                waiting: Some(3),
                credits_a_day: None,
            },
            own: BTreeMap::from([(
                "alice".parse().unwrap(),
                OwnerLimit {
                    jobs: Some(50),
                    ..OwnerLimit::default()
                },
            )]),
        };
        let alice = limits.of(&"alice".parse().unwrap());
        assert_eq!((alice.jobs, alice.waiting), (Some(50), Some(3)));
        assert_eq!(limits.of(&"bob".parse().unwrap()), limits.all);
    }

    #[test]
    fn what_was_released_is_not_spent_and_the_oldest_leaves_first() {
        let limit = OwnerLimit {
            credits_a_day: Some(10),
            ..OwnerLimit::default()
        };
        let entries = [
            entry("a:1:hold", EntryKind::Hold, 4, 0),
            entry("a:1:capture", EntryKind::Capture, 4, 5),
            entry("b:1:hold", EntryKind::Hold, 90, 10),
            entry("b:1:release", EntryKind::Release, 90, 20),
            entry("c:1:deduct", EntryKind::Deduct, 5, 100),
            entry("grant", EntryKind::Grant, 500, 100),
        ];
        assert!(limit.spend(&owner(), &entries, 1, at(200)).is_ok());
        assert!(limit.spend(&owner(), &entries, 0, at(200)).is_ok());
        let refused = limit.spend(&owner(), &entries, 2, at(200));
        let refused = refused.unwrap_err();
        assert_eq!(refused.bound, Bound::CreditsADay);
        assert_eq!(refused.retry_after, DAY - Duration::from_secs(200));
        assert!(
            OwnerLimit::default()
                .spend(&owner(), &entries, 999, at(200))
                .is_ok()
        );
    }

    #[test]
    fn jobs_and_those_that_wait_are_bounded_apart() {
        let limit = OwnerLimit {
            jobs: Some(3),
            waiting: Some(2),
            credits_a_day: None,
        };
        assert!(limit.one_more_job(&owner(), 2).is_ok());
        assert!(limit.one_more_waits(&owner(), 1).is_ok());
        let refused = limit.one_more_job(&owner(), 3).unwrap_err();
        assert_eq!((refused.bound, refused.most), (Bound::Jobs, 3));
        let refused = limit.one_more_waits(&owner(), 2).unwrap_err();
        assert_eq!((refused.bound, refused.most), (Bound::Waiting, 2));
        assert!(OwnerLimit::default().one_more_job(&owner(), 9).is_ok());
    }
}
