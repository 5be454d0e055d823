//! Submissions that may have been paid for: adopted where they are proven, waited for as long as
//! they may be, and written down as possible waste.

use super::super::context::{Context, error_of};
use super::super::halt::{Halt, Step};
use super::super::waste;
use super::evidence::{Evidence, evidence};
use crate::clock::later;
use crate::job::{
    Change, Code, Disposition, Failure, Intent, IntentState, Job, Timestamp, WaitsFor,
};

/// The provider has the job: recorded for as long as the fence is ours.
pub(super) async fn submitted(
    context: &Context<'_>,
    intent: String,
    prediction_id: String,
) -> Result<Step, Halt> {
    tracing::info!(intent, prediction_id, "the provider has accepted the job");
    let at = context.now();
    let change = Change::Submitted {
        intent: intent.clone(),
        prediction_id,
        at,
    };
    let job = context.writer.insist(&change).await?;
    context.worker.answers.recorded(&job.id, &intent);
    Ok(Step::Next)
}

/// Waits for the callback that proves the submission, as long as the request could still be
/// under way anywhere. `doubt` says what happened.
pub(super) async fn unknown(
    context: &Context<'_>,
    intent: &Intent,
    doubt: String,
) -> Result<Step, Halt> {
    let until = bound(context, intent);
    context
        .writer
        .insist(&Change::IntentUnknown {
            intent: intent.id.clone(),
            until,
        })
        .await?;
    Ok(Step::wait(
        until,
        Failure::new(Code::ProviderAnswerLost, doubt),
    ))
}

/// The request itself, a lease in which another worker might still hold it, and grace for clocks:
/// only then can nobody be waiting for the answer any more.
fn bound(context: &Context<'_>, intent: &Intent) -> Timestamp {
    let settings = context.settings();
    let wait = context.services.provider.submit_timeout() + settings.lease + settings.heartbeat;
    intent
        .unknown_until
        .unwrap_or_else(|| later(intent.at, wait))
}

/// The round ends: a submission that nobody has answered is adopted where it is proven, so that
/// another round goes on from it, and written down as possible waste where it is not.
pub(in crate::worker) async fn account_for(context: &Context<'_>) -> Result<(), Halt> {
    let job = context.writer.job().await;
    let Some(intent) = job.unanswered_intent().cloned() else {
        return Ok(());
    };
    match evidence(context, &job, &intent).await? {
        Evidence::Proven(prediction_id) => {
            submitted(context, intent.id, prediction_id).await.map(drop)
        }
        Evidence::Unconfirmed(_) | Evidence::None => {
            waste::written_off(context, &intent).await.map(drop)
        }
    }
}

/// A cancelled job whose credits go by whether the provider took its submission: gives the job as
/// it waits for that to be known, or `None` where it is, or will not be any more.
pub(in crate::worker) async fn await_proof(context: &Context<'_>) -> Result<Option<Job>, Halt> {
    let job = context.writer.job().await;
    let Some(intent) = job.unanswered_intent().cloned() else {
        return Ok(None);
    };
    if let Evidence::Proven(prediction_id) = evidence(context, &job, &intent).await? {
        submitted(context, intent.id, prediction_id).await?;
        return Ok(None);
    }
    let until = bound(context, &intent);
    if context.now() >= until {
        return Ok(None);
    }
    let text = "The job is cancelled as soon as it is known whether the provider took it, which \
                decides about its credits.";
    let failure = Failure::new(Code::ProviderAnswerLost, text);
    let reason = Some(error_of(context, &failure).await);
    context
        .writer
        .insist(&Change::IntentUnknown {
            intent: intent.id,
            until,
        })
        .await?;
    let waited = Change::Waited {
        until,
        reason,
        what: WaitsFor::Answer,
    };
    context.writer.record(&waited).await.map(Some)
}

/// What was said of the open submission when its answer failed to settle it.
fn doubt(job: &Job) -> String {
    match &job.error {
        Some(error) if error.code == Code::ProviderAnswerLost => error.message.clone(),
        _ => Code::ProviderAnswerLost.about().to_owned(),
    }
}

/// An intent that an earlier visit left behind.
pub(super) async fn unresolved(
    context: &Context<'_>,
    job: &Job,
    intent: Intent,
) -> Result<Step, Halt> {
    match evidence(context, job, &intent).await? {
        Evidence::Proven(prediction_id) => {
            tracing::info!(
                intent = intent.id,
                prediction_id,
                "the provider's callback proves the submission"
            );
            return submitted(context, intent.id, prediction_id).await;
        }
        Evidence::Unconfirmed(failure) => {
            // Somebody was called back: paying again before asking succeeds would be waste.
            let until = context.after(context.settings().busy_pause);
            return Ok(Step::wait(until, failure));
        }
        Evidence::None => {}
    }
    // Still open: the visit that recorded it died before it could say what became of it.
    let Some(until) = intent
        .unknown_until
        .filter(|_| intent.state == IntentState::Unknown)
    else {
        let about = Code::ProviderAnswerLost.about().to_owned();
        return unknown(context, &intent, about).await;
    };
    let doubt = doubt(job);
    if context.now() < until {
        let failure = Failure::new(Code::ProviderAnswerLost, doubt);
        return Ok(Step::wait(until, failure));
    }
    let job = waste::written_off(context, &intent).await?;
    let round = format!("{}-", job.round);
    let wasted = job
        .intents
        .iter()
        .filter(|known| known.id.starts_with(&round) && known.state == IntentState::Wasted)
        .count();
    if wasted > context.settings().max_resubmissions as usize {
        return Err(Failure::new(Code::ProviderAnswerLost, doubt)
            .with(Disposition::Abort)
            .into());
    }
    // The fence names the next intent, so it belongs to the next visit.
    Ok(Step::wait_for(WaitsFor::Worker, context.now()))
}
