//! Who brings tasks: a token that Google signed for the queue's service account.
//!
//! Delivery is at least once and visits are idempotent, so a token that comes again is let in
//! again; it opens three routes, for an hour.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gcloud_sdk::IdTokenAudience;
use gcloud_sdk::id_token_verify::{
    IdTokenKeys, IdTokenKeysSource, IdTokenVerifier, IdTokenVerifyError, JwkSet, PrincipalEmail,
};
use http::{StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::Problem;
use crate::job::Code;

/// Where Google publishes the keys of its ID tokens.
pub const GOOGLE_CERTS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const CERTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Google's answer is two kilobytes.
const MOST_CERTS: usize = 256 * 1024;
/// As long as the keys may be used where the answer does not say.
const DEFAULT_AGE: Duration = Duration::from_secs(300);
/// A token of Google's has about 900 characters.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Checks tokens in full: RS256 signature by a key of Google's, issuer, audience, lifetime, and
/// that the verified address is the service account's.
///
/// Keys are fetched at first use and when they have aged or do not hold a token's key, at most
/// once in 30 s then; so a key made seconds ago is refused for that long, and the queue brings the
/// task again.
pub struct OidcCheck {
    verifier: IdTokenVerifier,
    service_account: PrincipalEmail,
}

impl fmt::Debug for OidcCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcCheck")
            .field("service_account", &self.service_account)
            .finish_non_exhaustive()
    }
}

impl OidcCheck {
    /// `audience` is what the tasks' tokens are made for. `certs` names other keys than Google's.
    pub fn new(
        audience: &str,
        service_account: &str,
        certs: Option<Url>,
    ) -> Result<Self, reqwest::Error> {
        let client = crate::tls::client()
            .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
            .timeout(CERTS_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let url = certs.map_or_else(|| GOOGLE_CERTS.to_owned(), String::from);
        let verifier = IdTokenVerifier::with_keys_source(
            IdTokenAudience::new(audience),
            Certs { client, url },
        );
        Ok(Self {
            verifier,
            service_account: PrincipalEmail::new(service_account),
        })
    }

    /// `Err` with 401 for a token that is not good, 403 for one of somebody else, and 500 while
    /// the keys cannot be had: the queue brings the task again after any of them, and 503 would
    /// slow the whole queue down for what concerns this instance alone.
    pub(super) async fn admit(&self, token: &str) -> Result<(), Problem> {
        if token.len() > LONGEST_TOKEN {
            return Err(not_good("the token is too long"));
        }
        let token = self
            .verifier
            .verify(token)
            .await
            .map_err(|error| match error {
                IdTokenVerifyError::InvalidToken(reason) => not_good(&reason.to_string()),
                IdTokenVerifyError::KeysUnavailable(error) => Problem::new(Code::Internal)
                    .detail("The keys that tokens are checked with cannot be had.")
                    .because(error),
            })?;
        if token.verified_email() == Some(&self.service_account) {
            return Ok(());
        }
        let whose = token
            .email()
            .map_or_else(|| "nobody".to_owned(), ToString::to_string);
        Err(somebody_else(&whose))
    }
}

/// Lets the service account's token in without looking at its signature: Cloud Run, told to
/// require authentication, has checked it and may have replaced it by
/// `SIGNATURE_REMOVED_BY_GOOGLE`. Without that platform in front, anyone can forge one.
pub(super) fn admit_checked_by_platform(token: &str, service_account: &str) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Claims {
        email: Option<String>,
        email_verified: Option<bool>,
    }
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [_, claims, _] = parts.as_slice() else {
        return Err(not_good("not a token of three parts"));
    };
    let claims: Claims = URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .filter(|claims| claims.len() <= LONGEST_TOKEN)
        .and_then(|claims| serde_json::from_slice(&claims).ok())
        .ok_or_else(|| not_good("the claims cannot be read"))?;
    let email = claims.email.filter(|_| claims.email_verified == Some(true));
    match email {
        Some(email) if email == service_account => Ok(()),
        other => Err(somebody_else(other.as_deref().unwrap_or("nobody"))),
    }
}

fn not_good(reason: &str) -> Problem {
    Problem::new(Code::Unauthorized).because(format!("a task's token is refused: {reason}"))
}

fn somebody_else(whose: &str) -> Problem {
    let whose: String = whose.chars().take(200).collect();
    Problem::new(Code::Unauthorized)
        .status(StatusCode::FORBIDDEN)
        .because(format!("a task's token is of {whose}"))
}

/// The published keys.
struct Certs {
    client: reqwest::Client,
    url: String,
}

#[async_trait]
impl IdTokenKeysSource for Certs {
    async fn fetch_keys(&self) -> gcloud_sdk::error::Result<IdTokenKeys> {
        let mut answer = self
            .client
            .get(&self.url)
            .send()
            .await?
            .error_for_status()?;
        let age = answer
            .headers()
            .get(header::CACHE_CONTROL)
            .and_then(|value| value.to_str().ok())
            .and_then(max_age)
            .unwrap_or(DEFAULT_AGE);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_CERTS {
                break;
            }
        }
        // No key at all fits no token: an answer that cannot be read is refused like that.
        let keys: JwkSet = serde_json::from_slice(&body).unwrap_or_else(|error| {
            tracing::error!(url = self.url, %error, "the keys of ID tokens cannot be read");
            JwkSet { keys: Vec::new() }
        });
        Ok(IdTokenKeys::new(keys, age))
    }
}

fn max_age(cache_control: &str) -> Option<Duration> {
    cache_control.split(',').find_map(|part| {
        let seconds = part.trim().strip_prefix("max-age=")?;
        Some(Duration::from_secs(seconds.parse().ok()?))
    })
}
