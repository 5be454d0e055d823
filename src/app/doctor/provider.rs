//! Looks at the provider: the key, the balance, the models.

use strum::IntoEnumIterator as _;
use url::Url;

use super::finding::{Finding, Standing};
use crate::app;
use crate::app::provider::{api_key, asking};
use crate::config::Config;
use crate::job::{Kind, Params, Party};
use crate::provider::wavespeed::{CatalogueUse, WaveSpeed};
use crate::provider::{Provider as _, ProviderError, Submission};

pub(super) async fn provider(config: &Config) -> Vec<Finding> {
    const KEY: &str = "set WAVESPEED_API_KEY; keys work after the first top-up";
    if let Err(failure) = api_key(config) {
        return vec![Finding::service("provider", failure.message, KEY)];
    }
    let wavespeed = match asking(config) {
        Ok(wavespeed) => wavespeed,
        Err(failure) => return vec![Finding::service("provider", failure.message, KEY)],
    };
    let mut findings = vec![match wavespeed.balance().await {
        Ok(balance) => {
            let message = format!("the key is accepted, the balance is {balance:.2} USD");
            match config.provider.low_balance {
                Some(low) if balance < low => {
                    Finding::warn("provider", message, "top the account up")
                }
                _ if balance <= 0.0 => Finding::warn("provider", message, "top the account up"),
                _ => Finding::ok("provider", message),
            }
        }
        Err(ProviderError::Unauthorized { message }) => Finding::service("provider", message, KEY),
        Err(error) => {
            let advice = "see whether it can be reached from here, and WaveSpeed's own status";
            return vec![Finding::fail(
                "provider",
                Party::Provider,
                error.to_string(),
                advice,
            )];
        }
    }];
    if findings[0].standing != Standing::Fail {
        findings.push(models(&wavespeed).await);
        findings.push(catalogue(config, &wavespeed).await);
    }
    findings
}

/// What the provider says of its models itself. Nothing needs it, so that it fails no look.
async fn catalogue(config: &Config, wavespeed: &WaveSpeed) -> Finding {
    const NAME: &str = "catalogue";
    if config.provider.catalogue == CatalogueUse::Off {
        return Finding::ok(NAME, "not read: provider.catalogue is off");
    }
    match app::catalogue::compared(wavespeed).await {
        Ok(comparison) if comparison.differing().next().is_none() => {
            Finding::ok(NAME, comparison.summary())
        }
        Ok(comparison) => Finding::warn(
            NAME,
            comparison.summary(),
            "see `filmlab models --live` and docs/providers.md",
        ),
        Err(error) => Finding::warn(
            NAME,
            format!("not read: {error}"),
            "the table alone applies until the provider answers",
        ),
    }
}

/// A price is free to ask for, and only given for a model that is there.
async fn models(wavespeed: &WaveSpeed) -> Finding {
    let mut ids = Vec::new();
    for kind in Kind::iter() {
        let model = wavespeed.model(kind);
        ids.push(model.id.clone());
        // Not to be read: the least a run costs is answer enough.
        let nothing = Url::parse("http://0.0.0.0/").ok();
        let params = Params::parse(kind, &serde_json::json!({"prompt": "x"}))
            .or_else(|_| Params::parse(kind, &serde_json::Value::Null))
            .ok();
        let (Some(video), Some(params)) = (nothing, params) else {
            continue;
        };
        let submission = Submission {
            model: model.id.clone(),
            params,
            // Any: the price is not looked at.
            source_s: 5.0,
            duration: model.duration,
            image: kind.eq(&Kind::CharacterReplace).then(|| video.clone()),
            video,
            callback: None,
        };
        if let Err(error) = wavespeed.price(&submission).await {
            let message = format!("{}: {error}", model.id);
            let advice = "see whether provider.models names a model that WaveSpeed lists";
            return match error {
                ProviderError::NotFound { .. } | ProviderError::Rejected { .. } => {
                    Finding::service("models", message, advice)
                }
                _ => Finding::fail("models", Party::Provider, message, advice),
            };
        }
    }
    Finding::ok("models", ids.join(", "))
}
