//! The addresses at which WaveSpeed calls back, and whether to believe what comes in there.
//!
//! Our own token in the address is what makes a callback count. WaveSpeed's signature is checked
//! too, but by default only noted: the sample vectors in its documentation do not verify under the
//! scheme it describes, so the scheme is unproven.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use super::invalid::InvalidConfig;
use super::wire::{self, Answer};
use crate::job::{Fault, JobId, Timestamp};
use crate::provider::{CallbackError, CallbackGate};
use crate::secret::Secret;

/// Older or later than this, a signature is stale (WaveSpeed's documentation on webhooks).
const SIGNATURE_WINDOW_S: u64 = 300;
/// A callback is a prediction with its inputs: a few KiB. Larger bodies are not parsed.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What to do with a signature of WaveSpeed's that is missing, stale or wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureCheck {
    /// Write it to the log and go by our own token alone.
    #[default]
    Log,
    /// Refuse the callback.
    Enforce,
}

/// How callbacks are made and believed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackConfig {
    /// Where WaveSpeed reaches us; absent, no callback is asked for and polling does it all.
    pub public_url: Option<Url>,
    /// Key of the token in our addresses. It must stay the same for as long as a job may run.
    pub secret: Secret,
    pub signature: SignatureCheck,
    /// WaveSpeed's own secret (`whsec_…`), for its signature.
    pub webhook_secret: Option<Secret>,
}

/// The gate for WaveSpeed's callbacks.
#[derive(Clone)]
pub struct Callbacks {
    public_url: Option<Url>,
    token: Hmac<Sha256>,
    signature: SignatureCheck,
    signer: Option<Hmac<Sha256>>,
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks")
            .field("public_url", &self.public_url.as_ref().map(Url::as_str))
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

impl Callbacks {
    /// Gives every fault of the settings, not only the first.
    pub fn new(config: &CallbackConfig) -> Result<Self, InvalidConfig> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, message: &str| {
            faults.push(Fault::new(format!("callback.{field}"), message));
        };
        if let Some(url) = &config.public_url {
            if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                fault("public_url", "must be an http(s) address");
            }
            // 128 bits are what a guesser must not get through; hex or base64 needs more text.
            if config.secret.expose().len() < 16 {
                fault("secret", "must have at least 16 characters");
            }
        }
        let webhook_secret = config
            .webhook_secret
            .as_ref()
            .filter(|secret| !secret.is_empty());
        if config.signature == SignatureCheck::Enforce && webhook_secret.is_none() {
            fault(
                "webhook_secret",
                "is needed where the signature is enforced",
            );
        }
        // HMAC takes keys of any length, so neither of these two fails in fact.
        let token = Hmac::new_from_slice(config.secret.expose().as_bytes());
        // The part after the prefix is used as it stands, not decoded.
        let signer = webhook_secret.map(|secret| {
            let text = secret.expose();
            Hmac::new_from_slice(text.strip_prefix("whsec_").unwrap_or(text).as_bytes())
        });
        match (token, signer.transpose()) {
            (Ok(token), Ok(signer)) if faults.is_empty() => Ok(Self {
                public_url: config.public_url.clone(),
                token,
                signature: config.signature,
                signer,
            }),
            (Ok(_), Ok(_)) => Err(InvalidConfig { faults }),
            _ => {
                faults.push(Fault::new("callback.secret", "cannot be used as a key"));
                Err(InvalidConfig { faults })
            }
        }
    }

    /// The token's computation, fed. A job id holds no slash, so the pair is unambiguous.
    fn token_for(&self, job: &JobId, intent: &str) -> Hmac<Sha256> {
        let mut mac = self.token.clone();
        mac.update(job.as_str().as_bytes());
        mac.update(b"/");
        mac.update(intent.as_bytes());
        mac
    }

    fn check_signature(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), String> {
        let signer = self.signer.as_ref().ok_or("no secret is configured")?;
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .ok_or_else(|| format!("{name} is missing"))
        };
        let id = header("webhook-id")?;
        let at = header("webhook-timestamp")?;
        let signatures = header("webhook-signature")?;
        let seconds: i64 = at.parse().map_err(|_| "the timestamp is no number")?;
        if now.as_second().abs_diff(seconds) > SIGNATURE_WINDOW_S {
            return Err("the timestamp is too old or too new".into());
        }
        let mut mac = signer.clone();
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(at.as_bytes());
        mac.update(b".");
        mac.update(body);
        // Several signatures may stand side by side while a secret is being changed.
        let right = signatures
            .split_whitespace()
            .filter_map(|part| part.strip_prefix("v3,"))
            .filter_map(|digits| hex::decode(digits).ok())
            .any(|digest| mac.clone().verify_slice(&digest).is_ok());
        if right {
            Ok(())
        } else {
            Err("the signature is wrong".into())
        }
    }
}

impl CallbackGate for Callbacks {
    fn address(&self, job: &JobId, intent: &str) -> Option<Url> {
        let mut url = self.public_url.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend([
            "webhooks",
            "wavespeed",
            job.as_str(),
            intent,
        ]);
        let token = hex::encode(self.token_for(job, intent).finalize().into_bytes());
        url.set_fragment(None);
        url.query_pairs_mut().clear().append_pair("t", &token);
        Some(url)
    }

    fn admits(&self, job: &JobId, intent: &str, token: Option<&str>) -> bool {
        // Without an address of ours there is no token of ours either: with no public URL the
        // secret may be empty, and an empty key is one everybody has.
        token
            .filter(|_| self.public_url.is_some())
            .and_then(|token| hex::decode(token).ok())
            .is_some_and(|digest| self.token_for(job, intent).verify_slice(&digest).is_ok())
    }

    fn read(
        &self,
        job: &JobId,
        intent: &str,
        token: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, CallbackError> {
        if !self.admits(job, intent, token) {
            return Err(CallbackError::Token);
        }
        if let Err(reason) = self.check_signature(headers, body, now) {
            match self.signature {
                SignatureCheck::Enforce => return Err(CallbackError::Signature(reason)),
                SignatureCheck::Log => {
                    tracing::info!(%job, intent, reason, "callback without a valid signature");
                }
            }
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(CallbackError::Body("it is larger than 1 MiB".into()));
        }
        Answer::read(body)
            .ok_or_else(|| CallbackError::Body("it is no JSON object".into()))?
            .data["id"]
            .as_str()
            .filter(|id| wire::is_prediction_id(id))
            .map(ToOwned::to_owned)
            .ok_or_else(|| CallbackError::Body("it names no prediction".into()))
    }
}
