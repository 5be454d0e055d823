//! A stand-in for the WaveSpeed API that really makes videos.
//!
//! It listens on real HTTP, answers in the documented shapes, fetches its inputs, makes videos
//! with our own media code on blocking threads, calls back, and can be told what to do wrong
//! ([`Fault`]): by its handle, by its settings, or by `POST /sandbox/faults` while it runs. Its catalogue can move away from what
//! it was ([`Drift`]), by the same three ways.
//!
//! It shares nothing with [`crate::provider::wavespeed`] on purpose: a misreading of the API in
//! the client must not be answered by the same misreading here.
//!
//! Everything is bounded: bodies, files, predictions under way, records. Files lie in a temporary
//! folder that is gone when [`Bound::run`] returns.

mod answers;
mod catalog;
mod config;
mod connection;
mod drift;
mod faults;
mod files;
mod length;
mod listing;
mod maker;
mod prices;
mod routes;
mod state;
mod submit;
mod webhook;
mod work;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use config::SandboxConfig;
pub use drift::{Drift, Drifts};
pub use faults::{Fault, FaultName, FaultRule, Faults};
pub use maker::{CopyMaker, Make, MakeError, Maker, MediaMaker, Task};
pub use state::{DeliveryRecord, RequestRecord, SubmissionRecord, UploadRecord};

use connection::{CuttableListener, Switch};
use state::State;

use crate::media::{Cancel, CancelReason};

/// How long answers and work under way may take to end once the sandbox is to stop.
const DRAIN: Duration = Duration::from_secs(3);

/// The way in.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

impl Sandbox {
    /// Takes its address. Nothing is answered before [`Bound::run`].
    pub async fn bind(config: SandboxConfig) -> io::Result<Bound> {
        Self::bind_with(config, Arc::new(MediaMaker)).await
    }

    /// The same, with another maker of videos.
    pub async fn bind_with(config: SandboxConfig, maker: Arc<dyn Maker>) -> io::Result<Bound> {
        let listener = tokio::net::TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let base = match &config.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{address}")).map_err(io::Error::other)?,
        };
        let folder = tempfile::Builder::new()
            .prefix("filmlab-sandbox-")
            .tempdir()?;
        std::fs::create_dir(folder.path().join(state::PREDICTIONS))?;
        let client = crate::tls::client()
            .user_agent("filmlab-sandbox")
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::limited(3))
            // It is a tool for one machine: what it fetches and calls lies beside it.
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        let state = State::new(config, base, folder.path().to_owned(), maker, client);
        Ok(Bound {
            listener,
            address,
            folder,
            state: Arc::new(state),
        })
    }
}

/// A sandbox that has its address.
#[derive(Debug)]
pub struct Bound {
    listener: tokio::net::TcpListener,
    address: SocketAddr,
    folder: tempfile::TempDir,
    state: Arc<State>,
}

impl Bound {
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A handle that outlives [`Bound::run`].
    #[must_use]
    pub fn handle(&self) -> SandboxHandle {
        SandboxHandle(Arc::clone(&self.state))
    }

    /// Answers until `shutdown` is ready, then stops work under way and removes all files.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self {
            listener,
            folder,
            state,
            ..
        } = self;
        // Also where this future is dropped half-way.
        let _stop = StopOnDrop(state.cancel.clone());
        let service = routes::router(&state).into_make_service_with_connect_info::<Switch>();
        let (told, stopping) = tokio::sync::oneshot::channel::<()>();
        let cancel = state.cancel.clone();
        let server = axum::serve(CuttableListener(listener), service)
            .with_graceful_shutdown(async move {
                shutdown.await;
                cancel.cancel(CancelReason::Shutdown);
                let _ = told.send(());
            })
            .into_future();
        let served = tokio::select! {
            served = server => served,
            // A client that keeps its connection open must not keep us from ending.
            () = async { let _ = stopping.await; tokio::time::sleep(DRAIN).await } => Ok(()),
        };
        state.cancel.cancel(CancelReason::Shutdown);
        // Predictions that wait to be looked at would wait for ever.
        state.lock().predictions.clear();
        state.changed.notify_waiters();
        state.slots.close();
        state.tasks.close();
        let _ = tokio::time::timeout(DRAIN, state.tasks.wait()).await;
        folder.close()?;
        served
    }
}

struct StopOnDrop(Cancel);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel(CancelReason::Shutdown);
    }
}

/// Looks into a sandbox and steers it while it runs.
#[derive(Debug, Clone)]
pub struct SandboxHandle(Arc<State>);

impl SandboxHandle {
    /// Where its API is, without `/api/v3`.
    #[must_use]
    pub fn base_url(&self) -> Url {
        self.0.base.clone()
    }

    /// Every submission that was taken, oldest first.
    #[must_use]
    pub fn submissions(&self) -> Vec<SubmissionRecord> {
        self.0.lock().submissions.iter().cloned().collect()
    }

    /// Every file that was put here.
    #[must_use]
    pub fn uploads(&self) -> Vec<UploadRecord> {
        self.0.lock().received.iter().cloned().collect()
    }

    /// Every request, refused ones included.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.0.lock().requests.iter().cloned().collect()
    }

    /// Every try to call back.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryRecord> {
        self.0.lock().deliveries.iter().cloned().collect()
    }

    /// Adds a rule after those in force.
    pub fn add_fault(&self, rule: FaultRule) {
        self.0.lock().faults.0.push(rule);
    }

    /// Replaces all rules.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// Replaces what the catalogue has moved by.
    pub fn set_drifts(&self, drifts: Drifts) {
        self.0.lock().drifts = drifts;
    }

    /// While held, no prediction shows as done.
    pub fn hold(&self, held: bool) {
        self.0.lock().held = held;
        self.0.changed.notify_waiters();
    }

    /// Whether a prediction's video is made, shown or not.
    #[must_use]
    pub fn is_made(&self, prediction_id: &str) -> bool {
        let inner = self.0.lock();
        inner
            .predictions
            .get(prediction_id)
            .is_some_and(|prediction| prediction.outcome.is_some())
    }

    /// Whether nothing happens here before somebody asks: every video is made and every callback
    /// delivered, but for predictions that wait to be looked at.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let inner = self.0.lock();
        let waiting = inner
            .predictions
            .values()
            .filter(|prediction| prediction.waits_for_a_look(inner.held));
        self.0.tasks.len() == waiting.count()
    }
}
