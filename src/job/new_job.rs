//! A job that is wanted, and its first record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::channel::Notify;
use super::credits::{CancelAfterSubmit, CreditState, Credits, JobCredits};
use super::ids::{JobId, Owner};
use super::intent::ProviderState;
use super::kinds::Params;
use super::progress::Progress;
use super::provenance::Provenance;
use super::record::{Job, Kept, Lease, Output, SCHEMA_VERSION, Source, Timings, Wake};
use super::status::Status;

/// A job that somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub id: JobId,
    pub owner: Owner,
    pub params: Params,
    pub source: Source,
    pub output: Output,
    pub notify: Notify,
    pub tags: Vec<String>,
    pub cost: Option<Credits>,
    /// US dollars that a submission may cost.
    pub max_price: Option<f64>,
    /// W3C's `traceparent` of the caller.
    pub traceparent: Option<String>,
    /// What a cancellation costs once the provider is paid; absent: what the operator says of
    /// jobs that do not say it.
    pub cancel_after_submit: Option<CancelAfterSubmit>,
    /// What the result says of how it was made; absent: what the operator says of jobs that do not
    /// say it.
    pub provenance: Option<Provenance>,
    pub deadline_at: Timestamp,
    pub created_at: Timestamp,
    /// The caller's key for "this request, once", and a digest of the request it stands for.
    pub idempotency: Option<Idempotency>,
}

/// A caller's promise that two requests are the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    pub key: String,
    pub request_sha256: String,
}

impl NewJob {
    /// Whether the job there is what this request asks for. Moments are left out: who asks again
    /// does so later. A cost that was left open may have been computed since.
    #[must_use]
    pub fn asks_for(&self, job: &Job) -> bool {
        self.owner == job.owner
            && self.params == job.params
            && self.source == job.source
            && self.output == job.output
            && self.notify == job.notify
            && self.tags == job.tags
            && self.max_price == job.max_price
            && (self.cost.is_none() || self.cost == job.credits.cost)
    }

    /// The record as first written: due at once, held by nobody.
    #[must_use]
    pub fn into_job(self) -> Job {
        Job {
            schema_version: SCHEMA_VERSION,
            id: self.id,
            owner: self.owner,
            params: self.params,
            source: self.source,
            output: self.output,
            notify: self.notify,
            tags: self.tags,
            status: Status::Queued,
            stage: None,
            progress: Progress::default(),
            attempt: 1,
            attempt_failed: false,
            crashes: 0,
            native: None,
            round: 1,
            revision: 0,
            lease: Lease::default(),
            wake: Wake {
                seq: 1,
                at: Some(self.created_at),
            },
            next_visit_at: Some(self.created_at),
            deadline_at: self.deadline_at,
            max_price: self.max_price,
            provenance: self.provenance,
            traceparent: self.traceparent,
            provider: ProviderState::default(),
            intents: Vec::new(),
            passed_over: Vec::new(),
            generated: None,
            result: None,
            result_expired_at: None,
            kept: Kept::default(),
            error: None,
            waiting: None,
            credits: JobCredits {
                cost: self.cost,
                state: CreditState::None,
                cancel_after_submit: self.cancel_after_submit,
            },
            timings: Timings::default(),
            heard: None,
            cancel_requested: false,
            created_at: self.created_at,
            updated_at: self.created_at,
            completed_at: None,
            extra: BTreeMap::new(),
        }
    }
}
