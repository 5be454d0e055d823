//! What failed lately, grouped by what went wrong, with what can be done about it. How often is
//! read from counters; the latest failed jobs show what was said.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use jiff::civil::Date;
use strum::IntoEnumIterator as _;

use super::one::next_step;
use super::shell::{Head, show};
use super::spending::first_of;
use super::visitor::Visitor;
use super::words::{self, Moment};
use crate::http::{HttpState, Problem};
use crate::job::counts::day_of;
use crate::job::{Code, Job, Party, Status};
use crate::ledger::{Counts, JobQuery};

/// Failed jobs that are looked at for what was said.
const LOOKED_AT: u32 = 25;
/// Jobs of a group that are named.
const NAMED: usize = 5;

struct Group {
    code: String,
    about: &'static str,
    party: &'static str,
    step: &'static str,
    count: u64,
    /// Of all that failed, in hundredths.
    share: u64,
    /// What the latest of those that were looked at said, and when.
    said: Option<(String, Moment)>,
    jobs: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "console/failures.html")]
struct Page {
    head: Head,
    groups: Vec<Group>,
    count: u64,
    from: Date,
    to: Date,
    /// Where counting began within these days.
    since: Option<Date>,
    /// Of these, the ones that failed before counting began.
    earlier: u64,
}

type Reason = (Code, &'static str);

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, Problem> {
    let owner = visitor.caller.narrows_to();
    let now = state.clock.now();
    let to = day_of(now);
    let from = first_of(to);
    let query = JobQuery {
        owner: owner.clone(),
        status: Some(Status::Failed),
        limit: LOOKED_AT,
        ..JobQuery::default()
    };
    let (counts, jobs) = tokio::try_join!(
        state.ledger.counts(owner.as_ref(), from, to),
        state.ledger.list(&query),
    )?;
    let mut reasons = counted(&counts);
    let mut shown: BTreeMap<Reason, Vec<&Job>> = BTreeMap::new();
    let mut earlier = 0;
    for job in &jobs {
        let Some(error) = &job.error else { continue };
        let reason = (error.code, error.party.as_str());
        shown.entry(reason).or_default().push(job);
        let ended = day_of(job.completed_at.unwrap_or(error.at));
        if ended >= from && counts.since.is_none_or(|since| ended < since) {
            reasons.entry(reason).or_insert((error.party, 0)).1 += 1;
            earlier += 1;
        }
    }
    let count = reasons.values().map(|(_, number)| number).sum();
    let mut groups: Vec<Group> = reasons
        .into_iter()
        .map(|(reason, (party, number))| {
            let of = shown.get(&reason).map(Vec::as_slice).unwrap_or_default();
            let latest = of.first().and_then(|job| job.error.as_ref());
            Group {
                code: reason.0.to_string(),
                about: reason.0.about(),
                party: told(party),
                step: next_step(reason.0, party),
                count: number,
                share: number * 100 / u64::max(count, 1),
                said: latest.map(|error| {
                    let message = error.message.chars().take(400).collect();
                    (message, Moment::new(error.at, now))
                }),
                jobs: of.iter().take(NAMED).map(|job| named(job)).collect(),
            }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    show(&Page {
        head: Head::new("Failures", "failures", &visitor),
        groups,
        count,
        from,
        to,
        since: counts.since.filter(|since| *since > from),
        earlier,
    })
}

/// How many rounds failed for which reason. One that only a newer release knows is left out.
fn counted(counts: &Counts) -> BTreeMap<Reason, (Party, u64)> {
    let mut reasons: BTreeMap<Reason, (Party, u64)> = BTreeMap::new();
    for (name, number) in counts.days.values().flatten() {
        let mut parts = name.split(':').skip(1);
        let code = parts.next().and_then(|code| code.parse::<Code>().ok());
        let party = parts.next();
        let party = party.and_then(|word| Party::iter().find(|party| party.as_str() == word));
        if let (Some(code), Some(party)) = (code, party) {
            let reason = reasons.entry((code, party.as_str())).or_insert((party, 0));
            reason.1 += number;
        }
    }
    reasons
}

fn named(job: &Job) -> (String, String) {
    let kind = words::kind(job.params.kind()).to_owned();
    (job.id.to_string(), kind)
}

fn told(party: Party) -> &'static str {
    match party {
        Party::Caller => "the caller",
        Party::Provider => "the provider",
        Party::Service => "this service",
    }
}
