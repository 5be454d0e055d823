//! Settings: defaults, then a TOML file, then the environment (`FILMLAB_SECTION__KEY`).
//!
//! Reading them binds no port and opens no store, and tells every fault at once.

mod cloud;
mod hidden;
mod limits;
mod memory;
mod models;
mod owners;
mod picture;
mod platform;
mod profiles;
mod provenance;
mod provider;
mod reader;
mod retention;
mod server;
mod table;
mod telling;
mod text;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Environment, File, FileFormat};

use crate::job::{Label, Provenance};
use crate::ledger::limits::OwnerLimits;
use crate::media::{Fonts, Limits, Profile};

pub use crate::secret::Secret;
pub use cloud::{Bucket, Cloud, Database, Ledger, Queue, Storage, TaskQueue};
pub use picture::{Verify, Watermark};
pub use profiles::profile_rows;
pub use provenance::{Signing, SigningKey, TimeStamps};
pub use provider::{Provider, Tier, is_loopback};
pub use reader::ConfigFault;
pub use retention::Retention;
pub use server::{ApiToken, Brought, Console, Role, Server, TasksAuth};
pub use table::Row;
pub use telling::{Links, Log, Notify, Telemetry};
pub use worker::{Credits, Worker};

use crate::fields::{DiskPath, Flag};
use platform::Platform;
use reader::Reader;
use table::{Listed, Open, Setting, settings};

/// Everything the composition root needs to build a service.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    /// The SQLite file, the objects and the work files of a single machine.
    pub data_dir: PathBuf,
    pub cloud: Cloud,
    pub storage: Storage,
    pub ledger: Ledger,
    pub queue: Queue,
    pub provider: Provider,
    pub worker: Worker,
    pub credits: Credits,
    /// What each owner may have at once and spend in a day.
    pub owners: OwnerLimits,
    /// The operator's layers, drawn in order.
    pub watermark: Vec<Watermark>,
    /// What text is written in.
    pub fonts: Arc<Fonts>,
    pub profiles: BTreeMap<String, Profile>,
    pub verify: Verify,
    /// Whether results have a storyboard.
    pub storyboard: bool,
    /// What results say of how they were made.
    pub provenance: Provenance,
    /// The visible label of a job that asks for one in no words of its own.
    pub label: Label,
    /// What results are signed with, where the settings say it.
    pub signing: Option<Signing>,
    /// Who tells the time of a signature, if anybody.
    pub time_stamps: Option<TimeStamps>,
    pub limits: Limits,
    /// The most libav may take in one piece, in the whole process.
    pub max_allocation: u64,
    pub notify: Notify,
    pub links: Links,
    pub retention: Retention,
    pub log: Log,
    pub telemetry: Telemetry,
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

settings! { DATA of "data" {
    DIR: Open<DiskPath> = "dir", DiskPath("a folder"), "`var/filmlab`; on Cloud Run `/tmp/filmlab`",
        "database, objects and key of a single machine";
}}

settings! { OUTPUT of "output" {
    STORYBOARD: Setting<Flag> = "storyboard", Flag, true,
        "whether results have a [storyboard](media.md#storyboard); it holds for what is made from then on";
}}

/// All settings by the tables of `docs/settings.md`; those of `[profiles]` are [`profile_rows`].
#[must_use]
pub fn tables() -> Vec<(&'static str, Vec<Row>)> {
    type Lists = &'static [&'static dyn Listed];
    let kept: [Lists; 5] = [
        DATA,
        cloud::LEDGER,
        cloud::QUEUE,
        cloud::STORAGE,
        cloud::CLOUD,
    ];
    let looks: [Lists; 5] = [
        picture::LAYER,
        text::TEXT,
        picture::LAYERS,
        text::FONTS,
        picture::VERIFY,
    ];
    let told: [Lists; 3] = [telling::NOTIFY, telling::LINKS, telling::LOG];
    let tables: [(&str, &[Lists]); 15] = [
        ("server", &[server::SERVER, server::TOKENS]),
        ("console", &[server::CONSOLE]),
        ("data, ledger, queue, storage, cloud", &kept),
        ("provider", &[provider::PROVIDER, models::MODELS]),
        ("provider.models", &[models::MODEL]),
        ("worker", &[worker::WORKER]),
        ("credits", &[worker::CREDITS, worker::PRICE]),
        ("owners", &[owners::OWNERS, owners::OWN_LIMITS]),
        ("watermark, fonts, verify", &looks),
        ("output", &[OUTPUT]),
        ("provenance", &[provenance::PROVENANCE]),
        ("limits", &[limits::LIMITS]),
        ("retention", &[retention::RETENTION]),
        ("notify, links, log", &told),
        ("telemetry", &[telling::TELEMETRY]),
    ];
    tables
        .into_iter()
        .map(|(name, lists)| {
            let settings = lists.iter().copied().flatten();
            (name, settings.map(|setting| setting.row()).collect())
        })
        .collect()
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
    let platform = Platform::read(r, env);
    let cloud = cloud::cloud(r, env);
    let sends_tasks = cloud::sends_tasks(r);
    let server = server::server(r, &platform, sends_tasks);
    let storage = cloud::storage(r);
    let ledger = cloud::ledger(r, &cloud);
    let queue = cloud::queue(r, &cloud, &server, sends_tasks);
    // On Cloud Run everything but /tmp may be read-only.
    let data_dir = match platform.service {
        Some(_) => "/tmp/filmlab",
        None => "var/filmlab",
    };
    let data_dir = r.given(&DIR).unwrap_or_else(|| PathBuf::from(data_dir));
    // A service that the platform guards lets no callback of the provider through.
    let reachable = !matches!(server.tasks_auth, TasksAuth::Iam { .. });
    let provider = provider::provider(r, env, reachable);
    let worker = worker::worker(r);
    worker::check_budget(r, &worker, &queue);
    if let Some(provider) = &provider {
        worker::check_submissions(r, &worker, provider);
    }
    let credits = worker::credits(r);
    let owners = owners::owners(r);
    let fonts = text::fonts(r);
    let watermark = picture::watermark(r, &fonts);
    let profiles = profiles::profiles(r);
    let verify = picture::verify(r);
    let storyboard = r.value(&STORYBOARD);
    let (provenance, label) = provenance::provenance(r, &fonts);
    let signing = provenance::signing(r);
    let time_stamps = provenance::time_stamps(r);
    let limits = limits::limits(r);
    let max_allocation = limits::max_allocation(r);
    let notify = telling::notify(r);
    let shared = ledger != Ledger::Sqlite || queue != Queue::Embedded;
    let links = telling::links(r, &cloud, shared, storage != Storage::Directory);
    let retention = retention::retention(r);
    let log = telling::log(r, &cloud, &platform);
    let telemetry = telling::telemetry(r);
    let provider = provider?;
    Some(Config {
        server,
        data_dir,
        cloud,
        storage,
        ledger,
        queue,
        provider,
        worker,
        credits,
        owners,
        watermark,
        fonts: Arc::new(fonts),
        profiles,
        verify,
        storyboard,
        provenance,
        label,
        signing,
        time_stamps,
        limits,
        max_allocation,
        notify,
        links,
        retention,
        log,
        telemetry,
    })
}

#[cfg(test)]
mod tests;
