//! Asks the provider once how the prediction stands; no request is held open, nothing sleeps.

use std::time::Duration;

use super::super::context::Context;
use super::super::failures::provider_said;
use super::super::halt::{Halt, Step};
use super::{breaker, fallback};
use crate::clock::{elapsed, later};
use crate::job::breaker::Verdict;
use crate::job::{Change, Code, Failure, Job, Progress, Stage, Timestamp, WaitsFor};
use crate::provider::{Prediction, ProviderError};

pub(super) async fn run(context: &Context<'_>, job: Job) -> Result<Step, Halt> {
    let Some(id) = job.provider.prediction_id.clone() else {
        context.writer.record(&Change::PredictionLost).await?;
        return Err(Failure::new(Code::ProviderLostJob, Code::ProviderLostJob.about()).into());
    };
    let now = context.now();
    // At its deadline the job has no later.
    if let Some(first) = first_poll(context, &job).filter(|first| now < *first)
        && now < job.deadline_at
        && !called_back(context, &job, &id).await?
    {
        return Ok(Step::wait_for(WaitsFor::Provider, first));
    }
    let asked = context
        .interruptible(context.awaited.during(
            Code::ProviderUnavailable,
            context.services.provider.prediction(&id),
        ))
        .await?;
    let prediction = match asked {
        Ok(info) => info.state,
        Err(error) => return unanswered(context, &job, error).await,
    };
    breaker::note_end(context, &job, &prediction).await;
    if let Some(over) = fallback::ended(context, &job, &prediction) {
        tracing::warn!(
            model = over.model,
            why = over.why.as_str(),
            "on to the next model"
        );
        let changes = vec![Change::PredictionLost, Change::PassedOver(over)];
        context.writer.record(&Change::Many(changes)).await?;
        // The fence names the next intent, so it belongs to the next visit.
        return Ok(Step::wait_for(WaitsFor::Worker, context.now()));
    }
    let failure = match prediction {
        Prediction::Running => {
            context.writer.progress(progress(context, &job));
            // The wait is written at once.
            context.writer.later(Change::Polled);
            return Ok(Step::wait_for(
                WaitsFor::Provider,
                context.after(pause(context, &job)),
            ));
        }
        Prediction::Completed { output } => {
            let url = output.to_string();
            return Ok(Step::done(Change::OutputReady { url }));
        }
        Prediction::ContentRefused { message } => provider_said(Code::ContentRefused, &message),
        Prediction::Rejected { message } => provider_said(Code::ProviderRejected, &message),
        Prediction::InputUnreachable { message } => {
            provider_said(Code::ProviderInputUnreachable, &message)
        }
        Prediction::NoOutput => {
            Failure::new(Code::ProviderNoOutput, Code::ProviderNoOutput.about())
        }
        Prediction::Failed { message } | Prediction::Gone { message } => {
            provider_said(Code::ProviderFailed, &message)
        }
    };
    // A new attempt means a new intent: this prediction gives nothing any more.
    context.writer.record(&Change::PredictionLost).await?;
    Err(failure.into())
}

async fn unanswered(context: &Context<'_>, job: &Job, error: ProviderError) -> Result<Step, Halt> {
    let (failure, at_least) = match error {
        ProviderError::NotFound { message } => return missing(context, job, message).await,
        ProviderError::Unauthorized { message } => {
            // A changed key must not fail the whole queue: wait for an operator, to the deadline.
            tracing::error!(message, "the provider does not accept the key");
            (
                Failure::new(
                    Code::ProviderUnauthorized,
                    Code::ProviderUnauthorized.about(),
                ),
                context.settings().busy_pause,
            )
        }
        ProviderError::Busy {
            message,
            retry_after,
        } => (
            Failure::new(Code::ProviderBusy, Code::ProviderBusy.about()).because(message),
            retry_after.unwrap_or_default(),
        ),
        // The paid prediction goes on without us: asking costs nothing, so no attempt either.
        other => (
            Failure::new(Code::ProviderUnavailable, Code::ProviderUnavailable.about())
                .because(other),
            Duration::ZERO,
        ),
    };
    let missing_since = None;
    let change = Change::Unanswered { missing_since };
    context.writer.record(&change).await?;
    let until = context.after(pause(context, job).max(at_least));
    Ok(Step::wait(until, failure))
}

/// The provider says itself that it does not know the prediction. It was paid for: only when it
/// has said so for a while is it lost, and another bought.
async fn missing(context: &Context<'_>, job: &Job, message: String) -> Result<Step, Halt> {
    let now = context.now();
    let since = job.provider.missing_since.unwrap_or(now);
    let lost_at = later(since, context.settings().lost_after);
    let failure =
        Failure::new(Code::ProviderLostJob, Code::ProviderLostJob.about()).because(message);
    if now >= lost_at {
        if let Some(model) = &job.provider.model {
            breaker::note(context, job, model, Verdict::Fails).await;
        }
        context.writer.record(&Change::PredictionLost).await?;
        return Err(failure.into());
    }
    let missing_since = Some(since);
    let change = Change::Unanswered { missing_since };
    context.writer.record(&change).await?;
    Ok(Step::wait(
        context.after(pause(context, job)).min(lost_at),
        failure,
    ))
}

/// Polling before the model's usual time is a wasted request.
fn first_poll(context: &Context<'_>, job: &Job) -> Option<Timestamp> {
    let submitted = job.provider.submitted_at?;
    Some(later(
        submitted,
        usual_time(context, job).max(context.settings().poll_min),
    ))
}

fn usual_time(context: &Context<'_>, job: &Job) -> Duration {
    let source_s = job
        .provider
        .inputs
        .as_ref()
        .map_or(0.0, |inputs| inputs.facts.duration_ms as f64 / 1000.0);
    let (kind, asked) = (job.params.kind(), job.provider.model.as_deref());
    let model = context.services.provider.model_named(kind, asked);
    model.usual_time(job.params.billed_seconds(source_s))
}

/// Whether the provider called back for the present prediction.
async fn called_back(context: &Context<'_>, job: &Job, prediction: &str) -> Result<bool, Halt> {
    // The visit is made for that very callback.
    let present = job.current_intent().map(|intent| &intent.id);
    if present.is_some() && context.heard.as_ref() == present {
        return Ok(true);
    }
    let callbacks = context.services.ledger.callbacks(&job.id).await?;
    Ok(callbacks
        .iter()
        .any(|callback| callback.prediction_id == prediction))
}

fn pause(context: &Context<'_>, job: &Job) -> Duration {
    growing(context, job.provider.polls)
}

/// From `poll_min`, half as long again each time, up to `poll_max`.
pub(super) fn growing(context: &Context<'_>, times: u32) -> Duration {
    let settings = context.settings();
    let growth = 1.5_f64.powi(times.min(32) as i32);
    let grown = settings.poll_min.as_secs_f64() * growth;
    Duration::try_from_secs_f64(grown)
        .unwrap_or(settings.poll_max)
        .min(settings.poll_max)
}

/// Towards, but never at, the end of the stage: nobody knows when the provider is done.
fn progress(context: &Context<'_>, job: &Job) -> Progress {
    let usual = usual_time(context, job).as_secs_f64().max(1.0);
    let waited = job
        .provider
        .submitted_at
        .map_or(0.0, |at| elapsed(at, context.now()).as_secs_f64());
    let fraction = 1.0 - (-waited / usual).exp();
    let left = (usual - waited).max(0.0) as u64;
    Progress::within(Stage::Generate, fraction).with_eta(Some(left))
}
