//! Traces: one a job, over all its visits, in whatever process they are made.
//!
//! ```text
//! job                        from its creation to the end of the round
//! ├─ visit                   one a claim; `lost` where the process died
//! │  ├─ stage                what the visit did
//! │  ├─ provider             a call of the provider
//! │  └─ media                a pass of native work
//! └─ notice                  a delivery
//! ```
//!
//! What several processes have to agree on is made of the job's id alone: the trace's id (or the
//! caller's, which the record keeps), and the ids of the job's own span and of a visit's. So no
//! context has to be handed on, and who finds a dead claim can end the dead visit's span in its
//! stead. Therefore, too, everything a visit does hangs on the visit itself: between them a span
//! could be lost with its process, and leave its children without a parent.
//!
//! These spans have a target of their own, which the log does not show. Nothing but the fields
//! that are named here is sent: no owners, prompts, addresses or messages.

mod export;
mod ids;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::field::Empty;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

pub use export::{Export, InvalidExport};
pub use ids::JobTrace;

use crate::job::{Fence, Job, JobId, Timestamp};

/// The target of the spans that are exported, and of nothing else.
pub(super) const TARGET: &str = "filmlab::trace";
/// What the end of a process waits for its last spans. A drain takes 8 s of Cloud Run's 10.
const LAST_SPANS: Duration = Duration::from_millis(1000);

#[derive(Debug)]
struct Traces {
    tracer: SdkTracer,
    /// The share of jobs that are traced, where their callers do not say.
    share: f64,
}

static TRACES: OnceLock<Traces> = OnceLock::new();

/// Sends what is left when the service ends.
#[derive(Debug)]
pub struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Waits for the last spans, for a second at most.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST_SPANS));
        // The exporter has its own timeout; nobody waits for longer than this.
        let ended = tokio::time::timeout(LAST_SPANS + LAST_SPANS / 5, ended).await;
        if !matches!(ended, Ok(Ok(Ok(())))) {
            tracing::debug!("the last spans may not have been sent");
        }
    }
}

/// Starts exporting. Needs a Tokio runtime, in which the requests are made.
pub fn start(export: &Export) -> Result<Exporting, InvalidExport> {
    let provider = export::provider(export)?;
    let tracer = provider.tracer("filmlab");
    // A second start changes nothing: the first one's spans go on.
    let _ = TRACES.set(Traces {
        tracer,
        share: export.share,
    });
    Ok(Exporting(provider))
}

/// The layer that takes the spans, once [`start`] was called.
pub(super) fn layer<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let traces = TRACES.get()?;
    let layer = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer.clone())
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false);
    // Spans alone: what events say is for the log.
    let ours = FilterFn::new(|metadata| metadata.is_span() && metadata.target() == TARGET);
    Some(layer.with_filter(ours))
}

/// The trace of a job, where it is exported.
fn traced(trace: &JobTrace) -> Option<&'static Traces> {
    TRACES.get().filter(|traces| trace.is_sampled(traces.share))
}

fn below(trace: &JobTrace, span: [u8; 8]) -> Context {
    let context = SpanContext::new(
        TraceId::from_bytes(trace.id),
        SpanId::from_bytes(span),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    Context::new().with_remote_span_context(context)
}

/// The span of one visit, to be entered. Everything that the visit does becomes its child. In the
/// log it stands below the span that is current, so that no line loses its fields.
#[must_use]
pub fn visit(job: &Job, seq: u64) -> Span {
    let trace = JobTrace::of_job(job);
    if traced(&trace).is_none() {
        return Span::none();
    }
    let fence = job.lease.fence;
    let span = tracing::info_span!(
        target: TARGET, "visit",
        job = %job.id, round = job.round, seq, fence = fence.0, attempt = job.attempt,
        outcome = Empty,
    );
    if span.set_parent(below(&trace, trace.job)).is_err() {
        return Span::none();
    }
    // It starts here, under an id that another process can tell.
    ids::given(trace.id, trace.visit(fence), || drop(span.context()));
    span
}

/// Ends the span of a visit whose process died: `since` it was last heard of, and `until` its
/// lease held.
pub fn lost_visit(job: &Job, fence: Fence, since: Timestamp, until: Timestamp) {
    let trace = JobTrace::of_job(job);
    let Some(traces) = traced(&trace) else { return };
    ids::given(trace.id, trace.visit(fence), || {
        let span = traces
            .tracer
            .span_builder("visit")
            .with_kind(SpanKind::Internal)
            .with_start_time(moment(since))
            .with_attributes([
                KeyValue::new("job", job.id.to_string()),
                KeyValue::new("round", i64::from(job.round)),
                KeyValue::new("fence", count(fence.0)),
                KeyValue::new("outcome", "lost"),
            ])
            .start_with_context(&traces.tracer, &below(&trace, trace.job));
        ended(span, until, Some("the process died"));
    });
}

/// The job's own span, once its round has ended.
pub fn job_ended(job: &Job, at: Timestamp) {
    let trace = JobTrace::of_job(job);
    let Some(traces) = traced(&trace) else { return };
    let parent = trace
        .caller
        .map_or_else(Context::new, |caller| below(&trace, caller));
    let mut attributes = vec![
        KeyValue::new("job", job.id.to_string()),
        KeyValue::new("kind", job.params.kind().as_str()),
        KeyValue::new("status", <&'static str>::from(job.status)),
        KeyValue::new("round", i64::from(job.round)),
        KeyValue::new("attempts", i64::from(job.attempt)),
        KeyValue::new("crashes", i64::from(job.crashes)),
    ];
    let failed = job.error.as_ref().map(|error| error.code.as_str());
    attributes.extend(failed.map(|code| KeyValue::new("code", code)));
    ids::given(trace.id, trace.job, || {
        let span = traces
            .tracer
            .span_builder("job")
            .with_kind(SpanKind::Internal)
            .with_start_time(moment(job.created_at))
            .with_attributes(attributes)
            .start_with_context(&traces.tracer, &parent);
        ended(span, at, failed);
    });
}

fn ended(mut span: impl opentelemetry::trace::Span, at: Timestamp, failed: Option<&'static str>) {
    if let Some(failed) = failed {
        span.set_status(Status::error(failed));
    }
    span.end_with_timestamp(moment(at));
}

fn moment(at: Timestamp) -> SystemTime {
    at.into()
}

/// Attributes have no unsigned numbers.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stage of the visit whose span is current.
#[must_use]
pub fn stage(stage: &'static str) -> Span {
    if TRACES.get().is_none() {
        return Span::none();
    }
    tracing::info_span!(target: TARGET, "stage", otel.name = format!("stage {stage}"), stage)
}

/// A call of the provider.
#[must_use]
pub fn provider_call(call: &'static str) -> Span {
    if TRACES.get().is_none() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET, "provider", otel.name = format!("provider {call}"), otel.kind = "client",
        call, outcome = Empty,
    )
}

/// A pass of native work.
#[must_use]
pub fn media_pass(phase: &'static str, is_apart: bool) -> Span {
    if TRACES.get().is_none() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET, "media", otel.name = format!("media {phase}"), phase,
        quarantine = is_apart, outcome = Empty,
    )
}

/// The delivery of a notice; `delivery` counts from 1.
#[must_use]
pub fn notice(
    job: &JobId,
    round: u32,
    traceparent: Option<&str>,
    channel: &'static str,
    delivery: u32,
) -> Span {
    let trace = JobTrace::of(job, round, traceparent);
    if traced(&trace).is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET, "notice", otel.kind = "producer",
        job = %job, round, channel, delivery, outcome = Empty,
    );
    if span.set_parent(below(&trace, trace.job)).is_err() {
        return Span::none();
    }
    span
}

/// What a request that belongs to `span` says in its `traceparent`: the span where it is
/// exported, else what the caller gave, if anything.
#[must_use]
pub fn handed_on(span: &Span, callers: Option<&str>) -> Option<String> {
    if span.is_none() {
        return callers.map(str::to_owned);
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    if !context.is_valid() {
        return callers.map(str::to_owned);
    }
    Some(format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    ))
}
