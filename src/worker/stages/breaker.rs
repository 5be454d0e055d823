//! Whether a model is to be asked, and how it did, by what all instances know of it.

use super::super::context::Context;
use super::super::halt::Halt;
use crate::job::breaker::{Clearance, Turned, Verdict};
use crate::job::{Job, Timestamp};
use crate::provider::{Prediction, SubmitError};
use crate::telemetry::metrics;

/// When to look again at a model that rests; `None` where this job may ask it.
pub(super) async fn rests(
    context: &Context<'_>,
    job: &Job,
    model: &str,
) -> Result<Option<Timestamp>, Halt> {
    let Some(rules) = context.settings().breaker else {
        return Ok(None);
    };
    let ledger = &context.services.ledger;
    let asked = ledger.ask_model(model, &job.id, context.now(), &rules);
    Ok(match context.interruptible(asked).await?? {
        Clearance::Works => None,
        Clearance::Probes => {
            tracing::info!(model, job = %job.id, "the job tries a model that rested");
            None
        }
        Clearance::Rests {
            until,
            tried: false,
        } => Some(until),
        Clearance::Rests { until, tried: true } => {
            Some(until.min(context.after(context.settings().busy_pause)))
        }
    })
}

/// Counts how a prediction ended.
pub(super) async fn note_end(context: &Context<'_>, job: &Job, end: &Prediction) {
    let verdict = match end {
        Prediction::Running => return,
        Prediction::Completed { .. } => Verdict::Works,
        // What it was given is what it did not like.
        Prediction::ContentRefused { .. }
        | Prediction::Rejected { .. }
        | Prediction::InputUnreachable { .. } => Verdict::Nothing,
        Prediction::NoOutput | Prediction::Failed { .. } | Prediction::Gone { .. } => {
            Verdict::Fails
        }
    };
    if let Some(model) = job.provider.model.as_deref() {
        note(context, job, model, verdict).await;
    }
}

/// Counts a submission that the provider did not take.
pub(super) async fn note_refusal(
    context: &Context<'_>,
    job: &Job,
    model: &str,
    error: &SubmitError,
) {
    let verdict = match error {
        SubmitError::UnknownModel { .. } => Verdict::Fails,
        SubmitError::Rejected { .. }
        | SubmitError::ContentRefused { .. }
        | SubmitError::ModelChanged { .. } => Verdict::Nothing,
        // Of the provider as a whole, or of our account: the job asks again.
        _ => return,
    };
    note(context, job, model, verdict).await;
}

/// Counts how a submission ended. What cannot be written is a count less.
pub(super) async fn note(context: &Context<'_>, job: &Job, model: &str, verdict: Verdict) {
    let Some(rules) = context.settings().breaker else {
        return;
    };
    let ledger = &context.services.ledger;
    let noted = ledger.note_model(model, &job.id, verdict, context.now(), &rules);
    let kind = job.params.kind().as_str();
    match noted.await {
        Ok(Some(Turned::Opened)) => {
            tracing::warn!(model, "the model fails much and is given a rest");
            metrics::breaker_turned(kind, "opened");
        }
        Ok(Some(Turned::Closed)) => {
            tracing::info!(model, "the model works again");
            metrics::breaker_turned(kind, "closed");
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(model, %error, "how the model did is not counted"),
    }
}
