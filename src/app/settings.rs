//! Settings as each module wants them.

use std::sync::Arc;
use std::time::Duration;

use super::descriptors;
use crate::config::{self, Config};
use crate::http::{
    ApiToken, CheckMarks, ConnectionLimits, ConsoleSettings, HttpSettings, OidcCheck, Role,
    TasksAuth,
};
use crate::job::{Channel, Code, Failure};
use crate::quarantine::{Quarantine, this_program};
use crate::queue::embedded::Widths;
use crate::worker::{BrandWatermark, Pauses, PlaceLimits, Retention, Settings, mark_faults};

/// How long a visit waits for a media slot before it leaves and comes back.
const SLOT_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A callback of 1 MiB needs 100 KiB a second for it, JSON of 128 KiB needs 13.
const BODY_TIME: Duration = Duration::from_secs(10);

fn brand(config: &Config) -> Vec<BrandWatermark> {
    let layers = config.watermark.iter();
    let layers = layers.map(|layer| BrandWatermark {
        mark: layer.mark.clone(),
        placement: layer.placement.clone(),
    });
    layers.collect()
}

/// A creation is held to what the worker will hold its job to.
pub(super) fn check_marks(config: &Config) -> CheckMarks {
    let (fonts, brand) = (Arc::clone(&config.fonts), brand(config));
    CheckMarks::new(move |layers, words| mark_faults(&fonts, brand.first(), layers, words))
}

pub(super) fn worker(config: &Config) -> Settings {
    let worker = &config.worker;
    Settings {
        lease: worker.lease,
        heartbeat: worker.heartbeat,
        progress_every: Duration::from_secs(2),
        budget: worker.budget,
        watchdog: worker.watchdog,
        attempts: worker.attempts,
        places: places(config),
        pauses: Pauses::default(),
        max_resubmissions: config.provider.max_resubmissions,
        breaker: config.provider.breaker,
        fallback_after: config.provider.fallback_after,
        fallback_after_refusal: config.provider.fallback_after_refusal,
        busy_pause: config.provider.busy_pause,
        provider_limits: config.provider.limits,
        low_balance: config.provider.low_balance,
        lost_after: config.provider.lost_after,
        poll_min: config.provider.poll_min,
        poll_max: config.provider.poll_max,
        media_slots: worker.media_slots,
        media_memory: worker.media_memory,
        quarantine: Quarantine {
            program: worker.program.clone().unwrap_or_else(this_program),
            mode: worker.quarantine,
            max_allocation: config.max_allocation,
        },
        media_slot_patience: SLOT_PATIENCE.min(worker.budget / 2),
        media_time_factor: worker.media_time_factor,
        limits: config.limits.clone(),
        checks: config.verify.checks.clone(),
        audible: config.verify.audible,
        profiles: config.profiles.clone(),
        storyboard: config.storyboard,
        watermark: brand(config),
        fonts: Arc::clone(&config.fonts),
        credits: config.credits.mode,
        cancel_unsaid: config.credits.cancel_unsaid,
        provenance: config.provenance.clone(),
        signer: None,
        prices: config.credits.prices.clone(),
        channel: match &config.notify.webhook_url {
            Some(url) => Channel::Webhook { url: url.clone() },
            None => Channel::Log,
        },
        notify_attempts: config.notify.attempts,
        retention: Retention {
            results: config.retention.results,
            failed: config.retention.failed,
            sources: config.retention.sources,
            work: config.retention.work,
        },
    }
}

/// Where the queue is in this process, who waits for a place costs next to nothing. Another one's
/// tasks are requests that are held open: they are brought again instead.
fn places(config: &Config) -> PlaceLimits {
    let worker = &config.worker;
    let count = |number: std::num::NonZeroU32| number.get() as usize;
    PlaceLimits {
        visits: count(worker.concurrency),
        fetches: count(worker.fetches),
        quotes: count(worker.quotes),
        notices: count(worker.notices),
        share: worker.owner_share,
        waiting: worker.waiting as usize,
        patience: match config.queue {
            config::Queue::Embedded => PlaceLimits::default().patience,
            config::Queue::CloudTasks(_) => Duration::ZERO,
        },
    }
}

/// Deliveries at once from the built-in queue: what is done at once, and what may wait for that.
pub(super) fn widths(config: &Config) -> Widths {
    let worker = &config.worker;
    let waiting = worker.waiting;
    Widths {
        jobs: worker
            .concurrency
            .saturating_add(worker.fetches.get())
            .saturating_add(waiting.saturating_mul(2)),
        notices: worker.notices.saturating_add(waiting),
    }
}

pub(super) fn http(config: &Config, key: &[u8]) -> Result<HttpSettings, Failure> {
    let server = &config.server;
    Ok(HttpSettings {
        api_tokens: server
            .api_tokens
            .iter()
            .map(|known| ApiToken {
                token: known.token.expose().to_owned(),
                owner: known.owner.clone(),
                role: match known.role {
                    config::Role::Editor => Role::Editor,
                    config::Role::Viewer => Role::Viewer,
                },
            })
            .collect(),
        api_open_on_loopback: server.listen.ip().is_loopback(),
        tasks_auth: tasks_auth(&server.tasks_auth)?,
        jobs_api: server.jobs_api,
        default_deadline: server.default_deadline,
        attempts: config.worker.attempts.max(),
        cancel_after_submit: config.credits.cancel_after_submit,
        provenance: config.provenance.clone(),
        label: config.label.clone(),
        max_upload_bytes: server.max_upload_bytes,
        body_time: BODY_TIME,
        max_uploads: server.max_uploads,
        max_uploads_per_owner: server.max_uploads_per_owner,
        max_upload_total: server.max_upload_total,
        behind_proxy: server.public_url.is_some(),
        profiles: config.profiles.keys().cloned().collect(),
        link_ttl: config.links.ttl,
        longest_link: config.links.longest,
        allow_loopback: server.allow_loopback,
        console: console(config, key),
    })
}

fn console(config: &Config, key: &[u8]) -> Option<ConsoleSettings> {
    let console = &config.server.console;
    console.enabled.then(|| ConsoleSettings {
        key: key.to_vec(),
        session: console.session,
        marks: config.watermark.iter().map(|it| it.mark.input()).collect(),
        media_origin: match &config.storage {
            config::Storage::Directory => None,
            config::Storage::Gcs(bucket) => Some(bucket.endpoint.as_ref().map_or_else(
                || "https://storage.googleapis.com".to_owned(),
                |url| url.origin().ascii_serialization(),
            )),
        },
    })
}

/// As many connections as were asked for, and as there are files for.
pub(super) fn connections(config: &Config, files: u64) -> ConnectionLimits {
    let server = &config.server;
    let fit = descriptors::connections(files);
    if fit < server.max_connections {
        tracing::warn!(
            files,
            connections = fit,
            "server.max_connections is lowered: raise the limit of open files (ulimit -n)"
        );
    }
    ConnectionLimits {
        idle: server.idle_timeout,
        ..ConnectionLimits::new(
            server.max_connections.min(fit),
            server.max_connections_per_peer,
        )
    }
}

fn tasks_auth(auth: &config::TasksAuth) -> Result<TasksAuth, Failure> {
    Ok(match auth {
        config::TasksAuth::Closed => TasksAuth::Closed,
        config::TasksAuth::Token(token) => TasksAuth::Token(token.expose().to_owned()),
        config::TasksAuth::Verify {
            audience,
            service_account,
            certs,
        } => {
            let check = OidcCheck::new(audience, service_account, certs.clone())
                .map_err(|error| invalid(&error.to_string()))?;
            TasksAuth::Verify(Arc::new(check))
        }
        config::TasksAuth::Iam {
            service_account, ..
        } => TasksAuth::Platform {
            service_account: service_account.clone(),
        },
    })
}

/// Settings that no service can run with.
pub(super) fn invalid(message: &str) -> Failure {
    Failure::new(Code::InvalidConfig, message)
}
