//! Links to objects, as who makes and who checks them sees them.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::error::Result;
use crate::clock::Timestamp;

/// Makes links that open without credentials for a while.
#[async_trait]
pub trait LinkSigner: Debug + Send + Sync {
    /// A link to `object` that stops working after `ttl`. `download_name` makes browsers save it
    /// under that name.
    async fn sign(&self, object: &str, ttl: Duration, download_name: Option<&str>) -> Result<Url>;
}

/// A link as somebody brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedLink<'a> {
    pub object: &'a str,
    /// Seconds since 1970.
    pub expires_at_s: i64,
    pub name: Option<&'a str>,
    pub signature: &'a str,
}

/// Why a link does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    #[error("the link was not made here, or was changed")]
    Signature,
    #[error("the link has expired")]
    Expired,
}

/// Checks links that this service serves itself.
pub trait LinkVerifier: Debug + Send + Sync {
    fn verify(&self, link: &SignedLink<'_>, now: Timestamp)
    -> std::result::Result<(), LinkRefused>;
}
