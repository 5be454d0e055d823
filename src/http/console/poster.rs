//! A job's picture: leads to a link that was signed a short while ago. A list names this address
//! instead of twenty-five links, which cost a call each where Google signs them.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::visitor::Visitor;
use crate::http::jobs::job::find;
use crate::http::jobs::view::JobView;
use crate::http::{HttpState, Problem};
use crate::job::Code;

/// Well below the life of a link.
const KEPT: HeaderValue = HeaderValue::from_static("private, max-age=300");

pub(super) async fn poster(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find(&state, &visitor.caller, &id).await?;
    let view = JobView::with_links(&job, &visitor.caller, &state).await?;
    let links = view.result.and_then(|result| result.links);
    let poster = links.ok_or_else(|| Problem::new(Code::NotFound))?.poster;
    let to = HeaderValue::from_str(&here(&state, &poster))
        .map_err(|error| Problem::new(Code::Internal).because(error))?;
    let headers = [(header::LOCATION, to), (header::CACHE_CONTROL, KEPT)];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// A link as a page names it: files that this service serves itself lie where the page lies,
/// whatever name it is called by.
pub(super) fn here(state: &HttpState, link: &Url) -> String {
    match (&state.links, link.query()) {
        (Some(_), Some(query)) => format!("{}?{query}", link.path()),
        _ => link.to_string(),
    }
}
