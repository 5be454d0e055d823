//! Credits before work: an owner who has none costs nothing.

use super::super::context::Context;
use super::super::halt::Halt;
use crate::job::{Change, Code, CreditState, Credits, CreditsMode, Failure, Job, SourceFacts};
use crate::ledger::HoldOutcome;

/// The shortest video there is: prices grow with the length, so nothing costs less.
const SHORTEST_S: f64 = 0.001;

/// Looks whether the owner could pay at all, before an input is fetched. What it costs exactly is
/// known once the source has been looked at, and is held then.
pub(super) async fn look_first(context: &Context<'_>, job: &Job) -> Result<(), Halt> {
    if context.settings().credits != CreditsMode::Hold || job.credits.state != CreditState::None {
        return Ok(());
    }
    let prices = &context.settings().prices;
    let least = match job.credits.cost {
        Some(cost) => cost,
        None => prices.cost(&job.params, SHORTEST_S),
    };
    let account = context.services.ledger.account(&job.owner);
    let account = context.interruptible(account).await??;
    let message = match account {
        Some(account) if account.credits >= i64::try_from(least.0).unwrap_or(i64::MAX) => {
            return Ok(());
        }
        Some(account) => {
            let available = account.credits;
            format!("The job costs at least {least} credits; the account has {available}.")
        }
        None => format!("The job costs at least {least} credits; there is no account."),
    };
    Err(Failure::new(Code::InsufficientCredits, message).into())
}

/// Holds what the job costs, or notes it where nothing is held.
pub(super) async fn hold(context: &Context<'_>, facts: &SourceFacts) -> Result<(), Halt> {
    let job = context.writer.job().await;
    let cost = cost(context, &job, facts);
    match context.settings().credits {
        CreditsMode::Hold if job.credits.state == CreditState::None => {
            match context.writer.hold(cost).await? {
                HoldOutcome::Done(_) => Ok(()),
                HoldOutcome::Insufficient { available } => {
                    let message =
                        format!("The job costs {cost} credits; the account has {available}.");
                    Err(Failure::new(Code::InsufficientCredits, message).into())
                }
                HoldOutcome::NoAccount => {
                    let message = format!("The job costs {cost} credits; there is no account.");
                    Err(Failure::new(Code::InsufficientCredits, message).into())
                }
                HoldOutcome::OverADay { most } => {
                    let message =
                        format!("The job costs {cost} credits; the owner may spend {most} a day.");
                    Err(Failure::new(Code::InsufficientCredits, message).into())
                }
                HoldOutcome::Lost => Err(Halt::Lost),
            }
        }
        _ if job.credits.cost.is_none() => {
            let changes = vec![Change::NativeOver, Change::Priced(cost)];
            context
                .writer
                .record(&Change::Many(changes))
                .await
                .map(drop)
        }
        _ => Ok(()),
    }
}

fn cost(context: &Context<'_>, job: &Job, facts: &SourceFacts) -> Credits {
    let seconds = facts.duration_ms as f64 / 1000.0;
    job.credits
        .cost
        .unwrap_or_else(|| context.settings().prices.cost(&job.params, seconds))
}
