//! What every page has around it: its head, the policy it is shown under, and how it says that
//! something went wrong.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::assets;
use super::visitor::Visitor;
use crate::http::api::AsItIs;
use crate::http::{HttpState, Problem};
use crate::job::Code;

/// What the head of a page needs to know.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) title: String,
    /// The part of the console it belongs to.
    pub(super) part: &'static str,
    /// Nobody before signing in.
    pub(super) who: Option<Who>,
    pub(super) assets: &'static str,
    pub(super) version: &'static str,
}

/// Whoever looks.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) form_token: String,
    pub(super) may_change: bool,
    pub(super) is_operator: bool,
    pub(super) is_open: bool,
}

impl Head {
    pub(super) fn new(title: impl Into<String>, part: &'static str, visitor: &Visitor) -> Self {
        Self {
            who: Some(Who {
                name: visitor.caller.name().to_owned(),
                form_token: visitor.form_token.clone(),
                may_change: visitor.caller.may_change(),
                is_operator: visitor.caller.narrows_to().is_none(),
                is_open: visitor.is_open,
            }),
            ..Self::of_stranger(title, part)
        }
    }

    pub(super) fn of_stranger(title: impl Into<String>, part: &'static str) -> Self {
        Self {
            title: title.into(),
            part,
            who: None,
            assets: &assets::VERSION,
            version: env!("FILMLAB_VERSION"),
        }
    }

    /// Whether buttons that change something are shown.
    pub(super) fn may_change(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.may_change)
    }

    /// Whether jobs of several owners may be among those shown.
    pub(super) fn is_operator(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.is_operator)
    }

    pub(super) fn form_token(&self) -> &str {
        self.who.as_ref().map_or("", |who| &who.form_token)
    }
}

/// A page, or what is wrong with its template.
pub(super) fn show(page: &impl Template) -> Result<Response, Problem> {
    let html = page
        .render()
        .map_err(|error| Problem::new(Code::Internal).because(error))?;
    Ok(Html(html).into_response())
}

#[derive(Template)]
#[template(path = "console/failure.html")]
struct Failure<'a> {
    head: Head,
    status: u16,
    code: String,
    detail: &'a str,
    errors: Vec<String>,
}

/// Puts the headers on every answer, and shows failures as pages.
pub(super) async fn wrap(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let origin = state
        .settings
        .console
        .as_ref()
        .and_then(|console| console.media_origin.clone())
        .unwrap_or_default();
    let mut response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = failed(response);
    }
    let policy = format!(
        "default-src 'self'; img-src 'self' data: {origin}; media-src 'self' blob: {origin}; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    // What is no page has one of its own, and a stricter one.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(policy);
    }
    for (name, value) in [
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages show what is now, and to whoever is signed in.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The page that stands for a failure; it keeps its status.
fn failed(mut response: Response) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // A page that says itself what is wrong.
        None if response.extensions().get::<AsItIs>().is_some() => return response,
        None => Problem::of_status(status),
    };
    let reason = problem.log.as_deref().unwrap_or(&problem.detail);
    if status.is_server_error() {
        tracing::error!(code = %problem.code, reason, "a page failed");
    } else {
        tracing::info!(code = %problem.code, reason, "a page was refused");
    }
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Not allowed",
        _ if status.is_server_error() => "Something went wrong",
        _ => "That did not work",
    };
    let page = Failure {
        head: Head::of_stranger(title, ""),
        status: status.as_u16(),
        code: problem.code.to_string(),
        detail: &problem.detail,
        errors: problem.errors.iter().map(ToString::to_string).collect(),
    };
    let mut answer = match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => error.to_string().into_response(),
    };
    *answer.status_mut() = status;
    answer.extensions_mut().insert(AsItIs);
    answer
}
