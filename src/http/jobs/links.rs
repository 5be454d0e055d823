//! Fresh links to a result.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::job::find;
use super::link_cache::Links;
use super::{request, view};
use crate::http::audit::audit;
use crate::http::caller::Caller;
use crate::http::refusals::problems;
use crate::http::routes::Routes;
use crate::http::{HttpState, Problem, api};
use crate::job::{Code, JobId, Status};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(links))
}

problems!(LinksProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, NotFound, Conflict, ResultExpired,
    RequestTooLarge, UnsupportedMediaType, InvalidJob, LedgerUnavailable, StorageUnavailable, Overloaded, InvalidRequest as REQUEST_TIMEOUT);

/// Make fresh links to a result
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/links",
    operation_id = "makeLinks",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    request_body(content = ref("#/components/schemas/LinksOptions"),
        content_type = "application/json", example = json!({"ttl_s": 600})),
    responses(
        (status = 200, description = "The links.", body = Links,
            headers(("Cache-Control" = String, description = "`no-store`"))),
        LinksProblems,
    ),
)]
async fn links(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let body = api::optional_json(request, &state).await?;
    let ttl = request::read_links(&body, state.settings.longest_link).map_err(Problem::faults)?;
    let job = find(&state, &caller, &id).await?;
    let published = job
        .result
        .as_ref()
        .filter(|_| job.status == Status::Completed);
    let Some(published) = published else {
        return Err(match job.result_expired_at {
            Some(at) => Problem::new(Code::ResultExpired)
                .detail(format!("The result was deleted at {at}, for its age.")),
            None => Problem::new(Code::Conflict).detail(format!(
                "The job has no result: it is {}.",
                job.status.as_str()
            )),
        });
    };
    let ttl = ttl.unwrap_or(state.settings.link_ttl);
    let links = view::sign(&job, published, &state, ttl).await?;
    audit(&caller, "link", &job.id);
    let mut response = axum::Json(links).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
