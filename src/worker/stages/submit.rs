//! Pays the provider: at most one request for each recorded intent.

use std::time::Duration;

use url::Url;

use super::super::context::Context;
use super::super::failures::{provider_said, quoting};
use super::super::halt::{Halt, Step};
use super::super::limiter::Turn;
use super::super::patience::Patience;
use super::evidence::{Evidence, evidence};
use super::unanswered::{submitted, unknown, unresolved};
use super::{breaker, credit, fallback, prepare};
use crate::clock::elapsed;
use crate::job::{
    Change, Code, CreditState, Failure, Intent, IntentState, Job, OrFailure as _, Progress,
    ProviderInputs, Stage, Terms, Timestamp, WaitsFor,
};
use crate::ledger::Callback;
use crate::provider::{Model, Submission, SubmitError};

pub(super) async fn run(context: &Context<'_>, job: Job) -> Result<Step, Halt> {
    context
        .writer
        .progress(Progress::within(Stage::Submit, 0.1));
    if let Some(intent) = job.current_intent().cloned() {
        return unresolved(context, &job, intent).await;
    }
    let inputs = prepare::inputs(context, &job).await?;
    context
        .writer
        .progress(Progress::within(Stage::Submit, 0.8));
    // Inputs of an earlier round, or of a crash before this was done: else it is done by now.
    credit::hold(context, &inputs.facts).await?;
    if let Some(step) = paid_before(context, &job).await? {
        return Ok(step);
    }
    pay(context, &inputs).await
}

/// Holds credits for a round that goes on where the last one was, past this stage.
pub(super) async fn hold_for_resumed(context: &Context<'_>, job: &Job) -> Result<(), Halt> {
    if job.round == 1 || job.credits.state != CreditState::None {
        return Ok(());
    }
    match &job.provider.inputs {
        Some(inputs) => credit::hold(context, &inputs.facts).await,
        None => Ok(()),
    }
}

/// A submission whose answer the last round waited for in vain may have been proven since: it is
/// not paid for again.
async fn paid_before(context: &Context<'_>, job: &Job) -> Result<Option<Step>, Halt> {
    let left_open = |intent: &&Intent| {
        matches!(
            intent.state,
            IntentState::Open | IntentState::Unknown | IntentState::Wasted
        )
    };
    let this_round = format!("{}-", job.round);
    let Some(intent) = job
        .intents
        .last()
        .filter(|intent| !intent.id.starts_with(&this_round))
        .filter(left_open)
        .cloned()
    else {
        return Ok(None);
    };
    Ok(match evidence(context, job, &intent).await? {
        Evidence::Proven(prediction_id) => {
            tracing::info!(
                intent = intent.id,
                prediction_id,
                "a submission of an earlier round is proven"
            );
            Some(submitted(context, intent.id, prediction_id).await?)
        }
        Evidence::Unconfirmed(failure) => Some(Step::wait(
            context.after(context.settings().busy_pause),
            failure,
        )),
        Evidence::None => None,
    })
}

async fn pay(context: &Context<'_>, inputs: &ProviderInputs) -> Result<Step, Halt> {
    let model = fallback::choose(context, &inputs.facts).await?;
    let job = context.writer.job().await;
    if let Some(until) = breaker::rests(context, &job, &model.id).await? {
        return rest(context, &job, until).await;
    }
    let id = format!("{}-{}", job.round, job.lease.fence);
    let source_s = inputs.facts.duration_ms as f64 / 1000.0;
    let terms = terms(&job, model, source_s);
    let submission = Submission {
        model: model.id.clone(),
        params: job.params.clone(),
        source_s,
        duration: terms.duration,
        video: inputs.video.parse().retry(Code::ProviderProtocol)?,
        image: match &inputs.image {
            Some(address) => Some(address.parse::<Url>().retry(Code::ProviderProtocol)?),
            None => None,
        },
        callback: context.services.callbacks.address(&job.id, &id),
    };
    let slot = match context.worker.admit().await? {
        Turn::Now(slot) => slot,
        Turn::Full => return queue_up(context, &job, context.settings().busy_pause).await,
        Turn::Later(wait) => return queue_up(context, &job, wait).await,
    };
    if let Some(reason) = context.stop.reason() {
        return Err(Halt::Stopped(reason));
    }
    let intent = Intent {
        id: id.clone(),
        model: model.id.clone(),
        at: context.now(),
        state: IntentState::Open,
        prediction_id: None,
        unknown_until: None,
        terms: Some(terms),
        counted: None,
    };
    // Only this visit knows that nothing was sent for it yet: it stays until the ledger says that
    // the intent is there, or is not.
    let settings = context.settings();
    let patience = Patience::until(context.started + settings.budget, settings.pauses);
    let change = Change::Intended(intent.clone());
    context.writer.record_with(patience, &change).await?;
    // The moment of the intent says until when its request can be under way: one that took long
    // to record is not paid for, nor is one that nobody waits for any more.
    let late = elapsed(intent.at, context.now()) > context.settings().heartbeat;
    let stopped = context.stop.reason();
    if late || stopped.is_some() {
        context
            .writer
            .record(&Change::IntentRefused { intent: id })
            .await?;
        return match stopped {
            Some(reason) => Err(Halt::Stopped(reason)),
            None => Ok(Step::wait_for(WaitsFor::Worker, context.now())),
        };
    }
    // Not interruptible: an answer that is on its way says what was paid for.
    match context.services.provider.submit(&submission).await {
        Ok(prediction_id) => {
            let step = accepted(context, &job, id, prediction_id).await?;
            slot.recorded();
            Ok(step)
        }
        Err(error) => not_submitted(context, &job, intent, error).await,
    }
}

/// What the payment is decided by.
fn terms(job: &Job, model: &Model, source_s: f64) -> Terms {
    let usd = model.list_price(&job.params, source_s);
    match job.terms_before(&model.id) {
        Some(before) => Terms { usd, ..before },
        None => Terms {
            revision: model.revision,
            duration: model.duration,
            usd,
        },
    }
}

/// The provider has told us what we paid for. Until that is recorded, nobody else may know.
async fn accepted(
    context: &Context<'_>,
    job: &Job,
    intent: String,
    prediction_id: String,
) -> Result<Step, Halt> {
    let answers = &context.worker.answers;
    answers.keep(&job.id, &intent, &prediction_id);
    let recorded = submitted(context, intent.clone(), prediction_id.clone()).await;
    if let Err(halt) = &recorded {
        tracing::error!(
            intent,
            prediction_id,
            ?halt,
            "a paid answer could not be recorded; the job's next visit is left a note of it"
        );
        leave_proof(context, job, intent, prediction_id).await;
    }
    recorded
}

/// Somebody else has the job, or its document cannot be written: what the provider would say in
/// a callback is left where whoever goes on looks for it.
async fn leave_proof(context: &Context<'_>, job: &Job, intent: String, prediction_id: String) {
    let callback = Callback {
        intent,
        prediction_id,
        received_at: context.now(),
    };
    let mut patience = Patience::short(context.settings().pauses);
    loop {
        let left = context.services.ledger.record_callback(&job.id, &callback);
        match left.await {
            Ok(_) => return,
            Err(error) if !patience.again().await => {
                tracing::error!(%error, "no note of a paid answer could be left");
                return;
            }
            Err(_) => {}
        }
    }
}

/// The model rests: another is asked, or the job waits for the one that tries it again.
async fn rest(context: &Context<'_>, job: &Job, until: Timestamp) -> Result<Step, Halt> {
    if let Some(over) = fallback::rests(context, job) {
        tracing::warn!(model = over.model, "the model rests; on to the next one");
        context.writer.record(&Change::PassedOver(over)).await?;
        return Ok(Step::wait_for(WaitsFor::Worker, context.now()));
    }
    Ok(Step::wait_for(WaitsFor::Breaker, until))
}

/// Waits for a place at the provider: nothing was asked, and no attempt is used.
async fn queue_up(context: &Context<'_>, job: &Job, wait: Duration) -> Result<Step, Halt> {
    if let Some(over) = fallback::waited(context, job, WaitsFor::Account) {
        context.writer.record(&Change::PassedOver(over)).await?;
        return Ok(Step::wait_for(WaitsFor::Worker, context.now()));
    }
    let failure = Failure::new(
        Code::ProviderBusy,
        "The account at the provider makes as many videos as it may.",
    );
    Ok(Step::wait(context.after(wait), failure))
}

async fn not_submitted(
    context: &Context<'_>,
    job: &Job,
    intent: Intent,
    error: SubmitError,
) -> Result<Step, Halt> {
    if let SubmitError::Ambiguous { message, words } = error {
        tracing::warn!(
            intent = intent.id,
            message,
            "nobody knows whether the provider accepted"
        );
        let doubt = match words {
            Some(words) => quoting(UNCLEAR, &words),
            None => NO_ANSWER.to_owned(),
        };
        return unknown(context, &intent, doubt).await;
    }
    breaker::note_refusal(context, job, &intent.model, &error).await;
    let over = fallback::refused(context, job, &intent.model, &error);
    let end = Change::IntentRefused { intent: intent.id };
    if let Some(over) = over {
        tracing::warn!(model = over.model, why = over.why.as_str(), %error, "on to the next model");
        let changes = vec![end, Change::PassedOver(over)];
        context.writer.insist(&Change::Many(changes)).await?;
        return Ok(Step::wait_for(WaitsFor::Worker, context.now()));
    }
    context.writer.insist(&end).await?;
    let busy_pause = context.settings().busy_pause;
    let (failure, pause) = match error {
        SubmitError::Rejected { message, words } => {
            let failure = provider_said(Code::ProviderRejected, &words);
            return Err(failure.because(message).into());
        }
        SubmitError::ContentRefused { message } => {
            return Err(
                Failure::new(Code::ContentRefused, Code::ContentRefused.about())
                    .because(message)
                    .into(),
            );
        }
        SubmitError::UnknownModel { message } => {
            tracing::error!(message, "the provider does not know the configured model");
            return Err(Failure::new(Code::ModelUnknown, Code::ModelUnknown.about())
                .because(message)
                .into());
        }
        SubmitError::ModelChanged { message } => {
            tracing::error!(
                message,
                "the provider's catalogue refuses what would be sent"
            );
            return Err(Failure::new(Code::ModelChanged, Code::ModelChanged.about())
                .because(message)
                .into());
        }
        SubmitError::NotSent { message } => {
            return Err(
                Failure::new(Code::ProviderUnavailable, Code::ProviderUnavailable.about())
                    .because(message)
                    .into(),
            );
        }
        SubmitError::Redirected { message } => {
            tracing::error!(
                message,
                "the provider's address answers with a redirect; is it the right one?"
            );
            let text = "The provider's address leads elsewhere; nothing was taken there.";
            return Err(Failure::new(Code::ProviderProtocol, text)
                .because(message)
                .into());
        }
        SubmitError::Unauthorized { message } => {
            tracing::error!(message, "the provider does not accept the key");
            (
                Failure::new(
                    Code::ProviderUnauthorized,
                    Code::ProviderUnauthorized.about(),
                ),
                busy_pause,
            )
        }
        SubmitError::NoFunds { message } => {
            tracing::error!(message, "the account at the provider has no funds");
            (
                Failure::new(Code::ProviderBalance, Code::ProviderBalance.about()),
                busy_pause,
            )
        }
        SubmitError::Busy {
            message,
            retry_after,
        } => {
            let failure =
                Failure::new(Code::ProviderBusy, Code::ProviderBusy.about()).because(message);
            (failure, retry_after.unwrap_or(busy_pause))
        }
        // Dealt with above.
        SubmitError::Ambiguous { message, .. } => {
            let failure = Failure::new(Code::ProviderAnswerLost, Code::ProviderAnswerLost.about());
            return Err(failure.because(message).into());
        }
    };
    Ok(Step::wait(context.after(pause), failure))
}

const NO_ANSWER: &str =
    "The provider's answer to a paid request never came, so nobody knows whether it was taken.";
const UNCLEAR: &str = "The provider answered a paid request in a way that does not tell whether it \
    was taken.";
