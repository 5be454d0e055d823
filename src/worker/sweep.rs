//! Plans anew what is overdue: wake-ups and deliveries that were lost.
//!
//! A batch never stops at the item it could not do, and the next one does not start with it: what
//! failed is counted, and this process comes back to it behind all others. A sweep ends early only
//! where nothing answers at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::balance;
use super::state::Worker;
use crate::job::Timestamp;
use crate::ledger::{Burial, Due, DueCursor, DueNotice, LedgerError};
use crate::queue::{Scheduled, Task};
use crate::telemetry::metrics;

/// Clocks of different machines differ: nothing is called overdue before this.
const GRACE: Duration = Duration::from_secs(15);
/// What is planned in one sweep; the next one goes on.
const LIMIT: u32 = 500;
/// What is looked at in one sweep, since what is left alone stays due.
const LOOKED_AT: u32 = 5_000;
/// Read at once.
const PAGE: u32 = 500;
/// So many calls in a row without an answer: the ledger or the queue is down, and the next sweep
/// tries again.
const SILENT: u32 = 3;
/// Names that are tried for one task. Those of tasks that are over stay reserved, and a release
/// that does not know of all numbers may have used some.
pub(super) const NAMES: u32 = 8;

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Swept {
    /// Jobs whose visit was planned anew.
    pub jobs: u32,
    /// Notices whose delivery was planned anew.
    pub notifications: u32,
    /// Calls of the ledger or the queue that failed; what they were for stays overdue.
    pub faults: u32,
    /// Records that cannot be read and are watched: they are ended if they stay like this.
    pub unreadable: u32,
    /// Records that were ended since they could not be read.
    pub buried: u32,
    /// Records of a newer release, left alone.
    pub left_alone: u32,
}

/// What came of one item.
enum Item {
    Planned,
    /// Somebody else moved it on.
    Moved,
    Unreadable,
    Buried,
    LeftAlone,
    Failed,
}

/// One pass over a list of what is overdue.
struct Pass<'a> {
    cursor: &'a Mutex<Option<DueCursor>>,
    /// Where it began: it ends there, once around.
    began: Option<DueCursor>,
    after: Option<DueCursor>,
    around: bool,
    looked_at: u32,
    planned: u32,
    silent: u32,
}

impl<'a> Pass<'a> {
    fn new(cursor: &'a Mutex<Option<DueCursor>>) -> Self {
        let began = locked(cursor).take();
        Self {
            cursor,
            after: began.clone(),
            around: began.is_none(),
            began,
            looked_at: 0,
            planned: 0,
            silent: 0,
        }
    }

    /// Whether the item is to be looked at: `false` once it is all around.
    fn takes(&mut self, cursor: DueCursor) -> bool {
        if self.around && self.began.as_ref().is_some_and(|began| cursor > *began) {
            return false;
        }
        self.after = Some(cursor);
        self.looked_at += 1;
        true
    }

    /// Whether it is enough for now; the next pass then goes on behind this item.
    fn is_enough(&mut self, item: &Item) -> bool {
        match item {
            Item::Planned => self.planned += 1,
            Item::Failed => self.silent += 1,
            _ => {}
        }
        if !matches!(item, Item::Failed) {
            self.silent = 0;
        }
        let enough = self.planned >= LIMIT || self.looked_at >= LOOKED_AT || self.silent >= SILENT;
        if enough {
            locked(self.cursor).clone_from(&self.after);
        }
        enough
    }

    /// Goes on at the beginning of the list; `false` where that was done.
    fn goes_around(&mut self) -> bool {
        self.after = None;
        !std::mem::replace(&mut self.around, true)
    }
}

fn locked(cursor: &Mutex<Option<DueCursor>>) -> MutexGuard<'_, Option<DueCursor>> {
    cursor.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Swept {
    fn count(&mut self, what: &'static str, item: &Item) {
        let outcome = match item {
            Item::Planned | Item::Moved => return,
            Item::Unreadable => {
                self.unreadable += 1;
                "unreadable"
            }
            Item::Buried => {
                self.buried += 1;
                "buried"
            }
            Item::LeftAlone => {
                self.left_alone += 1;
                "left_alone"
            }
            Item::Failed => {
                self.faults += 1;
                "failed"
            }
        };
        metrics::not_swept(what, outcome);
    }
}

impl Worker {
    /// Plans anew what is overdue: wake-ups and deliveries that were lost. What could not be done
    /// is counted; it fails only where the ledger does not even say what is overdue.
    pub async fn sweep(self: &Arc<Self>) -> Result<Swept, LedgerError> {
        let (swept, ()) = tokio::join!(
            self.sweep_all(),
            balance::watch(&self.services, &self.last_balance)
        );
        swept
    }

    /// Plans anew what is overdue. Fails only where the ledger names neither jobs nor notices;
    /// everything else is counted.
    async fn sweep_all(&self) -> Result<Swept, LedgerError> {
        let now = self.now();
        let before = now.checked_sub(GRACE).unwrap_or(now);
        let mut swept = Swept::default();
        let jobs = self.sweep_jobs(before, now, &mut swept).await;
        let notices = self.sweep_notices(before, now, &mut swept).await;
        for listed in [&jobs, &notices] {
            if let Err(error) = listed {
                tracing::warn!(%error, "what is overdue is not known");
                swept.count("list", &Item::Failed);
            }
        }
        match (jobs, notices) {
            (Err(error), Err(_)) => Err(error),
            _ => Ok(swept),
        }
    }

    async fn sweep_jobs(
        &self,
        before: Timestamp,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), LedgerError> {
        let mut pass = Pass::new(&self.overdue.jobs);
        loop {
            let ledger = &self.services.ledger;
            let page = ledger.due(before, pass.after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            for due in page {
                if !pass.takes(DueCursor::from(&due)) {
                    return Ok(());
                }
                let item = self.sweep_job(due, now).await;
                swept.count("job", &item);
                swept.jobs += u32::from(matches!(item, Item::Planned));
                if pass.is_enough(&item) {
                    return Ok(());
                }
            }
            if is_last && !pass.goes_around() {
                return Ok(());
            }
        }
    }

    async fn sweep_job(&self, due: Due, now: Timestamp) -> Item {
        // It waits for a place here, and will be visited.
        if self.places.lines.holds(due.id.as_str()) {
            return Item::Moved;
        }
        let mut seen = due.seq;
        if self.is_in_line(&Task::wake(&due.id, seen), now).await {
            return Item::Moved;
        }
        for _ in 0..NAMES {
            // A name can stay reserved for a day after its task was exhausted: hence a new one.
            let seq = match self.services.ledger.rewake(&due.id, seen, now).await {
                Ok(Some(seq)) => seq,
                Ok(None) => return Item::Moved,
                Err(error) => return self.unswept_job(&due, error, now).await,
            };
            let task = Task::wake(&due.id, seq);
            match self.services.queue.schedule(&task, now).await {
                Ok(Scheduled::Planned) => return Item::Planned,
                Ok(Scheduled::Known) => seen = seq,
                Err(error) => {
                    tracing::warn!(%task, %error, "the overdue visit could not be planned");
                    return Item::Failed;
                }
            }
        }
        tracing::warn!(job = %due.id, "the overdue visit finds no free name for its task");
        Item::Failed
    }

    /// Whether the queue has not come to the task yet. Planned anew it would go to the end of the
    /// line, again with each sweep, and those that waited longest would wait longer still.
    async fn is_in_line(&self, task: &Task, now: Timestamp) -> bool {
        // Planned twice does no harm: what the queue does not say counts as lost.
        matches!(self.services.queue.is_in_line(task, now).await, Ok(true))
    }

    async fn unswept_job(&self, due: &Due, error: LedgerError, now: Timestamp) -> Item {
        let job = due.id.as_str();
        match error {
            LedgerError::Malformed { reason, .. } => {
                let lease = self.services.settings.lease;
                let burial = self.services.ledger.bury(&due.id, now, lease).await;
                if let Ok(Burial::Done { released }) = &burial {
                    let released = released.map(|credits| credits.0);
                    tracing::error!(
                        job,
                        reason,
                        released,
                        "the job's document cannot be read; it was ended"
                    );
                }
                unreadable("job", job, &reason, burial)
            }
            other => failed("job", job, &other),
        }
    }

    async fn sweep_notices(
        &self,
        before: Timestamp,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), LedgerError> {
        let mut pass = Pass::new(&self.overdue.notices);
        loop {
            let ledger = &self.services.ledger;
            let page = ledger.due_notices(before, pass.after.as_ref(), PAGE);
            let page = page.await?;
            let is_last = page.len() < PAGE as usize;
            for due in page {
                if !pass.takes(DueCursor::from(&due)) {
                    return Ok(());
                }
                let item = self.sweep_notice(due, now).await;
                swept.count("notice", &item);
                swept.notifications += u32::from(matches!(item, Item::Planned));
                if pass.is_enough(&item) {
                    return Ok(());
                }
            }
            if is_last && !pass.goes_around() {
                return Ok(());
            }
        }
    }

    async fn sweep_notice(&self, due: DueNotice, now: Timestamp) -> Item {
        // It waits for a place here, or its receiver is slow.
        if self.delivering.has(&due.id) {
            return Item::Moved;
        }
        let ledger = &self.services.ledger;
        let mut notice = match ledger.notice(&due.id).await {
            Ok(Some(notice)) => notice,
            Ok(None) => return Item::Moved,
            Err(error) => return self.unswept_notice(&due, error, now).await,
        };
        if self.is_in_line(&Task::deliver(&notice), now).await {
            return Item::Moved;
        }
        for _ in 0..NAMES {
            let seen = notice.next_task();
            notice = match ledger.replan_notice(&due.id, seen, Some(now)).await {
                Ok(Some(notice)) => notice,
                Ok(None) => return Item::Moved,
                Err(error) => return self.unswept_notice(&due, error, now).await,
            };
            let task = Task::deliver(&notice);
            match self.services.queue.schedule(&task, now).await {
                Ok(Scheduled::Planned) => return Item::Planned,
                Ok(Scheduled::Known) => {}
                Err(error) => {
                    tracing::warn!(%task, %error, "the overdue notice could not be planned");
                    return Item::Failed;
                }
            }
        }
        tracing::warn!(
            notification = due.id,
            "the overdue notice finds no free name for its task"
        );
        Item::Failed
    }

    async fn unswept_notice(&self, due: &DueNotice, error: LedgerError, now: Timestamp) -> Item {
        match error {
            LedgerError::Malformed { reason, .. } => {
                let lease = self.services.settings.lease;
                let burial = self.services.ledger.bury_notice(&due.id, now, lease).await;
                if let Ok(Burial::Done { .. }) = &burial {
                    tracing::error!(
                        notification = due.id,
                        reason,
                        "the notice cannot be read; it was given up"
                    );
                }
                unreadable("notice", &due.id, &reason, burial)
            }
            other => failed("notice", &due.id, &other),
        }
    }
}

fn unreadable(
    what: &'static str,
    id: &str,
    reason: &str,
    burial: Result<Burial, LedgerError>,
) -> Item {
    match burial {
        Ok(Burial::Noted { since }) => {
            tracing::warn!(what, id, reason, %since, "a record cannot be read; it is watched");
            Item::Unreadable
        }
        Ok(Burial::Done { .. }) => Item::Buried,
        Ok(Burial::NothingToDo) => Item::Moved,
        Err(error) => failed(what, id, &error),
    }
}

fn failed(what: &'static str, id: &str, error: &LedgerError) -> Item {
    if let LedgerError::Newer { reason, .. } = error {
        tracing::warn!(
            what,
            id,
            reason,
            "a record of a newer release is left alone"
        );
        return Item::LeftAlone;
    }
    tracing::warn!(what, id, %error, "what is overdue could not be planned");
    Item::Failed
}
