//! `[notify]`, `[links]` and `[log]`: what users and operators get to see.

use std::time::Duration;

use url::Url;

use super::cloud::Cloud;
use super::platform::Platform;
use super::reader::Reader;
use super::worker::attempts;
use crate::job::attempt::Attempts;
use crate::secret::Secret;
use crate::storage::gcs::{IAM_LONGEST, KEY_LONGEST};
use crate::telemetry::{LogFormat, ServiceName};

#[derive(Debug, Clone)]
pub struct Notify {
    /// For jobs that name no address of their own.
    pub webhook_url: Option<Url>,
    /// `whsec_…`, as Standard Webhooks writes it.
    pub webhook_secret: Option<Secret>,
    pub attempts: Attempts,
    /// The Firebase project of the app whose devices jobs may name.
    pub fcm_project: Option<String>,
    /// Another server than Google's own, for stand-ins.
    pub fcm_endpoint: Option<Url>,
}

#[derive(Debug, Clone)]
pub struct Links {
    pub ttl: Duration,
    /// The longest that the signer keeps.
    pub longest: Duration,
    /// Signs links and callback addresses. Absent: made at the first start and kept.
    pub key: Option<Secret>,
}

#[derive(Debug, Clone)]
pub struct Log {
    /// As `tracing_subscriber::EnvFilter` reads it.
    pub filter: String,
    pub format: LogFormat,
}

pub(super) fn notify(r: &mut Reader) -> Notify {
    let secs = Duration::from_secs;
    Notify {
        webhook_url: r.parse("notify.webhook_url"),
        webhook_secret: r.get("notify.webhook_secret"),
        // Standard Webhooks advises to go on for about a day.
        attempts: attempts(r, "notify", 12, secs(5), secs(4 * 3600)),
        fcm_project: r.get("notify.fcm_project"),
        fcm_endpoint: r.parse("notify.fcm_endpoint"),
    }
}

/// `shared`: whether several instances sign and check the same links and callbacks. `by_bucket`:
/// whether Google signs the links.
pub(super) fn links(r: &mut Reader, cloud: &Cloud, shared: bool, by_bucket: bool) -> Links {
    let (longest, words) = if by_bucket && cloud.credentials.is_none() {
        (
            IAM_LONGEST,
            "12 hours, since Google rotates the keys it signs with",
        )
    } else {
        (KEY_LONGEST, "7 days")
    };
    let links = Links {
        ttl: r.duration("links.ttl", Duration::from_secs(3600)),
        longest,
        key: r.get("links.key"),
    };
    if links.ttl.is_zero() || links.ttl > longest {
        r.fault(
            "links.ttl",
            format!("must be longer than 0 and at most {words}"),
        );
    }
    match &links.key {
        None if shared => r.fault(
            "links.key",
            "is required where instances share jobs: all of them must know the same",
        ),
        Some(key) if key.expose().len() < 16 => {
            r.fault("links.key", "must have at least 16 characters");
        }
        _ => {}
    }
    links
}

pub(super) fn log(r: &mut Reader, cloud: &Cloud, platform: &Platform) -> Log {
    let default = if platform.service.is_some() {
        "cloud"
    } else {
        "text"
    };
    let word = r.get_or("log.format", default.to_owned());
    let format = match word.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        "cloud" => LogFormat::Cloud(ServiceName {
            project: cloud.project.clone(),
            service: platform.service.clone().unwrap_or_else(|| "filmlab".into()),
            version: platform
                .revision
                .clone()
                .unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()),
        }),
        other => {
            r.fault(
                "log.format",
                format!("“{other}” is not one of text, json, cloud"),
            );
            LogFormat::Text
        }
    };
    let log = Log {
        filter: r.get_or("log.filter", "info".to_owned()),
        format,
    };
    if log
        .filter
        .parse::<tracing_subscriber::filter::Targets>()
        .is_err()
    {
        r.fault(
            "log.filter",
            format!(
                "“{}” is not a log filter such as info or filmlab=debug",
                log.filter
            ),
        );
    }
    log
}
