//! Who is asking.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Version, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::caller::Caller;
use super::oidc;
use super::problem::Problem;
use super::serve::Peer;
use super::settings::{HttpSettings, LOCAL_OWNER, Role, TasksAuth};
use super::state::HttpState;
use crate::job::Code;

/// Whether two secrets are the same. Digests are compared, so that the time taken tells nothing,
/// not even the length.
pub(super) fn same(left: &str, right: &str) -> bool {
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

impl FromRequestParts<HttpState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let settings = &state.settings;
        if is_open(settings) {
            from_here(parts, settings)?;
            return Ok(Self::of(LOCAL_OWNER.parse().ok(), Role::Editor));
        }
        let given = bearer(&parts.headers).unwrap_or_default();
        // Every token is compared, so that the time taken does not tell which one fits.
        let mut found = None;
        for known in &settings.api_tokens {
            if same(&known.token, given) && !given.is_empty() {
                found = Some(Self::of(known.owner.clone(), known.role));
            }
        }
        let found = found.ok_or_else(|| Problem::new(Code::Unauthorized))?;
        if parts.method.is_safe() || found.may_change() {
            return Ok(found);
        }
        Err(looks_only())
    }
}

/// What whoever may only look is told of a change.
pub(super) fn looks_only() -> Problem {
    let mut problem = Problem::new(Code::Unauthorized)
        .status(StatusCode::FORBIDDEN)
        .detail("This token is a viewer's: it may look and change nothing.");
    // Another token would help, the same one again would not.
    problem.headers.clear();
    problem
}

/// Whether the jobs API asks for no token: then it is for this machine alone.
pub(super) fn is_open(settings: &HttpSettings) -> bool {
    settings.api_tokens.is_empty() && settings.api_open_on_loopback
}

/// What an open service shows besides the jobs API, such as its own description. With a proxy in
/// front it is for this machine as well.
#[derive(Debug)]
pub(super) struct NoStranger;

impl FromRequestParts<HttpState> for NoStranger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        if is_open(&state.settings) && state.settings.behind_proxy {
            from_here(parts, &state.settings)?;
        }
        Ok(Self)
    }
}

pub(super) fn from_here(parts: &Parts, settings: &HttpSettings) -> Result<(), Problem> {
    if is_from_here(parts, settings.behind_proxy) {
        return Ok(());
    }
    Err(Problem::new(Code::Unauthorized).detail(
        "Without API tokens only direct requests to a loopback address are answered, and none \
         that another site's page makes or a proxy passes on.",
    ))
}

/// Whether an open API may answer: only what comes from this machine itself.
///
/// A browser can be brought to call loopback by any page: by a name whose DNS answer turns to
/// 127.0.0.1 (then `Host` is that name), or across origins. A proxy on this machine calls loopback
/// for the whole world; it shows by what it adds, or by a `Host` that it keeps. nginx of itself
/// adds nothing, but speaks HTTP/1.0, which nobody else does.
fn is_from_here(parts: &Parts, behind_proxy: bool) -> bool {
    let headers = &parts.headers;
    if headers.keys().any(tells_of_a_proxy) {
        return false;
    }
    if behind_proxy && parts.version < Version::HTTP_11 {
        return false;
    }
    if let Some(Peer(peer)) = parts.extensions.get()
        && !peer.ip().to_canonical().is_loopback()
    {
        return false;
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // HTTP/2 says it in the address.
    let authority =
        text(header::HOST).or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let Some(authority) = authority else {
        // A hand-made request: no browser and no proxy sends that.
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

/// What proxies, load balancers and content networks add to what they pass on.
fn tells_of_a_proxy(name: &header::HeaderName) -> bool {
    const NAMES: [&str; 8] = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "fastly-client-ip",
        "fly-client-ip",
    ];
    const BEGINNINGS: [&str; 5] = [
        "x-forwarded",
        "x-original-",
        "x-envoy-",
        "x-appengine-",
        "cf-",
    ];
    let name = name.as_str();
    NAMES.contains(&name) || BEGINNINGS.iter().any(|begins| name.starts_with(begins))
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

    fn parts(headers: HeaderMap) -> Parts {
        let mut parts = http::Request::new(()).into_parts().0;
        parts.headers = headers;
        parts
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
            let asked = parts(headers(&pairs));
            assert_eq!(is_from_here(&asked, false), fits, "{pairs:?}");
        }
    }

    #[test]
    fn nothing_that_a_proxy_passes_on_is_from_here() {
        for name in [
            "Forwarded",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Real-IP",
            "X-Original-Host",
            "True-Client-IP",
            "CF-Connecting-IP",
            "X-Envoy-External-Address",
        ] {
            let name: header::HeaderName = name.to_lowercase().parse().unwrap();
            // Also with nothing in it: that it is there tells.
            for value in ["127.0.0.1", ""] {
                let given = [(header::HOST, "127.0.0.1:8080"), (name.clone(), value)];
                for behind in [false, true] {
                    assert!(!is_from_here(&parts(headers(&given)), behind), "{name}");
                }
            }
        }
        let local = || parts(headers(&[(header::HOST, "127.0.0.1:8080")]));
        let mut old = local();
        old.version = Version::HTTP_10;
        assert!(is_from_here(&old, false) && !is_from_here(&old, true));
        let mut from = local();
        from.extensions
            .insert(Peer("[::ffff:127.0.0.1]:9".parse().unwrap()));
        assert!(is_from_here(&from, true));
        from.extensions.insert(Peer("192.0.2.7:9".parse().unwrap()));
        assert!(!is_from_here(&from, true) && !is_from_here(&from, false));
        // HTTP/2 has no Host of its own.
        let mut two = parts(HeaderMap::new());
        two.uri = "http://lab.example/v1/jobs".parse().unwrap();
        assert!(!is_from_here(&two, false));
        two.uri = "http://127.0.0.1:8080/v1/jobs".parse().unwrap();
        assert!(is_from_here(&two, false));
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
