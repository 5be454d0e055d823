//! Who looks at a page, known by the session in the cookie, and whether a form is the console's.
//!
//! Every request that may change something passes here with the token of its form, so that no
//! page can forget to ask for it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::address;
use crate::clock::later;
use crate::http::caller::Caller;
use crate::http::session::{Sealer, Session};
use crate::http::settings::{ConsoleSettings, LOCAL_OWNER, Role};
use crate::http::{HttpState, Problem, api, auth};
use crate::job::Code;

/// The field in which forms send it.
const FIELD: &str = "form_token";
const MAX_FORM_BYTES: usize = 64 * 1024;

/// Somebody who may look.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) session: Session,
    /// What their forms carry.
    pub(super) form_token: String,
    /// The service asks for no token: there is nothing to sign out of.
    pub(super) is_open: bool,
}

/// The fields of a form that was checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// What stands in a field; empty where it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }
}

impl Form {
    /// Everything that stands in fields of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(known, _)| known == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// The settings; their absence would be a defect, since the routes would not be there.
pub(super) fn settings(state: &HttpState) -> Result<&ConsoleSettings, Problem> {
    let settings = state.settings.console.as_ref();
    settings.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Lets whoever has a session through, and nobody's forms but the console's own.
pub(super) async fn known(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let found = who(&state, &parts)?;
    request = Request::from_parts(parts, body);
    let Some((visitor, cookie)) = found else {
        return Ok(to_sign_in(&request));
    };
    if !request.method().is_safe() {
        request = checked(&state, &visitor, request).await?;
    }
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The visitor, and a cookie where the session has only just begun.
fn who(
    state: &HttpState,
    parts: &Parts,
) -> Result<Option<(Visitor, Option<HeaderValue>)>, Problem> {
    let settings = settings(state)?;
    let now = state.clock.now();
    let name = cookie_name(&parts.headers);
    let shown: Vec<&str> = cookies(&parts.headers, &name).collect();
    let opened = |sealer: &Sealer| {
        let mut sessions = shown.iter().filter_map(|cookie| sealer.open(cookie, now));
        sessions.find(|session| !state.shared.signed_out.holds(session))
    };
    if auth::is_open(&state.settings) {
        auth::from_here(parts, &state.settings)?;
        let caller = Caller::of(LOCAL_OWNER.parse().ok(), Role::Editor);
        let sealer = Sealer::new(&settings.key, None);
        let (session, cookie) = match opened(&sealer) {
            Some(session) => (session, None),
            None => {
                let session = Session::begin(later(now, settings.session));
                (
                    session,
                    Some(cookie(&parts.headers, &sealer.seal(&session), settings)?),
                )
            }
        };
        let form_token = sealer.form_token(&session);
        let visitor = Visitor {
            caller,
            session,
            form_token,
            is_open: true,
        };
        return Ok(Some((visitor, cookie)));
    }
    Ok(state.settings.api_tokens.iter().find_map(|known| {
        let sealer = Sealer::new(&settings.key, Some(&known.token));
        let session = opened(&sealer)?;
        let visitor = Visitor {
            caller: Caller::of(known.owner.clone(), known.role),
            session,
            form_token: sealer.form_token(&session),
            is_open: false,
        };
        Some((visitor, None))
    }))
}

fn to_sign_in(request: &Request) -> Response {
    let asked = request.uri().path_and_query().map_or("", |at| at.as_str());
    let next = match request.method().is_safe() {
        true => address::within(asked),
        // A form is not sent again by itself.
        false => "/console",
    };
    Redirect::to(&format!("/console/sign-in?next={}", address::value(next))).into_response()
}

/// The request with its form read, once that is known to be one of ours.
async fn checked(
    state: &HttpState,
    visitor: &Visitor,
    request: Request,
) -> Result<Request, Problem> {
    same_origin(request.headers())?;
    let headers = request.headers();
    let brings_files = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let (parts, body) = request.into_parts();
    let mut request = Request::from_parts(parts.clone(), body);
    let given = match brings_files {
        // It has to be known before the files are taken in.
        true => Form::read(parts.uri.query().unwrap_or_default().as_bytes())
            .get(FIELD)
            .to_owned(),
        false => {
            let body = api::body(request, state, MAX_FORM_BYTES).await?;
            let form = Form::read(&body);
            let given = form.get(FIELD).to_owned();
            request = Request::from_parts(parts, axum::body::Body::empty());
            request.extensions_mut().insert(form);
            given
        }
    };
    if !auth::same(&given, &visitor.form_token) {
        return Err(refused(
            "The form is not from this session, which may have ended since. Go back, load the \
             page again, and try once more.",
        ));
    }
    // Signing out changes nothing.
    if !visitor.caller.may_change() && request.uri().path() != "/console/sign-out" {
        return Err(auth::looks_only());
    }
    Ok(request)
}

/// Refuses what another site's page sends. Browsers say it in one of two headers.
pub(super) fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (None, Some(_), None) => false,
        // No browser.
        (None, None, _) => true,
    };
    if ours {
        Ok(())
    } else {
        Err(refused("The form was sent from another site."))
    }
}

fn refused(detail: &str) -> Problem {
    let mut problem = Problem::new(Code::Unauthorized)
        .status(StatusCode::FORBIDDEN)
        .detail(detail);
    problem.headers.clear();
    problem
}

/// Whether the browser speaks with this machine itself, where there is no https.
fn on_loopback(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let url = host.and_then(|host| url::Url::parse(&format!("http://{host}/")).ok());
    url.is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    })
}

/// Whether a browser that asks like this keeps a cookie that is for https.
pub(super) fn keeps_sessions(headers: &HeaderMap) -> bool {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    on_loopback(headers) || !origin.is_some_and(|origin| origin.starts_with("http://"))
}

/// Cookies do not tell ports apart, and a machine may have two services.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit_once(':'))
        .map(|(_, port)| port)
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port {
        Some(port) => format!("filmlab_console_{port}"),
        None => "filmlab_console".to_owned(),
    }
}

fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value)
        // A browser has one; more are somebody's play.
        .take(4)
}

/// The cookie that carries a session; an empty one ends it.
pub(super) fn cookie(
    headers: &HeaderMap,
    sealed: &str,
    settings: &ConsoleSettings,
) -> Result<HeaderValue, Problem> {
    let age = match sealed {
        "" => 0,
        _ => settings.session.as_secs(),
    };
    let secure = if on_loopback(headers) { "" } else { "; Secure" };
    let text = format!(
        "{}={sealed}; Path=/console; Max-Age={age}; HttpOnly; SameSite=Strict{secure}",
        cookie_name(headers),
    );
    HeaderValue::from_str(&text).map_err(|error| Problem::new(Code::Internal).because(error))
}
