//! A job as its owner sees it: nothing of leases, tasks, the provider's ids or our objects.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::link_cache::Links;
use crate::clock::later;
use crate::http::caller::Caller;
use crate::http::{HttpState, Problem};
use crate::job::{
    Code, Job, JobCredits, JobId, Output, Owner, Params, Party, PassedOver, Progress, Published,
    ResultOrigin, Source, Stage, Status, Timestamp, Timings, WaitsFor,
};

/// The public form of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    pub id: JobId,
    pub owner: Owner,
    #[serde(flatten)]
    pub params: Params,
    pub source: Source,
    pub output: Output,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub status: Status,
    /// Where in `processing` it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    pub progress: Progress,
    pub attempt: u32,
    pub round: u32,
    /// Why it failed, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// What it waits for; absent where it is worked on, or has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingView>,
    /// The model that was asked last; of a completed job the one that made the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Models that this round asks no more, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// US dollars that a submission may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<f64>,
    pub credits: JobCredits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultView>,
    /// When the result was deleted for its age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_expired_at: Option<Timestamp>,
    pub timings: Timings,
    pub cancel_requested: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    pub deadline_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobError)]
pub struct ErrorView {
    pub code: Code,
    pub message: String,
    pub party: Party,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
}

impl From<&crate::job::JobError> for ErrorView {
    fn from(error: &crate::job::JobError) -> Self {
        Self {
            code: error.code,
            message: error.message.clone(),
            party: error.party,
            stage: error.stage,
        }
    }
}

/// What a job waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobWaiting)]
pub struct WaitingView {
    #[serde(rename = "for")]
    pub what: WaitsFor,
    /// The first of several waits in a row for the same.
    pub since: Timestamp,
    /// When somebody looks again; absent where that is as soon as a worker is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The attempt that goes on, or comes next.
    pub attempt: u32,
    /// How many there are.
    pub attempts: u32,
    /// For a person.
    pub reason: String,
}

/// The result of a completed job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobResult)]
pub struct ResultView {
    /// Absent in lists: reading the job gives fresh ones.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// Size of the video.
    pub bytes: u64,
    pub duration_ms: u64,
    pub width: u32,
    pub height: u32,
    /// How it was made, and from what; absent in lists, and of results of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ResultOrigin>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    pub jobs: Vec<JobView>,
    /// Brings the next page; absent after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl JobView {
    /// The job without links: signing them can cost a remote call each.
    #[must_use]
    pub(in crate::http) fn without_links(job: &Job, state: &HttpState) -> Self {
        // A result that is made but not settled is not published.
        let published = job
            .result
            .as_ref()
            .filter(|_| job.status == Status::Completed);
        Self {
            id: job.id.clone(),
            owner: job.owner.clone(),
            params: job.params.clone(),
            source: job.source.clone(),
            output: job.output.clone(),
            tags: job.tags.clone(),
            status: job.status,
            stage: job.stage,
            progress: job.progress.clone(),
            attempt: job.attempt,
            round: job.round,
            error: job.error.as_ref().map(ErrorView::from),
            waiting: job.wait(state.clock.now()).map(|wait| WaitingView {
                what: wait.what,
                since: wait.since,
                until: wait.until,
                attempt: wait.attempt,
                attempts: state.settings.attempts,
                reason: wait.reason.into_owned(),
            }),
            model: job.provider.model.clone(),
            passed_over: job.passed_over.clone(),
            max_price: job.max_price,
            credits: job.credits.clone(),
            result: published.map(|result| ResultView {
                links: None,
                bytes: result.bytes,
                duration_ms: result.duration_ms,
                width: result.width,
                height: result.height,
                provenance: None,
            }),
            result_expired_at: job.result_expired_at,
            // A list is no place for what each of them did when.
            timings: Timings {
                timeline: Vec::new(),
                ..job.timings.clone()
            },
            cancel_requested: job.cancel_requested,
            created_at: job.created_at,
            updated_at: job.updated_at,
            completed_at: job.completed_at,
            deadline_at: job.deadline_at,
        }
    }

    /// The job with links to its result, signed a short while ago at most.
    pub(in crate::http) async fn with_links(
        job: &Job,
        caller: &Caller,
        state: &HttpState,
    ) -> Result<Self, Problem> {
        let mut view = Self::without_links(job, state);
        view.timings.clone_from(&job.timings);
        if let (Some(view), Some(published)) = (&mut view.result, &job.result) {
            let of = (caller, &job.id, published.video.as_str());
            let (now, ttl) = (state.clock.now(), state.settings.link_ttl);
            let sign = || sign(job, published, state, ttl);
            view.provenance = published.provenance.as_deref().cloned();
            view.links = Some(state.shared.links.links(of, now, ttl, sign).await?);
        }
        Ok(view)
    }
}

pub(in crate::http) async fn sign(
    job: &Job,
    published: &Published,
    state: &HttpState,
    ttl: Duration,
) -> Result<Links, Problem> {
    let link = async |object: &str, ending: &str| {
        let name = format!("{}.{ending}", job.id);
        state.storage.link(object, ttl, Some(&name)).await
    };
    let beside = async |object: &Option<String>, ending: &str| match object {
        Some(object) => link(object, ending).await.map(Some),
        None => Ok(None),
    };
    // Before signing, so that no link ends earlier than it says.
    let now = state.clock.now();
    Ok(Links {
        video: link(&published.video, "mp4").await?,
        poster: link(&published.poster, "jpg").await?,
        metadata: link(&published.metadata, "json").await?,
        storyboard: beside(&published.storyboard, "storyboard.jpg").await?,
        storyboard_vtt: beside(&published.storyboard_vtt, "vtt").await?,
        expires_at: later(now, ttl),
    })
}
