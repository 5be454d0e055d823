//! Telling the user: one terminal notice a round, kept in the outbox until it is delivered.

use serde::{Deserialize, Serialize};
use serde_json::json;
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

use super::{Channel, Job, JobId, Owner, Status, Timestamp};

/// What happened.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
pub enum Event {
    #[serde(rename = "job.completed")]
    #[strum(serialize = "job.completed")]
    Completed,
    #[serde(rename = "job.failed")]
    #[strum(serialize = "job.failed")]
    Failed,
    #[serde(rename = "job.cancelled")]
    #[strum(serialize = "job.cancelled")]
    Cancelled,
}

impl Event {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The event of an ended job.
    #[must_use]
    pub fn of(status: Status) -> Option<Self> {
        match status {
            Status::Completed => Some(Self::Completed),
            Status::Failed => Some(Self::Failed),
            Status::Cancelled => Some(Self::Cancelled),
            Status::Queued | Status::Processing => None,
        }
    }
}

/// A notice in the outbox. Its id is constant over all deliveries, so that a receiver can drop
/// repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The [`SCHEMA_VERSION`](super::SCHEMA_VERSION) that wrote it; absent in older ones.
    #[serde(default)]
    pub schema_version: u32,
    /// `{job}:{round}:{event}`.
    pub id: String,
    pub job: JobId,
    pub owner: Owner,
    pub event: Event,
    pub channel: Channel,
    pub payload: serde_json::Value,
    /// The `traceparent` that the job was created with; a delivery says in its own which span it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    pub state: DeliveryState,
    #[serde(default)]
    pub deliveries: u32,
    /// How often it was sent on its way again by hand.
    #[serde(default)]
    pub replays: u32,
    /// The deliveries there were when that happened last: tries are counted from there.
    #[serde(default)]
    pub replayed_after: u32,
    /// How often its next try was planned anew, since the task that was to bring it was lost or
    /// came too early.
    #[serde(default)]
    pub wake: u32,
    /// When to try next; absent once delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    Delivered,
    /// Every try failed; it can be replayed by hand.
    Undeliverable,
}

impl Notice {
    /// The terminal notice of an ended job; `None` for one that has not ended.
    #[must_use]
    pub fn terminal(job: &Job, channel: Channel, now: Timestamp) -> Option<Self> {
        let event = Event::of(job.status)?;
        Some(Self {
            schema_version: super::SCHEMA_VERSION,
            id: format!("{}:{}:{}", job.id, job.round, event.as_str()),
            job: job.id.clone(),
            owner: job.owner.clone(),
            event,
            channel,
            // Standard Webhooks' body shape: type, timestamp, data.
            payload: json!({
                "type": event.as_str(),
                "timestamp": now.to_string(),
                "data": {
                    "job_id": job.id,
                    "owner": job.owner,
                    "kind": job.params.kind(),
                    "tags": job.tags,
                    "round": job.round,
                    "status": job.status,
                    "model": job.provider.model,
                    "passed_over": job.passed_over,
                    "result": job.result,
                    "error": job.error,
                    "credits": job.credits,
                },
            }),
            traceparent: job.traceparent.clone(),
            state: DeliveryState::Pending,
            deliveries: 0,
            replays: 0,
            replayed_after: 0,
            wake: 0,
            next_at: Some(now),
            last_error: None,
            created_at: now,
        })
    }

    /// The number of the next delivery's task. Every number names a task once: a replay, or a try
    /// that is planned anew, needs a fresh one even where no delivery came in between.
    #[must_use]
    pub fn next_task(&self) -> u32 {
        self.deliveries
            .saturating_add(self.replays)
            .saturating_add(self.wake)
            .saturating_add(1)
    }

    /// Gives the next try a task of a fresh name, due at `at` or, without, when it was due anyway.
    /// `false` where there is nothing to plan: it is over, its task is not the one that was
    /// `seen`, or it is not due by `at` at all.
    pub fn replan(&mut self, seen: u32, at: Option<Timestamp>) -> bool {
        let waits = self.state == DeliveryState::Pending && self.next_task() == seen;
        let Some(next_at) = self.next_at.filter(|_| waits) else {
            return false;
        };
        if let Some(at) = at {
            if next_at > at {
                return false;
            }
            self.next_at = Some(at);
        }
        self.wake = self.wake.saturating_add(1);
        true
    }

    /// Tries since the beginning, or since it was replayed.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.deliveries.saturating_sub(self.replayed_after)
    }

    /// Due at once under its own id, with as many tries as a new notice.
    pub fn replay(&mut self, now: Timestamp) {
        self.state = DeliveryState::Pending;
        self.next_at = Some(now);
        self.replays = self.replays.saturating_add(1);
        self.replayed_after = self.deliveries;
    }

    /// The round it tells of, as its id says.
    #[must_use]
    pub fn round(&self) -> Option<u32> {
        // Ids of jobs and names of events hold no ':'.
        self.id.split(':').nth(1)?.parse().ok()
    }
}
