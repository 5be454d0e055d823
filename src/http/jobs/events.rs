//! `GET /v1/jobs/{id}/events`: a job's changes as they happen, as server-sent events.
//!
//! One event at once with the job as it is, one for each change of status, stage, progress or
//! of what is waited for, and the end after the event that tells of it. An event's id says what it showed, so that a client
//! that comes back with `Last-Event-ID` gets nothing twice, whichever instance it comes to.
//!
//! Cost: one read of the ledger a second for each stream; streams are bounded.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::job::find;
use super::view::JobView;
use crate::http::caller::Caller;
use crate::http::refusals::problems;
use crate::http::routes::Routes;
use crate::http::slots::{NoSlot, OwnerSlot};
use crate::http::{HttpState, Problem, api};
use crate::job::{Code, Job, JobId, Status, Timestamp, WaitsFor};

/// When a client that was cut off should come back.
const RETRY: Duration = Duration::from_secs(2);
/// When a client that found no slot should try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");
/// Reads that may fail in a row before a stream is given up.
const FAILURES: u32 = 30;
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(events))
}

problems!(EventsProblems: Unauthorized, NotFound, InvalidJob, LedgerUnavailable, Overloaded,
    ShuttingDown);

/// Follow a job
///
/// Server-sent events: one at once with the job as it is, one for each change of status, stage,
/// progress or of what is waited for; the stream ends with the job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    operation_id = "followJob",
    tag = "jobs",
    security(("apiToken" = [])),
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("Last-Event-ID" = Option<String>, Header,
            description = "The id of the last event that was seen."),
    ),
    responses(
        (status = 200, description = "Events.", content_type = "text/event-stream"),
        (status = 204, description = "The job has ended, and its end was seen."),
        EventsProblems,
    ),
)]

async fn events(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = tokio::time::timeout(api::API_TIMEOUT, find(&state, &caller, &id));
    let job = found.await.map_err(|_| {
        Problem::new(Code::LedgerUnavailable).because("the ledger did not answer in time")
    })??;
    let seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    if job.status.is_ended() && seen.as_deref() == Some(&mark_of(&job, state.clock.now())) {
        // What a client takes as “do not come back”.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let streams = &state.events;
    if streams.closing.is_cancelled() {
        return Err(Problem::new(Code::ShuttingDown).header(header::RETRY_AFTER, RETRY_AFTER));
    }
    let slot = streams.slots.take(&job.owner).map_err(|full| {
        Problem::new(Code::Overloaded)
            .detail(match full {
                NoSlot::InAll => "As many event streams are open as the service takes.",
                NoSlot::OfOwner => "As many event streams are open as one owner may have.",
            })
            .header(header::RETRY_AFTER, RETRY_AFTER)
    })?;
    let pace = streams.pace;
    let mut ticks = tokio::time::interval(pace.look);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let follow = Follow {
        closing: streams.closing.clone(),
        first: Some(job.clone()),
        job,
        state,
        caller,
        seen,
        ticks,
        begun: false,
        over: false,
        _slot: slot,
    };
    Ok(answer(changes(follow), pace.heartbeat))
}

/// The answer that carries events as they come.
pub(in crate::http) fn answer(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
    heartbeat: Duration,
) -> Response {
    let keep_alive = KeepAlive::new().interval(heartbeat);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies of the nginx family hold events back otherwise.
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// A stream under way.
struct Follow {
    state: HttpState,
    caller: Caller,
    closing: CancellationToken,
    job: Job,
    /// The job as the request found it, until it is looked at.
    first: Option<Job>,
    /// The id of what the client saw last.
    seen: Option<String>,
    ticks: Interval,
    /// Whether the client was told when to come back.
    begun: bool,
    over: bool,
    _slot: OwnerSlot,
}

fn changes(follow: Follow) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold(follow, |mut follow| async move {
        let event = follow.next().await?;
        Some((Ok(event), follow))
    })
}

impl Follow {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            // Also where there is nothing to show: the client must know that it is heard.
            let hello = Event::default().retry(RETRY);
            return Some(match self.show().await {
                Some(event) => event.retry(RETRY),
                None => hello.comment(""),
            });
        }
        loop {
            if self.over || !self.look().await {
                return None;
            }
            if let Some(event) = self.show().await {
                return Some(event);
            }
        }
    }

    /// Reads the job anew; `false` if there is no more to come.
    async fn look(&mut self) -> bool {
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return false,
                _ = self.ticks.tick() => {}
            }
            match self.state.ledger.read(&self.job.id).await {
                Ok(Some(job)) => {
                    self.first = Some(job);
                    return true;
                }
                // Deleted.
                Ok(None) => return false,
                Err(error) => {
                    failures += 1;
                    if failures >= FAILURES {
                        tracing::warn!(job = %self.job.id, %error, "an event stream is given up");
                        return false;
                    }
                }
            }
        }
    }

    /// The job as it is now, if the client has not seen that.
    async fn show(&mut self) -> Option<Event> {
        let job = self.first.take()?;
        let mark = mark_of(&job, self.state.clock.now());
        if self.seen.as_deref() == Some(&mark) {
            return None;
        }
        // Signing links can cost remote calls: once, at the end.
        let view = match job.status {
            Status::Completed => JobView::with_links(&job, &self.caller, &self.state).await,
            _ => Ok(JobView::without_links(&job, &self.state)),
        };
        let view = view.unwrap_or_else(|problem| {
            tracing::warn!(job = %job.id, reason = problem.log, "an event goes without links");
            JobView::without_links(&job, &self.state)
        });
        self.over = job.status.is_ended();
        self.job = job;
        match Event::default().id(&mark).json_data(&view) {
            Ok(event) => {
                self.seen = Some(mark);
                Some(event)
            }
            Err(error) => {
                tracing::error!(%error, "an event cannot be written");
                None
            }
        }
    }
}

/// What an event shows, in a few letters: two states that read the same are the same event.
pub(in crate::http) fn mark_of(job: &Job, now: Timestamp) -> String {
    let mut mark = format!("{}.{}", job.round, job.status.as_str());
    if let Some(stage) = job.stage {
        let _ = write!(mark, ".{}", stage.as_str());
    }
    let _ = write!(mark, ".{:.1}", job.progress.percent);
    // A due job that nobody has come to yet is about to be worked on: that is no news.
    if let Some(wait) = job.wait(now).filter(|wait| wait.what != WaitsFor::Worker) {
        let _ = write!(mark, ".{}{}", wait.what.as_str(), wait.attempt);
    }
    mark
}
