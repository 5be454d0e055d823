//! The addresses at which WaveSpeed calls back, and whether to believe what comes in there.
//!
//! Our own token in the address is what makes a callback count. WaveSpeed's signature is checked
//! too, but by default only noted: the sample vectors in its documentation do not verify under the
//! scheme it describes, so the scheme is unproven. Which form of the secret makes the signatures is
//! therefore found out: all that clients have been seen to use are tried.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use super::invalid::InvalidConfig;
use super::wire::{self, Answer};
use crate::job::{Fault, JobId, Timestamp};
use crate::provider::{CallbackError, CallbackGate, Called, Signature};
use crate::secret::Secret;

/// Older or later than this, a signature is stale (WaveSpeed's documentation on webhooks).
const SIGNATURE_WINDOW_S: u64 = 300;
/// More than stand side by side while a secret is being changed.
const MAX_SIGNATURES: usize = 8;
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
    /// The key before, whose tokens are still good while keys are being changed.
    pub old_secret: Option<Secret>,
    pub signature: SignatureCheck,
    /// WaveSpeed's own secret (`whsec_…`), for its signature.
    pub webhook_secret: Option<Secret>,
}

/// The gate for WaveSpeed's callbacks.
#[derive(Clone)]
pub struct Callbacks {
    public_url: Option<Url>,
    token: Hmac<Sha256>,
    old_token: Option<Hmac<Sha256>>,
    signature: SignatureCheck,
    /// Learnt later where the settings do not have it; the same for all copies.
    signers: Arc<OnceLock<Signers>>,
}

/// The secret in each form that may be the key. Whoever has one of them has the secret, so that to
/// take any is no weaker than to take one.
type Signers = Vec<(Signature, Hmac<Sha256>)>;

const PREFIX: &str = "whsec_";

fn signers(secret: &Secret) -> Signers {
    let whole = secret.expose();
    let stripped = whole.strip_prefix(PREFIX).unwrap_or(whole);
    let decoded = STANDARD.decode(stripped).unwrap_or_default();
    let forms = [
        (Signature::Stripped, stripped.as_bytes()),
        (Signature::Whole, whole.as_bytes()),
        (Signature::Decoded, decoded.as_slice()),
    ];
    forms
        .into_iter()
        // Without a prefix the first two are one; an empty key is one that everybody has.
        .filter(|(form, key)| {
            !key.is_empty() && (*form != Signature::Whole || whole.starts_with(PREFIX))
        })
        .filter_map(|(form, key)| Some((form, Hmac::new_from_slice(key).ok()?)))
        .collect()
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks")
            .field("public_url", &self.public_url.as_ref().map(Url::as_str))
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

/// The token's computation, fed. A job id holds no slash, so the pair is unambiguous.
fn token_for(token: &Hmac<Sha256>, job: &JobId, intent: &str) -> Hmac<Sha256> {
    let mut mac = token.clone();
    mac.update(job.as_str().as_bytes());
    mac.update(b"/");
    mac.update(intent.as_bytes());
    mac
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
        let known = webhook_secret.map(signers);
        // HMAC takes keys of any length, so this does not fail in fact.
        match Hmac::new_from_slice(config.secret.expose().as_bytes()) {
            Ok(token) if faults.is_empty() => Ok(Self {
                public_url: config.public_url.clone(),
                token,
                old_token: config
                    .old_secret
                    .as_ref()
                    .filter(|secret| !secret.is_empty())
                    .and_then(|secret| Hmac::new_from_slice(secret.expose().as_bytes()).ok()),
                signature: config.signature,
                signers: Arc::new(known.map_or_else(OnceLock::new, OnceLock::from)),
            }),
            Ok(_) => Err(InvalidConfig { faults }),
            Err(_) => {
                faults.push(Fault::new("callback.secret", "cannot be used as a key"));
                Err(InvalidConfig { faults })
            }
        }
    }

    /// Whether callbacks come in here whose signatures nothing is known to check with.
    #[must_use]
    pub fn lacks_secret(&self) -> bool {
        self.public_url.is_some() && self.signers.get().is_none()
    }

    /// Takes the provider's secret where none was known.
    pub fn learn(&self, secret: &Secret) {
        // One that is known already stays.
        let _ = self.signers.set(signers(secret));
    }

    fn signature_of(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Signature {
        let Some(signers) = self.signers.get() else {
            return Signature::NoSecret;
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(at), Some(signatures)) = (
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
        ) else {
            return Signature::Missing;
        };
        let Ok(seconds) = at.parse::<i64>() else {
            return Signature::Missing;
        };
        if now.as_second().abs_diff(seconds) > SIGNATURE_WINDOW_S {
            return Signature::Stale;
        }
        // Several signatures may stand side by side while a secret is being changed.
        let digests: Vec<_> = signatures
            .split_whitespace()
            .filter_map(|part| part.strip_prefix("v3,"))
            .filter_map(|digits| hex::decode(digits).ok())
            .take(MAX_SIGNATURES)
            .collect();
        let made = signers.iter().find(|(_, signer)| {
            let mut mac = signer.clone();
            for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
                mac.update(part);
            }
            digests
                .iter()
                .any(|digest| mac.clone().verify_slice(digest).is_ok())
        });
        made.map_or(Signature::Wrong, |(form, _)| *form)
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
        let token = hex::encode(token_for(&self.token, job, intent).finalize().into_bytes());
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
            .is_some_and(|digest| {
                let fits =
                    |key: &Hmac<Sha256>| token_for(key, job, intent).verify_slice(&digest).is_ok();
                fits(&self.token) || self.old_token.as_ref().is_some_and(fits)
            })
    }

    fn read(
        &self,
        job: &JobId,
        intent: &str,
        token: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Called, CallbackError> {
        if !self.admits(job, intent, token) {
            return Err(CallbackError::Token);
        }
        let signature = self.signature_of(headers, body, now);
        match self.signature {
            _ if signature.is_valid() => {}
            SignatureCheck::Enforce => return Err(CallbackError::Signature(signature)),
            SignatureCheck::Log => {
                let reason = signature.as_str();
                tracing::info!(%job, intent, reason, "callback without a valid signature");
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
            .map(|id| Called {
                prediction_id: id.to_owned(),
                signature,
            })
            .ok_or_else(|| CallbackError::Body("it names no prediction".into()))
    }
}
