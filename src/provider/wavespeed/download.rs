//! Fetching an output.
//!
//! The address comes out of an answer: it and each of at most three redirects keep to
//! [`crate::outgoing`], and the key is never sent.

use std::io;
use std::path::Path;

use futures::StreamExt;
use http::StatusCode;
use tokio::io::AsyncWriteExt;
use url::Url;

use super::answer;
use super::client::{WaveSpeed, refusal, said, unavailable};
use crate::outgoing;
use crate::provider::ProviderError;
use crate::retry::retry_after;

/// Fetches `output` into `to`. The file appears under its name only once it is whole.
pub(super) async fn download(
    client: &WaveSpeed,
    output: &Url,
    to: &Path,
    max_bytes: u64,
) -> Result<u64, ProviderError> {
    let whole = fetch(client, output, to, max_bytes);
    match tokio::time::timeout(client.config.download_timeout, whole).await {
        Ok(result) => result,
        Err(_) => Err(ProviderError::Incomplete {
            message: format!(
                "not done after {} s",
                client.config.download_timeout.as_secs()
            ),
        }),
    }
}

async fn fetch(
    client: &WaveSpeed,
    output: &Url,
    to: &Path,
    max_bytes: u64,
) -> Result<u64, ProviderError> {
    let response = open(client, output).await?;
    let promised = response.content_length();
    if promised.is_some_and(|length| length > max_bytes) {
        return Err(ProviderError::TooLarge { limit: max_bytes });
    }

    // Beside its destination, so that the rename stays within one file system. Dropped without
    // being kept, on failure or when this future is, it removes itself.
    let folder = to.parent().unwrap_or_else(|| Path::new("."));
    let (file, partial) = tempfile::Builder::new()
        .prefix(".download-")
        .tempfile_in(folder)?
        .into_parts();
    let mut file = tokio::fs::File::from_std(file);

    let mut received = 0_u64;
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| ProviderError::Incomplete {
            message: format!("{} after {received} bytes", said(&error)),
        })?;
        received += part.len() as u64;
        if received > max_bytes {
            return Err(ProviderError::TooLarge { limit: max_bytes });
        }
        file.write_all(&part).await?;
    }
    file.flush().await?;
    if received == 0 || promised.is_some_and(|length| length != received) {
        return Err(ProviderError::Incomplete {
            message: format!(
                "{received} bytes came, {} were promised",
                promised.map_or_else(|| "some".to_owned(), |length| length.to_string())
            ),
        });
    }
    partial
        .persist(to)
        .map_err(|error| ProviderError::File(io::Error::other(error.error)))?;
    Ok(received)
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
    }
}

fn refused(status: StatusCode, response: &reqwest::Response) -> ProviderError {
    let message = format!("the output answers HTTP {}", status.as_u16());
    match status.as_u16() {
        // We send no credentials: a store that does not list says 403 of what is not there.
        401 | 403 | 404 | 410 => ProviderError::NotFound { message },
        // Nothing, or a part, was not what was asked for.
        200..=299 => ProviderError::Protocol { message },
        code => answer::failed(code, retry_after(response.headers()), message),
    }
}
