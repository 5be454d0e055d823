//! One process's worker: its services, and what its visits share.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::delivering::Delivering;
use super::running::Running;
use super::services::Services;
use super::stop::StopReason;
use super::{admission, answers, balance, limiter, places, watchdog};
use crate::clock::later;
use crate::job::Timestamp;
use crate::ledger::{DueCursor, LedgerError};

/// Where this process goes on among what is overdue.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    pub(super) jobs: Mutex<Option<DueCursor>>,
    pub(super) notices: Mutex<Option<DueCursor>>,
}

/// The worker: owns no job, holds leases.
#[derive(Debug)]
pub struct Worker {
    pub(super) services: Arc<Services>,
    /// Names this process in leases.
    pub(super) holder: String,
    pub(super) visits: AtomicU64,
    pub(super) tracker: TaskTracker,
    pub(super) draining: CancellationToken,
    pub(super) running: Running,
    pub(super) watchdog: watchdog::Watchdog,
    pub(super) media: admission::Admission,
    pub(super) places: places::AllPlaces,
    pub(super) last_balance: balance::LastLook,
    pub(super) limiter: limiter::Limiter,
    pub(super) overdue: Overdue,
    pub(super) delivering: Delivering,
    pub(super) last_cleaning: Mutex<Option<Instant>>,
    pub(super) answers: answers::Answers,
}

impl Worker {
    #[must_use]
    pub fn new(services: Services) -> Arc<Self> {
        let settings = &services.settings;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let media = admission::Admission::new(settings.media_slots, settings.media_memory, cores);
        let places = places::AllPlaces::new(
            &settings.places,
            admission::PROBES as usize,
            settings.media_slots,
        );
        let limiter = limiter::Limiter::new(services.settings.provider_limits, &services.clock);
        Arc::new(Self {
            services: Arc::new(services),
            holder: format!("w-{}", ulid::Ulid::new().to_string().to_lowercase()),
            visits: AtomicU64::new(1),
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            running: Running::default(),
            watchdog: watchdog::Watchdog::default(),
            media,
            last_cleaning: Mutex::default(),
            places,
            last_balance: balance::LastLook::default(),
            overdue: Overdue::default(),
            delivering: Delivering::default(),
            limiter,
            answers: answers::Answers::default(),
        })
    }

    /// Whether new visits are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Names this process in leases, before the number of a visit.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.holder
    }

    /// How far this process uses what the account at the provider may do.
    #[must_use]
    pub fn provider_use(&self) -> Option<limiter::ProviderUse> {
        self.limiter.in_use(self.now())
    }

    /// Stops taking visits, cancels what runs, gives leases back; `false` where something was
    /// still running after `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.draining.cancel();
        self.running.stop_all(StopReason::Shutdown);
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_ok()
    }

    /// Resolves when native work did not stop in time: its thread is lost, and this process has
    /// to be replaced.
    pub async fn stuck(&self) {
        self.watchdog.barked().await;
    }

    /// Takes a slot at the provider for one submission, if there is one.
    pub(super) async fn admit(&self) -> Result<limiter::Turn<'_>, LedgerError> {
        let ledger = self.services.ledger.as_ref();
        self.limiter.admit(ledger, self.now()).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// A moment `by` from now.
    pub(super) fn after(&self, by: Duration) -> Timestamp {
        later(self.now(), by)
    }
}
