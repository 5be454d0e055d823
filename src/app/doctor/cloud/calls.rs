//! One call of Google's, and why it was refused.

use std::fmt;
use std::time::Duration;

use http::{Method, header};
use reqwest::Body;
use reqwest_middleware::ClientWithMiddleware;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::google::{self, GoogleAccess, GoogleError};

const STOPPED: &str = "stopped";

/// Google's own address, or the stand-in's, without a slash at its end.
pub(super) fn base(given: Option<&Url>, own: &str) -> String {
    given
        .map_or(own, Url::as_str)
        .trim_end_matches('/')
        .to_owned()
}

/// Makes calls with the service's token. Nothing is tried again. Once it is to stop, only what
/// tidies up is still called.
pub(super) struct Calls {
    client: ClientWithMiddleware,
    pub(super) stop: CancellationToken,
    pub(super) longest: Duration,
}

/// Why a call came to nothing.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// None where nobody answered.
    pub(super) status: Option<u16>,
    said: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}: {}", self.said),
            None => f.write_str(&self.said),
        }
    }
}

impl Refusal {
    pub(super) fn says(&self, part: &str) -> bool {
        self.said.contains(part)
    }

    /// The account may not. Google answers 403, whatever the API.
    pub(super) fn is_denied(&self) -> bool {
        self.status == Some(403)
    }

    /// The API is switched off in the project: 403 too.
    pub(super) fn is_disabled(&self) -> bool {
        self.is_denied()
            && (self.says("SERVICE_DISABLED") || self.says("has not been used in project"))
    }

    pub(super) fn is_absent(&self) -> bool {
        self.status == Some(404)
    }
}

impl Calls {
    pub(super) fn new(
        access: &GoogleAccess,
        longest: Duration,
        stop: &CancellationToken,
    ) -> Result<Self, GoogleError> {
        Ok(Self {
            client: access.client(longest, None)?,
            stop: stop.clone(),
            longest,
        })
    }

    pub(super) async fn json(
        &self,
        method: Method,
        url: &str,
        body: &Value,
    ) -> Result<Vec<u8>, Refusal> {
        let request = self
            .client
            .request(method.clone(), url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        self.send(&method, request).await
    }

    pub(super) async fn plain(
        &self,
        method: Method,
        url: &str,
        body: impl Into<Body>,
    ) -> Result<Vec<u8>, Refusal> {
        let request = self.client.request(method.clone(), url).body(body);
        self.send(&method, request).await
    }

    /// The start of the answer: what is read here is short. A write that has begun is waited for:
    /// broken off, it could come after the deletion of what it writes.
    async fn send(
        &self,
        method: &Method,
        request: reqwest_middleware::RequestBuilder,
    ) -> Result<Vec<u8>, Refusal> {
        let silent = |said: String| Refusal { status: None, said };
        let (tidies, reads) = (method == Method::DELETE, method == Method::GET);
        if self.stop.is_cancelled() && !tidies {
            return Err(silent(STOPPED.to_owned()));
        }
        let call = async {
            let answer = request.send().await.map_err(|error| match error {
                reqwest_middleware::Error::Reqwest(error) => {
                    silent(format!("no answer: {}", error.without_url()))
                }
                reqwest_middleware::Error::Middleware(error) => silent(error.to_string()),
            })?;
            let status = answer.status();
            let body = google::body_start(answer).await;
            if status.is_success() {
                return Ok(body);
            }
            Err(Refusal {
                status: Some(status.as_u16()),
                said: told(&body),
            })
        };
        let call = tokio::time::timeout(self.longest, call);
        let answer = tokio::select! {
            answer = call => answer,
            () = self.stop.cancelled(), if reads => return Err(silent(STOPPED.to_owned())),
        };
        answer.unwrap_or_else(|_| Err(silent(format!("no answer within {:?}", self.longest))))
    }
}

/// What an API says in JSON, or Cloud Storage in XML; cut to what a line bears.
fn told(body: &[u8]) -> String {
    let (word, message) = google::said(body);
    if !word.is_empty() {
        return format!("{word}: {message}");
    }
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inside, _) = rest.split_once(&format!("</{name}>"))?;
        Some(inside.chars().take(300).collect::<String>())
    };
    match (element("Code"), element("Details").or(element("Message"))) {
        (Some(code), Some(details)) => format!("{code}: {details}"),
        (Some(code), None) => code,
        _ => text.chars().take(300).collect(),
    }
}
