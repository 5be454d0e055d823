//! V4 signed links: whoever has one reads one object for a while, without credentials.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::storage::error::{Result, StorageError};
use crate::storage::signer::LinkSigner;

/// Google's own bound for V4.
pub const KEY_LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Google signs with keys that it rotates: a link holds reliably for so long.
pub const IAM_LONGEST: Duration = Duration::from_secs(12 * 3600);

/// RFC 3986's unreserved characters stay, and the slashes between the parts of a name: how
/// Google writes the path when it checks a signature.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');
/// What RFC 5987 lets stand in `filename*`.
const IN_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Signs links to a bucket's objects.
pub struct GcsLinks {
    store: Arc<GoogleCloudStorage>,
    longest: Duration,
}

impl fmt::Debug for GcsLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcsLinks")
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

impl GcsLinks {
    /// `by_key`: whether a key file signs, or IAM.
    #[must_use]
    pub fn new(store: Arc<GoogleCloudStorage>, by_key: bool) -> Self {
        Self {
            store,
            longest: if by_key { KEY_LONGEST } else { IAM_LONGEST },
        }
    }
}

#[async_trait]
impl LinkSigner for GcsLinks {
    /// `ttl` is cut at [`KEY_LONGEST`] or [`IAM_LONGEST`], and counts in whole seconds. Without a
    /// download name the object is shown as it was stored.
    async fn sign(&self, object: &str, ttl: Duration, download_name: Option<&str>) -> Result<Url> {
        // The signer takes a name as it stands into the address, where `?`, `#` and `%` mean
        // something else: it gets the written form.
        Path::parse(object).map_err(|error| StorageError::Name(error.to_string()))?;
        let written = utf8_percent_encode(object, IN_PATH).to_string();
        let path = Path::parse(&written).map_err(|error| StorageError::Name(error.to_string()))?;
        let mut options = SignedUrlOptions::new();
        if let Some(name) = download_name {
            options = options.with_query([("response-content-disposition", attachment(name))]);
        }
        let ttl = ttl.clamp(Duration::from_secs(1), self.longest);
        Ok(self
            .store
            .signed_url_opts(Method::GET, &path, ttl, &options)
            .await?)
    }
}

/// `Content-Disposition` of a download, the name in plain ASCII and in full.
fn attachment(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' => '_',
            c if c.is_ascii() => c,
            _ => '_',
        })
        .collect();
    let full = utf8_percent_encode(&name, IN_NAME);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}
