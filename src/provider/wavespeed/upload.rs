//! Putting a file where WaveSpeed can read it.
//!
//! Two generations of the API are served. The current one gives a place to PUT the bytes at,
//! outside the API; servers that do not know it are sent a multipart form, as before it. An upload
//! costs nothing, so it is repeated as a whole: the place given may take one PUT only
//! (`If-None-Match: *`).

use std::time::Instant;

use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use url::Url;

use super::calls::{WaveSpeed, read_asked, unavailable};
use super::{answer, wire};
use crate::outgoing;
use crate::provider::{ProviderError, UploadBody};
use crate::retry::retry_after;

/// More headers than any store asks for.
const MAX_HEADERS: usize = 32;

pub(super) async fn upload(
    client: &WaveSpeed,
    body: &dyn UploadBody,
    content_type: &str,
) -> Result<Url, ProviderError> {
    let size = body.bytes().await?;
    let limit = client.config.max_upload_bytes;
    if size > limit {
        return Err(ProviderError::TooLarge { limit });
    }
    let upload = Upload {
        client,
        body,
        name: file_name(&body.name()),
        content_type,
        size,
    };
    let began = Instant::now();
    let mut past_retries = 0;
    loop {
        let error = match upload.once().await {
            Ok(url) => return Ok(url),
            Err(error) => error,
        };
        let asked = match &error {
            ProviderError::Unavailable { .. } => None,
            ProviderError::Busy { retry_after, .. } => *retry_after,
            _ => return Err(error),
        };
        let Some(wait) = client.config.retry.pause(began, past_retries, asked) else {
            return Err(error);
        };
        past_retries += 1;
        tracing::debug!(past_retries, wait_ms = wait.as_millis() as u64, %error, "upload failed, trying again");
        tokio::time::sleep(wait).await;
    }
}

struct Upload<'a> {
    client: &'a WaveSpeed,
    body: &'a dyn UploadBody,
    name: String,
    content_type: &'a str,
    size: u64,
}

/// Where the API wants the bytes.
#[derive(Debug)]
struct UploadTarget {
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    download_url: Url,
}

impl Upload<'_> {
    async fn once(&self) -> Result<Url, ProviderError> {
        match self.ask_for_target().await? {
            Some(target) => {
                self.put(&target).await?;
                Ok(target.download_url)
            }
            None => self.send_form().await,
        }
    }

    /// `None` where the server does not know this generation.
    async fn ask_for_target(&self) -> Result<Option<UploadTarget>, ProviderError> {
        let response = self
            .client
            .post("media/uploads")
            .timeout(self.client.config.get_timeout)
            .json(&json!({
                "filename": self.name,
                "size": self.size,
                "content_type": self.content_type,
            }))
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        if matches!(response.status().as_u16(), 404 | 405) {
            return Ok(None);
        }
        let answer = read_asked(response).await?;
        target(&answer.data).map(Some)
    }

    /// Sends the bytes with exactly the headers given, and without our key.
    async fn put(&self, target: &UploadTarget) -> Result<(), ProviderError> {
        outgoing::check_url(&target.url, self.client.config.allow_loopback).map_err(|reason| {
            ProviderError::Protocol {
                message: format!("the place for an upload is refused: {reason}"),
            }
        })?;
        let mut request = self
            .client
            .uploads
            .put(target.url.clone())
            .timeout(self.client.config.upload_timeout)
            // Stores refuse chunked bodies, and a stream has no length of its own.
            .header(CONTENT_LENGTH, self.size);
        for (name, value) in &target.headers {
            request = request.header(name, value);
        }
        let response = request
            .body(self.body().await?)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let message = format!("the place for the upload answers HTTP {}", status.as_u16());
        let wait = retry_after(response.headers());
        // A refusal there is of the place, not of our key: a fresh place may do.
        Err(
            match answer::failed(status.as_u16(), wait, message, String::new()) {
                ProviderError::Unauthorized { message } | ProviderError::NotFound { message } => {
                    ProviderError::Unavailable { message }
                }
                other => other,
            },
        )
    }

    async fn send_form(&self) -> Result<Url, ProviderError> {
        let part = Part::stream_with_length(self.body().await?, self.size)
            .file_name(self.name.clone())
            .mime_str(self.content_type)
            .map_err(|_| ProviderError::Rejected {
                message: format!("{:?} is no content type", wire::clip(self.content_type)),
                words: String::new(),
            })?;
        let response = self
            .client
            .post("media/upload/binary")
            .timeout(self.client.config.upload_timeout)
            .multipart(Form::new().part("file", part))
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        let answer = read_asked(response).await?;
        download_url(&answer.data)
    }

    /// No more than `size` bytes, should it have grown meanwhile.
    async fn body(&self) -> Result<reqwest::Body, ProviderError> {
        let mut left = self.size;
        let stream = self.body.open().await?.map(move |chunk| {
            let mut chunk = chunk?;
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= chunk.len() as u64;
            Ok::<_, std::io::Error>(chunk)
        });
        Ok(reqwest::Body::wrap_stream(stream))
    }
}

fn target(data: &Value) -> Result<UploadTarget, ProviderError> {
    let upload = &data["upload"];
    let method = upload["method"].as_str().unwrap_or("PUT");
    if !method.eq_ignore_ascii_case("PUT") {
        return Err(protocol("the upload is to be sent in an unknown way"));
    }
    let url = upload["url"]
        .as_str()
        .and_then(wire::address)
        .ok_or_else(|| protocol("no address to upload to"))?;
    let headers = match &upload["headers"] {
        Value::Null => Vec::new(),
        Value::Object(fields) if fields.len() <= MAX_HEADERS => fields
            .iter()
            .filter_map(|(name, value)| header(name, value).transpose())
            .collect::<Result<_, _>>()?,
        _ => return Err(protocol("unusable headers for the upload")),
    };
    Ok(UploadTarget {
        url,
        headers,
        download_url: download_url(data)?,
    })
}

/// One header; `None` for those that belong to the connection and are set by it.
fn header(name: &str, value: &Value) -> Result<Option<(HeaderName, HeaderValue)>, ProviderError> {
    let unusable = || protocol("an unusable header for the upload");
    let name: HeaderName = name.parse().map_err(|_| unusable())?;
    if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
        return Ok(None);
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(unusable()),
    };
    let value = HeaderValue::from_str(&text).map_err(|_| unusable())?;
    Ok(Some((name, value)))
}

fn download_url(data: &Value) -> Result<Url, ProviderError> {
    ["download_url", "url"]
        .iter()
        .find_map(|field| data[*field].as_str())
        .and_then(wire::address)
        .ok_or_else(|| protocol("no address of the uploaded file"))
}

fn protocol(message: &str) -> ProviderError {
    ProviderError::Protocol {
        message: message.to_owned(),
    }
}

/// The name without anything that would need quoting in a header or an address.
fn file_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .take(100)
        .collect();
    if name.trim_matches(['.', '_']).is_empty() {
        "upload.bin".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert_eq!(file_name("clip 1.mp4"), "clip_1.mp4");
        assert_eq!(file_name("\"x\".mov"), "_x_.mov");
        assert_eq!(file_name(""), "upload.bin");
        assert_eq!(file_name("ü"), "upload.bin");
    }

    #[test]
    fn a_place_is_read_with_its_headers() {
        let data = json!({
            "download_url": "https://a.example/d/a.mp4",
            "upload": {"method": "PUT", "url": "https://s.example/u",
                "headers": {"Content-Type": "video/mp4", "If-None-Match": "*", "Host": "evil"}}
        });
        let target = target(&data).expect("a target");
        let names: Vec<_> = target
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["content-type", "if-none-match"]);
        for bad in [
            json!({}),
            json!({"download_url": "https://a.example/d", "upload": {"url": "file:///etc"}}),
            json!({"download_url": "no", "upload": {"url": "https://s.example/u"}}),
            json!({"download_url": "https://a.example/d",
                "upload": {"method": "POST", "url": "https://s.example/u"}}),
            json!({"download_url": "https://a.example/d",
                "upload": {"url": "https://s.example/u", "headers": {"a\nb": "c"}}}),
        ] {
            assert!(super::target(&bad).is_err(), "{bad}");
        }
    }
}
