//! The provider's client, as the configuration wants it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::keys::{self, Keys};
use super::settings::invalid;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, is_loopback};
use crate::job::{Code, Failure};
use crate::provider::wavespeed::{
    CallbackConfig, Secret, SignatureCheck, WaveSpeed, WaveSpeedConfig,
};

/// A service that cannot learn the secret it is to enforce does not start.
const SECRET_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn own_address(listening: SocketAddr) -> Result<Url, Failure> {
    format!("http://{listening}")
        .parse()
        .map_err(|error: url::ParseError| invalid(&error.to_string()))
}

/// Where callers would reach a service of these settings, for those that start none.
pub(super) fn nowhere(config: &Config) -> Result<Url, Failure> {
    match &config.server.public_url {
        Some(url) => Ok(url.clone()),
        None => own_address(config.server.listen),
    }
}

fn machine() -> SharedClock {
    Arc::new(SystemClock)
}

/// A client for a command beside a service: it asks, and is not called back.
pub(super) fn asking(config: &Config) -> Result<WaveSpeed, Failure> {
    // Signatures are checked by whoever is called back.
    let mut config = config.clone();
    config.provider.enforce_signature = false;
    let keys = Keys::only(vec![0; 32]);
    wavespeed(&config, &nowhere(&config)?, &keys, None, &machine())
}

pub(super) fn api_key(config: &Config) -> Result<&Secret, Failure> {
    config.provider.api_key.as_ref().ok_or_else(|| {
        let demo = if cfg!(feature = "sandbox") {
            ", or try the sandbox with `filmlab demo`"
        } else {
            ""
        };
        invalid(&format!(
            "provider.api_key: is required; set WAVESPEED_API_KEY{demo}"
        ))
    })
}

/// What checks the provider's signatures: as configured or, where they are enforced, as it says.
pub(super) async fn signing_secret(
    config: &Config,
    public_url: &Url,
    keys: &Keys,
) -> Result<Option<Secret>, Failure> {
    let provider = &config.provider;
    if provider.webhook_secret.is_some() || !provider.enforce_signature {
        return Ok(provider.webhook_secret.clone());
    }
    let mut asking = config.clone();
    asking.provider.enforce_signature = false;
    let client = wavespeed(&asking, public_url, keys, None, &machine())?;
    match tokio::time::timeout(SECRET_TIMEOUT, client.webhook_secret()).await {
        Ok(Ok(secret)) => Ok(Some(secret)),
        Ok(Err(error)) => Err(Failure::new(
            Code::ProviderUnavailable,
            format!("provider.enforce_signature: the secret could not be asked for: {error}"),
        )),
        Err(_) => Err(Failure::new(
            Code::ProviderUnavailable,
            "provider.enforce_signature: the secret was not given in time",
        )),
    }
}

fn callback_key(key: &[u8]) -> Secret {
    Secret::new(keys::derived(key, "wavespeed-callback"))
}

pub(super) fn wavespeed(
    config: &Config,
    public_url: &Url,
    keys: &Keys,
    webhook_secret: Option<Secret>,
    clock: &SharedClock,
) -> Result<WaveSpeed, Failure> {
    let api_key = api_key(config)?;
    let mut wavespeed = WaveSpeedConfig::new(config.provider.base_url.clone(), api_key.clone());
    wavespeed.submit_timeout = config.provider.submit_timeout;
    wavespeed.models = config.provider.models.clone();
    wavespeed.clock = Arc::clone(clock);
    wavespeed.catalogue = config.provider.catalogue;
    wavespeed.least_rate = config.worker.least_rate;
    // A provider on this machine is the sandbox: its outputs lie here too.
    let local = is_loopback(&config.provider.base_url);
    wavespeed.allow_loopback = local;
    let reachable = config.server.public_url.is_some() || local;
    wavespeed.callback = CallbackConfig {
        public_url: (config.provider.callbacks && reachable).then(|| public_url.clone()),
        secret: callback_key(&keys.now),
        old_secret: keys.old.as_deref().map(callback_key),
        signature: if config.provider.enforce_signature {
            SignatureCheck::Enforce
        } else {
            SignatureCheck::Log
        },
        webhook_secret,
    };
    WaveSpeed::new(wavespeed).map_err(|error| invalid(&error.to_string()))
}
