//! When to try again what the ledger did not answer: one rule for all that a visit writes.

use std::time::Duration;

use tokio::time::Instant;

/// Tries of a write that another visit can make as well. Together about 3 s by default: longer
/// than a hiccup, much shorter than a lease.
const FEW: u32 = 5;

/// The first pause between two tries, which doubles, and the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Pauses {
    /// The longest is short beside the grace of a sweep (15 s): after an outage, whoever holds
    /// the lease is heard before somebody else claims the job.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
        }
    }
}

/// How often one write is tried.
#[derive(Debug)]
pub(super) struct Patience {
    /// Tries after this one; absent: no bound.
    left: Option<u32>,
    /// When the last pause may end.
    until: Option<Instant>,
    pauses: Pauses,
}

impl Patience {
    /// For what is tried again soon anyway.
    pub(super) fn once(pauses: Pauses) -> Self {
        Self {
            left: Some(0),
            ..Self::endless(pauses)
        }
    }

    /// For what another visit can write as well.
    pub(super) fn short(pauses: Pauses) -> Self {
        Self {
            left: Some(FEW - 1),
            ..Self::endless(pauses)
        }
    }

    /// For what nobody else knows. Somebody else's claim ends it.
    pub(super) fn endless(pauses: Pauses) -> Self {
        Self {
            left: None,
            until: None,
            pauses,
        }
    }

    pub(super) fn until(at: Instant, pauses: Pauses) -> Self {
        Self {
            until: Some(at),
            ..Self::endless(pauses)
        }
    }

    /// Pauses before another try; `false`, at once, where none is left.
    pub(super) async fn again(&mut self) -> bool {
        match self.pause(Instant::now()) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            None => false,
        }
    }

    fn pause(&mut self, now: Instant) -> Option<Duration> {
        let pause = self.pauses.first.min(self.pauses.longest);
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        if self.until.is_some_and(|until| now + pause > until) {
            return None;
        }
        self.pauses.first = pause * 2;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut patience: Patience, most: usize) -> Vec<u128> {
        let mut now = Instant::now();
        let pauses = std::iter::from_fn(|| {
            let pause = patience.pause(now)?;
            now += pause;
            Some(pause.as_millis())
        });
        pauses.take(most).collect()
    }

    #[test]
    fn the_last_try_is_not_followed_by_a_pause() {
        let pauses = Pauses::default();
        assert_eq!(all(Patience::short(pauses), 99), [200, 400, 800, 1600]);
        assert!(all(Patience::once(pauses), 99).is_empty());
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let found = all(Patience::endless(Pauses::default()), 99);
        assert_eq!(found[..7], [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!((found.len(), found[98]), (99, 5000));
    }

    #[test]
    fn no_pause_ends_after_the_last_moment() {
        let until = Instant::now() + Duration::from_secs(20);
        let found = all(Patience::until(until, Pauses::default()), 99);
        let sum: u128 = found.iter().sum();
        assert!((14_000..=20_000).contains(&sum), "{found:?}");
    }
}
