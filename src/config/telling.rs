//! `[notify]`, `[links]` and `[log]`: what users and operators get to see.

use std::time::Duration;

use url::Url;

use super::cloud::Cloud;
use super::hidden::{Hidden, Unguessed};
use super::platform::Platform;
use super::provider::is_loopback;
use super::reader::Reader;
use super::table::{Keyed as _, Open, Setting, settings};
use super::worker::{attempts, secs};
use crate::fields::{Bounds, Form, OneOf, Parsed, Real, Span, Text, Whole};
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
    /// The one before: notices carry its signature too.
    pub webhook_old_secret: Option<Secret>,
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
    /// The one before: what it signed is still taken.
    pub old_key: Option<Secret>,
}

#[derive(Debug, Clone)]
pub struct Log {
    /// As `tracing_subscriber::EnvFilter` reads it.
    pub filter: String,
    pub format: LogFormat,
}

settings! { NOTIFY of "notify" {
    WEBHOOK_URL: Open<Parsed<Url>> = "webhook_url", Parsed::new("address"),
        "none: notices go to the log", "where notices go if the job names no address";
    WEBHOOK_SECRET: Open<Hidden> = "webhook_secret", Hidden,
        "derived from `links.key`, and shown nowhere",
        "signs webhooks: `whsec_` and the base64 of 24 to 64 bytes. Set it, so that receivers can check the signature";
    WEBHOOK_OLD_SECRET: Open<Hidden> = "webhook_old_secret", Hidden, "none",
        "the secret before: webhooks are signed with it too, [while it is being changed](operations.md#changing-keys-and-tokens)";
    // Standard Webhooks advises to go on for about a day.
    ATTEMPTS: Setting<Whole<u32>> = "attempts", Whole(Bounds::AtLeast(1)), 12,
        "deliveries of a notice";
    BACKOFF_MIN: Setting<Span> = "backoff_min", Span(Bounds::Any), secs(5),
        "shortest pause between them";
    BACKOFF_MAX: Setting<Span> = "backoff_max", Span(Bounds::Any), secs(4 * 3600),
        "longest pause between them";
    FCM_PROJECT: Open<Text> = "fcm_project", Text("text"), "none",
        "the Firebase project of the app whose devices jobs may name";
    FCM_ENDPOINT: Open<Parsed<Url>> = "fcm_endpoint", Parsed::new("address"), "Google's",
        "another server, for stand-ins";
}}

settings! { LINKS of "links" {
    TTL: Setting<Span> = "ttl", Span(Bounds::Any), secs(3600),
        "life of a link; longer than 0, and 7 days at most, 12 h if Google signs without a key file";
    KEY: Open<Unguessed> = "key", Unguessed, "made at the first start and kept",
        "signs links and callback addresses. Required if instances share jobs";
    OLD_KEY: Open<Unguessed> = "old_key", Unguessed, "the file `secret.key.old`, if it is there",
        "the key before: what it signed is still taken, [while it is being changed](operations.md#changing-keys-and-tokens)";
}}

settings! { LOG of "log" {
    FILTER: Open<Filter> = "filter", Filter, "`info`",
        "what is written, for example `info` or `filmlab=debug`";
    FORMAT: Open<OneOf> = "format", OneOf(&["text", "json", "cloud"]),
        "`text`; on Cloud Run `cloud`", "how it is written";
}}

pub(super) fn notify(r: &mut Reader) -> Notify {
    Notify {
        webhook_url: r.given(&WEBHOOK_URL),
        webhook_secret: r.given(&WEBHOOK_SECRET),
        webhook_old_secret: r.given(&WEBHOOK_OLD_SECRET),
        attempts: attempts(r, &ATTEMPTS, &BACKOFF_MIN, &BACKOFF_MAX),
        fcm_project: r.given(&FCM_PROJECT),
        fcm_endpoint: r.given(&FCM_ENDPOINT),
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
        ttl: r.value(&TTL),
        longest,
        key: r.given(&KEY),
        old_key: r.given(&OLD_KEY),
    };
    if links.ttl.is_zero() || links.ttl > longest {
        r.fault(
            &TTL.key(),
            format!("must be longer than 0 and at most {words}"),
        );
    }
    if shared && links.key.is_none() && !r.is_faulty(&KEY.key()) {
        r.fault(
            &KEY.key(),
            "is required where instances share jobs: all of them must know the same",
        );
    }
    links
}

/// `[telemetry]`: where traces go.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// A receiver of OTLP over HTTP, without `/v1/traces`. Absent: nothing is exported.
    pub endpoint: Option<Url>,
    /// The whole value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// The share of jobs that are traced, from 0 to 1.
    pub share: f64,
}

settings! { TELEMETRY of "telemetry" {
    ENDPOINT: Open<Parsed<Url>> = "endpoint", Parsed::new("address"), "none: nothing is sent",
        "a receiver of OTLP over HTTP, without `/v1/traces`";
    AUTHORIZATION: Open<Hidden> = "authorization", Hidden, "none",
        "the whole value of the `Authorization` header; needs https, but on this machine";
    SHARE: Setting<Real<f64>> = "share", Real(Bounds::Within(0.0, 1.0)), 1.0,
        "the share of jobs that are traced";
}}

pub(super) fn telemetry(r: &mut Reader) -> Telemetry {
    let telemetry = Telemetry {
        endpoint: r.given(&ENDPOINT),
        authorization: r.given(&AUTHORIZATION),
        share: r.value(&SHARE),
    };
    match &telemetry.endpoint {
        Some(url) if !matches!(url.scheme(), "http" | "https") || url.query().is_some() => {
            r.fault(
                &ENDPOINT.key(),
                "must be an address with http or https and no query",
            );
        }
        Some(url)
            if telemetry.authorization.is_some() && url.scheme() == "http" && !is_loopback(url) =>
        {
            let message = "would be sent in the clear: telemetry.endpoint needs https";
            r.fault(&AUTHORIZATION.key(), message);
        }
        _ => {}
    }
    telemetry
}

pub(super) fn log(r: &mut Reader, cloud: &Cloud, platform: &Platform) -> Log {
    let format = r.given(&FORMAT).unwrap_or(match platform.service {
        Some(_) => "cloud",
        None => "text",
    });
    let format = match format {
        "json" => LogFormat::Json,
        "cloud" => LogFormat::Cloud(ServiceName {
            project: cloud.project.clone(),
            service: platform.service.clone().unwrap_or_else(|| "filmlab".into()),
            version: platform
                .revision
                .clone()
                .unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()),
        }),
        _ => LogFormat::Text,
    };
    Log {
        filter: r.given(&FILTER).unwrap_or_else(|| "info".to_owned()),
        format,
    }
}

/// What `tracing_subscriber` reads.
#[derive(Debug)]
pub(super) struct Filter;

impl Form for Filter {
    type Value = String;

    fn of_text(&self, text: &str) -> Result<String, String> {
        match text.parse::<tracing_subscriber::filter::Targets>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(format!(
                "“{text}” is not a log filter such as info or filmlab=debug"
            )),
        }
    }

    fn takes(&self) -> String {
        "log filter".to_owned()
    }

    fn shown(&self, value: &String) -> String {
        format!("`{value}`")
    }
}
