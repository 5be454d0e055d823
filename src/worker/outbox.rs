//! Delivering one notice, with its own retries under one constant id.

use super::{OutboxVisit, Services, Worker};
use crate::clock::later;
use crate::job::notification::DeliveryState;
use crate::job::{Notification, Timestamp};
use crate::notify::NotifyError;
use crate::queue::Task;

pub(super) async fn deliver(worker: &Worker, id: &str) -> OutboxVisit {
    let services = &*worker.services;
    let notice = match services.ledger.notification(id).await {
        Ok(Some(notice)) => notice,
        Ok(None) => return OutboxVisit::NotFound,
        Err(error) => {
            return OutboxVisit::Unavailable {
                message: error.to_string(),
            };
        }
    };
    let now = services.clock.now();
    if notice.state != DeliveryState::Pending {
        return OutboxVisit::NothingToDo;
    }
    if let Some(at) = notice.next_at.filter(|at| *at > now) {
        return plan(services, &notice, at).await;
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
        () = worker.draining.cancelled() => return OutboxVisit::Draining,
        place = worker.places.notices.get(&notice.owner, patience) => place,
    };
    drop(waits);
    let Some(_place) = place else {
        tracing::debug!(id, owner = %notice.owner, "there is no place to deliver it in");
        return OutboxVisit::Busy;
    };
    match notifier.deliver(&notice).await {
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
            let at = later(now, pause.max(retry_after.unwrap_or_default()));
            let recorded = services
                .ledger
                .record_delivery(id, DeliveryState::Pending, Some(at), Some(&message))
                .await;
            if let Err(error) = recorded {
                return OutboxVisit::Unavailable {
                    message: error.to_string(),
                };
            }
            let tried = Notification {
                deliveries: notice.deliveries + 1,
                ..notice
            };
            plan(services, &tried, at).await
        }
    }
}

async fn written(
    services: &Services,
    id: &str,
    state: DeliveryState,
    next_at: Option<Timestamp>,
    error: Option<&str>,
) -> OutboxVisit {
    match services
        .ledger
        .record_delivery(id, state, next_at, error)
        .await
    {
        Ok(()) if state == DeliveryState::Delivered => OutboxVisit::Delivered,
        Ok(()) => OutboxVisit::NothingToDo,
        // Delivered but not noted: it goes out once more, under the same id.
        Err(error) => OutboxVisit::Unavailable {
            message: error.to_string(),
        },
    }
}

async fn plan(services: &Services, notice: &Notification, at: Timestamp) -> OutboxVisit {
    let task = Task::Outbox {
        id: notice.id.clone(),
        delivery: notice.next_task(),
    };
    match services.queue.schedule(&task, at).await {
        Ok(()) => OutboxVisit::Planned { at },
        Err(error) => OutboxVisit::Unavailable {
            message: error.to_string(),
        },
    }
}
