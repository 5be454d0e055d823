//! The stages of a job's road. Each is idempotent, and recorded before the next begins.

mod breaker;
mod copy;
mod credit;
mod evidence;
mod fallback;
mod fetch;
mod generate;
mod mark;
pub(super) mod prepare;
mod process;
mod provenance;
pub(super) mod recipe;
mod submit;
pub(super) mod unanswered;

use super::context::Context;
use super::halt::{Halt, Step};
use crate::job::{Job, Stage, Timestamp};

/// Whether a visit has to fetch an input from the web before it does anything else.
pub(super) fn fetches_first(job: &Job, now: Timestamp) -> bool {
    !job.cancel_requested
        && job.stage.is_none_or(|stage| stage == Stage::Submit)
        && job.current_intent().is_none()
        && prepare::recorded(job, now).is_none()
        && prepare::comes_from_the_web(job)
}

/// Runs one stage. `settle` is not here: it ends the round, see `end`.
pub(super) async fn run(context: &Context<'_>, stage: Stage, job: Job) -> Result<Step, Halt> {
    if stage != Stage::Submit {
        submit::hold_for_resumed(context, &job).await?;
    }
    match stage {
        Stage::Submit => submit::run(context, job).await,
        Stage::Generate => generate::run(context, job).await,
        Stage::Fetch => fetch::run(context, job).await,
        Stage::Process => Box::pin(process::run(context, job)).await,
        Stage::Settle => Ok(Step::Next),
    }
}
