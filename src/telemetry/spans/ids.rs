//! The ids of a job's trace, as every process reckons them, and how the exporter is given them.

use std::cell::Cell;

use opentelemetry::trace::{Link, SpanId, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SamplingDecision, SamplingResult, ShouldSample,
};
use sha2::{Digest as _, Sha256};

use super::super::trace::TraceContext;
use crate::job::{Fence, Job, JobId};

/// Which trace a round of a job is, and its fixed spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTrace {
    pub id: [u8; 16],
    /// The job's own span.
    pub job: [u8; 8],
    /// The span in which the caller created the job.
    pub caller: Option<[u8; 8]>,
    /// Whether the caller records its part.
    is_recorded: bool,
    key: String,
}

impl JobTrace {
    #[must_use]
    pub fn of_job(job: &Job) -> Self {
        Self::of(&job.id, job.round, job.traceparent.as_deref())
    }

    /// `traceparent` as the caller gave it; one that cannot be read counts as none.
    #[must_use]
    pub fn of(job: &JobId, round: u32, traceparent: Option<&str>) -> Self {
        let given = traceparent.and_then(TraceContext::parse);
        let key = format!("{job}:{round}");
        Self {
            id: given
                .as_ref()
                .and_then(|given| bytes(&given.trace_id))
                .unwrap_or_else(|| hashed(&format!("trace {job}"))),
            job: hashed(&format!("job {key}")),
            caller: given
                .as_ref()
                .and_then(|given| bytes(given.span_id.as_deref()?)),
            is_recorded: given.is_some_and(|given| given.sampled),
            key,
        }
    }

    #[must_use]
    pub fn visit(&self, fence: Fence) -> [u8; 8] {
        hashed(&format!("visit {}:{}", self.key, fence.0))
    }

    /// Whether it is traced: where the caller records its part, and else for this share of all
    /// traces. A caller that records nothing decides nothing: on Cloud Run every request comes with
    /// such a context, from Google's own front end. Every process decides alike, by the last 56
    /// bits of the id, which are random.
    #[must_use]
    pub fn is_sampled(&self, share: f64) -> bool {
        let mut random = [0; 8];
        random[1..].copy_from_slice(&self.id[9..]);
        let drawn = u64::from_be_bytes(random) as f64 / (1_u64 << 56) as f64;
        self.is_recorded || drawn < share
    }
}

fn hashed<const N: usize>(text: &str) -> [u8; N] {
    let mut id = [0; N];
    id.copy_from_slice(&Sha256::digest(format!("filmlab {text}"))[..N]);
    id
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    hex::decode(digits).ok()?.try_into().ok()
}

thread_local! {
    static NEXT: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Runs `start`, which starts one span on this thread: it gets these ids.
pub(super) fn given(trace: [u8; 16], span: [u8; 8], start: impl FnOnce()) {
    NEXT.set(Some((TraceId::from_bytes(trace), SpanId::from_bytes(span))));
    start();
    NEXT.set(None);
}

/// Ids by chance, but where they are given.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get()
            .map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get()
            .map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

/// Takes the spans of jobs that are traced, and what lies below them; nothing else. Whether a job
/// is traced was decided before.
#[derive(Debug, Clone)]
pub(super) struct BelowJobs;

impl ShouldSample for BelowJobs {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let is_below = parent.is_some_and(|parent| parent.span().span_context().is_sampled());
        SamplingResult {
            decision: if is_below || NEXT.get().is_some() {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn every_process_reckons_the_same_ids() {
        let id: JobId = "j1".parse().unwrap();
        let trace = JobTrace::of(&id, 1, None);
        assert_eq!(trace, JobTrace::of(&id, 1, None));
        let again = JobTrace::of(&id, 2, None);
        assert_eq!(trace.id, again.id, "one trace for all rounds");
        assert_ne!(trace.job, again.job);
        let fence = Fence(3);
        assert_ne!(trace.visit(fence), again.visit(fence));
        assert_ne!(trace.visit(fence), trace.visit(Fence(4)));
        let caller = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let called = JobTrace::of(&id, 1, Some(&caller));
        assert_eq!(hex::encode(called.id), TRACE);
        assert_eq!(
            called.caller.map(hex::encode).as_deref(),
            Some("00f067aa0ba902b7")
        );
        assert_eq!(called.job, trace.job);
        assert_eq!(JobTrace::of(&id, 1, Some("nonsense")), trace);
    }

    #[test]
    fn the_share_is_kept_and_the_callers_word_goes_before_it() {
        let sampled = |share: f64| {
            (0..2000)
                .filter(|n| {
                    let id: JobId = format!("job-{n}").parse().unwrap();
                    JobTrace::of(&id, 1, None).is_sampled(share)
                })
                .count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 2000));
        assert!((400..600).contains(&sampled(0.25)), "{}", sampled(0.25));
        let id: JobId = "j1".parse().unwrap();
        for (flags, share, is_sampled) in [("01", 0.0, true), ("00", 0.0, false), ("00", 1.0, true)]
        {
            let caller = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
            let trace = JobTrace::of(&id, 1, Some(&caller));
            assert_eq!(trace.is_sampled(share), is_sampled);
        }
    }
}
