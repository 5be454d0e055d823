//! Which model is asked next.
//!
//! A model is passed over only where its last submission has ended and is not charged for, or
//! where there was none. The ledger has that in the same write as the end itself, and the next
//! model's intent is a later write: none is paid before its predecessor's end is known.

use super::super::context::Context;
use super::super::halt::Halt;
use crate::clock::elapsed;
use crate::job::{Change, Code, Failure, Job, PassedFor, PassedOver, SourceFacts, WaitsFor};
use crate::provider::{Model, Prediction, Provider, SubmitError};

/// A document stays small whatever a provider says.
const MAX_REASON_CHARS: usize = 300;

/// The models of the job's kind that this round may still ask, in their order.
fn left<'a>(provider: &'a dyn Provider, job: &'a Job) -> impl Iterator<Item = &'a Model> {
    let kind = job.params.kind();
    std::iter::once(provider.model(kind))
        .chain(provider.fallbacks(kind))
        .filter(|model| !job.has_passed_over(&model.id))
}

/// The model to pay now. Those that cannot make the job, or cost too much, are passed over on
/// the way.
pub(super) async fn choose<'a>(
    context: &'a Context<'_>,
    facts: &SourceFacts,
) -> Result<&'a Model, Halt> {
    let provider = context.services.provider.as_ref();
    loop {
        let job = context.writer.job().await;
        let Some(id) = left(provider, &job).next().map(|model| model.id.clone()) else {
            // The settings name fewer models than when the last one was passed over.
            let reason = job.passed_over.last().map(|last| last.reason.clone());
            let reason = reason.unwrap_or_else(|| Code::ModelUnknown.about().to_owned());
            return Err(Failure::new(Code::ModelUnknown, reason).into());
        };
        let model = provider.model_named(job.params.kind(), Some(&id));
        let Err((why, reason)) = fits(model, &job, facts) else {
            return Ok(model);
        };
        match passing(context, &job, why, &reason) {
            Some(over) => {
                context.writer.record(&Change::PassedOver(over)).await?;
            }
            None => return Err(Failure::new(Code::InvalidRequest, reason).into()),
        }
    }
}

/// Whether a model can make the job for what it may cost.
fn fits(model: &Model, job: &Job, facts: &SourceFacts) -> Result<(), (PassedFor, String)> {
    if let Err(faults) = model.check(&job.params, facts) {
        let list: Vec<_> = faults.iter().map(ToString::to_string).collect();
        return Err((PassedFor::Unfit, list.join("; ")));
    }
    let Some(most) = job.max_price else {
        return Ok(());
    };
    let source_s = facts.duration_ms as f64 / 1000.0;
    let id = &model.id;
    match model.list_price(&job.params, source_s) {
        Some(price) if price <= most => Ok(()),
        Some(price) => Err((
            PassedFor::Price,
            format!("max_price: {id} costs {price:.3} US dollars, more than {most}"),
        )),
        None => Err((
            PassedFor::Price,
            format!("max_price: no price of {id} is known for this size"),
        )),
    }
}

/// The note that the model at hand is passed over for the next one; `None` where there is no next
/// one, or a submission of this round may have been paid for.
fn passing(context: &Context<'_>, job: &Job, why: PassedFor, reason: &str) -> Option<PassedOver> {
    let mut models = left(context.services.provider.as_ref(), job);
    let model = models.next()?.id.clone();
    models.next()?;
    if job.may_have_wasted() {
        return None;
    }
    Some(PassedOver {
        model,
        why,
        reason: reason.chars().take(MAX_REASON_CHARS).collect(),
        at: context.now(),
    })
}

/// The same for a submission of `model` that the provider refused.
pub(super) fn refused(
    context: &Context<'_>,
    job: &Job,
    model: &str,
    error: &SubmitError,
) -> Option<PassedOver> {
    let (why, reason) = match error {
        SubmitError::Rejected { words, .. } => (PassedFor::Refused, words.as_str()),
        SubmitError::UnknownModel { .. } => (PassedFor::Unknown, ""),
        // By its own description, before anything was sent.
        SubmitError::ModelChanged { message } => (PassedFor::Unfit, message.as_str()),
        SubmitError::ContentRefused { .. } if context.settings().fallback_after_refusal => {
            (PassedFor::Content, "")
        }
        SubmitError::Busy { .. } => return waited(context, job, WaitsFor::Account),
        // Of the provider as a whole, or of our account; and what may have been taken.
        SubmitError::ContentRefused { .. }
        | SubmitError::Unauthorized { .. }
        | SubmitError::NoFunds { .. }
        | SubmitError::NotSent { .. }
        | SubmitError::Redirected { .. }
        | SubmitError::Ambiguous { .. } => return None,
    };
    let over = passing(context, job, why, or_about(why, reason))?;
    (over.model == model).then_some(over)
}

/// The same for a prediction that has ended without a video.
pub(super) fn ended(context: &Context<'_>, job: &Job, end: &Prediction) -> Option<PassedOver> {
    if end.may_be_charged() {
        return None;
    }
    let (why, words) = match end {
        Prediction::Failed { message } => (PassedFor::Failed, message.as_str()),
        Prediction::Rejected { message } => (PassedFor::Refused, message.as_str()),
        // What one model cannot read no other reads.
        _ => return None,
    };
    let over = passing(context, job, why, or_about(why, words))?;
    (job.provider.model.as_ref() == Some(&over.model)).then_some(over)
}

/// The same for a model that nothing was asked of, since `what` was waited for.
pub(super) fn waited(context: &Context<'_>, job: &Job, what: WaitsFor) -> Option<PassedOver> {
    let patience = context.settings().fallback_after?;
    let waiting = job.waiting.filter(|waiting| waiting.what == what)?;
    if elapsed(waiting.since, context.now()) < patience {
        return None;
    }
    passing(context, job, PassedFor::Wait, what.about())
}

/// The same for a model that rests after failures of others.
pub(super) fn rests(context: &Context<'_>, job: &Job) -> Option<PassedOver> {
    passing(context, job, PassedFor::Rest, WaitsFor::Breaker.about())
}

fn or_about(why: PassedFor, words: &str) -> &str {
    match why {
        _ if !words.is_empty() => words,
        PassedFor::Failed => Code::ProviderFailed.about(),
        PassedFor::Content => Code::ContentRefused.about(),
        PassedFor::Unknown => Code::ModelUnknown.about(),
        _ => Code::ProviderRejected.about(),
    }
}
