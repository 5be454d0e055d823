//! What a task of the built-in queue comes to.

use std::sync::Arc;

use async_trait::async_trait;

use super::outbox::DeliveryOutcome;
use super::outcome::Visit;
use super::state::Worker;
use crate::job::JobId;
use crate::queue::{Delivery, Receiver, Task};

/// Deliveries of a task for an unknown job or notice that are answered “not found”, since its
/// document may be on its way. The next one is taken for the last.
pub const UNKNOWN_JOB_DELIVERIES: u32 = 5;

/// Gives up a task of a job that is not there. A later wake-up was planned by a visit of the job,
/// so there was one: it was deleted since. The first one may be of a creator whose document never
/// came, and only a person can tell.
pub(crate) fn unknown_job(id: &JobId, seq: u64) {
    if seq > 1 {
        tracing::info!(job = %id, seq, "a task names a job that was deleted");
    } else {
        tracing::error!(job = %id, seq, "a task names a job that does not exist");
    }
}

/// The same for a notice: its task is planned after it was written, so it was deleted since.
pub(crate) fn unknown_notice(id: &str) {
    tracing::info!(notification = id, "a task names a notice that was deleted");
}

#[async_trait]
impl Receiver for Arc<Worker> {
    async fn receive(&self, task: Task, deliveries: u32) -> Delivery {
        match task {
            Task::Job { id, seq, .. } => match self.visit(id.clone(), seq).await {
                Visit::Advanced | Visit::NothingToDo | Visit::Early { .. } => {
                    Delivery::Acknowledged
                }
                Visit::NotFound if deliveries > UNKNOWN_JOB_DELIVERIES => {
                    unknown_job(&id, seq);
                    Delivery::Acknowledged
                }
                // Whoever died with the lease is not waited for any longer than it runs.
                Visit::Leased { until } => Delivery::AgainBy(until),
                Visit::NotFound
                | Visit::Busy
                | Visit::LeftAlone
                | Visit::Draining
                | Visit::Unavailable { .. } => Delivery::Again,
            },
            Task::Notice { id, .. } => match self.deliver(id.clone()).await {
                DeliveryOutcome::Delivered
                | DeliveryOutcome::NothingToDo
                | DeliveryOutcome::Planned { .. } => Delivery::Acknowledged,
                DeliveryOutcome::NotFound if deliveries > UNKNOWN_JOB_DELIVERIES => {
                    unknown_notice(&id);
                    Delivery::Acknowledged
                }
                DeliveryOutcome::NotFound
                | DeliveryOutcome::Busy
                | DeliveryOutcome::LeftAlone
                | DeliveryOutcome::Draining
                | DeliveryOutcome::Unavailable { .. } => Delivery::Again,
            },
        }
    }
}
