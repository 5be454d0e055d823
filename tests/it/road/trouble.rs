//! A ledger in front of the real one that fails when it is told to, and outages on the tests'
//! clock.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filmlab::clock::{Clock as _, ManualClock, Timestamp, later};
use filmlab::ledger::{Ledger, LedgerError, Result};

use crate::support::front::{Call, Front, Fronted};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// It is not done.
    Unavailable,
    /// It is done, and its answer is lost.
    Unknown,
}

fn unavailable() -> LedgerError {
    LedgerError::Unavailable("an outage".into())
}

type Rule = dyn Fn(Call<'_>) -> Trouble + Send + Sync;

pub(super) struct Rules(Box<Rule>);

impl Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

pub(super) type Troubled = Fronted<Rules>;

impl Troubled {
    pub(super) fn new(
        inner: Arc<dyn Ledger>,
        rule: impl Fn(Call<'_>) -> Trouble + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::over(inner, Rules(Box::new(rule))))
    }
}

impl Front for Rules {
    async fn around<T: Send>(
        &self,
        _: &dyn Ledger,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match (self.0)(call) {
            Trouble::None => work.await,
            Trouble::Unavailable => Err(unavailable()),
            Trouble::Unknown => {
                work.await?;
                Err(LedgerError::Unknown("the answer was lost".into()))
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Before,
    Until(Timestamp),
    Over,
}

/// What a call waits for before it is given up; it passes on the tests' clock.
const CALL: Duration = Duration::from_secs(5);

/// One that begins with the nth call and lasts for a time on the tests' clock.
#[derive(Debug)]
pub(super) struct Outage {
    nth: u32,
    lasts: Duration,
    clock: ManualClock,
    calls: AtomicU32,
    phase: Mutex<Phase>,
}

impl Outage {
    pub(super) fn new(clock: &ManualClock, nth: u32, lasts: Duration) -> Arc<Self> {
        Arc::new(Self {
            nth,
            lasts,
            clock: clock.clone(),
            calls: AtomicU32::new(0),
            phase: Mutex::new(Phase::Before),
        })
    }

    /// Whether this call meets it.
    pub(super) fn strikes(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut phase = self.phase.lock().unwrap();
        if matches!(*phase, Phase::Before) && call >= self.nth {
            *phase = Phase::Until(later(self.clock.now(), self.lasts));
        }
        let Phase::Until(end) = *phase else {
            return false;
        };
        if self.clock.now() >= end {
            *phase = Phase::Over;
            return false;
        }
        self.clock.advance(CALL);
        true
    }

    /// Ends it; says whether it had begun.
    pub(super) fn end(&self) -> bool {
        let mut phase = self.phase.lock().unwrap();
        let begun = !matches!(*phase, Phase::Before);
        *phase = Phase::Over;
        begun
    }
}
