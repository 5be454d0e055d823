//! The jobs API from the caller's side.
//!
//! Every call is bounded. Reading is repeated by whoever polls; a creation is sent under an
//! idempotency key, so repeating it is safe too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::config::is_loopback;
use crate::http::JobView;
use crate::job::{Code, Failure, Fault, JobId};
use crate::worker::Quote;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The service ends its own requests after 15 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The service looks at the source first, for up to two minutes.
const QUOTE_TIMEOUT: Duration = Duration::from_secs(150);
/// As long as the service listens to one upload.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// Longest silence within a download.
const SILENCE: Duration = Duration::from_secs(60);
/// The service gives each part less.
const READY_TIMEOUT: Duration = Duration::from_secs(8);
/// A part that can be used.
const OK: &str = "ok";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The service does not answer, or not now: trying again may help.
    #[error("{message}")]
    Unavailable { code: Code, message: String },
    /// The service refuses: trying again will not help.
    #[error("{code}: {message}")]
    Refused { code: Code, message: String },
    /// A file on this machine.
    #[error("{}: {error}", .path.display())]
    File {
        path: PathBuf,
        error: std::io::Error,
        writing: bool,
    },
}

impl ClientError {
    /// For what no problem of the service's gives a code.
    pub(crate) fn unavailable(code: Code, message: impl Into<String>) -> Self {
        Self::Unavailable {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unavailable { code, message } | ClientError::Refused { code, message } => {
                Self::new(code, message)
            }
            ClientError::File {
                path,
                error,
                writing,
            } => {
                let code = if writing {
                    Code::OutputUnwritable
                } else {
                    Code::InputUnreadable
                };
                Self::new(code, format!("{}: {error}", path.display()))
            }
        }
    }
}

/// The fields of a problem that a person wants.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Uploaded {
    source: String,
}

/// What a service says of its parts.
#[derive(Debug, Deserialize)]
pub(crate) struct Readiness {
    status: String,
    #[serde(default)]
    parts: BTreeMap<String, String>,
}

impl Readiness {
    /// Each part that cannot be used, and how it is; empty where the service can take work.
    pub(crate) fn missing(&self) -> String {
        if self.status == OK {
            return String::new();
        }
        let told = self.parts.iter().filter(|(_, state)| *state != OK);
        let told: Vec<_> = told
            .map(|(part, state)| format!("{part} {state}"))
            .collect();
        if told.is_empty() {
            self.status.clone()
        } else {
            told.join(", ")
        }
    }
}

/// A caller of one service.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
    /// Whether anything has answered yet.
    met: AtomicBool,
}

impl Client {
    pub(crate) fn new(base: Url, token: Option<String>) -> Result<Self, Failure> {
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            let message = format!("the server's address must be http(s), not {base}");
            return Err(Failure::new(Code::InvalidRequest, message));
        }
        let http = crate::tls::client()
            .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        Ok(Self {
            http,
            base,
            token,
            met: AtomicBool::new(false),
        })
    }

    pub(crate) fn address(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        // `new` refused addresses without a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url).timeout(CALL_TIMEOUT);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Whether something has answered before: then it was there, and may be back in a moment.
    pub(crate) fn has_met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.answer(request).await?;
        response.json().await.map_err(|error| broken(&error))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| broken(&error))?;
        self.met.store(true, Ordering::Relaxed);
        accepted(response).await
    }

    /// Uploads a file; gives the name under which a job can use it.
    pub(crate) async fn upload(&self, path: &Path) -> Result<String, ClientError> {
        let unreadable = |error| ClientError::File {
            path: path.to_owned(),
            error,
            writing: false,
        };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let meta = file.metadata().await.map_err(unreadable)?;
        if !meta.is_file() {
            return Err(unreadable(std::io::Error::other("is not a file")));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut url = self.address(&["v1", "sources"]);
        url.query_pairs_mut().append_pair("name", &name);
        let stream = tokio_util::io::ReaderStream::with_capacity(file, 256 * 1024);
        let request = self
            .request(Method::POST, url)
            .timeout(TRANSFER_TIMEOUT)
            // Known beforehand, so that too large a file is refused before it is sent.
            .header(CONTENT_LENGTH, meta.len())
            .body(reqwest::Body::wrap_stream(stream));
        let uploaded: Uploaded = self.json(request).await?;
        Ok(uploaded.source)
    }

    pub(crate) async fn create(&self, body: &Value, key: &str) -> Result<JobView, ClientError> {
        let request = self
            .request(Method::POST, self.address(&["v1", "jobs"]))
            .header("idempotency-key", key)
            .json(body);
        self.json(request).await
    }

    /// What a job would cost; makes none.
    pub(crate) async fn quote(&self, body: &Value) -> Result<Quote, ClientError> {
        let request = self
            .request(Method::POST, self.address(&["v1", "quotes"]))
            .timeout(QUOTE_TIMEOUT)
            .json(body);
        self.json(request).await
    }

    /// Sends `body`, if it is not null; gives the answer as it came.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<Value, ClientError> {
        let mut url = self.address(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.request(method, url);
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        self.json(request).await
    }

    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, self.address(path));
        self.answer(request).await?;
        Ok(())
    }

    pub(crate) async fn job(&self, id: &JobId) -> Result<JobView, ClientError> {
        self.json(self.request(Method::GET, self.address(&["v1", "jobs", id.as_str()])))
            .await
    }

    /// How the service's parts are; an answer also where it can take no work.
    pub(crate) async fn readiness(&self) -> Result<Readiness, ClientError> {
        let request = self
            .request(Method::GET, self.address(&["readyz"]))
            .timeout(READY_TIMEOUT);
        let response = request.send().await.map_err(|error| broken(&error))?;
        let response = match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => response,
            _ => accepted(response).await?,
        };
        response.json().await.map_err(|error| broken(&error))
    }

    /// Fetches a signed link; the file gets its name `to` when it is kept.
    pub(crate) async fn download(&self, link: &Url, to: &Path) -> Result<Part, ClientError> {
        // Without the token: the link may lead to another host.
        let request = self.http.get(link.clone()).timeout(TRANSFER_TIMEOUT);
        let response = self.answer(request).await?;
        let mut part = Part::beside(to);
        let unwritable = |error| unwritable(to, error);
        let mut file = tokio::fs::File::create(&part.part)
            .await
            .map_err(unwritable)?;
        let mut stream = response.bytes_stream();
        loop {
            let chunk = match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(None) => break,
                Ok(Some(chunk)) => chunk.map_err(|error| broken(&error))?,
                Err(_) => {
                    return Err(ClientError::unavailable(
                        Code::ServiceUnreachable,
                        "the download stalls",
                    ));
                }
            };
            part.bytes += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        Ok(part)
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> ClientError {
    ClientError::File {
        path: path.to_owned(),
        error,
        writing: true,
    }
}

/// A downloaded file under a passing name: it goes away again unless it is kept.
#[derive(Debug)]
pub(crate) struct Part {
    part: PathBuf,
    to: PathBuf,
    pub(crate) bytes: u64,
}

impl Part {
    fn beside(to: &Path) -> Self {
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        Self {
            part: part.into(),
            to: to.to_owned(),
            bytes: 0,
        }
    }

    /// Gives the file its name.
    pub(crate) async fn keep(self) -> Result<(), ClientError> {
        tokio::fs::rename(&self.part, &self.to)
            .await
            .map_err(|error| unwritable(&self.to, error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the renaming there is nothing under this name.
        let _ = std::fs::remove_file(&self.part);
    }
}

fn broken(error: &reqwest::Error) -> ClientError {
    let host = error
        .url()
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default();
    let (code, what) = if error.is_connect() {
        let here = error.url().is_some_and(is_loopback);
        let advice = if here {
            "start a service with `filmlab serve`, or name another with --server or FILMLAB_SERVER"
        } else {
            "see whether a service runs there, or name another with --server or FILMLAB_SERVER"
        };
        let what = format!("cannot be reached; {advice}");
        (Code::ServiceUnreachable, what)
    } else if error.is_timeout() {
        (Code::ServiceUnreachable, "does not answer in time".into())
    } else if error.is_decode() {
        (Code::Internal, "gives an answer that cannot be read".into())
    } else {
        (Code::ServiceUnreachable, "broke the connection off".into())
    };
    ClientError::unavailable(code, format!("{host} {what}"))
}

/// The answer, if it is a good one; else what the service says is wrong.
async fn accepted(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let host = response.url().origin().ascii_serialization();
    let problem: Option<Problem> = response.json().await.ok();
    let message = match &problem {
        Some(problem) if problem.errors.is_empty() => problem.detail.clone(),
        Some(problem) => {
            let faults: Vec<String> = problem.errors.iter().map(ToString::to_string).collect();
            faults.join("; ")
        }
        None => format!("{host} answers {status}"),
    };
    let code = problem
        .and_then(|problem| problem.code.parse().ok())
        .unwrap_or(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Code::Unauthorized,
            StatusCode::NOT_FOUND => Code::NotFound,
            _ if status.is_client_error() => Code::InvalidRequest,
            // What stands before a service says so in its stead.
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Code::ServiceUnreachable,
            _ => Code::Internal,
        });
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Err(ClientError::Unavailable { code, message })
    } else {
        Err(ClientError::Refused { code, message })
    }
}
