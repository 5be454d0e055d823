//! What changes on the list of jobs while somebody looks at it.
//!
//! The first page is read anew every two seconds, and rows that differ are sent. A stream takes a
//! place as those of the jobs API do; the page closes it while nobody looks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use askama::Template as _;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures::stream;
use tokio::time::{Interval, MissedTickBehavior};

use super::filters::Filters;
use super::row::Row;
use super::visitor::{Form, Visitor};
use crate::http::jobs::events::{answer, mark_of};
use crate::http::settings::LOCAL_OWNER;
use crate::http::slots::OwnerSlot;
use crate::http::{HttpState, Problem};
use crate::job::{Code, Job, JobId, Timestamp};
use crate::ledger::JobQuery;

/// Looks of a single job's stream for one of a list's: a page of jobs costs as many reads.
const LOOKS: u32 = 2;
/// When a page that was cut off comes back.
const RETRY: Duration = Duration::from_secs(3);
/// Looks that may fail in a row before the stream is given up; the page comes back.
const FAILURES: u32 = 15;
/// A session that has ended is not followed on for longer.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// What is old news already when a page is made.
const SLACK: Duration = Duration::from_secs(2);

pub(super) async fn jobs(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let since = Form::read(query.as_bytes()).get("since").parse().ok();
    let since = since.and_then(|since| Timestamp::from_microsecond(since).ok());
    let filters = Filters::read(&query);
    let asked = filters.query(&visitor).map_err(Problem::faults)?;
    let streams = &state.events;
    if streams.closing.is_cancelled() {
        return Err(Problem::new(Code::ShuttingDown));
    }
    let owner = match visitor.caller.narrows_to() {
        Some(owner) => owner,
        None => LOCAL_OWNER
            .parse()
            .map_err(|error| Problem::new(Code::Internal).because(error))?,
    };
    let slot = streams.slots.take(&owner).map_err(|_| {
        Problem::new(Code::Overloaded).detail("As many pages are followed as the service takes.")
    })?;
    let pace = streams.pace;
    let mut ticks = tokio::time::interval(pace.look * LOOKS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shows_owner = visitor.caller.narrows_to().is_none();
    let follow = Follow {
        known: None,
        since: since.unwrap_or_else(|| state.clock.now()),
        until: tokio::time::Instant::now() + LONGEST,
        state,
        asked,
        filters,
        shows_owner,
        may_change: visitor.caller.may_change(),
        ticks,
        _slot: slot,
    };
    let events = stream::unfold(follow, |mut follow| async move {
        let event = follow.next().await?;
        Some((Ok::<_, Infallible>(event), follow))
    });
    Ok(answer(events, pace.heartbeat))
}

struct Follow {
    state: HttpState,
    asked: JobQuery,
    filters: Filters,
    shows_owner: bool,
    may_change: bool,
    /// Jobs that the page shows, and how they were when they were last looked at.
    known: Option<HashMap<JobId, Seen>>,
    /// When the page was made.
    since: Timestamp,
    until: tokio::time::Instant,
    ticks: Interval,
    _slot: OwnerSlot,
}

struct Seen {
    mark: String,
    is_ended: bool,
}

impl Follow {
    /// The next rows that differ; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                () = self.state.events.closing.cancelled() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
                _ = self.ticks.tick() => {}
            }
            match self.look().await {
                Ok(rows) if rows.is_empty() => failures = 0,
                Ok(rows) => return Some(Event::default().event("rows").retry(RETRY).data(rows)),
                Err(problem) => {
                    failures += 1;
                    if failures >= FAILURES {
                        tracing::warn!(reason = problem.log, "a page is followed no more");
                        return None;
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Result<String, Problem> {
        let now = self.state.clock.now();
        let found = self.filters.find(&*self.state.ledger, &self.asked).await?;
        let mut rows = String::new();
        let before = self.known.take();
        let mut known = HashMap::new();
        for job in &found.jobs {
            let mark = format!("{}.{}", job.updated_at.as_microsecond(), mark_of(job, now));
            let is_new = match &before {
                // The page may have been made before or after.
                None => job.created_at >= self.since,
                Some(before) => !before.contains_key(&job.id),
            };
            let differs = match &before {
                None => !job.status.is_ended() || job.updated_at >= self.since - SLACK,
                Some(before) => before.get(&job.id).is_none_or(|seen| seen.mark != mark),
            };
            if differs {
                self.write(&mut rows, job, is_new)?;
            }
            let is_ended = job.status.is_ended();
            known.insert(job.id.clone(), Seen { mark, is_ended });
        }
        // What is no more of this status still stands on the page.
        for (id, seen) in before.into_iter().flatten() {
            if !known.contains_key(&id)
                && !seen.is_ended
                && let Some(job) = self.state.ledger.read(&id).await?
            {
                self.write(&mut rows, &job, false)?;
            }
        }
        self.known = Some(known);
        Ok(rows)
    }

    /// A row in the form in which a page takes it: in place of the one it has, or on top.
    fn write(&self, rows: &mut String, job: &Job, is_new: bool) -> Result<(), Problem> {
        let row = Row::new(job, &self.state, self.shows_owner).for_change(self.may_change);
        let html = match is_new {
            true => row.render().map(|row| {
                format!(
                    "<template><tbody hx-swap-oob=\"afterbegin:#rows\">{row}</tbody></template>"
                )
            }),
            false => row
                .again()
                .render()
                .map(|row| format!("<template>{row}</template>")),
        };
        let html = html.map_err(|error| Problem::new(Code::Internal).because(error))?;
        if is_new {
            // Newest first: a later one of the list goes below those that come after it.
            rows.insert_str(0, &html);
        } else {
            rows.push_str(&html);
        }
        Ok(())
    }
}
