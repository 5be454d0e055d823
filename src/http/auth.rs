//! Who is asking.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::oidc::{self, OidcCheck};
use super::{HttpState, Problem};
use crate::job::{Code, Job, Owner};

/// Whose the jobs are on a single machine without tokens, and the operator's own.
pub const LOCAL_OWNER: &str = "local";

/// Whether two secrets are the same. Digests are compared, so that the time taken tells nothing,
/// not even the length.
fn same(left: &str, right: &str) -> bool {
    Sha256::digest(left)
        .as_slice()
        .ct_eq(Sha256::digest(right).as_slice())
        .into()
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

/// How callers of `/tasks` prove themselves.
#[derive(Clone)]
pub enum TasksAuth {
    /// The routes do not exist: an embedded queue calls the worker directly.
    Closed,
    /// A secret of our own.
    Token(String),
    /// A token that Google signed, checked in full.
    Verify(Arc<OidcCheck>),
    /// A token that the platform in front has checked; only whose it is is looked at.
    Platform { service_account: String },
}

impl fmt::Debug for TasksAuth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Closed"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Verify(check) => write!(f, "Verify({check:?})"),
            Self::Platform { service_account } => write!(f, "Platform({service_account})"),
        }
    }
}

/// Lets only the queue and the scheduler through.
pub(super) async fn only_tasks(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let refused = || Problem::new(Code::Unauthorized);
    let given = bearer(request.headers()).ok_or_else(refused)?;
    match &state.settings.tasks_auth {
        TasksAuth::Closed => return Err(Problem::new(Code::NotFound)),
        TasksAuth::Token(expected) if same(expected, given) => {}
        TasksAuth::Token(_) => return Err(refused()),
        TasksAuth::Verify(check) => check.admit(given).await?,
        TasksAuth::Platform { service_account } => {
            oidc::admit_checked_by_platform(given, service_account)?;
        }
    }
    Ok(next.run(request).await)
}

/// A caller of the jobs API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// Whose jobs it may touch. Absent: everybody's.
    owner: Option<Owner>,
}

impl Caller {
    /// Whom a new job or upload belongs to. `named` is what the request says of it.
    pub(super) fn owner_for(&self, named: Option<Owner>) -> Result<Owner, &'static str> {
        match (&self.owner, named) {
            (Some(own), Some(named)) if *own != named => Err("is not the owner of your token"),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(named)) => Ok(named),
            (None, None) => LOCAL_OWNER
                .parse()
                .map_err(|_| "must name whom the job belongs to"),
        }
    }

    /// The owner to whose jobs a list is narrowed.
    pub(super) fn narrows_to(&self) -> Option<Owner> {
        self.owner.clone()
    }

    /// Whether this is the service's own operator: with tokens, one that is for everybody's jobs;
    /// without, whoever reaches loopback.
    pub(super) fn is_operator(&self) -> bool {
        self.owner
            .as_ref()
            .is_none_or(|owner| owner.as_str() == LOCAL_OWNER)
    }

    /// Another owner's job is not there: that it exists is nobody else's business.
    pub(super) fn may_see(&self, job: &Job) -> bool {
        self.owner.as_ref().is_none_or(|owner| *owner == job.owner)
    }
}

impl FromRequestParts<HttpState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let settings = &state.settings;
        if settings.api_tokens.is_empty() && settings.api_open_on_loopback {
            if !is_from_here(&parts.headers) {
                return Err(Problem::new(Code::Unauthorized).detail(
                    "Without API tokens only requests to a loopback address are answered, and \
                     none that another site's page makes.",
                ));
            }
            return Ok(Self {
                owner: LOCAL_OWNER.parse().ok(),
            });
        }
        let given = bearer(&parts.headers).unwrap_or_default();
        // Every token is compared, so that the time taken does not tell which one fits.
        let mut found = None;
        for known in &settings.api_tokens {
            if same(&known.token, given) && !given.is_empty() {
                found = Some(Self {
                    owner: known.owner.clone(),
                });
            }
        }
        found.ok_or_else(|| Problem::new(Code::Unauthorized))
    }
}

/// Whether an open API may answer. A browser can be brought to call loopback by any page: by a
/// name whose DNS answer turns to 127.0.0.1 (then `Host` is that name), or across origins.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authority) = text(header::HOST) else {
        // HTTP/2 without Host, or a hand-made request: no browser sends that.
        return !headers.contains_key(header::ORIGIN);
    };
    let local =
        url::Url::parse(&format!("http://{authority}/")).is_ok_and(|url| match url.host() {
            Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        });
    let same_site = text(header::ORIGIN).is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, from)| from.eq_ignore_ascii_case(authority))
    });
    local && same_site
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn an_open_api_answers_no_foreign_page() {
        use header::{HOST, ORIGIN};
        for (pairs, fits) in [
            (vec![(HOST, "127.0.0.1:8080")], true),
            (vec![(HOST, "localhost:8080")], true),
            (vec![(HOST, "[::1]:8080")], true),
            (vec![], true),
            (
                vec![(HOST, "localhost:8080"), (ORIGIN, "http://localhost:8080")],
                true,
            ),
            (vec![(HOST, "rebound.example:8080")], false),
            (
                vec![(HOST, "localhost:8080"), (ORIGIN, "https://evil.example")],
                false,
            ),
            (vec![(HOST, "localhost:8080"), (ORIGIN, "null")], false),
        ] {
            assert_eq!(is_from_here(&headers(&pairs)), fits, "{pairs:?}");
        }
    }

    #[test]
    fn a_bearer_token_is_read_strictly() {
        use header::AUTHORIZATION;
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer ", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(&headers(&[(AUTHORIZATION, value)])), token);
        }
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa"));
    }
}
