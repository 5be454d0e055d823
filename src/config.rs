//! Settings: defaults, then a TOML file, then the environment (`FILMLAB_SECTION__KEY`).
//!
//! Reading them binds no port and opens no store, and tells every fault at once.

mod reader;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, File, FileFormat};
use url::Url;

use crate::job::attempt::Attempts;
use crate::job::credits::{CancelAfterSubmit, CreditsMode, Price};
use crate::job::{Kind, Owner, PriceTable, WatermarkSpec};
use crate::media::{Limits, Profile};
use crate::provider::wavespeed::{ModelOverrides, ModelTable};

pub use reader::ConfigFault;
use reader::Reader;

/// Everything the composition root needs to build a service.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    /// The SQLite file, the objects and the work files of a single machine.
    pub data_dir: PathBuf,
    pub provider: Provider,
    pub worker: Worker,
    pub credits: Credits,
    pub watermark: Option<Watermark>,
    pub profiles: BTreeMap<String, Profile>,
    pub limits: Limits,
    pub notify: Notify,
    pub links: Links,
    pub log: Log,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// Where callers and, if it can be reached, the provider find us.
    pub public_url: Option<Url>,
    pub api_tokens: Vec<ApiToken>,
    /// Guards `/tasks/…`; without it those routes are closed.
    pub task_token: Option<Secret>,
    pub jobs_api: bool,
    pub max_upload_bytes: u64,
    pub default_deadline: Duration,
    /// Whether sources and webhooks may lie on this machine.
    pub allow_loopback: bool,
}

/// A caller of the jobs API.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    pub token: Secret,
    /// Whose jobs it sees; absent: everybody's.
    pub owner: Option<Owner>,
}

#[derive(Debug, Clone)]
pub struct Provider {
    pub base_url: Url,
    pub api_key: Option<Secret>,
    pub submit_timeout: Duration,
    pub poll_min: Duration,
    pub poll_max: Duration,
    pub busy_pause: Duration,
    pub max_resubmissions: u32,
    pub callbacks: bool,
    /// Whether a callback's signature decides (`enforce`) or is only looked at (`log`).
    pub enforce_signature: bool,
    pub webhook_secret: Option<Secret>,
    /// Who makes each kind: the documented defaults, and what the settings say otherwise.
    pub models: ModelTable,
}

#[derive(Debug, Clone)]
pub struct Worker {
    pub lease: Duration,
    pub heartbeat: Duration,
    pub budget: Duration,
    pub attempts: Attempts,
    pub media_slots: usize,
    pub media_time_factor: f64,
    /// Visits at once.
    pub concurrency: NonZeroU32,
    pub sweep_every: Duration,
}

#[derive(Debug, Clone)]
pub struct Credits {
    pub mode: CreditsMode,
    pub cancel_after_submit: CancelAfterSubmit,
    pub prices: PriceTable,
}

#[derive(Debug, Clone)]
pub struct Watermark {
    pub image: PathBuf,
    pub spec: WatermarkSpec,
}

#[derive(Debug, Clone)]
pub struct Notify {
    /// For jobs that name no address of their own.
    pub webhook_url: Option<Url>,
    /// `whsec_…`, as Standard Webhooks writes it.
    pub webhook_secret: Option<Secret>,
    pub attempts: Attempts,
}

#[derive(Debug, Clone)]
pub struct Links {
    pub ttl: Duration,
    /// Signs links and callback addresses. Absent: made at the first start and kept.
    pub key: Option<Secret>,
}

#[derive(Debug, Clone)]
pub struct Log {
    /// As `tracing_subscriber::EnvFilter` reads it.
    pub filter: String,
    pub json: bool,
}

/// Text that never shows in logs.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where settings come from. Tests fill it without touching the process's environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file that was asked for: it must exist.
    pub file: Option<PathBuf>,
    /// Leave [`DEFAULT_FILE`] alone.
    pub no_default_file: bool,
    pub env: HashMap<String, String>,
}

impl Sources {
    /// The process's environment.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_env(file: Option<PathBuf>) -> Self {
        Self {
            file,
            no_default_file: false,
            env: std::env::vars().collect(),
        }
    }
}

/// The file that is read where none is named, if it is there.
pub const DEFAULT_FILE: &str = "filmlab.toml";

impl Config {
    /// Reads and checks everything.
    pub fn load(sources: &Sources) -> Result<Self, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let merged = merge(sources, &mut faults);
        let mut reader = Reader::new(merged, faults);
        let config = read(&mut reader, &sources.env);
        let faults = reader.finish();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }
}

fn merge(sources: &Sources, faults: &mut Vec<ConfigFault>) -> config::Config {
    // `__` marks a setting; other FILMLAB_ names are not ours to judge.
    let env = sources
        .env
        .iter()
        .filter(|(name, _)| name.starts_with("FILMLAB_") && name.contains("__"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let env = Environment::with_prefix("FILMLAB")
        .prefix_separator("_")
        .separator("__")
        .source(Some(env));
    let mut builder = config::Config::builder();
    let path = match &sources.file {
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from(DEFAULT_FILE))
            .filter(|path| !sources.no_default_file && path.exists()),
    };
    if let Some(path) = &path {
        match std::fs::read_to_string(path) {
            Ok(text) => builder = builder.add_source(File::from_str(&text, FileFormat::Toml)),
            Err(error) => faults.push(fault(path, error.to_string())),
        }
    }
    match builder.add_source(env.clone()).build() {
        Ok(merged) => merged,
        Err(error) => {
            let place = path.unwrap_or_else(|| PathBuf::from("environment"));
            faults.push(fault(&place, error.to_string()));
            config::Config::builder()
                .add_source(env)
                .build()
                .unwrap_or_default()
        }
    }
}

fn fault(path: &Path, message: String) -> ConfigFault {
    ConfigFault {
        key: path.display().to_string(),
        message,
    }
}

/// The settings; `None` where a fault left a hole that no default can fill.
fn read(r: &mut Reader, env: &HashMap<String, String>) -> Option<Config> {
    let secs = Duration::from_secs;
    let server = Server {
        listen: r
            .parse("server.listen")
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
        public_url: r.parse("server.public_url"),
        api_tokens: api_tokens(r),
        task_token: r.get("server.task_token"),
        jobs_api: r.get_or("server.jobs_api", true),
        max_upload_bytes: r.bytes("server.max_upload", 2 << 30),
        default_deadline: r.duration("server.default_deadline", secs(2 * 3600)),
        allow_loopback: r.get_or("server.allow_loopback", false),
    };
    let data_dir = r.get_or("data.dir", PathBuf::from("var/filmlab"));
    let provider = provider(r, env);
    let worker = worker(r);
    if !server.listen.ip().is_loopback() && server.jobs_api && server.api_tokens.is_empty() {
        r.fault(
            "server.api_tokens",
            "must be set where others than this machine can reach the jobs API",
        );
    }
    let credits = Credits {
        mode: r.word("credits.mode", CreditsMode::Off),
        cancel_after_submit: r.word("credits.cancel_after_submit", CancelAfterSubmit::Release),
        prices: prices(r),
    };
    let watermark = watermark(r);
    let profiles = profiles(r);
    let limits = limits(r);
    let notify = Notify {
        webhook_url: r.parse("notify.webhook_url"),
        webhook_secret: r.get("notify.webhook_secret"),
        // Standard Webhooks advises to go on for about a day.
        attempts: attempts(r, "notify", 12, secs(5), secs(4 * 3600)),
    };
    let links = Links {
        ttl: r.duration("links.ttl", secs(3600)),
        key: r.get("links.key"),
    };
    if links.ttl.is_zero() || links.ttl > secs(7 * 24 * 3600) {
        r.fault("links.ttl", "must be longer than 0 and at most 7 days");
    }
    let log = Log {
        filter: r.get_or("log.filter", "info".to_owned()),
        json: r.get_or("log.json", false),
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
    let provider = provider?;
    Some(Config {
        server,
        data_dir,
        provider,
        worker,
        credits,
        watermark,
        profiles,
        limits,
        notify,
        links,
        log,
    })
}

fn api_tokens(r: &mut Reader) -> Vec<ApiToken> {
    let mut tokens: Vec<ApiToken> = r.get_or("server.api_tokens", Vec::new());
    // A list does not fit into an environment variable; one token does.
    if let Some(token) = r.get("server.api_token") {
        tokens.push(ApiToken { token, owner: None });
    }
    if tokens.iter().any(|known| known.token.reveal().len() < 16) {
        r.fault(
            "server.api_tokens",
            "a token must have at least 16 characters",
        );
    }
    tokens
}

fn provider(r: &mut Reader, env: &HashMap<String, String>) -> Option<Provider> {
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
            .or_else(|| official("WAVESPEED_API_KEY").map(Secret)),
        submit_timeout: r.duration("provider.submit_timeout", secs(60)),
        // WaveSpeed asks for 5 s or more between two looks at a video.
        poll_min: r.duration("provider.poll_min", secs(5)),
        poll_max: r.duration("provider.poll_max", secs(60)),
        busy_pause: r.duration("provider.busy_pause", secs(30)),
        max_resubmissions: r.get_or("provider.max_resubmissions", 1),
        callbacks: r.get_or("provider.callbacks", true),
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

/// Most visits wait for the network: more of them than cores is right, and a bound all the same.
const VISITS: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);

fn worker(r: &mut Reader) -> Worker {
    let secs = Duration::from_secs;
    let worker = Worker {
        lease: r.duration("worker.lease", secs(60)),
        heartbeat: r.duration("worker.heartbeat", secs(15)),
        budget: r.duration("worker.budget", secs(25 * 60)),
        attempts: attempts(r, "worker", 3, secs(5), secs(300)),
        media_slots: r.get_or("worker.media_slots", default_slots()),
        media_time_factor: r.get_or("worker.media_time_factor", 2.0),
        concurrency: r.get_or("worker.concurrency", VISITS),
        sweep_every: r.duration("worker.sweep_every", secs(30)),
    };
    if worker.heartbeat.is_zero() || worker.lease < worker.heartbeat * 3 {
        r.fault(
            "worker.lease",
            "must be at least three heartbeats, and those longer than 0",
        );
    }
    if worker.media_slots == 0 {
        r.fault("worker.media_slots", "must be at least 1");
    }
    if !(worker.media_time_factor > 0.0 && worker.media_time_factor.is_finite()) {
        r.fault("worker.media_time_factor", "must be a number above 0");
    }
    if worker.sweep_every.is_zero() {
        r.fault("worker.sweep_every", "must be longer than 0");
    }
    worker
}

/// One pass keeps two cores busy: half as many passes as cores.
fn default_slots() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

fn attempts(r: &mut Reader, section: &str, max: u32, min: Duration, cap: Duration) -> Attempts {
    let max = r.get_or(&format!("{section}.attempts"), max);
    let min = r.duration(&format!("{section}.backoff_min"), min);
    let cap = r.duration(&format!("{section}.backoff_max"), cap);
    Attempts::try_new(max, min, cap).unwrap_or_else(|error| {
        r.fault(&format!("{section}.attempts"), error.to_string());
        Attempts::default()
    })
}

fn prices(r: &mut Reader) -> PriceTable {
    let mut prices = PriceTable::default();
    for name in r.tables("credits.prices") {
        let key = format!("credits.prices.{name}");
        match name.parse::<Kind>() {
            Ok(kind) => {
                if let Some(price) = r.get::<Price>(&key) {
                    if price
                        .per_second
                        .values()
                        .any(|rate| !rate.is_finite() || *rate < 0.0)
                    {
                        r.fault(&key, "a price must not be negative");
                    }
                    prices.0.insert(kind, price);
                }
            }
            Err(_) => r.fault(&key, "is not a kind of job"),
        }
    }
    prices
}

fn watermark(r: &mut Reader) -> Option<Watermark> {
    let image: Option<PathBuf> = r.get("watermark.image");
    let spec = WatermarkSpec {
        image: None,
        anchor: r
            .parse::<crate::media::Anchor>("watermark.anchor")
            .map(|anchor| anchor.to_string()),
        scale: r
            .parse::<crate::media::Length>("watermark.scale")
            .map(|length| length.to_string()),
        opacity: r.get("watermark.opacity"),
    };
    if spec
        .opacity
        .is_some_and(|opacity: f32| !(0.0..=1.0).contains(&opacity))
    {
        r.fault("watermark.opacity", "must lie between 0 and 1");
    }
    let image = image?;
    if !image.is_file() {
        r.fault(
            "watermark.image",
            format!("{} is not a file", image.display()),
        );
    }
    Some(Watermark { image, spec })
}

/// The built-in profiles, and those of the file in their place or beside them.
fn profiles(r: &mut Reader) -> BTreeMap<String, Profile> {
    let mut profiles: BTreeMap<String, Profile> = ["web", "small", "archive"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Profile::builtin(name)?)))
        .collect();
    for name in r.tables("profiles") {
        let key = format!("profiles.{name}");
        if let Some(mut profile) = r.get::<Profile>(&key) {
            profile.name.clone_from(&name);
            if !profile.video.crf_is_usable() {
                r.fault(&format!("{key}.video.crf"), "must lie between 1 and 51");
            }
            profiles.insert(name, profile);
        }
    }
    profiles
}

fn limits(r: &mut Reader) -> Limits {
    let default = Limits::default();
    Limits {
        max_bytes: r.bytes("limits.max_bytes", default.max_bytes),
        max_streams: r.get_or("limits.max_streams", default.max_streams),
        probe_size: r.bytes("limits.probe_size", default.probe_size),
        analyze_duration_ms: r.get_or("limits.analyze_duration_ms", default.analyze_duration_ms),
        max_pixels: r.get_or("limits.max_pixels", default.max_pixels),
        max_fps: r.get_or("limits.max_fps", default.max_fps),
        max_duration_ms: r.get_or("limits.max_duration_ms", default.max_duration_ms),
        max_frames: r.get_or("limits.max_frames", default.max_frames),
        max_output_bytes: r.bytes("limits.max_output_bytes", default.max_output_bytes),
        deadline_ms: r.get("limits.deadline_ms").or(default.deadline_ms),
        max_damage: r.get_or("limits.max_damage", default.max_damage),
        allow_truncated: r.get_or("limits.allow_truncated", default.allow_truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, Vec<ConfigFault>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filmlab.toml");
        std::fs::write(&path, file).unwrap();
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::load(&Sources {
            file: Some(path),
            no_default_file: false,
            env,
        })
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let file =
            "[worker]\nlease = \"90s\"\nheartbeat = \"20s\"\n[server]\nlisten = \"127.0.0.1:1\"";
        let config = load(
            file,
            &[("FILMLAB_WORKER__LEASE", "2m"), ("WAVESPEED_API_KEY", "k")],
        )
        .unwrap();
        assert_eq!(config.worker.lease, Duration::from_secs(120));
        assert_eq!(config.worker.heartbeat, Duration::from_secs(20));
        assert_eq!(config.worker.budget, Duration::from_secs(1500));
        assert_eq!(config.provider.api_key, Some(Secret::new("k")));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let file = "[worker]\nlease = \"1s\"\nattempts = 0\n[credits]\nmode = \"free\"\n[server]\nlisten = \"here\"\nport = 1\n[profiles.x]\ncrf = \"low\"";
        let faults = load(file, &[("FILMLAB_LINKS__TTL", "long")]).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        for key in [
            "worker.lease",
            "worker.attempts",
            "credits.mode",
            "server.listen",
            "server.port",
            "links.ttl",
        ] {
            assert!(keys.contains(&key), "{key} is missing in {faults:?}");
        }
    }

    #[test]
    fn an_open_api_is_for_this_machine_only() {
        let faults = load("[server]\nlisten = \"0.0.0.0:80\"", &[]).unwrap_err();
        assert_eq!(faults[0].key, "server.api_tokens");
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there_and_be_toml() {
        let sources = Sources {
            file: Some("/nonexistent.toml".into()),
            ..Sources::default()
        };
        assert_eq!(Config::load(&sources).unwrap_err().len(), 1);
        assert!(!load("[worker", &[]).unwrap_err().is_empty());
    }

    #[test]
    fn secrets_do_not_show() {
        let config = load("", &[("FILMLAB_PROVIDER__API_KEY", "hush-hush")]).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
