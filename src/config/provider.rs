//! `[provider]`: whom to pay for the video.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use strum::{EnumIter, EnumString, IntoStaticStr};
use url::Url;

use super::reader::Reader;
use crate::job::breaker::BreakerRules;
use crate::provider::wavespeed::{CatalogueUse, ModelOverrides, ModelTable};
use crate::secret::Secret;
use crate::worker::ProviderLimits;

#[derive(Debug, Clone)]
pub struct Provider {
    pub base_url: Url,
    pub api_key: Option<Secret>,
    pub submit_timeout: Duration,
    pub poll_min: Duration,
    pub poll_max: Duration,
    pub busy_pause: Duration,
    /// How long the provider has to say that it does not know a prediction.
    pub lost_after: Duration,
    pub max_resubmissions: u32,
    /// When a model is given a rest; absent: never.
    pub breaker: Option<BreakerRules>,
    /// How long a model is waited for before the next one is asked; absent: to the deadline.
    pub fallback_after: Option<Duration>,
    /// Whether the next model is asked where moderation refused the content.
    pub fallback_after_refusal: bool,
    /// What the account may do; absent: whatever the provider says itself.
    pub limits: Option<ProviderLimits>,
    /// US dollars in the account below which the log and `doctor` warn.
    pub low_balance: Option<f64>,
    pub callbacks: bool,
    /// Whether a callback's signature decides (`enforce`) or is only looked at (`log`).
    pub enforce_signature: bool,
    /// Signs the provider's callbacks; where signatures are enforced and it is absent, the provider
    /// is asked for it at the start.
    pub webhook_secret: Option<Secret>,
    /// What is done where the provider's catalogue says otherwise than the table.
    pub catalogue: CatalogueUse,
    /// Who makes each kind: the documented defaults, and what the settings say otherwise.
    pub models: ModelTable,
}

/// Levels of account, by what has been topped up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Tier {
    Bronze,
    Silver,
    Gold,
    Ultra,
}

impl Tier {
    /// Videos a minute, and at once. WaveSpeed's pages give two sets of numbers; these are the
    /// lower of each pair.
    fn limits(self) -> (u32, u32) {
        match self {
            Self::Bronze => (2, 2),
            Self::Silver => (60, 100),
            Self::Gold => (600, 2000),
            Self::Ultra => (5000, 5000),
        }
    }
}

/// The account's limits: its tier's, or the operator's own numbers. `local`: a provider on this
/// machine, whose limits are its own to say.
fn limits(r: &mut Reader, local: bool) -> Option<ProviderLimits> {
    let named = r.get::<String>("provider.tier").is_some();
    let tier = r.word("provider.tier", Tier::Bronze);
    let own_rate = number(r, "provider.max_per_minute");
    let own_concurrency = number(r, "provider.max_concurrent");
    if local && !named && own_rate.is_none() && own_concurrency.is_none() {
        return None;
    }
    let (rate, concurrency) = tier.limits();
    Some(ProviderLimits {
        max_per_minute: own_rate.or(NonZeroU32::new(rate))?,
        max_concurrent: own_concurrency.or(NonZeroU32::new(concurrency))?,
    })
}

fn number(r: &mut Reader, key: &str) -> Option<NonZeroU32> {
    let number: u32 = r.get(key)?;
    let number = NonZeroU32::new(number);
    if number.is_none() {
        r.fault(key, "must be at least 1");
    }
    number
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
    let base_url = base_url?;
    let local = is_loopback(&base_url);
    let provider = Provider {
        base_url,
        api_key: r
            .get("provider.api_key")
            .or_else(|| official("WAVESPEED_API_KEY").map(Secret::new)),
        submit_timeout: r.duration("provider.submit_timeout", secs(60)),
        // WaveSpeed asks for 5 s or more between two looks at a video.
        poll_min: r.duration("provider.poll_min", secs(5)),
        poll_max: r.duration("provider.poll_max", secs(60)),
        busy_pause: r.duration("provider.busy_pause", secs(30)),
        lost_after: r.duration("provider.lost_after", secs(5 * 60)),
        max_resubmissions: r.get_or("provider.max_resubmissions", 1),
        breaker: breaker(r),
        fallback_after: fallback_after(r),
        fallback_after_refusal: r.get_or("provider.fallback_after_refusal", false),
        limits: limits(r, local),
        low_balance: r.get("provider.low_balance"),
        callbacks: r.get_or("provider.callbacks", reachable),
        enforce_signature: r.get_or("provider.enforce_signature", false),
        webhook_secret: r.get("provider.webhook_secret"),
        catalogue: r.word("provider.catalogue", CatalogueUse::default()),
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
    Some(provider)
}

/// `provider.breaker.share = 0` switches it off.
fn breaker(r: &mut Reader) -> Option<BreakerRules> {
    let mins = |minutes: u64| Duration::from_secs(minutes * 60);
    let share = r.within("provider.breaker.share", 0.0..=1.0).unwrap_or(0.5);
    let rules = BreakerRules {
        share,
        // Fewer say nothing: a job alone makes three attempts.
        least: r.within("provider.breaker.least", 2..=10_000).unwrap_or(5),
        window: r.duration("provider.breaker.window", mins(10)),
        rest: r.duration("provider.breaker.rest", mins(2)),
        // Longer than a model usually takes.
        probe: r.duration("provider.breaker.probe", mins(30)),
    };
    for (key, given) in [
        ("provider.breaker.window", rules.window),
        ("provider.breaker.rest", rules.rest),
        ("provider.breaker.probe", rules.probe),
    ] {
        if given.is_zero() {
            r.fault(key, "must be longer than 0");
        }
    }
    (share > 0.0).then_some(rules)
}

fn fallback_after(r: &mut Reader) -> Option<Duration> {
    let key = "provider.fallback_after";
    r.get::<String>(key)?;
    let after = r.duration(key, Duration::ZERO);
    if after.is_zero() {
        r.fault(key, "must be longer than 0");
    }
    Some(after)
}

/// Whether an address is on this machine: what is there is the sandbox.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
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
