//! Keeps our submissions under what the account at the provider may do.
//!
//! How many predictions run is what the ledger knows, so that any number of processes keep to one
//! bound; what this one has paid for since is added. Two processes that look at the same moment
//! may still be one too many together: the provider then says busy, which costs a wait. The rate
//! is each process's own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::{SharedClock, elapsed, later};
use crate::job::Timestamp;
use crate::ledger::{Ledger, LedgerError, Tally};

/// What the account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderLimits {
    /// Predictions at once.
    pub max_concurrent: NonZeroU32,
    /// Submissions in any minute.
    pub max_per_minute: NonZeroU32,
}

/// How far this process uses what the account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderUse {
    pub limits: ProviderLimits,
    /// Submissions of this process that the ledger may not know yet.
    pub submitting: usize,
    /// When the rate lets the next one go; absent where it may go at once.
    pub next_at: Option<Timestamp>,
}

/// A full account is believed to be full for this long; before paying it is always counted anew.
const FULL_FOR: Duration = Duration::from_secs(3);

const MINUTE: Duration = Duration::from_secs(60);

/// Our injected clock as the library wants one: the time since the limiter was made.
#[derive(Debug)]
struct Since {
    start: Timestamp,
    clock: SharedClock,
}

impl Clock for Since {
    type Instant = Duration;

    fn now(&self) -> Duration {
        elapsed(self.start, self.clock.now())
    }
}

type Rate = RateLimiter<NotKeyed, InMemoryState, Since, NoOpMiddleware<Duration>>;

/// Whether a submission may be made now.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    Now(Slot<'a>),
    /// As many run as may; when that changes is not known.
    Full,
    /// Too soon after the last one.
    Later(Duration),
}

#[derive(Debug)]
pub(super) struct Limiter {
    limits: Option<Limits>,
}

#[derive(Debug)]
struct Limits {
    allowed: ProviderLimits,
    rate: Rate,
    slots: Mutex<Slots>,
    /// One count at a time, and none is used after a later one began.
    counting: tokio::sync::Mutex<Option<Timestamp>>,
}

/// Submissions of this process that a count may have missed.
#[derive(Debug, Default)]
struct Slots {
    next: u64,
    /// By number; whether the ledger has the prediction.
    taken: BTreeMap<u64, bool>,
    /// When the last one was let go.
    last: Option<Timestamp>,
}

/// A slot that is taken until it is dropped; once [`Slot::recorded`], until the next count.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    held: Option<(&'a Limits, u64)>,
}

impl Limiter {
    pub(super) fn new(limits: Option<ProviderLimits>, clock: &SharedClock) -> Self {
        Self {
            limits: limits.map(|limits| Limits {
                allowed: limits,
                // Evenly spread: a burst beside the steady flow would be more than a minute takes.
                rate: RateLimiter::direct_with_clock(
                    Quota::per_minute(limits.max_per_minute).allow_burst(NonZeroU32::MIN),
                    Since {
                        start: clock.now(),
                        clock: std::sync::Arc::clone(clock),
                    },
                ),
                slots: Mutex::default(),
                counting: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// What the account may do and how far that is used; nothing where no limits are set.
    pub(super) fn in_use(&self, now: Timestamp) -> Option<ProviderUse> {
        let limits = self.limits.as_ref()?;
        let slots = limits.slots();
        let pause = MINUTE / limits.allowed.max_per_minute.get();
        let next_at = slots.last.map(|last| later(last, pause));
        Some(ProviderUse {
            limits: limits.allowed,
            submitting: slots.taken.len(),
            next_at: next_at.filter(|at| *at > now),
        })
    }

    /// Takes a place for a submission, if there is one.
    pub(super) async fn admit(
        &self,
        ledger: &dyn Ledger,
        now: Timestamp,
    ) -> Result<Turn<'_>, LedgerError> {
        let Some(limits) = &self.limits else {
            return Ok(Turn::Now(Slot { held: None }));
        };
        let most = limits.allowed.max_concurrent.get();
        let mut full_at = limits.counting.lock().await;
        if full_at.is_some_and(|at| elapsed(at, now) < FULL_FOR) {
            return Ok(Turn::Full);
        }
        // What is recorded from here on may be missed by the count.
        limits.slots().taken.retain(|_, recorded| !*recorded);
        let counted = ledger.count(Tally::Generating, most).await?;
        let mut slots = limits.slots();
        let ours = u32::try_from(slots.taken.len()).unwrap_or(u32::MAX);
        if counted.saturating_add(ours) >= most {
            *full_at = Some(now);
            return Ok(Turn::Full);
        }
        *full_at = None;
        if let Err(too_soon) = limits.rate.check() {
            let clock_now = limits.rate.clock().now();
            return Ok(Turn::Later(too_soon.wait_time_from(clock_now)));
        }
        let number = slots.next;
        slots.next += 1;
        slots.taken.insert(number, false);
        slots.last = Some(now);
        Ok(Turn::Now(Slot {
            held: Some((limits, number)),
        }))
    }
}

impl Limits {
    /// A panic elsewhere leaves numbers, not invariants, behind: going on is sound.
    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<'_> {
    /// The ledger has the prediction: the next count sees it.
    pub(super) fn recorded(mut self) {
        if let Some((limits, number)) = self.held.take()
            && let Some(recorded) = limits.slots().taken.get_mut(&number)
        {
            *recorded = true;
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some((limits, number)) = self.held.take() {
            limits.slots().taken.remove(&number);
        }
    }
}
