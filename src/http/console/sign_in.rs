//! Signing in with a token of the jobs API, and out again.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, StatusCode, header};

use super::address;
use super::shell::{Head, show};
use super::visitor::{self, Form, Visitor};
use crate::clock::later;
use crate::http::api::AsItIs;
use crate::http::session::{Sealer, Session};
use crate::http::{HttpState, Problem, api, auth};

const MAX_FORM_BYTES: usize = 8 * 1024;

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct Page<'a> {
    head: Head,
    next: &'a str,
    wrong: &'a str,
}

fn form<'a>(next: &'a str, wrong: &'a str) -> Result<Response, Problem> {
    show(&Page {
        head: Head::of_stranger("Sign in", ""),
        next: address::within(next),
        wrong,
    })
}

pub(super) async fn page(RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Form::read(query.unwrap_or_default().as_bytes());
    form(query.get("next"), "")
}

/// The token is compared with each, so that the time taken does not tell which one fits.
pub(super) async fn sign_in(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    visitor::same_origin(request.headers())?;
    let settings = visitor::settings(&state)?.clone();
    let headers = request.headers().clone();
    let body = tokio::time::timeout(api::API_TIMEOUT, api::body(request, &state, MAX_FORM_BYTES));
    let body = body
        .await
        .map_err(|_| Problem::of_status(StatusCode::REQUEST_TIMEOUT))??;
    let form_sent = Form::read(&body);
    let (given, next) = (form_sent.get("token"), form_sent.get("next"));
    let mut found = None;
    for known in &state.settings.api_tokens {
        if auth::same(&known.token, given) && !given.is_empty() {
            found = Some(known);
        }
    }
    let Some(known) = found else {
        tracing::warn!(target: crate::telemetry::AUDIT, "somebody could not sign in");
        return refused(next, "No such token is known here.");
    };
    if !visitor::keeps_sessions(&headers) {
        return refused(
            next,
            "Away from this machine browsers keep a session over https only. Put a proxy with a \
             certificate in front, or come through a tunnel to loopback.",
        );
    }
    let who = known
        .owner
        .as_ref()
        .map_or("operator", |owner| owner.as_str());
    tracing::info!(target: crate::telemetry::AUDIT, who, what = "sign in", "changed");
    let sealer = Sealer::new(&settings.key, Some(&known.token));
    let session = Session::begin(later(state.clock.now(), settings.session));
    let cookie = visitor::cookie(&headers, &sealer.seal(&session), &settings)?;
    let mut response = Redirect::to(address::within(next)).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn refused(next: &str, why: &str) -> Result<Response, Problem> {
    let mut response = form(next, why)?;
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.extensions_mut().insert(AsItIs);
    Ok(response)
}

pub(super) async fn sign_out(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    state.shared.signed_out.add(&visitor.session, now);
    let cookie = visitor::cookie(&headers, "", visitor::settings(&state)?)?;
    let mut response = Redirect::to("/console/sign-in").into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}
