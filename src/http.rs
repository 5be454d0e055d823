//! The ways in over HTTP: the jobs API, the queue's tasks, the provider's callbacks, signed
//! files, health.
//!
//! Every failure leaves as `application/problem+json` with one of our codes; the frame in `api`
//! turns the framework's own refusals into that form too. No handler does a job's work: it
//! records, plans a visit, or waits for one that runs on its own.

mod api;
mod auth;
mod bodies;
mod callbacks;
mod connections;
mod files;
mod health;
mod jobs;
mod json;
mod metrics;
mod oidc;
mod openapi;
mod places;
mod problem;
mod pulse;
mod quotes;
mod readiness;
mod serve;
mod shared;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;

pub use auth::{LOCAL_OWNER, TasksAuth};
pub use connections::ConnectionLimits;
pub use jobs::{
    EventPace, EventStreams, JobPage, JobView, NotificationList, NotificationView, ResultView,
};
pub use oidc::{GOOGLE_CERTS, OidcCheck};
pub use problem::{Problem, status_of};
pub use serve::{Accept, serve};
pub use shared::Shared;

use crate::clock::SharedClock;
use crate::job::{CancelAfterSubmit, Failure, Fault, JobId, Owner, WatermarkSpec};
use crate::ledger::{Deleted, Ledger, LedgerError};
use crate::provider::CallbackGate;
use crate::queue::Queue;
use crate::storage::{LinkVerifier, Storage};
use crate::worker::{Cleaned, OutboxVisit, Quote, QuoteError, QuoteRequest, Swept, Visit, Worker};

/// The worker, as far as tasks need it. Visits go on to their end when the caller stops waiting.
#[async_trait]
pub trait Visits: std::fmt::Debug + Send + Sync {
    async fn visit(self: Arc<Self>, id: JobId, seq: u64) -> Visit;
    async fn deliver(self: Arc<Self>, id: String) -> OutboxVisit;
    async fn sweep(self: Arc<Self>) -> Result<Swept, LedgerError>;
    async fn delete(self: Arc<Self>, id: JobId) -> Result<Deleted, Failure>;
    /// Deletes files that nobody needs any more, if that is due.
    async fn clean(self: Arc<Self>) -> Option<Cleaned>;
    /// What a job would cost; may be dropped at any time.
    async fn quote(&self, asked: QuoteRequest) -> Result<Quote, QuoteError>;
    fn is_draining(&self) -> bool;
}

#[async_trait]
impl Visits for Worker {
    async fn visit(self: Arc<Self>, id: JobId, seq: u64) -> Visit {
        Worker::visit(&self, id, seq).await
    }

    async fn deliver(self: Arc<Self>, id: String) -> OutboxVisit {
        Worker::deliver(&self, id).await
    }

    async fn sweep(self: Arc<Self>) -> Result<Swept, LedgerError> {
        Worker::sweep(&self).await
    }

    async fn delete(self: Arc<Self>, id: JobId) -> Result<Deleted, Failure> {
        Worker::delete(&self, id).await
    }

    async fn clean(self: Arc<Self>) -> Option<Cleaned> {
        Worker::clean_when_due(&self).await
    }

    async fn quote(&self, asked: QuoteRequest) -> Result<Quote, QuoteError> {
        Worker::quote(self, asked).await
    }

    fn is_draining(&self) -> bool {
        Worker::is_draining(self)
    }
}

/// Everything the routes use; the composition root fills it.
#[derive(Debug, Clone)]
pub struct HttpState {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn Queue>,
    pub storage: Storage,
    pub worker: Arc<dyn Visits>,
    pub callbacks: Arc<dyn CallbackGate>,
    /// Absent: `/files` is not served, since links lead to a cloud's own signer.
    pub links: Option<Arc<dyn LinkVerifier>>,
    pub clock: SharedClock,
    /// What is wrong with a watermark's layers; fields are what follows `output.watermark`:
    /// `.anchor` of the only one, `[1].anchor` of several.
    pub check_watermark: fn(&[WatermarkSpec]) -> Vec<Fault>,
    pub events: EventStreams,
    pub shared: Shared,
    pub settings: Arc<HttpSettings>,
}

/// A token of the jobs API.
#[derive(Clone)]
pub struct ApiToken {
    pub token: String,
    /// Whose jobs it is for. Absent: the operator's own, for everybody's jobs.
    pub owner: Option<Owner>,
}

impl std::fmt::Debug for ApiToken {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiToken")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub struct HttpSettings {
    pub api_tokens: Vec<ApiToken>,
    /// Without any token configured the jobs API is open, and jobs belong to [`LOCAL_OWNER`].
    /// For a service that listens on loopback only.
    pub api_open_on_loopback: bool,
    pub tasks_auth: TasksAuth,
    /// Whether `/v1` is served at all.
    pub jobs_api: bool,
    pub default_deadline: Duration,
    /// What a cancellation of a new job costs once the provider is paid.
    pub cancel_after_submit: CancelAfterSubmit,
    pub max_upload_bytes: u64,
    /// How long a body may take that is read whole.
    pub body_time: Duration,
    /// Uploads at once, in all and of one owner.
    pub max_uploads: usize,
    pub max_uploads_per_owner: usize,
    /// Bytes of uploads under way, in all.
    pub max_upload_total: u64,
    /// Whether a proxy stands in front: then what is not plainly from this machine is from
    /// anywhere.
    pub behind_proxy: bool,
    /// Names of the output profiles.
    pub profiles: Vec<String>,
    /// How long links to results open.
    pub link_ttl: Duration,
    /// How long they may be asked to open: what the signer keeps.
    pub longest_link: Duration,
    /// Inputs and webhooks may be on loopback, by http too.
    pub allow_loopback: bool,
}

impl std::fmt::Debug for HttpSettings {
    /// Without the tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSettings")
            .field("api_tokens", &self.api_tokens.len())
            .field("api_open_on_loopback", &self.api_open_on_loopback)
            .field("tasks_auth", &self.tasks_auth)
            .field("jobs_api", &self.jobs_api)
            .field("default_deadline", &self.default_deadline)
            .field("cancel_after_submit", &self.cancel_after_submit)
            .field("max_upload_bytes", &self.max_upload_bytes)
            .field("body_time", &self.body_time)
            .field("max_uploads", &self.max_uploads)
            .field("max_uploads_per_owner", &self.max_uploads_per_owner)
            .field("max_upload_total", &self.max_upload_total)
            .field("behind_proxy", &self.behind_proxy)
            .field("profiles", &self.profiles)
            .field("link_ttl", &self.link_ttl)
            .field("longest_link", &self.longest_link)
            .field("allow_loopback", &self.allow_loopback)
            .finish()
    }
}

/// All routes, framed. Serve it with a graceful shutdown: open visits are the worker's to drain.
pub fn router(state: HttpState) -> Router {
    let mut routes = openapi::about()
        .merge(health::routes())
        .merge(openapi::routes())
        .merge(callbacks::routes())
        .merge(metrics::routes());
    if !matches!(state.settings.tasks_auth, TasksAuth::Closed) {
        routes = routes.merge(tasks::routes(&state));
    }
    if state.settings.jobs_api {
        routes = routes.merge(jobs::routes()).merge(quotes::routes());
    }
    if state.links.is_some() {
        routes = routes.merge(files::routes());
    }
    let (routes, described) = routes.split_for_parts();
    let document = openapi::finish(&described, &state.settings).to_string();
    let routes = routes.layer(axum::Extension(openapi::Document(document.into())));
    api::frame(routes).with_state(state)
}
