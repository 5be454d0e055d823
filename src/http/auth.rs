//! Who is asking.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

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

/// Lets only the queue and the scheduler through.
pub(super) async fn only_tasks(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let expected = state.settings.task_token.as_deref();
    let given = bearer(request.headers());
    match (expected, given) {
        (Some(expected), Some(given)) if same(expected, given) => Ok(next.run(request).await),
        _ => Err(Problem::new(Code::Unauthorized)),
    }
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
