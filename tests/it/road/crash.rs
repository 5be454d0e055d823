//! A worker that dies between or inside any two stages, and another that goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use filmlab::clock::{Clock as _, ManualClock};
use filmlab::job::JobId;
use filmlab::ledger::{Callback, Ledger, LedgerError, Result};
use tokio::sync::Notify;

use super::bench::Bench;
use crate::support::front::{Call, Front, Fronted, Owned};

/// What happens around the nth owner write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    /// The process dies just before the write reaches the ledger.
    Before,
    /// The process dies just after.
    After,
    /// Somebody asks for cancellation just before; the process lives.
    Cancelled,
    /// The job's deadline passes just after; the process lives.
    Late,
    /// Leases are not renewed; all other writes are.
    Unrenewed,
    /// A renewal is never answered; all other writes are.
    Unanswered,
    /// Each write but a renewal takes [`SLOW`].
    Slow,
}

pub(super) const SLOW: Duration = Duration::from_millis(600);

/// The time of those requests; nobody looks at it.
const JUST_NOW: &str = "2026-11-23T12:00:00Z";

/// A ledger through which the nth owner write is the last thing a process does: from there on
/// nothing answers it any more.
pub(super) type Fatal = Fronted<Death>;

#[derive(Debug)]
pub(super) struct Death {
    nth: u32,
    moment: Moment,
    pub(super) writes: AtomicU32,
    /// Renewals that were counted: those that failed, and those beside slow writes.
    pub(super) renewals: AtomicU32,
    pub(super) dead: Notify,
    clock: ManualClock,
}

impl Fatal {
    pub(super) fn new(bench: &Bench, nth: u32, moment: Moment) -> Arc<Self> {
        let ledger = Arc::clone(&bench.ledger) as _;
        Self::before(ledger, bench.clock.clone(), nth, moment)
    }

    pub(super) fn before(
        inner: Arc<dyn Ledger>,
        clock: ManualClock,
        nth: u32,
        moment: Moment,
    ) -> Arc<Self> {
        let death = Death {
            clock,
            nth,
            moment,
            writes: AtomicU32::new(0),
            renewals: AtomicU32::new(0),
            dead: Notify::new(),
        };
        Arc::new(Self::over(inner, death))
    }
}

impl Front for Death {
    async fn around<T: Send>(
        &self,
        inner: &dyn Ledger,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match call {
            Call::Owner(Owned::Renew, _) => self.renewal(work).await,
            Call::Record(id, _) | Call::Owner(_, id) => self.write(inner, id, work).await,
            _ => work.await,
        }
    }
}

impl Death {
    async fn renewal<T>(&self, renew: impl Future<Output = Result<T>>) -> Result<T> {
        if self.moment == Moment::Unanswered {
            self.renewals.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        if self.moment == Moment::Unrenewed {
            self.renewals.fetch_add(1, Ordering::SeqCst);
            return Err(LedgerError::Unavailable("not now".into()));
        }
        if self.moment == Moment::Slow {
            self.renewals.fetch_add(1, Ordering::SeqCst);
        }
        renew.await
    }

    async fn write<T>(
        &self,
        inner: &dyn Ledger,
        id: &JobId,
        write: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.moment == Moment::Slow {
            tokio::time::sleep(SLOW).await;
        }
        if self.moment == Moment::Cancelled {
            if number == self.nth {
                inner.request_cancel(id, JUST_NOW.parse().unwrap()).await?;
            }
            return write.await;
        }
        if matches!(
            self.moment,
            Moment::Late | Moment::Unrenewed | Moment::Unanswered | Moment::Slow
        ) {
            let answer = write.await?;
            if self.moment == Moment::Late
                && number == self.nth
                && let Some(job) = inner.read(id).await?
            {
                self.clock.advance_to(job.deadline_at);
            }
            return Ok(answer);
        }
        if number > self.nth || (number == self.nth && self.moment == Moment::Before) {
            self.die().await;
        }
        let answer = write.await;
        if number == self.nth {
            self.die().await;
        }
        answer
    }

    async fn die(&self) {
        self.dead.notify_one();
        std::future::pending::<()>().await;
    }
}

/// Lets a worker run until its nth owner write kills it, then another go on. Gives whether the
/// first one died at all.
async fn die_and_go_on(nth: u32, moment: Moment) -> Option<bool> {
    let bench = Bench::new().await?;
    let id = bench.create("j").await;
    let fatal = Fatal::new(&bench, nth, moment);
    let first = bench.worker_over(Arc::clone(&fatal) as _);
    let died = tokio::select! {
        () = fatal.dead.notified() => true,
        _ = bench.drive(&first, &id) => false,
    };
    call_back(&bench, &id).await;
    bench.clock.advance(Duration::from_secs(61));
    let second = bench.worker();
    let job = bench.drive(&second, &id).await;
    second.clean().await;
    // Also after a death between the provider's acceptance and the record of it: its callback
    // proves the submission.
    bench.assert_completed_once(&job).await;
    Some(died)
}

/// What the provider does when it has accepted: the address names job and intent.
pub(super) async fn call_back(bench: &Bench, id: &JobId) {
    let submissions = bench.studio.submissions.lock().unwrap().clone();
    let Some(submission) = submissions.last() else {
        return;
    };
    let address = submission.callback.as_ref().unwrap();
    let callback = Callback {
        intent: address
            .path_segments()
            .unwrap()
            .next_back()
            .unwrap()
            .to_owned(),
        prediction_id: format!("p{}", submissions.len()),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(id, &callback).await.unwrap();
}

async fn at_every_write(moment: Moment) {
    let mut deaths = 0;
    for nth in 1..60 {
        match die_and_go_on(nth, moment).await {
            None => return,
            Some(true) => deaths += 1,
            Some(false) => break,
        }
    }
    // claim, inputs, hold, intent, submission, output, fetched, processed, settled: at least.
    assert!(deaths >= 9, "only {deaths} deaths");
}

#[tokio::test]
async fn a_worker_may_die_before_any_write() {
    at_every_write(Moment::Before).await;
}

#[tokio::test]
async fn a_worker_may_die_after_any_write() {
    at_every_write(Moment::After).await;
}
