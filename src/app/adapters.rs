//! Which adapters the settings ask for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::keys::Keys;
use super::settings::invalid;
use crate::clock::{SharedClock, SteadyClock};
use crate::config::{self, Brought, Config, TasksAuth};
use crate::google::{GoogleAccess, Identity};
use crate::job::{Code, Failure};
use crate::ledger::Ledger;
use crate::ledger::firestore::{FirestoreConfig, FirestoreLedger};
use crate::ledger::limits::OwnerLimits;
use crate::ledger::owned::OwnerRecords;
use crate::ledger::sqlite::SqliteLedger;
use crate::notify::Notifier;
use crate::notify::fcm::FcmNotifier;
use crate::notify::log::LogNotifier;
use crate::notify::webhook::WebhookNotifier;
use crate::queue::Queue;
use crate::queue::cloud_tasks::{CloudTasksConfig, CloudTasksQueue, TaskCredentials};
use crate::queue::embedded::EmbeddedQueue;
use crate::retry::RetryLimits;
use crate::staging::disk::make_folders;
use crate::storage::gcs::{self, GcsConfig};
use crate::storage::links::HmacLinks;
use crate::storage::{LinkVerifier, Storage};

/// What lies behind the traits.
#[derive(Debug)]
pub(super) struct Adapters {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) queue: Arc<dyn Queue>,
    /// The queue again, where this process has to bring its tasks itself.
    pub(super) embedded: Option<Arc<EmbeddedQueue>>,
    pub(super) storage: Storage,
    /// Absent: links lead to the bucket.
    pub(super) links: Option<Arc<dyn LinkVerifier>>,
    pub(super) notifiers: Vec<Arc<dyn Notifier>>,
}

/// Whether anything is kept in the data folder.
pub(super) fn needs_folder(config: &Config) -> bool {
    config.links.key.is_none()
        || matches!(config.ledger, config::Ledger::Sqlite)
        || matches!(config.queue, config::Queue::Embedded)
        || matches!(config.storage, config::Storage::Directory)
}

/// Opens what the settings name.
pub(super) async fn open(
    config: &Config,
    public_url: &Url,
    keys: &Keys,
    steady: &Arc<SteadyClock>,
    machine: &SharedClock,
) -> Result<Adapters, Failure> {
    let access = access(config).await?;
    if let Some(access) = &access {
        access.tell_the_time(steady);
    }
    let clock: &SharedClock = &(Arc::clone(steady) as _);
    let ledger = ledger(config).await?;
    let (queue, embedded) = queue(config, public_url, access.as_ref(), clock)?;
    let (storage, links) = storage(config, public_url, keys, access.as_ref(), clock).await?;
    Ok(Adapters {
        ledger,
        queue,
        embedded,
        storage,
        links,
        // What others check against their own clocks is signed with the machine's.
        notifiers: notifiers(config, keys, access.as_ref(), machine)?,
    })
}

/// Where everything of a single machine is but its objects.
pub(super) fn database(config: &Config) -> PathBuf {
    config.data_dir.join("filmlab.sqlite")
}

/// Where its objects are.
pub(super) fn objects(config: &Config) -> PathBuf {
    config.data_dir.join("objects")
}

/// What of this machine is open all the while.
pub(super) fn places(config: &Config) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if config.ledger == config::Ledger::Sqlite || config.queue == config::Queue::Embedded {
        places.push(database(config));
    }
    if config.storage == config::Storage::Directory {
        places.push(objects(config));
    }
    places
}

/// Opens the ledger alone. A SQLite file may be opened beside a running service.
pub(super) async fn ledger(config: &Config) -> Result<Arc<dyn Ledger>, Failure> {
    Ok(match &config.ledger {
        config::Ledger::Sqlite => Arc::new(sqlite(config)?),
        config::Ledger::Firestore(database) => Arc::new(firestore(database, &config.owners).await?),
    })
}

/// The same ledger, seen by owner.
pub(super) async fn owner_records(config: &Config) -> Result<Arc<dyn OwnerRecords>, Failure> {
    Ok(match &config.ledger {
        config::Ledger::Sqlite => Arc::new(sqlite(config)?),
        config::Ledger::Firestore(database) => Arc::new(firestore(database, &config.owners).await?),
    })
}

fn sqlite(config: &Config) -> Result<SqliteLedger, Failure> {
    let ledger = SqliteLedger::open(database(config)).map_err(said)?;
    let ledger = ledger.max_waiting(config.worker.max_waiting.get());
    Ok(ledger.owner_limits(config.owners.clone()))
}

type Wakeups = (Arc<dyn Queue>, Option<Arc<EmbeddedQueue>>);

pub(super) fn queue(
    config: &Config,
    public_url: &Url,
    access: Option<&GoogleAccess>,
    clock: &SharedClock,
) -> Result<Wakeups, Failure> {
    Ok(match &config.queue {
        config::Queue::Embedded => {
            let queue = EmbeddedQueue::open(database(config)).map_err(said)?;
            let queue = Arc::new(queue.for_jobs(config.worker.max_waiting.get()));
            (Arc::clone(&queue) as _, Some(queue))
        }
        config::Queue::CloudTasks(queue) => {
            let queue = CloudTasksConfig {
                queue: queue.name.clone(),
                target: public_url.clone(),
                credentials: credentials(&config.server.tasks_auth)?,
                endpoint: queue.endpoint.clone(),
                retry: CALLS,
            };
            let access = google(access)?;
            let queue = CloudTasksQueue::new(queue, access, Arc::clone(clock)).map_err(said)?;
            (Arc::new(queue), None)
        }
    })
}

pub(super) async fn storage(
    config: &Config,
    public_url: &Url,
    keys: &Keys,
    access: Option<&GoogleAccess>,
    clock: &SharedClock,
) -> Result<Objects, Failure> {
    match &config.storage {
        config::Storage::Directory => directory(config, public_url, keys, clock).await,
        config::Storage::Gcs(bucket) => {
            let bucket = GcsConfig {
                bucket: bucket.name.clone(),
                endpoint: bucket.endpoint.clone(),
                iam_endpoint: bucket.iam_endpoint.clone(),
                signer: bucket.signer.clone(),
                retry: CALLS,
            };
            let storage = gcs::open(&bucket, google(access)?).map_err(said)?;
            Ok((storage, None))
        }
    }
}

/// Google's APIs recover within seconds; a visit that waits longer had better come back.
const CALLS: RetryLimits = RetryLimits {
    retries: 4,
    least_wait: std::time::Duration::from_millis(200),
    longest_wait: std::time::Duration::from_secs(5),
    total: std::time::Duration::from_secs(30),
};

fn said(error: impl std::fmt::Display) -> Failure {
    invalid(&error.to_string())
}

/// Who we are to Google, where anything of Google's is asked for.
pub(super) async fn access(config: &Config) -> Result<Option<GoogleAccess>, Failure> {
    let needed = config.storage != config::Storage::Directory
        || config.queue != config::Queue::Embedded
        || config.notify.fcm_project.is_some();
    if !needed {
        return Ok(None);
    }
    identified(config).await.map(Some)
}

/// Who we are to Google, by the settings.
pub(super) async fn identified(config: &Config) -> Result<GoogleAccess, Failure> {
    let identity = match &config.cloud.credentials {
        Some(file) => Identity::KeyFile(file.clone()),
        None => Identity::Metadata {
            endpoint: config.cloud.metadata.clone(),
        },
    };
    GoogleAccess::new(&identity).await.map_err(said)
}

fn google(access: Option<&GoogleAccess>) -> Result<&GoogleAccess, Failure> {
    access.ok_or_else(|| invalid("there are no Google credentials"))
}

async fn firestore(
    database: &config::Database,
    owners: &OwnerLimits,
) -> Result<FirestoreLedger, Failure> {
    let config = FirestoreConfig {
        database: database.name.clone(),
        emulator: database.emulator.clone(),
        ..FirestoreConfig::new(&database.project)
    };
    let ledger = FirestoreLedger::connect(config)
        .await
        .map_err(|error| Failure::new(Code::LedgerUnavailable, error.to_string()))?;
    Ok(ledger.owner_limits(owners.clone()))
}

/// What the tasks bring so that [`TasksAuth`] lets them in.
fn credentials(auth: &TasksAuth) -> Result<TaskCredentials, Failure> {
    match auth.brought() {
        Brought::Nothing => Err(invalid("server.tasks_auth: tasks could not come in")),
        Brought::Token(token) => Ok(TaskCredentials::Bearer(token.expose().to_owned())),
        Brought::Identity {
            service_account,
            audience,
        } => Ok(TaskCredentials::Oidc {
            service_account: service_account.to_owned(),
            audience: audience.to_owned(),
        }),
    }
}

pub(super) type Objects = (Storage, Option<Arc<dyn LinkVerifier>>);

async fn directory(
    config: &Config,
    public_url: &Url,
    keys: &Keys,
    clock: &SharedClock,
) -> Result<Objects, Failure> {
    let objects = objects(config);
    folder(&objects).await?;
    let links = HmacLinks::new(public_url.clone(), &keys.now, Arc::clone(clock)).map_err(said)?;
    let links = Arc::new(match &keys.old {
        Some(old) => links.accepting(old).map_err(said)?,
        None => links,
    });
    let storage = Storage::in_directory(&objects, Arc::clone(&links) as _).map_err(said)?;
    Ok((storage, Some(links)))
}

pub(super) fn notifiers(
    config: &Config,
    keys: &Keys,
    access: Option<&GoogleAccess>,
    clock: &SharedClock,
) -> Result<Vec<Arc<dyn Notifier>>, Failure> {
    let allow_loopback = config.server.allow_loopback;
    let (secret, old) = keys.webhook_secrets(config);
    let mut webhook = WebhookNotifier::new(&secret, allow_loopback, Arc::clone(clock))
        .map_err(|error| invalid(&format!("notify.webhook_secret: {error}")))?;
    if let Some(old) = old {
        webhook = webhook
            .signing_with(&old)
            .map_err(|error| invalid(&format!("notify.webhook_old_secret: {error}")))?;
    }
    let mut notifiers: Vec<Arc<dyn Notifier>> = vec![Arc::new(LogNotifier), Arc::new(webhook)];
    if let Some(project) = &config.notify.fcm_project {
        let endpoint = config.notify.fcm_endpoint.as_ref();
        let fcm = FcmNotifier::new(project, endpoint, google(access)?)
            .map_err(|error| invalid(&format!("notify.fcm_project: {error}")))?;
        notifiers.push(Arc::new(fcm));
    }
    Ok(notifiers)
}

/// Makes a folder that is to last.
pub(super) async fn folder(dir: &Path) -> Result<(), Failure> {
    let made = dir.to_path_buf();
    tokio::task::spawn_blocking(move || make_folders(&made))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| invalid(&format!("{} cannot be made: {error}", dir.display())))
}
