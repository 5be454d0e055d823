//! Links that this service signs and serves itself, for deployments without a cloud's signer.
//!
//! `{base}/files/{object}?exp={unix seconds}&name={download name}&sig={…}`, where the signature
//! is HMAC-SHA256 over `object`, `exp` and `name`, a line each, in unpadded base64url. A link
//! shows one object for a while and nothing else; it is as secret as the object.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use url::Url;

use super::error::{Result, StorageError};
use super::signer::{LinkRefused, LinkSigner, LinkVerifier, SignedLink};
use crate::clock::{SharedClock, Timestamp, later};

/// Half of SHA-256's own strength; anything shorter is a typing mistake, not a key.
const MIN_KEY_BYTES: usize = 16;
/// What the clouds' signers allow at most, so that nothing comes to rely on more.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why links cannot be signed with what was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLinkSettings {
    #[error("the key for links must have at least {MIN_KEY_BYTES} bytes")]
    ShortKey,
    #[error("the base address of links must be http(s)")]
    Base,
}

/// Signs links with one key, and checks them with it or the one before.
pub struct HmacLinks {
    base: Url,
    mac: Hmac<Sha256>,
    old: Option<Hmac<Sha256>>,
    clock: SharedClock,
}

impl fmt::Debug for HmacLinks {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacLinks")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl HmacLinks {
    /// `base` is the address under which this service is reached by whoever opens the links; a
    /// path in it is kept.
    pub fn new(
        base: Url,
        key: &[u8],
        clock: SharedClock,
    ) -> std::result::Result<Self, InvalidLinkSettings> {
        if key.len() < MIN_KEY_BYTES {
            return Err(InvalidLinkSettings::ShortKey);
        }
        if !matches!(base.scheme(), "http" | "https") {
            return Err(InvalidLinkSettings::Base);
        }
        // HMAC takes keys of any length, so this never fails.
        let mac = Hmac::new_from_slice(key).map_err(|_| InvalidLinkSettings::ShortKey)?;
        Ok(Self {
            base,
            mac,
            old: None,
            clock,
        })
    }

    /// Also takes links that were signed with `key`, while keys are being changed.
    pub fn accepting(mut self, key: &[u8]) -> std::result::Result<Self, InvalidLinkSettings> {
        if key.len() < MIN_KEY_BYTES {
            return Err(InvalidLinkSettings::ShortKey);
        }
        let old = Hmac::new_from_slice(key).map_err(|_| InvalidLinkSettings::ShortKey)?;
        self.old = Some(old);
        Ok(self)
    }
}

/// No part holds a line break (see `is_plain`), so no two links have the same text.
fn fed(mac: &Hmac<Sha256>, object: &str, expires_at_s: i64, name: &str) -> Hmac<Sha256> {
    let mut mac = mac.clone();
    mac.update(format!("{object}\n{expires_at_s}\n{name}").as_bytes());
    mac
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// An address swallows `.` and `..`, so an object with such a part would be signed under one
/// name and asked for under another.
fn is_addressable(object: &str) -> bool {
    is_plain(object)
        && object
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[async_trait]
impl LinkSigner for HmacLinks {
    /// `ttl` is cut at seven days; a download name loses its control characters.
    async fn sign(&self, object: &str, ttl: Duration, download_name: Option<&str>) -> Result<Url> {
        if !is_addressable(object) {
            return Err(StorageError::Name(object.to_owned()));
        }
        let name: String = download_name
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        let expires_at_s = later(self.clock.now(), ttl.min(MAX_TTL)).as_second();
        let signature = URL_SAFE_NO_PAD.encode(
            fed(&self.mac, object, expires_at_s, &name)
                .finalize()
                .into_bytes(),
        );

        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| StorageError::Name(object.to_owned()))?
            .pop_if_empty()
            .push("files")
            .extend(object.split('/'));
        let mut query = url.query_pairs_mut();
        query.append_pair("exp", &expires_at_s.to_string());
        if !name.is_empty() {
            query.append_pair("name", &name);
        }
        query.append_pair("sig", &signature);
        drop(query);
        Ok(url)
    }
}

impl LinkVerifier for HmacLinks {
    fn verify(
        &self,
        link: &SignedLink<'_>,
        now: Timestamp,
    ) -> std::result::Result<(), LinkRefused> {
        let name = link.name.unwrap_or_default();
        if !is_addressable(link.object) || !is_plain(name) {
            return Err(LinkRefused::Signature);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(link.signature)
            .map_err(|_| LinkRefused::Signature)?;
        // Compares in constant time.
        let fits = |mac: &Hmac<Sha256>| {
            fed(mac, link.object, link.expires_at_s, name)
                .verify_slice(&signature)
                .is_ok()
        };
        if !fits(&self.mac) && !self.old.as_ref().is_some_and(fits) {
            return Err(LinkRefused::Signature);
        }
        if now.as_second() >= link.expires_at_s {
            return Err(LinkRefused::Expired);
        }
        Ok(())
    }
}
