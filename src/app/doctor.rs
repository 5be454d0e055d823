//! Looks at everything a service needs, changes nothing, and says what to do.
//!
//! What it has to write (one object, one mark in the ledger) goes away again, also when the look
//! runs out of time. On a machine that never ran a service, its files are tried in a folder that
//! goes away too.

mod callbacks;
pub mod cloud;
mod finding;
mod provider;
mod signing;
mod stores;

use std::future::Future;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::adapters;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::media;
use crate::outgoing;
use callbacks::callbacks;
pub use cloud::{examine_cloud, is_cloud};
pub use finding::{Finding, Standing};
use provider::provider;
use stores::{TIMEOUT, keys, ledger, queue, storage};

/// Work files of a few long videos at once.
const SPACE_WARN: u64 = 10 << 30;
/// One long video's do not fit.
const SPACE_FAIL: u64 = 1 << 30;

/// Looks at all of it. The settings have been read: their faults are the caller's to tell. Once it
/// is to `stop`, only the looks that write something are seen to their ends, which remove it.
pub async fn examine(
    config: &Config,
    clock: &SharedClock,
    stop: &CancellationToken,
) -> Vec<Finding> {
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
        unless(stop, timed("queue", queue(config, clock))),
        timed("storage", storage(config, clock)),
        unless(stop, timed("provider", provider(config))),
    );
    findings.extend(ledger);
    findings.extend(queue);
    findings.extend(storage);
    findings.extend(provider);
    let signing = timed("signing", signing::signing(config, clock));
    findings.extend(Box::pin(unless(stop, signing)).await);
    findings.extend(Box::pin(unless(stop, timed("callbacks", callbacks(config)))).await);
    findings.extend(Box::pin(unless(stop, timed("notify", notify(config, clock)))).await);
    findings
}

/// A look that leaves nothing behind, broken off once it is to stop.
async fn unless(
    stop: &CancellationToken,
    look: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    stop.run_until_cancelled(look).await.unwrap_or_default()
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

async fn notify(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see the [notify] settings";
    let look = async {
        let access = adapters::access(config).await?;
        let keys = keys(config).await?;
        adapters::notifiers(config, &keys, access.as_ref(), clock).map(drop)
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
