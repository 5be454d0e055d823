//! Looks at everything a service needs, changes nothing, and says what to do.
//!
//! What it has to write (one object, one mark in the ledger) goes away again, also when the look
//! runs out of time. On a machine that never ran a service, its files are tried in a folder that
//! goes away too.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use strum::{IntoEnumIterator as _, IntoStaticStr};
use url::Url;

use super::adapters::{self, Objects};
use super::{api_key, keys, wavespeed};
use crate::clock::SharedClock;
use crate::config::{self, Config};
use crate::job::{Code, Failure, Kind, Params, Party};
use crate::ledger::{JobQuery, Ledger};
use crate::media;
use crate::outgoing;
use crate::provider::wavespeed::WaveSpeed;
use crate::provider::{Provider, ProviderError, Submission};
use crate::storage::SignedLink;

/// For each look; the slowest asks a cloud a few times.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Work files of a few long videos at once.
const SPACE_WARN: u64 = 10 << 30;
/// One long video's do not fit.
const SPACE_FAIL: u64 = 1 << 30;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Standing {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub standing: Standing,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
    /// Who can mend it; for failures only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
}

impl Finding {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            standing: Standing::Ok,
            message: message.into(),
            advice: None,
            party: None,
        }
    }

    fn warn(name: &'static str, message: impl Into<String>, advice: &'static str) -> Self {
        Self {
            standing: Standing::Warn,
            advice: Some(advice),
            ..Self::ok(name, message)
        }
    }

    fn fail(
        name: &'static str,
        party: Party,
        message: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            standing: Standing::Fail,
            party: Some(party),
            advice: Some(advice),
            ..Self::ok(name, message)
        }
    }

    fn service(name: &'static str, error: impl std::fmt::Display, advice: &'static str) -> Self {
        Self::fail(name, Party::Service, error.to_string(), advice)
    }
}

/// Looks at all of it. The settings have been read: their faults are the caller's to tell.
pub async fn examine(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "read, no faults")];
    findings.extend(libav());
    let home = match Home::of(config) {
        Ok(home) => home,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    let config = &home.config;
    findings.push(disk(&config.data_dir));
    let (ledger, queue, storage, provider) = tokio::join!(
        timed("ledger", ledger(config, clock)),
        timed("queue", queue(config, clock)),
        timed("storage", storage(config, clock)),
        timed("provider", provider(config)),
    );
    findings.extend(ledger);
    findings.extend(queue);
    findings.extend(storage);
    findings.extend(provider);
    findings.extend(timed("notify", notify(config, clock)).await);
    findings
}

async fn timed(name: &'static str, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(TIMEOUT, look)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no answer within {} s", TIMEOUT.as_secs());
            vec![Finding::service(
                name,
                message,
                "see whether it runs and can be reached from here",
            )]
        })
}

/// Where a service of this machine has its files, or a stand-in that goes away.
struct Home {
    config: Config,
    _passing: Option<tempfile::TempDir>,
}

impl Home {
    fn of(config: &Config) -> Result<Self, Finding> {
        let mut config = config.clone();
        if config.data_dir.join("filmlab.sqlite").exists() {
            return Ok(Self {
                config,
                _passing: None,
            });
        }
        let unusable = |error: std::io::Error| {
            let message = format!("{}: {error}", config.data_dir.display());
            Finding::service(
                "data",
                message,
                "name a folder that can be written, data.dir",
            )
        };
        let here = std::path::absolute(&config.data_dir).map_err(unusable)?;
        let near: PathBuf = here
            .ancestors()
            .find(|folder| folder.exists())
            .map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
        let passing = tempfile::Builder::new()
            .prefix(".filmlab-doctor-")
            .tempdir_in(near)
            .map_err(unusable)?;
        config.data_dir = passing.path().to_owned();
        Ok(Self {
            config,
            _passing: Some(passing),
        })
    }
}

fn libav() -> Vec<Finding> {
    const BUILD: &str = "link FFmpeg as scripts/vendor.sh builds it";
    let build = media::build_info();
    let versions = format!(
        "FFmpeg {}: libavformat {}, libavcodec {}, libavfilter {}; {}",
        build.ffmpeg, build.libavformat, build.libavcodec, build.libavfilter, build.license
    );
    let mut findings = vec![match media::init() {
        Ok(()) => Finding::ok("libav", versions),
        Err(error) => Finding::service("libav", error.message, BUILD),
    }];
    if !build.missing.is_empty() {
        findings.push(Finding::warn(
            "libav parts",
            format!("without {}", build.missing.join(", ")),
            "videos that need them are refused; link a fuller FFmpeg to take them",
        ));
    }
    findings.push(if build.zscale {
        Finding::ok("HDR", "zscale and tonemap are there")
    } else {
        Finding::warn(
            "HDR",
            "zscale or tonemap is missing",
            "HDR videos are refused; link FFmpeg with libzimg to take them",
        )
    });
    findings
}

fn disk(folder: &Path) -> Finding {
    const ADVICE: &str = "make room, or name another folder, data.dir";
    match rustix::fs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let message = format!("{} free for work files", bytesize::ByteSize(free));
            match free {
                ..SPACE_FAIL => Finding::service("disk", message, ADVICE),
                SPACE_FAIL..SPACE_WARN => Finding::warn("disk", message, ADVICE),
                _ => Finding::ok("disk", message),
            }
        }
        Err(error) => Finding::service("disk", error, ADVICE),
    }
}

async fn ledger(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see docs/deploy.md on the database and the account's roles";
    let ledger = match adapters::ledger(config).await {
        Ok(ledger) => ledger,
        Err(failure) => return vec![Finding::service("ledger", failure.message, ADVICE)],
    };
    if let Err(error) = ledger.ping().await {
        return vec![Finding::service("ledger", error, ADVICE)];
    }
    let name = match &config.ledger {
        config::Ledger::Sqlite => "SQLite answers".to_owned(),
        config::Ledger::Firestore(database) => {
            format!("Firestore answers, project {}", database.project)
        }
    };
    let mut findings = vec![Finding::ok("ledger", name)];
    findings.push(written(ledger.as_ref(), clock).await);
    findings.extend(lists(ledger.as_ref()).await);
    findings
}

/// Whether it takes a write: a full disk, or an account that may only read, answers reads.
async fn written(ledger: &dyn Ledger, clock: &SharedClock) -> Finding {
    const ADVICE: &str = "make room, see whether the file may be written, or the account's roles";
    let mark = format!("doctor-{}", ulid::Ulid::new().to_string().to_lowercase());
    // Within the look's own time, so that what was written can be removed afterwards.
    let tried = ledger.mark(&mark, clock.now());
    let tried = tokio::time::timeout(TIMEOUT / 2, tried).await;
    let removed = ledger.unmark(&mark).await;
    match (tried, removed) {
        (Ok(Ok(())), Ok(())) => Finding::ok("ledger writes", "a mark was written and removed"),
        (Ok(Err(error)), _) | (_, Err(error)) => Finding::service("ledger writes", error, ADVICE),
        (Err(_), _) => Finding::service("ledger writes", "a mark took too long", ADVICE),
    }
}

/// The queries that need an index of their own.
async fn lists(ledger: &dyn Ledger) -> Option<Finding> {
    let page = JobQuery {
        limit: 1,
        ..JobQuery::default()
    };
    let queries = [
        JobQuery {
            owner: "doctor".parse().ok(),
            ..page.clone()
        },
        JobQuery {
            status: Some(crate::job::Status::Queued),
            ..page.clone()
        },
        JobQuery {
            kind: Some(Kind::Extend),
            ..page
        },
    ];
    for query in &queries {
        if let Err(error) = ledger.list(query).await {
            return Some(Finding::service(
                "ledger indexes",
                error,
                "deploy firestore.indexes.json",
            ));
        }
    }
    Some(Finding::ok(
        "ledger indexes",
        "jobs can be listed by owner, status and kind",
    ))
}

/// Nobody is called there: it stands for the address of a service that does not run.
fn nowhere(config: &Config) -> Result<Url, Failure> {
    match &config.server.public_url {
        Some(url) => Ok(url.clone()),
        None => super::own_address(config.server.listen),
    }
}

async fn queue(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see docs/deploy.md on the queue and the account's roles";
    let look = async {
        let access = adapters::access(config).await?;
        let public_url = nowhere(config)?;
        let (queue, embedded) = adapters::queue(config, &public_url, access.as_ref(), clock)?;
        queue
            .ping()
            .await
            .map_err(|error| Failure::new(Code::QueueUnavailable, error.to_string()))?;
        Ok::<_, Failure>(embedded.is_some())
    };
    vec![match look.await {
        Ok(true) => Finding::ok("queue", "built in, and answers"),
        Ok(false) => Finding::ok("queue", "Cloud Tasks answers"),
        Err(failure) => Finding::service("queue", failure.message, ADVICE),
    }]
}

async fn storage(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see whether the bucket or folder exists and may be written";
    let opened = async {
        let access = adapters::access(config).await?;
        let key = key(config).await?;
        adapters::storage(config, &nowhere(config)?, &key, access.as_ref(), clock).await
    };
    let objects = match opened.await {
        Ok(objects) => objects,
        Err(failure) => return vec![Finding::service("storage", failure.message, ADVICE)],
    };
    let object = format!("work/doctor/{}", ulid::Ulid::new());
    // Within the look's own time, so that what was written can be deleted afterwards.
    let tried = tokio::time::timeout(TIMEOUT * 3 / 4, try_object(&objects, &object, clock)).await;
    let deleted = objects.0.delete(&object).await;
    let mut findings = vec![match tried {
        Ok(Ok(())) => Finding::ok(
            "storage",
            "an object was written, read and opened by its link",
        ),
        Ok(Err(what)) => Finding::service("storage", what, ADVICE),
        Err(_) => Finding::service("storage", "an object took too long", ADVICE),
    }];
    if let Err(error) = deleted {
        let message = format!("{object} could not be deleted: {error}");
        findings.push(Finding::service("storage deletion", message, ADVICE));
    }
    findings
}

async fn key(config: &Config) -> Result<Vec<u8>, Failure> {
    match &config.links.key {
        Some(key) => Ok(key.expose().as_bytes().to_vec()),
        None if config.data_dir.join("secret.key").exists() => {
            keys::load_or_make(&config.data_dir.join("secret.key")).await
        }
        // It is made at the first start; this one signs a single link.
        None => Ok(ulid::Ulid::new().to_string().into_bytes().repeat(2)),
    }
}

async fn try_object(
    (storage, links): &Objects,
    object: &str,
    clock: &SharedClock,
) -> Result<(), String> {
    const CONTENT: &[u8] = b"filmlab doctor";
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    storage
        .put_bytes(CONTENT.into(), object)
        .await
        .map_err(|error| said("writing", &error))?;
    let info = storage.head(object).await;
    let info = info.map_err(|error| said("reading", &error))?;
    if info.bytes != CONTENT.len() as u64 {
        return Err(format!(
            "{} bytes were written, {} read",
            CONTENT.len(),
            info.bytes
        ));
    }
    let link = storage
        .link(object, Duration::from_secs(60), None)
        .await
        .map_err(|error| said("signing a link", &error))?;
    let Some(links) = links else {
        return open(&link, CONTENT).await;
    };
    let query = |name: &str| {
        let mut pairs = link.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let (Some(expires), Some(signature)) = (query("exp"), query("sig")) else {
        return Err("the link is incomplete".into());
    };
    let signed = SignedLink {
        object,
        expires_at_s: expires
            .parse()
            .map_err(|_| "the link has no end".to_owned())?,
        name: None,
        signature: &signature,
    };
    links
        .verify(&signed, clock.now())
        .map_err(|refused| said("the link", &refused))
}

/// Fetches what a link of the bucket leads to.
async fn open(link: &Url, expected: &[u8]) -> Result<(), String> {
    let local = config::is_loopback(link);
    let client = outgoing::client(&outgoing::OutgoingRules {
        allow_loopback: local,
        ..outgoing::OutgoingRules::default()
    });
    let fetch = async {
        let response = client.build()?.get(link.clone()).send().await?;
        response.error_for_status()?.bytes().await
    };
    match fetch.await {
        Ok(bytes) if bytes == expected => Ok(()),
        Ok(_) => Err("the link opens something else".into()),
        Err(error) => Err(format!("opening the link: {}", error.without_url())),
    }
}

async fn provider(config: &Config) -> Vec<Finding> {
    const KEY: &str = "set WAVESPEED_API_KEY; keys work after the first top-up";
    if let Err(failure) = api_key(config) {
        return vec![Finding::service("provider", failure.message, KEY)];
    }
    // Signatures are checked by whoever is called back.
    let mut config = config.clone();
    config.provider.enforce_signature = false;
    let config = &config;
    let built = nowhere(config).and_then(|url| wavespeed(config, &url, &[0; 32], None));
    let wavespeed = match built {
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
    }
    findings
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

async fn notify(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see the [notify] settings";
    let look = async {
        let access = adapters::access(config).await?;
        let secret = match &config.notify.webhook_secret {
            Some(secret) => secret.expose().to_owned(),
            None => keys::webhook_secret(&key(config).await?),
        };
        adapters::notifiers(config, &secret, access.as_ref(), clock).map(drop)
    };
    if let Err(failure) = look.await {
        return vec![Finding::service("notify", failure.message, ADVICE)];
    }
    let Some(url) = &config.notify.webhook_url else {
        return vec![Finding::ok("notify", "to the log, or where a job says")];
    };
    vec![
        match outgoing::check_url(url, config.server.allow_loopback) {
            Ok(()) => Finding::ok(
                "notify",
                format!("to {}", url.origin().ascii_serialization()),
            ),
            Err(refused) => Finding::service("notify", refused, ADVICE),
        },
    ]
}
