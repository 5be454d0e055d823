//! A signer whose signatures carry their time, told by an authority (RFC 3161).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::runtime::Handle;

use crate::config::TimeStamps;
use crate::media::{MOST_STAMP, Signer, stamp_of, stamp_query};
use crate::retry::{RetryLimits, RetryPassing};

/// For one try. Authorities answer within a second; a result waits for this.
const TIMEOUT: Duration = Duration::from_secs(5);

const TRIES: RetryLimits = RetryLimits {
    retries: 2,
    least_wait: Duration::from_millis(500),
    longest_wait: Duration::from_secs(2),
    total: Duration::from_secs(20),
};

/// Longest answer that is read: a token and what stands around it.
const MOST_ANSWER: usize = MOST_STAMP + 1024;

pub(super) struct Stamping {
    inner: Arc<dyn Signer>,
    stamps: TimeStamps,
    client: ClientWithMiddleware,
    runtime: Handle,
}

impl fmt::Debug for Stamping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamping")
            .field("inner", &self.inner)
            .field("stamps", &self.stamps)
            .finish_non_exhaustive()
    }
}

impl Stamping {
    /// Its stamps are asked for on that runtime, by threads that may block.
    pub(super) fn new(
        inner: Arc<dyn Signer>,
        stamps: TimeStamps,
        runtime: Handle,
    ) -> Result<Self, String> {
        let client = crate::tls::client()
            .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| error.to_string())?;
        let retry = RetryPassing::everything(TRIES);
        Ok(Self {
            inner,
            stamps,
            client: ClientBuilder::new(client).with(retry).build(),
            runtime,
        })
    }

    async fn ask(&self, digest: &[u8; 32]) -> Result<Vec<u8>, String> {
        let nonce: u64 = rand::random();
        let answer = self
            .client
            .post(self.stamps.url.clone())
            .header(CONTENT_TYPE, "application/timestamp-query")
            .body(stamp_query(digest, nonce))
            .send()
            .await;
        let mut answer = answer.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the authority answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| error.to_string())? {
            if body.len() + piece.len() > MOST_ANSWER {
                return Err(format!("the answer has more than {MOST_ANSWER} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        stamp_of(&body, digest, nonce)
    }
}

impl Signer for Stamping {
    fn chain(&self) -> &[Vec<u8>] {
        self.inner.chain()
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.inner.sign(bytes)
    }

    fn stamp_room(&self) -> usize {
        MOST_STAMP
    }

    fn stamp(&self, digest: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let digest = digest.try_into().map_err(io::Error::other)?;
        match self.runtime.block_on(self.ask(digest)) {
            Ok(token) => Ok(Some(token)),
            Err(why) if self.stamps.required => {
                Err(io::Error::other(format!("there is no time stamp: {why}")))
            }
            Err(why) => {
                tracing::warn!(why, "a result is signed without a time stamp");
                Ok(None)
            }
        }
    }
}
