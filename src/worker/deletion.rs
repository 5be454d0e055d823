//! Deleting an ended job with everything that is its own.
//!
//! The record goes last: as long as it is there, a deletion that broke off can be repeated.

use std::sync::Arc;

use super::services::Services;
use super::state::Worker;
use super::{belongings, waste};
use crate::job::{Code, Failure, Intent, IntentState, Job, JobId, OrFailure as _};
use crate::ledger::{Deleted, LedgerError};
use crate::provider::ProviderError;

impl Worker {
    /// Deletes an ended job and everything that is its own: results, work files, our copies of
    /// its inputs, the provider's copies, the record with its callbacks and notices. Credit
    /// entries stay. What broke off is made good by doing it again. Goes on to its end even if
    /// the caller stops waiting.
    pub async fn delete(self: &Arc<Self>, id: JobId) -> Result<Deleted, Failure> {
        if self.is_draining() {
            return Err(Failure::new(Code::ShuttingDown, Code::ShuttingDown.about()));
        }
        let worker = Arc::clone(self);
        let task = self
            .tracker
            .spawn(async move { delete(&worker.services, &id).await });
        match task.await {
            Ok(deleted) => deleted,
            Err(error) => Err(Failure::new(Code::Internal, Code::Internal.about()).because(error)),
        }
    }
}

async fn delete(services: &Services, id: &JobId) -> Result<Deleted, Failure> {
    let Some(job) = services
        .ledger
        .read(id)
        .await
        .retry(Code::LedgerUnavailable)?
    else {
        return Ok(Deleted::NotFound);
    };
    if !job.status.is_ended() {
        return Ok(Deleted::NotEnded(Box::new(job)));
    }
    let swept = belongings::delete(services, &job)
        .await
        .retry(Code::StorageUnavailable)?;
    if swept.failed > 0 {
        let why = format!("{} objects could not be deleted", swept.failed);
        let failure = Failure::new(Code::StorageUnavailable, Code::StorageUnavailable.about());
        return Err(failure.because(why));
    }
    copies(services, &job).await?;
    let deleted = match services.ledger.delete(id, job.round).await {
        Err(LedgerError::Unknown(_)) => match services.ledger.delete(id, job.round).await {
            // It had happened.
            Ok(Deleted::NotFound) => Ok(Deleted::Done),
            other => other,
        },
        other => other,
    };
    let deleted = deleted.retry(Code::LedgerUnavailable)?;
    if deleted == Deleted::Done {
        // Rounds that an earlier release ended left these as they were. Their record is gone.
        let unanswered =
            |intent: &&Intent| matches!(intent.state, IntentState::Open | IntentState::Unknown);
        for intent in job.intents.iter().filter(unanswered) {
            waste::note(&job, intent);
        }
        tracing::info!(job = %id, "the job was deleted");
        // They would be brought to nobody a few times, and then be given up.
        if let Err(error) = services.queue.forget(id).await {
            tracing::info!(job = %id, %error, "tasks of the deleted job are still brought");
        }
    }
    Ok(deleted)
}

/// The provider's own copies. What only a callback names is not proven to be this job's.
async fn copies(services: &Services, job: &Job) -> Result<(), Failure> {
    let known = job
        .intents
        .iter()
        .filter_map(|intent| intent.prediction_id.as_ref());
    let mut ids: Vec<String> = known
        .chain(&job.provider.prediction_id)
        .map(Clone::clone)
        .collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    match services.provider.delete(&ids).await {
        Ok(()) => Ok(()),
        // Nothing is there, or nothing that could be deleted by asking again.
        Err(error @ (ProviderError::NotFound { .. } | ProviderError::Rejected { .. })) => {
            tracing::warn!(job = %job.id, %error, "the provider deletes nothing of the job");
            Ok(())
        }
        Err(error) => Err(error).retry(Code::ProviderUnavailable),
    }
}
