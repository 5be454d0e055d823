//! What failed lately, grouped by what went wrong, with what can be done about it.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::one::next_step;
use super::shell::{Head, show};
use super::visitor::Visitor;
use super::words::{self, Moment};
use crate::http::{HttpState, Problem};
use crate::job::{Code, Job, Party, Status};
use crate::ledger::JobQuery;

/// Failed jobs that are looked at: what failed before is on the list.
const LOOKED_AT: u32 = 90;
/// Jobs of a group that are named.
const NAMED: usize = 5;

struct Group {
    code: String,
    about: &'static str,
    party: &'static str,
    step: &'static str,
    count: usize,
    /// Of all that were looked at, in hundredths.
    share: usize,
    message: String,
    last: Moment,
    jobs: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "console/failures.html")]
struct Page {
    head: Head,
    groups: Vec<Group>,
    count: usize,
    is_all: bool,
    since: Option<Moment>,
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, Problem> {
    let query = JobQuery {
        owner: visitor.caller.narrows_to(),
        status: Some(Status::Failed),
        limit: LOOKED_AT,
        ..JobQuery::default()
    };
    let jobs = state.ledger.list(&query).await?;
    let now = state.clock.now();
    let mut by_reason: BTreeMap<(Code, &'static str), Vec<&Job>> = BTreeMap::new();
    for job in &jobs {
        if let Some(error) = &job.error {
            let reason = (error.code, error.party.as_str());
            by_reason.entry(reason).or_default().push(job);
        }
    }
    let mut groups: Vec<Group> = by_reason
        .into_values()
        .filter_map(|of| {
            let error = of.first()?.error.as_ref()?;
            Some(Group {
                code: error.code.to_string(),
                about: error.code.about(),
                party: party(error.party),
                step: next_step(error.code, error.party),
                count: of.len(),
                share: of.len() * 100 / jobs.len().max(1),
                message: error.message.chars().take(400).collect(),
                last: Moment::new(error.at, now),
                jobs: of
                    .iter()
                    .take(NAMED)
                    .map(|job| {
                        (
                            job.id.to_string(),
                            words::kind(job.params.kind()).to_owned(),
                        )
                    })
                    .collect(),
            })
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    show(&Page {
        head: Head::new("Failures", "failures", &visitor),
        groups,
        count: jobs.len(),
        is_all: jobs.len() < LOOKED_AT as usize,
        since: jobs.last().map(|job| Moment::new(job.created_at, now)),
    })
}

fn party(party: Party) -> &'static str {
    match party {
        Party::Caller => "the caller",
        Party::Provider => "the provider",
        Party::Service => "this service",
    }
}
