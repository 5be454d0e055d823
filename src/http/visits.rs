//! The worker, as the routes see it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::job::{Failure, JobId};
use crate::ledger::{Deleted, LedgerError};
use crate::worker::{
    Cleaned, DeliveryOutcome, ProviderUse, Quote, QuoteError, QuoteRequest, Swept, Visit, Worker,
};

/// The worker, as far as tasks need it. Visits go on to their end when the caller stops waiting.
#[async_trait]
pub trait Visits: std::fmt::Debug + Send + Sync {
    async fn visit(self: Arc<Self>, id: JobId, seq: u64) -> Visit;
    async fn deliver(self: Arc<Self>, id: String) -> DeliveryOutcome;
    async fn sweep(self: Arc<Self>) -> Result<Swept, LedgerError>;
    async fn delete(self: Arc<Self>, id: JobId) -> Result<Deleted, Failure>;
    /// Deletes files that nobody needs any more, if that is due.
    async fn clean(self: Arc<Self>) -> Option<Cleaned>;
    /// What a job would cost; may be dropped at any time.
    async fn quote(&self, asked: QuoteRequest) -> Result<Quote, QuoteError>;
    fn is_draining(&self) -> bool;
    /// Names its process in leases, before a `-` and the number of a visit.
    fn name(&self) -> &str;
    /// How far it uses what the account at the provider may do; nothing where no limits are set.
    fn provider_use(&self) -> Option<ProviderUse>;
}

#[async_trait]
impl Visits for Worker {
    async fn visit(self: Arc<Self>, id: JobId, seq: u64) -> Visit {
        Worker::visit(&self, id, seq).await
    }

    async fn deliver(self: Arc<Self>, id: String) -> DeliveryOutcome {
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

    fn name(&self) -> &str {
        Worker::name(self)
    }

    fn provider_use(&self) -> Option<ProviderUse> {
        Worker::provider_use(self)
    }
}
