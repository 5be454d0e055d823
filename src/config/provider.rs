//! `[provider]`: whom to pay for the video.

use std::collections::HashMap;
use std::time::Duration;

use url::Url;

use super::{Reader, Secret};
use crate::provider::wavespeed::{ModelOverrides, ModelTable};

#[derive(Debug, Clone)]
pub struct Provider {
    pub base_url: Url,
    pub api_key: Option<Secret>,
    pub submit_timeout: Duration,
    pub poll_min: Duration,
    pub poll_max: Duration,
    pub busy_pause: Duration,
    pub max_resubmissions: u32,
    /// US dollars in the account below which the log and `doctor` warn.
    pub low_balance: Option<f64>,
    pub callbacks: bool,
    /// Whether a callback's signature decides (`enforce`) or is only looked at (`log`).
    pub enforce_signature: bool,
    pub webhook_secret: Option<Secret>,
    /// Who makes each kind: the documented defaults, and what the settings say otherwise.
    pub models: ModelTable,
}

/// `reachable`: whether the provider can call us, by what is known of the deployment.
pub(super) fn provider(
    r: &mut Reader,
    env: &HashMap<String, String>,
    reachable: bool,
) -> Option<Provider> {
    let secs = Duration::from_secs;
    // The names that WaveSpeed's own tools read serve as well.
    let official = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let base_url = r.parse("provider.base_url").or_else(|| {
        let text =
            official("WAVESPEED_BASE_URL").unwrap_or_else(|| "https://api.wavespeed.ai".into());
        match text.parse() {
            Ok(url) => Some(url),
            Err(error) => {
                r.fault(
                    "WAVESPEED_BASE_URL",
                    format!("“{text}” is not usable: {error}"),
                );
                None
            }
        }
    });
    let provider = Provider {
        base_url: base_url?,
        api_key: r
            .get("provider.api_key")
            .or_else(|| official("WAVESPEED_API_KEY").map(Secret::new)),
        submit_timeout: r.duration("provider.submit_timeout", secs(60)),
        // WaveSpeed asks for 5 s or more between two looks at a video.
        poll_min: r.duration("provider.poll_min", secs(5)),
        poll_max: r.duration("provider.poll_max", secs(60)),
        busy_pause: r.duration("provider.busy_pause", secs(30)),
        max_resubmissions: r.get_or("provider.max_resubmissions", 1),
        low_balance: r.get("provider.low_balance"),
        callbacks: r.get_or("provider.callbacks", reachable),
        enforce_signature: r.get_or("provider.enforce_signature", false),
        webhook_secret: r.get("provider.webhook_secret"),
        models: models(r),
    };
    if provider.poll_min > provider.poll_max {
        r.fault(
            "provider.poll_min",
            "must not be longer than provider.poll_max",
        );
    }
    if provider
        .low_balance
        .is_some_and(|low| !low.is_finite() || low < 0.0)
    {
        r.fault("provider.low_balance", "must be a number of US dollars");
    }
    if provider.enforce_signature && provider.webhook_secret.is_none() {
        r.fault("provider.webhook_secret", "is needed to enforce signatures");
    }
    Some(provider)
}

fn models(r: &mut Reader) -> ModelTable {
    let overrides: ModelOverrides = r.get_or("provider.models", ModelOverrides::default());
    ModelTable::try_from(overrides).unwrap_or_else(|invalid| {
        for fault in invalid.faults {
            r.fault(&format!("provider.{}", fault.field), fault.message);
        }
        ModelTable::default()
    })
}
