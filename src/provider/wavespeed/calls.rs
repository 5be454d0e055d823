//! Calls of the API: by which of the HTTP clients each goes out, and how its answer is read.

use std::sync::Arc;

use futures::StreamExt;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;
use url::Url;

use super::callback::Callbacks;
use super::catalogue::Watched;
use super::config::WaveSpeedConfig;
use super::invalid::InvalidConfig;
use super::{answer, wire};
use crate::job::Fault;
use crate::outgoing::{self, OutgoingRules};
use crate::provider::ProviderError;
use crate::retry::{RetryPassing, retry_after};
use crate::secret::Secret;

/// Longer answers are not read: a prediction is a few KiB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
const MAX_DOWNLOAD_REDIRECTS: usize = 3;
/// A client of the WaveSpeed API.
#[derive(Debug, Clone)]
pub struct WaveSpeed {
    pub(super) config: Arc<WaveSpeedConfig>,
    pub(super) authorization: HeaderValue,
    callbacks: Callbacks,
    /// Repeats what may be repeated; to the API only.
    pub(super) repeating: ClientWithMiddleware,
    /// Repeats every request, POSTs too: for those that cost nothing and change nothing twice.
    free: ClientWithMiddleware,
    /// Sends once; to the API only.
    pub(super) once: reqwest::Client,
    /// Never sees the key; to addresses out of answers.
    pub(super) uploads: reqwest::Client,
    /// The same for downloads; repeats, and bounds the pause between two parts.
    pub(super) downloads: ClientWithMiddleware,
    pub(super) catalogue: Arc<Watched>,
}

impl WaveSpeed {
    /// Checks the settings; opens no connection. Gives every fault, not only the first.
    pub fn new(config: WaveSpeedConfig) -> Result<Self, InvalidConfig> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, message: String| faults.push(Fault::new(field, message));

        if !matches!(config.base_url.scheme(), "http" | "https") || !config.base_url.has_host() {
            fault("base_url", "must be an http(s) address".into());
        }
        let bearer = format!("Bearer {}", config.api_key.expose());
        let mut authorization = HeaderValue::from_str(&bearer)
            .ok()
            .filter(|_| !config.api_key.is_empty());
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        } else {
            fault("api_key", "must be visible ASCII and not empty".into());
        }
        for (name, timeout) in [
            ("connect_timeout", config.connect_timeout),
            ("get_timeout", config.get_timeout),
            ("submit_timeout", config.submit_timeout),
            ("upload_timeout", config.upload_timeout),
            ("download_timeout", config.download_timeout),
            ("download_idle_timeout", config.download_idle_timeout),
        ] {
            if timeout.is_zero() {
                fault(name, "must be longer than nothing".into());
            }
        }
        let callbacks = Callbacks::new(&config.callback);
        let common = || {
            let builder = crate::tls::client();
            // A sandbox on this machine is not behind the proxy of its network.
            let builder = if config.allow_loopback {
                builder.no_proxy()
            } else {
                builder
            };
            builder
                .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(config.connect_timeout)
                .redirect(Policy::none())
                // By default a request is repeated where HTTP/2 says it was not processed. What
                // is repeated is decided here, in one place.
                .retry(reqwest::retry::never())
        };
        let foreign = |read_timeout, total_timeout, max_redirects| {
            outgoing::client(&OutgoingRules {
                allow_loopback: config.allow_loopback,
                max_redirects,
                connect_timeout: config.connect_timeout,
                read_timeout,
                total_timeout,
            })
            .retry(reqwest::retry::never())
        };
        let clients = [
            common().build(),
            // A kept connection may be closed by the server just as a request goes out on it,
            // which leaves us in doubt; a fresh one is never in that state.
            common().pool_max_idle_per_host(0).build(),
            // While an upload is sent nothing is read: a shorter bound on pauses would end it.
            foreign(config.upload_timeout, config.upload_timeout, 0).build(),
            foreign(
                config.download_idle_timeout,
                config.download_timeout,
                MAX_DOWNLOAD_REDIRECTS,
            )
            .build(),
        ];
        let clients = clients.into_iter().collect::<Result<Vec<_>, _>>();
        let [api, once, uploads, downloads] = match clients.map(<[_; 4]>::try_from) {
            Ok(Ok(clients)) => clients,
            Ok(Err(_)) => return Err(InvalidConfig { faults }),
            Err(error) => {
                fault("http", error.to_string());
                return Err(InvalidConfig { faults });
            }
        };
        let retry = RetryPassing::idempotent(config.retry);
        match (authorization, callbacks) {
            (Some(authorization), Ok(callbacks)) if faults.is_empty() => Ok(Self {
                authorization,
                callbacks,
                free: ClientBuilder::new(api.clone())
                    .with(RetryPassing::everything(config.retry))
                    .build(),
                repeating: ClientBuilder::new(api).with(retry).build(),
                once,
                uploads,
                downloads: ClientBuilder::new(downloads).with(retry).build(),
                catalogue: Arc::new(Watched::new(Arc::clone(&config.clock))),
                config: Arc::new(config),
            }),
            (_, callbacks) => {
                faults.extend(callbacks.err().into_iter().flat_map(|error| error.faults));
                Err(InvalidConfig { faults })
            }
        }
    }

    /// The gate for this provider's callbacks.
    #[must_use]
    pub fn callbacks(&self) -> Callbacks {
        self.callbacks.clone()
    }

    /// WaveSpeed's own secret, which signs its callbacks.
    pub async fn webhook_secret(&self) -> Result<Secret, ProviderError> {
        let answer = self.ask(self.endpoint("webhook/secret")).await?;
        answer.data["secret"]
            .as_str()
            .filter(|text| !text.is_empty() && text.len() <= 1024)
            .map(Secret::new)
            .ok_or_else(|| ProviderError::Protocol {
                message: "the answer holds no secret".into(),
            })
    }

    /// `{base_url}/api/v3/{path}`: the only way an address that gets the key is made.
    pub(super) fn endpoint(&self, path: &str) -> Url {
        let mut url = self.config.base_url.clone();
        // Checked at construction: an http(s) address has path segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(["api", "v3"])
                .extend(path.split('/'));
        }
        url
    }

    /// Asks something that may be asked again.
    pub(super) async fn ask(&self, url: Url) -> Result<wire::Answer, ProviderError> {
        let response = self
            .repeating
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .timeout(self.config.get_timeout)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        read_asked(response).await
    }

    /// Posts something that may be posted again.
    pub(super) async fn ask_by_post(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<wire::Answer, ProviderError> {
        let response = self
            .free
            .post(self.endpoint(path))
            .header(AUTHORIZATION, self.authorization.clone())
            .timeout(self.config.get_timeout)
            .json(body)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        read_asked(response).await
    }

    /// A free POST (a place for an upload): sent once here, repeated by its caller.
    pub(super) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.once
            .post(self.endpoint(path))
            .header(AUTHORIZATION, self.authorization.clone())
    }
}

/// Reads the answer of a repeatable call.
pub(super) async fn read_asked(response: reqwest::Response) -> Result<wire::Answer, ProviderError> {
    let status = response.status().as_u16();
    let wait = retry_after(response.headers());
    let body = match read_bounded(response).await {
        Ok(body) => body,
        Err(_) if status >= 300 => Vec::new(),
        Err(error) => return Err(error),
    };
    answer::asked(status, wait, &body)
}

/// A body of at most [`MAX_ANSWER_BYTES`].
pub(super) async fn read_bounded(response: reqwest::Response) -> Result<Vec<u8>, ProviderError> {
    read_up_to(response, MAX_ANSWER_BYTES).await
}

pub(super) async fn read_up_to(
    response: reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, ProviderError> {
    let mut body = Vec::new();
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| ProviderError::Unavailable {
            message: said(&error),
        })?;
        if body.len() + part.len() > most {
            return Err(ProviderError::Protocol {
                message: format!("an answer of more than {most} bytes"),
            });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// Whether we ourselves refused an address, and why.
pub(super) fn refusal(error: &reqwest_middleware::Error) -> Option<String> {
    match error {
        reqwest_middleware::Error::Reqwest(error) => {
            outgoing::refusal(error).map(ToString::to_string)
        }
        reqwest_middleware::Error::Middleware(_) => None,
    }
}

pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> ProviderError {
    ProviderError::Unavailable {
        message: said(error),
    }
}

/// An error with its causes, without the addresses in it: they may carry tokens.
pub(super) fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = match cause.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => "timed out".to_owned(),
            Some(error) if error.is_connect() => "no connection".to_owned(),
            Some(error) if error.is_body() || error.is_decode() => "the body broke off".to_owned(),
            Some(_) => "the request failed".to_owned(),
            None => cause.to_string(),
        };
        // Some wrappers only repeat what they wrap, address included.
        if cause.downcast_ref::<reqwest_middleware::Error>().is_none()
            && parts.last() != Some(&text)
        {
            parts.push(text);
        }
        next = cause.source();
    }
    wire::clip(&parts.join(": "))
}
