//! What the buttons do. A form was checked by `visitor` before it comes here.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::visitor::{Form, Visitor};
use crate::http::jobs::actions;
use crate::http::{HttpState, Problem};
use crate::job::Code;

pub(super) async fn cancel(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = actions::cancel(&state, &visitor.caller, &id).await?;
    Ok(to(job.id.as_str()))
}

pub(super) async fn retry(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = actions::retry(&state, &visitor.caller, &id, None).await?;
    Ok(to(job.id.as_str()))
}

/// Only with the id written once more.
pub(super) async fn delete(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Extension(form): Extension<Form>,
) -> Result<Response, Problem> {
    if form.get("confirm") != id {
        return Err(Problem::new(Code::InvalidRequest)
            .detail("To delete a job, write its id into the field. Nothing was deleted."));
    }
    actions::delete(&state, &visitor.caller, &id).await?;
    Ok(Redirect::to("/console").into_response())
}

pub(super) async fn replay(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Extension(form): Extension<Form>,
) -> Result<Response, Problem> {
    let round = match form.get("round") {
        "" => None,
        round => Some(
            round
                .parse()
                .map_err(|_| Problem::fault("round", "must be a whole number"))?,
        ),
    };
    let notice = actions::replay(&state, &visitor.caller, &id, round).await?;
    Ok(to(notice.job.as_str()))
}

/// Back to the job: loading the page again then does nothing twice.
fn to(id: &str) -> Response {
    Redirect::to(&format!("/console/jobs/{id}")).into_response()
}
