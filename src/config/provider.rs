//! `[provider]`: whom to pay for the video.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use strum::{EnumIter, EnumString, IntoStaticStr};
use url::Url;

use super::hidden::Hidden;
use super::models::models;
use super::reader::Reader;
use super::table::{Keyed as _, Open, Setting, settings};
use crate::fields::{Bounds, Flag, Parsed, Real, Span, Whole, Word};
use crate::job::breaker::BreakerRules;
use crate::provider::wavespeed::{CatalogueUse, ModelTable};
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

const DEFAULT_URL: &str = "https://api.wavespeed.ai";
const SOME: Span = Span(Bounds::Above(Duration::ZERO));
const ANY: Span = Span(Bounds::Any);
const ONE: Whole<NonZeroU32> = Whole(Bounds::AtLeast(NonZeroU32::MIN));

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

settings! { PROVIDER of "provider" {
    API_KEY: Open<Hidden> = "api_key", Hidden, "`WAVESPEED_API_KEY`", "your key at WaveSpeed";
    BASE_URL: Open<Parsed<Url>> = "base_url", Parsed::new("address"),
        "`https://api.wavespeed.ai`, or `WAVESPEED_BASE_URL`", "the provider's address";
    TIER: Setting<Word<Tier>> = "tier", Word::new(), Tier::Bronze,
        "your account's level. It sets the next two";
    MAX_PER_MINUTE: Open<Whole<NonZeroU32>> = "max_per_minute", ONE,
        "by tier: 2, 60, 600, 5000", "submissions a minute";
    MAX_CONCURRENT: Open<Whole<NonZeroU32>> = "max_concurrent", ONE,
        "by tier: 2, 100, 2000, 5000",
        "predictions at once. A provider on this machine (the sandbox) has no limits unless you set one of the three";
    LOW_BALANCE: Open<Real<f64>> = "low_balance", Real(Bounds::AtLeast(0.0)), "none",
        "US dollars; below it the log and `doctor` warn";
    SUBMIT_TIMEOUT: Setting<Span> = "submit_timeout", ANY, secs(60),
        "how long the answer to a paid request may take";
    // WaveSpeed asks for 5 s or more between two looks at a video.
    POLL_MIN: Setting<Span> = "poll_min", ANY, secs(5), "shortest pause between two polls";
    POLL_MAX: Setting<Span> = "poll_max", ANY, secs(60), "longest pause between two polls";
    BUSY_PAUSE: Setting<Span> = "busy_pause", ANY, secs(30),
        "pause after the provider said that it is busy";
    LOST_AFTER: Setting<Span> = "lost_after", ANY, secs(5 * 60),
        "how long the provider has to say that it does not know a prediction before another is bought";
    MAX_RESUBMISSIONS: Setting<Whole<u32>> = "max_resubmissions", Whole(Bounds::Any), 1,
        "further submissions in a round after answers that stayed unknown. With `worker.attempts` and the longest `fallback`, 8 at most";
    CALLBACKS: Open<Flag> = "callbacks", Flag, "on; with `tasks_auth = \"iam\"`, off",
        "whether the provider is asked to call back; needs `server.public_url`";
    ENFORCE_SIGNATURE: Setting<Flag> = "enforce_signature", Flag, false,
        "whether a callback without a good signature is refused. See [Signatures of callbacks](operations.md#signatures-of-callbacks)";
    WEBHOOK_SECRET: Open<Hidden> = "webhook_secret", Hidden, "asked of the provider",
        "the secret that signs its callbacks";
    CATALOGUE: Setting<Word<CatalogueUse>> = "catalogue", Word::new(), CatalogueUse::Warn,
        "what is done where the provider's catalogue differs. See [What the catalogue says](providers.md#what-the-catalogue-says)";
    FALLBACK_AFTER: Open<Span> = "fallback_after", SOME,
        "none: a model is waited for to the deadline",
        "how long a full account is waited for before the next model is asked";
    FALLBACK_AFTER_REFUSAL: Setting<Flag> = "fallback_after_refusal", Flag, false,
        "whether the next model is asked after moderation refused the content";
    BREAKER_SHARE: Setting<Real<f64>> = "breaker.share", Real(Bounds::Within(0.0, 1.0)), 0.5,
        "share of failures from which a model rests; 0 switches it off. See [A model that rests](providers.md#a-model-that-rests)";
    // Fewer say nothing: a job alone makes three attempts.
    BREAKER_LEAST: Setting<Whole<u32>> = "breaker.least", Whole(Bounds::Within(2, 10_000)), 5,
        "ends that are too few to judge by";
    BREAKER_WINDOW: Setting<Span> = "breaker.window", SOME, secs(10 * 60),
        "over how long ends are counted";
    BREAKER_REST: Setting<Span> = "breaker.rest", SOME, secs(2 * 60),
        "how long a model rests before one job tries it again";
    // Longer than a model usually takes.
    BREAKER_PROBE: Setting<Span> = "breaker.probe", SOME, secs(30 * 60),
        "how long that job may take before another may try";
}}

/// The account's limits: its tier's, or the operator's own numbers. `local`: a provider on this
/// machine, whose limits are its own to say.
fn limits(r: &mut Reader, local: bool) -> Option<ProviderLimits> {
    let named = r.has(&TIER.key());
    let tier = r.value(&TIER);
    let own_rate = r.given(&MAX_PER_MINUTE);
    let own_concurrency = r.given(&MAX_CONCURRENT);
    if local && !named && own_rate.is_none() && own_concurrency.is_none() {
        return None;
    }
    let (rate, concurrency) = tier.limits();
    Some(ProviderLimits {
        max_per_minute: own_rate.or(NonZeroU32::new(rate))?,
        max_concurrent: own_concurrency.or(NonZeroU32::new(concurrency))?,
    })
}

/// `reachable`: whether the provider can call us, by what is known of the deployment.
pub(super) fn provider(
    r: &mut Reader,
    env: &HashMap<String, String>,
    reachable: bool,
) -> Option<Provider> {
    // The names that WaveSpeed's own tools read serve as well.
    let official = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let base_url = r.given(&BASE_URL).or_else(|| {
        let text = official("WAVESPEED_BASE_URL").unwrap_or_else(|| DEFAULT_URL.into());
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
            .given(&API_KEY)
            .or_else(|| official("WAVESPEED_API_KEY").map(Secret::new)),
        submit_timeout: r.value(&SUBMIT_TIMEOUT),
        poll_min: r.value(&POLL_MIN),
        poll_max: r.value(&POLL_MAX),
        busy_pause: r.value(&BUSY_PAUSE),
        lost_after: r.value(&LOST_AFTER),
        max_resubmissions: r.value(&MAX_RESUBMISSIONS),
        breaker: breaker(r),
        fallback_after: r.given(&FALLBACK_AFTER),
        fallback_after_refusal: r.value(&FALLBACK_AFTER_REFUSAL),
        limits: limits(r, local),
        low_balance: r.given(&LOW_BALANCE),
        callbacks: r.given(&CALLBACKS).unwrap_or(reachable),
        enforce_signature: r.value(&ENFORCE_SIGNATURE),
        webhook_secret: r.given(&WEBHOOK_SECRET),
        catalogue: r.value(&CATALOGUE),
        models: models(r),
    };
    if provider.poll_min > provider.poll_max {
        r.fault(&POLL_MIN.key(), "must not be longer than provider.poll_max");
    }
    Some(provider)
}

/// `provider.breaker.share = 0` switches it off.
fn breaker(r: &mut Reader) -> Option<BreakerRules> {
    let rules = BreakerRules {
        share: r.value(&BREAKER_SHARE),
        least: r.value(&BREAKER_LEAST),
        window: r.value(&BREAKER_WINDOW),
        rest: r.value(&BREAKER_REST),
        probe: r.value(&BREAKER_PROBE),
    };
    (rules.share > 0.0).then_some(rules)
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
