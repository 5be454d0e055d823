//! What the routes of a job begin and end with.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use super::view::JobView;
use crate::http::caller::Caller;
use crate::http::{HttpState, Problem};
use crate::job::{Code, Job, JobId};
use crate::queue::{Task, Why};

/// The job, if there is one and the caller may see it.
pub(in crate::http) async fn find(
    state: &HttpState,
    caller: &Caller,
    id: &str,
) -> Result<Job, Problem> {
    // A name that no job can have is no job's name.
    let id: JobId = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    state
        .ledger
        .read(&id)
        .await?
        .filter(|job| caller.may_see(job))
        .ok_or_else(|| Problem::new(Code::NotFound))
}

/// Plans a visit at once. The job stands without it: the sweeper finds what is due.
pub(in crate::http) async fn wake(state: &HttpState, job: &Job, why: Why) {
    let task = Task::Job {
        id: job.id.clone(),
        seq: job.wake.seq,
        why,
    };
    if let Err(error) = state.queue.schedule(&task, state.clock.now()).await {
        tracing::error!(job = %job.id, %task, %error, "a visit was not planned; the sweeper will");
    }
}

pub(super) async fn answer(
    state: &HttpState,
    caller: &Caller,
    job: &Job,
    status: StatusCode,
) -> Result<Response, Problem> {
    let view = JobView::with_links(job, caller, state).await?;
    let mut response = (status, axum::Json(view)).into_response();
    let headers = response.headers_mut();
    // It changes any moment, and holds links.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::CREATED
        && let Ok(location) = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id))
    {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}
