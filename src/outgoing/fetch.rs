//! Fetching an input from an address that a caller gave.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use url::Url;

use super::{LeastRate, OutgoingRules, at_least, check_url, client, refusal};

/// Fetches an input from the web, under the rules for outgoing requests.
#[async_trait]
pub trait Fetcher: Debug + Send + Sync {
    /// The body as it comes. It ends with an error where it breaks off or has more than
    /// `max_bytes`.
    async fn fetch(&self, url: &Url, max_bytes: u64) -> Result<Fetched, FetchError>;
}

/// A body on its way.
pub type Fetched = BoxStream<'static, Result<Bytes, FetchError>>;

/// Why an input could not be fetched, by what may be done about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address will not work: not allowed, not found, refused.
    #[error("{0}")]
    Refused(String),
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
}

/// Fetches with HTTP GET.
#[derive(Debug)]
pub struct WebFetcher {
    client: reqwest::Client,
    allow_loopback: bool,
    least: LeastRate,
}

/// Redirects that a fetch follows: content networks use one or two.
const REDIRECTS: usize = 3;

impl WebFetcher {
    /// `total_timeout` bounds a whole fetch, body included; a body that comes more slowly than
    /// `least` ends before.
    pub fn new(
        allow_loopback: bool,
        total_timeout: Duration,
        least: LeastRate,
    ) -> Result<Self, reqwest::Error> {
        let rules = OutgoingRules {
            allow_loopback,
            max_redirects: REDIRECTS,
            total_timeout,
            ..OutgoingRules::default()
        };
        Ok(Self {
            client: client(&rules).build()?,
            allow_loopback,
            least,
        })
    }
}

#[async_trait]
impl Fetcher for WebFetcher {
    async fn fetch(&self, url: &Url, max_bytes: u64) -> Result<Fetched, FetchError> {
        check_url(url, self.allow_loopback)
            .map_err(|refused| FetchError::Refused(refused.to_string()))?;
        let response = self
            .client
            .get(url.clone())
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let status = response.status();
        if !status.is_success() {
            let message = format!("the address answers with status {status}");
            let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
            return Err(if passing {
                FetchError::Unavailable(message)
            } else {
                FetchError::Refused(message)
            });
        }
        let promised = response.content_length();
        if promised.is_some_and(|bytes| bytes > max_bytes) {
            return Err(FetchError::TooLarge { limit: max_bytes });
        }
        let mut bytes = 0_u64;
        let body = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| failed(&error))?;
            bytes += chunk.len() as u64;
            if bytes > max_bytes {
                return Err(FetchError::TooLarge { limit: max_bytes });
            }
            Ok(chunk)
        });
        let too_slow = |least: LeastRate| FetchError::Unavailable(least.missed());
        Ok(at_least(body.boxed(), self.least, too_slow))
    }
}

/// Says what failed without the address: it may carry a signature.
fn failed(error: &reqwest::Error) -> FetchError {
    if let Some(refused) = refusal(error) {
        return FetchError::Refused(refused.to_string());
    }
    let what = if error.is_timeout() {
        "the address does not answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the transfer broke off"
    };
    FetchError::Unavailable(what.to_owned())
}
