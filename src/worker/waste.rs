//! Submissions that may have been paid for without a result: written down, counted, logged.

use super::context::Context;
use super::halt::Halt;
use crate::job::{Change, Intent, Job};
use crate::telemetry::metrics;

/// Gives an intent up whose answer never came.
pub(super) async fn written_off(context: &Context<'_>, intent: &Intent) -> Result<Job, Halt> {
    let change = Change::IntentWasted {
        intent: intent.id.clone(),
    };
    let job = context.writer.insist(&change).await?;
    note(&job, intent);
    Ok(job)
}

/// Tells whoever compares with the provider's bill.
pub(super) fn note(job: &Job, intent: &Intent) {
    tracing::error!(
        job = %job.id,
        intent = intent.id,
        model = intent.model,
        at = %intent.at,
        "a submission is given up; it may have been paid for"
    );
    metrics::submission_wasted(job.params.kind().as_str());
}
