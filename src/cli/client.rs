//! The jobs API from the caller's side.
//!
//! Every call is bounded. Reading is repeated by whoever polls; a creation is sent under an
//! idempotency key, so repeating it is safe too.

mod error;
mod part;

use std::collections::BTreeMap;
use std::path::Path;
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

use crate::http::JobView;
use crate::job::{Code, Failure, JobId};
use crate::worker::Quote;
pub(crate) use error::ClientError;
use error::{accepted, broken, unwritable};
pub(crate) use part::Part;

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
