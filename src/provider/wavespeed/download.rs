//! Fetching an output.
//!
//! The address comes out of an answer: it and each of at most three redirects keep to
//! [`crate::outgoing`], and the key is never sent.

use futures::StreamExt as _;
use http::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::answer;
use super::calls::{WaveSpeed, refusal, said, unavailable};
use crate::outgoing::{self, LeastRate, at_least};
use crate::provider::{Download, ProviderError};
use crate::retry::retry_after;

/// Fetches `output`; the stream fails at its end where that comes too early.
pub(super) async fn download(
    client: &WaveSpeed,
    output: &Url,
    max_bytes: u64,
) -> Result<Download, ProviderError> {
    let timeout = client.config.download_timeout;
    let late = move || ProviderError::Incomplete {
        message: format!("not done after {} s", timeout.as_secs()),
    };
    let until = Instant::now() + timeout;
    let response = tokio::time::timeout_at(until, open(client, output))
        .await
        .map_err(|_| late())??;
    let promised = response.content_length();
    if promised.is_some_and(|length| length > max_bytes) {
        return Err(ProviderError::TooLarge { limit: max_bytes });
    }
    let parts = response.bytes_stream();
    // Ends after its first error.
    let whole = futures::stream::unfold(Some((parts, 0_u64)), move |state| async move {
        let (mut parts, received) = state?;
        let part = match tokio::time::timeout_at(until, parts.next()).await {
            Err(_) => Err(late()),
            Ok(Some(Ok(part))) if received + part.len() as u64 > max_bytes => {
                Err(ProviderError::TooLarge { limit: max_bytes })
            }
            Ok(Some(Ok(part))) => Ok(part),
            Ok(Some(Err(error))) => Err(ProviderError::Incomplete {
                message: format!("{} after {received} bytes", said(&error)),
            }),
            Ok(None) if received == 0 || promised.is_some_and(|length| length != received) => {
                let promised =
                    promised.map_or_else(|| "some".to_owned(), |length| length.to_string());
                Err(ProviderError::Incomplete {
                    message: format!("{received} bytes came, {promised} were promised"),
                })
            }
            Ok(None) => return None,
        };
        let next = part
            .as_ref()
            .ok()
            .map(|part| received + part.len() as u64)
            .map(|received| (parts, received));
        Some((part, next))
    });
    let too_slow = |least: LeastRate| ProviderError::Incomplete {
        message: least.missed(),
    };
    Ok(at_least(whole.boxed(), client.config.least_rate, too_slow))
}

/// The response that carries the file, after its redirects.
async fn open(client: &WaveSpeed, output: &Url) -> Result<reqwest::Response, ProviderError> {
    outgoing::check_url(output, client.config.allow_loopback)
        .map_err(|refused| address_refused(&refused.to_string()))?;
    let response =
        client
            .downloads
            .get(output.clone())
            .send()
            .await
            .map_err(|error| match refusal(&error) {
                Some(refused) => address_refused(&refused),
                None => unavailable(&error),
            })?;
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(refused(status, &response)),
    }
}

fn address_refused(reason: &str) -> ProviderError {
    ProviderError::Rejected {
        message: format!("the output's address is not called: {reason}"),
        words: String::new(),
    }
}

fn refused(status: StatusCode, response: &reqwest::Response) -> ProviderError {
    let message = format!("the output answers HTTP {}", status.as_u16());
    match status.as_u16() {
        // We send no credentials: a store that does not list says 403 of what is not there.
        401 | 403 | 404 | 410 => ProviderError::NotFound { message },
        // Nothing, or a part, was not what was asked for.
        200..=299 => ProviderError::Protocol { message },
        code => answer::failed(
            code,
            retry_after(response.headers()),
            message,
            String::new(),
        ),
    }
}
