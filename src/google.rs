//! Who we are to Google's APIs: one source of tokens, and clients that carry them.
//!
//! On Cloud Run the metadata server hands out tokens of the service's account; elsewhere a key
//! file signs them. Nothing here reads the environment or looks for other credentials.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gcloud_sdk::GoogleAuthHeaders;
use gcloud_sdk::google_cloud_auth::credentials::mds;
use http::{Extensions, HeaderValue, header};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientWithMiddleware, Middleware, Next};
use tokio::sync::OnceCell;
use url::Url;

use crate::clock::{SteadyClock, Timestamp};
use crate::retry::RetryPassing;

/// Narrowed by the roles of the account, as Google advises.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where every Google machine finds its metadata server.
const METADATA: &str = "http://metadata.google.internal";
/// The metadata server answers in milliseconds; a first token may take a few seconds.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where tokens come from.
#[derive(Clone)]
pub enum Identity {
    /// The account that the machine runs as.
    Metadata {
        /// Another metadata server than Google's own.
        endpoint: Option<Url>,
    },
    /// A service account's key, the JSON file of the IAM console.
    KeyFile(PathBuf),
    /// A token as it is, for stand-ins.
    Token(String),
}

impl fmt::Debug for Identity {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata { endpoint } => write!(f, "Metadata({endpoint:?})"),
            Self::KeyFile(path) => write!(f, "KeyFile({})", path.display()),
            Self::Token(_) => f.write_str("Token(…)"),
        }
    }
}

/// Why there is no access.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GoogleError {
    /// The settings or the key file are wrong.
    #[error("Google credentials: {0}")]
    Credentials(String),
    /// Nobody hands out a token now.
    #[error("no Google token: {0}")]
    Token(String),
}

/// Tokens for Google's APIs. Clones share them.
#[derive(Clone)]
pub struct GoogleAccess(Arc<Inner>);

struct Inner {
    tokens: Tokens,
    account: Account,
    key: Option<PrivateKey>,
    http: reqwest::Client,
    /// Hears the time that is on the answers.
    clock: OnceLock<Arc<SteadyClock>>,
}

enum Tokens {
    Headers(GoogleAuthHeaders),
    Fixed(String),
}

/// Whose tokens they are.
enum Account {
    Known(Option<String>),
    Asked {
        metadata: Url,
        email: OnceCell<String>,
    },
}

/// A service account's own key.
#[derive(Clone)]
pub struct PrivateKey {
    pub email: String,
    /// PKCS #8.
    pub pem: String,
}

impl fmt::Debug for PrivateKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GoogleAccess {
    /// Without keys and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoogleAccess")
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}

impl GoogleAccess {
    /// Reads the key file, if there is one; asks nobody for a token yet. Must be called within a
    /// Tokio runtime, where tokens are renewed.
    pub async fn new(identity: &Identity) -> Result<Self, GoogleError> {
        let http = client(TOKEN_TIMEOUT)?;
        let inner = match identity {
            Identity::Token(token) => Inner {
                tokens: Tokens::Fixed(token.clone()),
                account: Account::Known(None),
                key: None,
                http,
                clock: OnceLock::new(),
            },
            Identity::Metadata { endpoint } => {
                let mut builder = mds::Builder::default().with_scopes([SCOPE]);
                let metadata = match endpoint {
                    Some(url) => {
                        builder = builder.with_endpoint(url.as_str().trim_end_matches('/'));
                        url.clone()
                    }
                    None => METADATA.parse().map_err(invalid)?,
                };
                let credentials = builder.build().map_err(invalid)?;
                Inner {
                    tokens: Tokens::Headers(credentials.into()),
                    account: Account::Asked {
                        metadata,
                        email: OnceCell::new(),
                    },
                    key: None,
                    http,
                    clock: OnceLock::new(),
                }
            }
            Identity::KeyFile(path) => {
                let text = tokio::fs::read(path)
                    .await
                    .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
                let json: serde_json::Value = serde_json::from_slice(&text)
                    .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
                let field = |name: &str| {
                    json.get(name)
                        .and_then(serde_json::Value::as_str)
                        .map(str::to_owned)
                        .ok_or_else(|| invalid(format!("{} has no {name}", path.display())))
                };
                let key = PrivateKey {
                    email: field("client_email")?,
                    pem: field("private_key")?,
                };
                let headers =
                    GoogleAuthHeaders::from_service_account_key(json, vec![SCOPE.to_owned()])
                        .await
                        .map_err(invalid)?;
                Inner {
                    tokens: Tokens::Headers(headers),
                    account: Account::Known(Some(key.email.clone())),
                    key: Some(key),
                    http,
                    clock: OnceLock::new(),
                }
            }
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Lets `clock` hear what time it is at Google, from now on.
    pub fn tell_the_time(&self, clock: &Arc<SteadyClock>) {
        // The first one stays: there is one clock in a process.
        let _ = self.0.clock.set(Arc::clone(clock));
    }

    /// The account's own key, where there is one.
    #[must_use]
    pub fn key(&self) -> Option<&PrivateKey> {
        self.0.key.as_ref()
    }

    /// An access token, without `Bearer`.
    pub async fn token(&self) -> Result<String, GoogleError> {
        let header = self.authorization().await?;
        header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer "))
            .map(str::to_owned)
            .ok_or_else(|| GoogleError::Token("the token is not a bearer token".into()))
    }

    async fn authorization(&self) -> Result<HeaderValue, GoogleError> {
        match &self.0.tokens {
            Tokens::Fixed(token) => {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {token}")).map_err(invalid)?;
                value.set_sensitive(true);
                Ok(value)
            }
            Tokens::Headers(headers) => {
                let headers = tokio::time::timeout(TOKEN_TIMEOUT, headers.headers())
                    .await
                    .map_err(|_| GoogleError::Token("no answer in time".into()))?
                    .map_err(|error| GoogleError::Token(error.to_string()))?;
                headers
                    .get(header::AUTHORIZATION)
                    .cloned()
                    .ok_or_else(|| GoogleError::Token("there is none in the answer".into()))
            }
        }
    }

    /// The account's address. The metadata server is asked once.
    pub async fn email(&self) -> Result<String, GoogleError> {
        match &self.0.account {
            Account::Known(Some(email)) => Ok(email.clone()),
            Account::Known(None) => Err(GoogleError::Credentials(
                "a bare token does not say whose it is; name the service account".into(),
            )),
            Account::Asked { metadata, email } => email
                .get_or_try_init(|| self.ask_email(metadata))
                .await
                .cloned(),
        }
    }

    async fn ask_email(&self, metadata: &Url) -> Result<String, GoogleError> {
        let url = metadata
            .join("/computeMetadata/v1/instance/service-accounts/default/email")
            .map_err(invalid)?;
        let failed = |error: reqwest::Error| GoogleError::Token(error.to_string());
        let answer = self
            .0
            .http
            .get(url)
            .header("metadata-flavor", "Google")
            .send()
            .await
            .and_then(Response::error_for_status)
            .map_err(failed)?;
        Ok(answer.text().await.map_err(failed)?.trim().to_owned())
    }

    /// A client whose requests carry a token and take no longer than `timeout`; `retry` repeats
    /// those that may be repeated, each with a token that is good by then.
    pub fn client(
        &self,
        timeout: Duration,
        retry: Option<RetryPassing>,
    ) -> Result<ClientWithMiddleware, GoogleError> {
        let mut builder = reqwest_middleware::ClientBuilder::new(client(timeout)?);
        if let Some(retry) = retry {
            builder = builder.with(retry);
        }
        Ok(builder.with(Authorized(self.clone())).build())
    }
}

/// Puts the token on a request.
struct Authorized(GoogleAccess);

#[async_trait::async_trait]
impl Middleware for Authorized {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let value = self
            .0
            .authorization()
            .await
            .map_err(reqwest_middleware::Error::middleware)?;
        request.headers_mut().insert(header::AUTHORIZATION, value);
        let answer = next.run(request, extensions).await?;
        if let (Some(clock), Some(at)) = (self.0.0.clock.get(), date_of(&answer)) {
            clock.hear(at);
        }
        Ok(answer)
    }
}

/// When the answer was made, as it says itself.
fn date_of(answer: &Response) -> Option<Timestamp> {
    let date = answer.headers().get(header::DATE)?.to_str().ok()?;
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(date).ok()
}

/// For Google's own addresses, which never redirect an API call.
fn client(timeout: Duration) -> Result<reqwest::Client, GoogleError> {
    crate::tls::client()
        .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .map_err(invalid)
}

fn invalid(error: impl fmt::Display) -> GoogleError {
    GoogleError::Credentials(error.to_string())
}

/// What a Google API says of a failed call: `error.status`, such as `NOT_FOUND`, and
/// `error.message`, cut to what a log line bears. Empty where the body is no such object.
#[must_use]
pub fn said(body: &[u8]) -> (String, String) {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        json.pointer(&format!("/error/{name}"))
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect()
    };
    (text("status"), text("message"))
}

/// The body of a failed call, as far as [`said`] needs it.
pub async fn body_start(mut response: Response) -> Vec<u8> {
    const MOST: usize = 16 * 1024;
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            break;
        }
    }
    body
}
