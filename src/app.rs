//! The composition root: configuration in, running service out.
//!
//! Architecture invariant: only this module names adapters.

mod adapters;
pub mod backup;
pub mod catalogue;
mod descriptors;
pub mod doctor;
pub mod erasure;
pub mod handover;
mod keys;
mod owned;
mod provider;
mod settings;
pub mod signer;
mod signing;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Jump, SharedClock, SinceBoot, SteadyClock};
use crate::config::Config;
use crate::http::{self, ConnectionLimits, EventPace, EventStreams, HttpState};
use crate::job::{Code, Failure};
use crate::ledger::{Ledger, LedgerError};
use crate::media;
use crate::outgoing::WebFetcher;
use crate::provider::Provider;
use crate::provider::metered::Metered;
use crate::provider::wavespeed::{CatalogueUse, WaveSpeed};
use crate::queue::Queue;
use crate::queue::embedded::{EmbeddedQueue, Widths};
use crate::staging::disk::Anchor;
use crate::storage::Storage;
use crate::telemetry;
use crate::tls;
use crate::worker::{CLEAN_EVERY, Cleaned, Services, Settings, Swept, Worker};
use adapters::Adapters;
use keys::Keys;
use provider::{api_key, own_address, signing_secret, wavespeed};
use settings::invalid;

/// Cloud Run ends a process 10 s after SIGTERM: leases are given back well before.
const DRAIN: Duration = Duration::from_secs(8);
/// How often it is looked whether the data folder is still there; each write looks too.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest a source may take to arrive.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// A service, built and not yet running.
#[derive(Debug)]
pub struct App {
    pub worker: Arc<Worker>,
    pub ledger: Arc<dyn Ledger>,
    storage: Storage,
    queue: Arc<dyn Queue>,
    router: Router,
    events: EventStreams,
    /// Absent: another service brings the tasks, and calls the sweep.
    embedded: Option<Arc<EmbeddedQueue>>,
    clock: SharedClock,
    widths: Widths,
    sweep_every: Duration,
    /// Files and folders of this machine that have to stay what they are.
    anchors: Vec<Anchor>,
    connections: ConnectionLimits,
    /// Asks the provider in the background.
    provider: WaveSpeed,
    /// Reads the provider's catalogue; absent where the settings want none of it.
    catalogue: Option<WaveSpeed>,
}

impl App {
    /// What no service can do without; asks nobody and makes nothing.
    pub fn check(config: &Config) -> Result<(), Failure> {
        api_key(config).map(|_| ())
    }

    /// Opens the stores and puts everything together. `listening` is where callers reach us if
    /// the configuration names no public address.
    #[allow(
        clippy::too_many_lines,
        reason = "one part after the other, each needs those before it"
    )]
    pub async fn build(
        config: &Config,
        listening: SocketAddr,
        clock: SharedClock,
    ) -> Result<Self, Failure> {
        // Before anything is made on disk.
        Self::check(config)?;
        // A fifth of the way to the first answer, beside the rest of it.
        drop(tokio::task::spawn_blocking(tls::read_certificates));
        let files = descriptors::raise();
        telemetry::metrics::start(env!("FILMLAB_VERSION"));
        media::init().map_err(|error| invalid(&error.message))?;
        media::limit_allocations(config.max_allocation);
        let dir = &config.data_dir;
        // Only where something is kept on this machine.
        if adapters::needs_folder(config) {
            adapters::folder(dir).await?;
        }
        let keys = Keys::of(config).await?;
        let public_url = match &config.server.public_url {
            Some(url) => url.clone(),
            None => own_address(listening)?,
        };

        let machine = clock;
        let steady = Arc::new(SteadyClock::new(
            Arc::clone(&machine),
            Arc::new(SinceBoot),
            clock_jumped,
        ));
        let clock: SharedClock = Arc::clone(&steady) as _;

        let Adapters {
            ledger,
            queue,
            embedded,
            storage,
            links,
            notifiers,
        } = adapters::open(config, &public_url, &keys, &steady, &machine).await?;
        // Jobs that go on wait for moments that were told before.
        if let Some(at) = ledger.last_written().await.map_err(said)? {
            steady.start_after(at);
        }
        let webhook_secret_of_provider = signing_secret(config, &public_url, &keys).await?;
        let provider = wavespeed(
            config,
            &public_url,
            &keys,
            webhook_secret_of_provider,
            &clock,
        )?;
        let callbacks = Arc::new(provider.callbacks());
        let in_background = provider.clone();
        let reads_catalogue = config.provider.catalogue != CatalogueUse::Off;
        let catalogue = reads_catalogue.then(|| provider.clone());
        let fetcher = WebFetcher::new(
            config.server.allow_loopback,
            FETCH_TIMEOUT,
            config.worker.least_rate,
        )
        .map_err(|error| invalid(&error.to_string()))?;

        let worker = Worker::new(Services {
            ledger: Arc::clone(&ledger),
            queue: Arc::clone(&queue),
            provider: Arc::new(Metered(provider)) as Arc<dyn Provider>,
            callbacks: Arc::clone(&callbacks) as _,
            storage: storage.clone(),
            notifiers,
            fetcher: Arc::new(fetcher),
            clock: Arc::clone(&clock),
            settings: Settings {
                signer: signer::open(config, clock.now()).await?,
                ..settings::worker(config)
            },
        });
        let events = EventStreams::new(
            config.server.max_event_streams,
            config.server.max_event_streams_per_owner,
            EventPace::default(),
        );
        let settings = Arc::new(settings::http(config, &keys.now)?);
        if config.server.jobs_api && settings.api_tokens.is_empty() && settings.behind_proxy {
            tracing::warn!(
                "without server.api_tokens the jobs API answers direct requests from this machine \
                 only: through server.public_url come callbacks, tasks, signed files and health"
            );
        }
        let router = http::router(HttpState {
            ledger: Arc::clone(&ledger),
            queue: Arc::clone(&queue),
            storage: storage.clone(),
            worker: Arc::clone(&worker) as _,
            callbacks,
            links,
            clock: Arc::clone(&clock),
            check_marks: settings::check_marks(config),
            events: events.clone(),
            shared: http::Shared::new(&settings),
            settings,
        });
        Ok(Self {
            worker,
            ledger,
            storage,
            queue,
            router,
            events,
            embedded,
            clock,
            widths: settings::widths(config),
            sweep_every: config.worker.sweep_every,
            anchors: adapters::places(config)
                .iter()
                .map(|place| Anchor::of(place))
                .collect::<std::io::Result<_>>()
                .map_err(|error| invalid(&format!("the data folder: {error}")))?,
            connections: settings::connections(config, files),
            catalogue,
            provider: in_background,
        })
    }

    /// Serves until `shutdown`, then gives leases back and stops within 10 s. Does the same, and
    /// fails, where native work does not stop when it is told to, or the data folder is gone.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Failure> {
        let stop = CancellationToken::new();
        let background = TaskTracker::new();
        if let Some(dispatcher) = &self.embedded {
            let dispatcher = Arc::clone(dispatcher);
            let receiver = Arc::new(Arc::clone(&self.worker));
            let (clock, token) = (Arc::clone(&self.clock), stop.clone());
            let widths = self.widths;
            background.spawn(async move { dispatcher.run(receiver, clock, widths, token).await });
            background.spawn(sweep(
                Arc::clone(&self.worker),
                self.sweep_every,
                stop.clone(),
            ));
            background.spawn(clean(Arc::clone(&self.worker), stop.clone()));
        }
        let callbacks = self.provider.callbacks();
        background.spawn(signing::learn(self.provider, callbacks, stop.clone()));
        if let Some(wavespeed) = self.catalogue {
            background.spawn(catalogue::watch(wavespeed, stop.clone()));
        }
        background.close();

        let serve = http::serve(listener, self.router, self.connections, stop.clone());
        let serve = tokio::spawn(serve);
        let failed = tokio::select! {
            biased;
            () = shutdown => None,
            () = self.worker.stuck() => {
                Some(Failure::new(Code::MediaStuck, Code::MediaStuck.about()))
            }
            why = gone(&self.anchors) => Some(Failure::new(Code::DataGone, why.to_string())),
        };
        tracing::info!("stopping: leases are given back");
        stop.cancel();
        self.events.close();
        let drained = self.worker.drain(DRAIN).await;
        let settled = tokio::time::timeout(Duration::from_secs(1), background.wait())
            .await
            .is_ok();
        if !(drained && settled) {
            tracing::warn!("something was still running; its lease runs out by itself");
        }
        // Open connections are given a moment to take their answers.
        match (
            failed,
            tokio::time::timeout(Duration::from_millis(500), serve).await,
        ) {
            (Some(failure), _) => Err(failure),
            (None, Ok(Err(error))) => Err(Failure::new(Code::Internal, error.to_string())),
            _ => Ok(()),
        }
    }
}

/// Resolves once something is gone that has to stay: what is written from then on goes nowhere.
async fn gone(anchors: &[Anchor]) -> std::io::Error {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let looked = anchors.iter().try_for_each(Anchor::check);
        match looked {
            // A disk that does not answer for a moment is not gone.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::error!(%error, "the data folder is gone");
                return error;
            }
            _ => {}
        }
    }
}

/// Opens the configured ledger alone, for a command beside a running service.
pub async fn open_ledger(config: &Config) -> Result<Arc<dyn Ledger>, Failure> {
    let dir = &config.data_dir;
    if config.ledger == crate::config::Ledger::Sqlite {
        adapters::folder(dir).await?;
    }
    adapters::ledger(config).await
}

/// Brings back what was lost, regularly.
async fn sweep(worker: Arc<Worker>, every: Duration, stop: CancellationToken) {
    let mut lost = tokio::time::interval(every);
    loop {
        let swept = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // What is cut off was recorded, and is found again.
            swept = async { lost.tick().await; worker.sweep().await } => swept,
        };
        match swept {
            Ok(swept) if swept == Swept::default() => {}
            Ok(swept) => tracing::info!(
                jobs = swept.jobs,
                notices = swept.notifications,
                faults = swept.faults,
                unreadable = swept.unreadable,
                buried = swept.buried,
                left_alone = swept.left_alone,
                "overdue work was planned anew"
            ),
            Err(error) => tracing::warn!(%error, "the sweep failed"),
        }
    }
}

/// Deletes what was left, regularly.
async fn clean(worker: Arc<Worker>, stop: CancellationToken) {
    let mut left = tokio::time::interval(CLEAN_EVERY);
    loop {
        let cleaned = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            cleaned = async { left.tick().await; worker.clean().await } => cleaned,
        };
        if cleaned != Cleaned::default() {
            tracing::info!(?cleaned, "files were deleted");
        }
    }
}

fn said(error: LedgerError) -> Failure {
    Failure::new(Code::LedgerUnavailable, Code::LedgerUnavailable.about()).because(error)
}

/// No deadline moves by it; somebody should look at the machine's clock all the same.
fn clock_jumped(jump: Jump) {
    match jump {
        Jump::Machine { ms } => {
            telemetry::metrics::clock_jumped("machine");
            tracing::warn!(
                ms,
                "the machine's clock has jumped; moments are told as before"
            );
        }
        Jump::Start { ms } => {
            telemetry::metrics::clock_jumped("start");
            tracing::warn!(
                ms,
                "the machine's clock is behind what is on record; moments go on from there"
            );
        }
        Jump::Witness { ms } => {
            telemetry::metrics::clock_jumped("witness");
            tracing::warn!(
                ms,
                "the machine's clock differs from Google's; moments are told as there"
            );
        }
    }
}
