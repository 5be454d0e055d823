//! `[owners]`: what each owner may have at once and spend in a day.

use super::reader::Reader;
use super::table::{Keyed as _, Nested, Open, settings};
use crate::fields::{Bounds, Parsed, Whole};
use crate::job::Owner;
use crate::ledger::limits::{OwnerLimit, OwnerLimits};

/// More is counted for no purpose: the service takes no more than that of all owners.
const MOST_JOBS: u32 = 100_000;

const JOBS: Whole<u32> = Whole(Bounds::Within(1, MOST_JOBS));
const CREDITS: Whole<u64> = Whole(Bounds::Any);
const NAME: Parsed<Owner> = Parsed::new("owner");
const BY_ALL: &str = "that of all owners";

settings! { OWNERS of "owners" {
    ALL_JOBS: Open<Whole<u32>> = "jobs", JOBS, "none",
        "most jobs of one owner that have not ended";
    ALL_WAITING: Open<Whole<u32>> = "waiting", JOBS, "none",
        "of these, most that nobody has begun";
    ALL_CREDITS: Open<Whole<u64>> = "credits_a_day", CREDITS, "none",
        "most credits that one owner may have held or taken within 24 hours";
    OWN: Open<Nested> = "own", Nested("tables"), "none",
        "a table for each owner that has other bounds, for example `[owners.own.alice]`";
}}

settings! { OWN_LIMITS of "owners.own.NAME" {
    OWN_JOBS: Open<Whole<u32>> = "jobs", JOBS, BY_ALL, "the same for this owner";
    OWN_WAITING: Open<Whole<u32>> = "waiting", JOBS, BY_ALL, "the same";
    OWN_CREDITS: Open<Whole<u64>> = "credits_a_day", CREDITS, BY_ALL, "the same";
}}

/// None by default. `owners.own.NAME` says it for one owner.
pub(super) fn owners(r: &mut Reader) -> OwnerLimits {
    let all = OwnerLimit {
        jobs: r.given(&ALL_JOBS),
        waiting: r.given(&ALL_WAITING),
        credits_a_day: r.given(&ALL_CREDITS),
    };
    let own = r.entries(&OWN.key(), &NAME).into_iter().map(|(owner, at)| {
        let limit = OwnerLimit {
            jobs: r.given_at(&at, &OWN_JOBS),
            waiting: r.given_at(&at, &OWN_WAITING),
            credits_a_day: r.given_at(&at, &OWN_CREDITS),
        };
        (owner, limit)
    });
    OwnerLimits {
        all,
        own: own.collect(),
    }
}
