//! What is known of a submission whose answer never came.

use std::time::Duration;

use super::super::context::Context;
use super::super::halt::Halt;
use crate::clock::later;
use crate::job::{Code, Failure, Intent, Job};
use crate::provider::ProviderError;

/// How long the end of a round waits for the provider's word on a callback.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// What is known of an intent whose answer never came.
pub(super) enum Evidence {
    /// The provider confirms the prediction that the callback names.
    Proven(String),
    /// There is a callback; the provider could not be asked about it yet.
    Unconfirmed(Failure),
    None,
}

/// Only a callback counts besides, and only once the provider confirms it: same model, made at or after
/// the intent. The provider's history says nothing of whose inputs it shows.
pub(super) async fn evidence(
    context: &Context<'_>,
    job: &Job,
    intent: &Intent,
) -> Result<Evidence, Halt> {
    // What the provider told this very process needs no other proof.
    if let Some(prediction_id) = context.worker.answers.find(&job.id, &intent.id) {
        return Ok(Evidence::Proven(prediction_id));
    }
    let callbacks = context.services.ledger.callbacks(&job.id).await?;
    let Some(callback) = callbacks
        .into_iter()
        .find(|callback| callback.intent == intent.id)
    else {
        return Ok(Evidence::None);
    };
    let asked = context
        .services
        .provider
        .prediction(&callback.prediction_id);
    let answer = match context.stop.reason() {
        None => context.interruptible(asked).await?,
        // The round ends anyway: one look, that holds it up for seconds at most.
        Some(_) => tokio::time::timeout(LAST_LOOK, asked)
            .await
            .unwrap_or_else(|_| {
                Err(ProviderError::Unavailable {
                    message: "no answer in time".into(),
                })
            }),
    };
    match answer {
        Ok(info) => {
            // Provider's and our clocks differ: a minute is generous and still far shorter than
            // the time between two intents of one job.
            let minute = Duration::from_secs(60);
            let earliest = intent.at.checked_sub(minute).unwrap_or(intent.at);
            let fits =
                info.model == intent.model && info.created_at.is_none_or(|at| at >= earliest);
            if fits {
                return Ok(Evidence::Proven(callback.prediction_id));
            }
            tracing::error!(
                intent = intent.id,
                prediction = callback.prediction_id,
                model = info.model,
                "a callback names a prediction that is not this intent's"
            );
            Ok(Evidence::None)
        }
        // As long as for a prediction that was known before: its callback says that it is.
        Err(ProviderError::NotFound { message })
            if context.now() < later(callback.received_at, context.settings().lost_after) =>
        {
            let failure =
                Failure::new(Code::ProviderLostJob, Code::ProviderLostJob.about()).because(message);
            Ok(Evidence::Unconfirmed(failure))
        }
        Err(ProviderError::NotFound { message }) => {
            tracing::error!(
                intent = intent.id,
                message,
                "a callback names an unknown prediction"
            );
            Ok(Evidence::None)
        }
        Err(error) => Ok(Evidence::Unconfirmed(
            Failure::new(Code::ProviderUnavailable, Code::ProviderUnavailable.about())
                .because(error),
        )),
    }
}
