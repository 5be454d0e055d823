//! All that is an owner's, wherever it is kept: what `filmlab owner` hands over and removes.

use std::sync::Arc;

use super::adapters;
use super::keys::Keys;
use super::provider::nowhere;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::job::{Code, Failure, JobId, Owner};
use crate::ledger::LedgerError;
use crate::ledger::owned::{MOST_RECORDS, OwnerRecords, Part, RawRecord};
use crate::storage::Storage;

/// Objects of one page.
pub(super) const PAGE: usize = 500;

/// The store of objects, for a command beside a running service. It signs nothing.
pub(super) async fn storage(config: &Config, clock: &SharedClock) -> Result<Storage, Failure> {
    let access = adapters::access(config).await?;
    let keys = Keys::only(ulid::Ulid::new().to_string().into_bytes().repeat(2));
    let address = nowhere(config)?;
    let opened = adapters::storage(config, &address, &keys, access.as_ref(), clock).await?;
    Ok(opened.0)
}

/// An owner's jobs, one after another; a page of their names is held.
#[derive(Debug)]
pub(super) struct Jobs {
    records: Arc<dyn OwnerRecords>,
    owner: Owner,
    /// Of the page at hand, the next one first.
    page: std::vec::IntoIter<JobId>,
    last: Option<JobId>,
    is_over: bool,
}

impl Jobs {
    pub(super) fn of(records: &Arc<dyn OwnerRecords>, owner: &Owner) -> Self {
        Self {
            records: Arc::clone(records),
            owner: owner.clone(),
            page: Vec::new().into_iter(),
            last: None,
            is_over: false,
        }
    }

    /// The next one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<JobId>, Failure> {
        if self.page.len() == 0 && !self.is_over {
            let page = self
                .records
                .job_ids(&self.owner, self.last.as_ref(), MOST_RECORDS)
                .await
                .map_err(said)?;
            self.is_over = page.len() < MOST_RECORDS as usize;
            self.page = page.into_iter();
        }
        let next = self.page.next();
        self.last = next.clone().or_else(|| self.last.take());
        Ok(next)
    }
}

/// What of an owner is no job's own, a page of one part at a time.
#[derive(Debug)]
pub(super) struct Records {
    records: Arc<dyn OwnerRecords>,
    owner: Owner,
    part: Part,
    last: Option<String>,
}

impl Records {
    pub(super) fn of(records: &Arc<dyn OwnerRecords>, owner: &Owner, part: Part) -> Self {
        Self {
            records: Arc::clone(records),
            owner: owner.clone(),
            part,
            last: None,
        }
    }

    /// The next ones; none at the end.
    pub(super) async fn page(&mut self) -> Result<Vec<RawRecord>, Failure> {
        let page = self
            .records
            .of_owner(&self.owner, self.part, self.last.as_deref(), MOST_RECORDS)
            .await
            .map_err(said)?;
        if let Some(record) = page.last() {
            self.last = Some(record.name.clone());
        }
        Ok(page)
    }
}

pub(super) fn said(error: LedgerError) -> Failure {
    let message = format!("{} {error}", Code::LedgerUnavailable.about());
    Failure::new(Code::LedgerUnavailable, message).because(error)
}
