//! `[owners]`: what each owner may have at once and spend in a day.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::table::{Keyed as _, Nested, Open, settings};
use crate::fields::{Bounds, Form as _, Whole};
use crate::ledger::limits::{OwnerLimit, OwnerLimits};

/// More is counted for no purpose: the service takes no more than that of all owners.
const MOST_JOBS: u32 = 100_000;

const JOBS: Whole<u32> = Whole(Bounds::Within(1, MOST_JOBS));

settings! { OWNERS of "owners" {
    ALL_JOBS: Open<Whole<u32>> = "jobs", JOBS, "none",
        "most jobs of one owner that have not ended";
    ALL_WAITING: Open<Whole<u32>> = "waiting", JOBS, "none",
        "of these, most that nobody has begun";
    CREDITS_A_DAY: Open<Whole<u64>> = "credits_a_day", Whole(Bounds::Any), "none",
        "most credits that one owner may have held or taken within 24 hours";
    OWN: Open<Nested> = "own", Nested("tables"), "none",
        "a table for each owner that has other bounds, for example `[owners.own.alice]`";
}}

/// None by default. `owners.own.NAME` says it for one owner.
pub(super) fn owners(r: &mut Reader) -> OwnerLimits {
    let all = OwnerLimit {
        jobs: r.given(&ALL_JOBS),
        waiting: r.given(&ALL_WAITING),
        credits_a_day: r.given(&CREDITS_A_DAY),
    };
    // Read as a whole, so that a misspelt bound is a fault.
    let given: BTreeMap<String, OwnerLimit> = r.nested(&OWN).unwrap_or_default();
    let mut own = BTreeMap::new();
    for (name, limit) in given {
        let at = format!("{}.{name}", OWN.key());
        for (field, most) in [("jobs", limit.jobs), ("waiting", limit.waiting)] {
            let wrong = most.and_then(|most| JOBS.of_text(&most.to_string()).err());
            if let Some(wrong) = wrong {
                r.fault(&at, format!("{field} {wrong}"));
            }
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
