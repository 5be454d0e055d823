//! How often a job is tried, and how long to wait between.

use std::time::{Duration, SystemTime};

use retry_policies::policies::ExponentialBackoff;
use retry_policies::{Jitter, RetryDecision, RetryPolicy as _};

/// Three attempts with exponential, jittered pauses, planned as wake-ups.
#[derive(Debug, Clone, Copy)]
pub struct Attempts {
    max: u32,
    min: Duration,
    cap: Duration,
    backoff: ExponentialBackoff,
}

/// A schedule of attempts that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttempts {
    #[error("there must be at least one attempt")]
    None,
    #[error("the shortest pause must not be longer than the longest")]
    Bounds,
}

impl Attempts {
    /// `max` attempts with pauses from `min` doubling up to `cap`.
    pub fn try_new(max: u32, min: Duration, cap: Duration) -> Result<Self, InvalidAttempts> {
        if max == 0 {
            return Err(InvalidAttempts::None);
        }
        if min > cap {
            return Err(InvalidAttempts::Bounds);
        }
        Ok(Self::new(max, min, cap))
    }

    fn new(max: u32, min: Duration, cap: Duration) -> Self {
        let backoff = ExponentialBackoff::builder()
            .retry_bounds(min, cap)
            .base(2)
            // Bounded jitter: spread between the shortest pause and the computed one, so that
            // jobs failing together do not come back together, and none comes back at once.
            .jitter(Jitter::Bounded)
            .build_with_max_retries(max - 1);
        Self {
            max,
            min,
            cap,
            backoff,
        }
    }

    #[must_use]
    pub fn max(&self) -> u32 {
        self.max
    }

    /// How long to wait for what has not been there for so long, without using an attempt: half
    /// as long again each time, within the same bounds.
    #[must_use]
    pub fn wait_after(&self, missing_for: Duration) -> Duration {
        (missing_for / 2).clamp(self.min, self.cap)
    }

    /// The pause before the attempt after `attempt`, or `None` if that was the last.
    #[must_use]
    pub fn pause_after(&self, attempt: u32) -> Option<Duration> {
        // The policy counts from the present whatever start it is given.
        let now = SystemTime::now();
        match self.backoff.should_retry(now, attempt.saturating_sub(1)) {
            RetryDecision::Retry { execute_after } => {
                let pause = execute_after.duration_since(now).unwrap_or_default();
                // The jitter is drawn in floating point and may land a nanosecond outside.
                Some(pause.clamp(self.min, self.cap))
            }
            RetryDecision::DoNotRetry => None,
        }
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new(3, Duration::from_secs(5), Duration::from_secs(300))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_attempts_have_two_pauses() {
        let attempts = Attempts::default();
        assert!(attempts.pause_after(1).is_some());
        assert!(attempts.pause_after(2).is_some());
        assert_eq!(attempts.pause_after(3), None);
        assert_eq!(attempts.pause_after(4), None);
    }

    #[test]
    fn pauses_grow_from_the_shortest() {
        let attempts = Attempts::default();
        // A little more than computed: the policy reads the time a moment later.
        let slack = Duration::from_secs(1);
        let first = attempts.pause_after(1).unwrap();
        assert!(first <= Duration::from_secs(5) + slack, "{first:?}");
        let second = attempts.pause_after(2).unwrap();
        assert!(second <= Duration::from_secs(10) + slack, "{second:?}");
    }

    #[test]
    fn waits_grow_with_the_time_that_has_passed() {
        let attempts = Attempts::default();
        let mut passed = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = attempts.wait_after(passed);
            waits.push(wait.as_secs());
            passed += wait;
        }
        assert_eq!(waits, [5, 5, 5, 7, 11, 16, 25, 37, 56, 85, 128, 192]);
        assert_eq!(attempts.wait_after(Duration::MAX), Duration::from_secs(300));
    }

    proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(max in 2u32..10, attempt in 1u32..10, min in 1u64..50, extra in 0u64..500) {
            let (min, cap) = (Duration::from_secs(min), Duration::from_secs(min + extra));
            let attempts = Attempts::try_new(max, min, cap).unwrap();
            match attempts.pause_after(attempt) {
                Some(pause) => prop_assert!(attempt < max && pause >= min && pause <= cap),
                None => prop_assert!(attempt >= max),
            }
        }
    }
}
