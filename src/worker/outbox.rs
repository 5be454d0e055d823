//! Delivering one notice, with its own retries under one constant id.

use std::sync::Arc;

use super::services::Services;
use super::state::Worker;
use super::sweep::NAMES;
use crate::clock::later;
use crate::job::notice::DeliveryState;
use crate::job::{Notice, Timestamp};
use crate::ledger::LedgerError;
use crate::notify::NotifyError;
use crate::queue::{Scheduled, Task};
use crate::telemetry::spans;

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Delivered,
    /// Delivered or given up before.
    NothingToDo,
    /// Not delivered; the next try is planned.
    Planned {
        at: Timestamp,
    },
    NotFound,
    /// There is no place to deliver it in: bring the task again.
    Busy,
    /// The notice is of a newer release; bring the task again.
    LeftAlone,
    Draining,
    Unavailable {
        message: String,
    },
}

impl Worker {
    /// Delivers one notice.
    pub async fn deliver(self: &Arc<Self>, id: String) -> DeliveryOutcome {
        if self.is_draining() {
            return DeliveryOutcome::Draining;
        }
        let worker = Arc::clone(self);
        let task = self.tracker.spawn(async move {
            // A second task of a notice whose delivery runs: that one plans what comes next.
            let Some(_entered) = worker.delivering.enter(&id) else {
                return DeliveryOutcome::NothingToDo;
            };
            deliver(&worker, &id).await
        });
        match task.await {
            Ok(visit) => visit,
            Err(error) => DeliveryOutcome::Unavailable {
                message: error.to_string(),
            },
        }
    }
}

#[allow(
    clippy::too_many_lines,
    reason = "one answer for each way a delivery may end"
)]
async fn deliver(worker: &Worker, id: &str) -> DeliveryOutcome {
    let services = &*worker.services;
    let notice = match services.ledger.notice(id).await {
        Ok(Some(notice)) => notice,
        Ok(None) => return DeliveryOutcome::NotFound,
        Err(error) => return unread(id, &error),
    };
    let now = services.clock.now();
    if notice.state != DeliveryState::Pending {
        return DeliveryOutcome::NothingToDo;
    }
    if let Some(at) = notice.next_at.filter(|at| *at > now) {
        // The task that has come has used up its name: the recorded time gets a fresh one.
        let seen = notice.next_task();
        return match services.ledger.replan_notice(id, seen, None).await {
            Ok(Some(notice)) => plan(services, notice, at).await,
            Ok(None) => DeliveryOutcome::NothingToDo,
            Err(error) => unread(id, &error),
        };
    }
    let Some(notifier) = services
        .notifiers
        .iter()
        .find(|notifier| notifier.serves(&notice))
    else {
        tracing::error!(
            id,
            channel = notice.channel.name(),
            "no notifier serves this channel"
        );
        return written(
            services,
            id,
            DeliveryState::Undeliverable,
            None,
            Some("no notifier for the channel"),
        )
        .await;
    };
    let waits = worker.places.lines.enter(id);
    let patience = services.settings.places.patience;
    let place = tokio::select! {
        biased;
        () = worker.draining.cancelled() => return DeliveryOutcome::Draining,
        place = worker.places.notices.get(&notice.owner, patience) => place,
    };
    drop(waits);
    let Some(_place) = place else {
        tracing::debug!(id, owner = %notice.owner, "there is no place to deliver it in");
        return DeliveryOutcome::Busy;
    };
    let span = spans::notice(
        &notice.job,
        notice.round().unwrap_or(1),
        notice.traceparent.as_deref(),
        notice.channel.name(),
        notice.deliveries + 1,
    );
    let sent = Notice {
        traceparent: spans::handed_on(&span, notice.traceparent.as_deref()),
        ..notice.clone()
    };
    let delivered = notifier.deliver(&sent).await;
    let outcome = match &delivered {
        Ok(()) => "delivered",
        Err(NotifyError::Refused(_)) => "refused",
        Err(NotifyError::Failed { .. }) => "failed",
    };
    span.record("outcome", outcome);
    drop(span);
    match delivered {
        Ok(()) => written(services, id, DeliveryState::Delivered, None, None).await,
        Err(NotifyError::Refused(message)) => {
            tracing::error!(id, message, "the notice was refused");
            written(
                services,
                id,
                DeliveryState::Undeliverable,
                None,
                Some(&message),
            )
            .await
        }
        Err(NotifyError::Failed {
            message,
            retry_after,
        }) => {
            let Some(pause) = services
                .settings
                .notify_attempts
                .pause_after(notice.tries() + 1)
            else {
                tracing::error!(
                    id,
                    message,
                    deliveries = notice.deliveries + 1,
                    "the notice was given up"
                );
                return written(
                    services,
                    id,
                    DeliveryState::Undeliverable,
                    None,
                    Some(&message),
                )
                .await;
            };
            tracing::warn!(id, message, "the notice was not delivered");
            // From now on: it may have waited for a place, and for its receiver.
            let now = services.clock.now();
            let at = later(now, pause.max(retry_after.unwrap_or_default()));
            let recorded = services
                .ledger
                .record_delivery(id, DeliveryState::Pending, Some(at), Some(&message))
                .await;
            if let Err(error) = recorded {
                return DeliveryOutcome::Unavailable {
                    message: error.to_string(),
                };
            }
            let tried = Notice {
                deliveries: notice.deliveries + 1,
                ..notice
            };
            plan(services, tried, at).await
        }
    }
}

async fn written(
    services: &Services,
    id: &str,
    state: DeliveryState,
    next_at: Option<Timestamp>,
    error: Option<&str>,
) -> DeliveryOutcome {
    match services
        .ledger
        .record_delivery(id, state, next_at, error)
        .await
    {
        Ok(()) if state == DeliveryState::Delivered => DeliveryOutcome::Delivered,
        Ok(()) => DeliveryOutcome::NothingToDo,
        // Delivered but not noted: it goes out once more, under the same id.
        Err(error) => DeliveryOutcome::Unavailable {
            message: error.to_string(),
        },
    }
}

/// Creates the task of the next try, under a name that nobody has used.
async fn plan(services: &Services, mut notice: Notice, at: Timestamp) -> DeliveryOutcome {
    for _ in 0..NAMES {
        let task = Task::deliver(&notice);
        match services.queue.schedule(&task, at).await {
            Ok(Scheduled::Planned) => return DeliveryOutcome::Planned { at },
            Ok(Scheduled::Known) => {}
            Err(error) => {
                return DeliveryOutcome::Unavailable {
                    message: error.to_string(),
                };
            }
        }
        notice = match services
            .ledger
            .replan_notice(&notice.id, notice.next_task(), None)
            .await
        {
            Ok(Some(notice)) => notice,
            // Somebody else has planned it since.
            Ok(None) => return DeliveryOutcome::NothingToDo,
            Err(error) => return unread(&notice.id, &error),
        };
    }
    DeliveryOutcome::Unavailable {
        message: "no free name for the task".into(),
    }
}

/// What a task comes to whose notice could not be read.
fn unread(id: &str, error: &LedgerError) -> DeliveryOutcome {
    match error {
        // The sweep watches it, and ends it if it stays like this.
        LedgerError::Malformed { reason, .. } => {
            tracing::warn!(id, reason, "the notice cannot be read");
            DeliveryOutcome::NothingToDo
        }
        LedgerError::Newer { reason, .. } => {
            tracing::warn!(id, reason, "a notice of a newer release is left alone");
            DeliveryOutcome::LeftAlone
        }
        other => DeliveryOutcome::Unavailable {
            message: other.to_string(),
        },
    }
}
