//! The stages of a job's road. Each is idempotent, and recorded before the next begins.

mod fetch;
mod generate;
mod mark;
pub(super) mod prepare;
mod process;
mod recipe;
mod submit;

use super::context::{Context, Halt, Step};
use crate::job::{Job, Stage};

/// Runs one stage. `settle` is not here: it ends the round, see `end`.
pub(super) async fn run(context: &Context<'_>, stage: Stage, job: Job) -> Result<Step, Halt> {
    if stage != Stage::Submit {
        submit::hold_for_resumed(context, &job).await?;
    }
    match stage {
        Stage::Submit => submit::run(context, job).await,
        Stage::Generate => generate::run(context, job).await,
        Stage::Fetch => fetch::run(context, job).await,
        Stage::Process => process::run(context, job).await,
        Stage::Settle => Ok(Step::Next),
    }
}
