//! `[owners]`: what each owner may have at once and spend in a day.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::ledger::limits::{OwnerLimit, OwnerLimits};

/// More is counted for no purpose: the service takes no more than that of all owners.
const MOST_JOBS: u32 = 100_000;

/// None by default. `owners.own.NAME` says it for one owner.
pub(super) fn owners(r: &mut Reader) -> OwnerLimits {
    let all = OwnerLimit {
        jobs: r.within("owners.jobs", 1..=MOST_JOBS),
        waiting: r.within("owners.waiting", 1..=MOST_JOBS),
        credits_a_day: r.get("owners.credits_a_day"),
    };
    // Read as a whole, so that a misspelt bound is a fault.
    let given: BTreeMap<String, OwnerLimit> = r.get_or("owners.own", BTreeMap::new());
    let mut own = BTreeMap::new();
    for (name, limit) in given {
        let at = format!("owners.own.{name}");
        let outside = |most: Option<u32>| most.is_some_and(|most| !(1..=MOST_JOBS).contains(&most));
        if outside(limit.jobs) || outside(limit.waiting) {
            r.fault(
                &at,
                format!("jobs and waiting must be from 1 to {MOST_JOBS}"),
            );
        }
        match name.parse() {
            Ok(owner) => {
                own.insert(owner, limit);
            }
            Err(error) => r.fault(&at, format!("{error}")),
        }
    }
    OwnerLimits { all, own }
}
