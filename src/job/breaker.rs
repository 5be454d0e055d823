//! A model that fails much is given a rest, and one job tries it again.
//!
//! The state is one small record a model, shared by all instances. The rules here are pure: the
//! ledger reads, applies, and writes on the condition that nobody wrote since.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a model rests, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerRules {
    /// Share of failures, of all ends, from which it rests; above 0, at most 1.
    pub share: f64,
    /// Ends that are too few to judge by, the first failure among them.
    pub least: u32,
    /// Over which the ends are counted.
    pub window: Duration,
    /// How long it rests before one job tries it again.
    pub rest: Duration,
    /// How long that job may take before another may try.
    pub probe: Duration,
}

/// How the provider does with one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    pub model: String,
    /// When the first failure of those that are counted was. Counting began with it, so it says
    /// nothing of how many fail: the share is that of the ends after it.
    pub since: Timestamp,
    #[serde(default)]
    pub ends: u32,
    #[serde(default)]
    pub failures: u32,
    /// It rests at least until then; absent while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
    /// The job that tries it again, and how long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// The one job that tries a resting model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub job: String,
    pub until: Timestamp,
}

/// Whether a model may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearance {
    Works,
    /// This job is the one that tries it.
    Probes,
    Rests {
        until: Timestamp,
        /// A job tries it, so it may be over sooner.
        tried: bool,
    },
}

/// What the end of a submission says of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Works,
    Fails,
    /// Nothing: the input or the content was refused, or nothing was asked.
    Nothing,
}

/// What a write changed about whether it rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    Opened,
    Closed,
}

impl Breaker {
    #[must_use]
    pub fn new(model: &str, now: Timestamp) -> Self {
        Self {
            model: model.to_owned(),
            since: now,
            ends: 0,
            failures: 0,
            rests_until: None,
            probe: None,
        }
    }

    /// Whether `job` may ask the model; where that makes it the probe, the record changes.
    pub fn ask(&mut self, job: &str, now: Timestamp, rules: &BreakerRules) -> Clearance {
        let Some(rests_until) = self.rests_until else {
            return Clearance::Works;
        };
        match &self.probe {
            Some(probe) if now >= probe.until => {}
            Some(probe) if probe.job == job => return Clearance::Probes,
            Some(probe) => {
                let until = probe.until;
                return Clearance::Rests { until, tried: true };
            }
            None if now < rests_until => {
                let (until, tried) = (rests_until, false);
                return Clearance::Rests { until, tried };
            }
            None => {}
        }
        self.probe = Some(Probe {
            job: job.to_owned(),
            until: later(now, rules.probe),
        });
        Clearance::Probes
    }

    /// Counts how a submission of `job` ended. While nothing fails, nothing is counted, so that
    /// good days cost no writes.
    pub fn note(
        &mut self,
        job: &str,
        verdict: Verdict,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Option<Turned> {
        if self.rests_until.is_some() {
            return self.note_at_rest(job, verdict, now, rules);
        }
        let failed = match verdict {
            Verdict::Fails => true,
            Verdict::Works if self.failures > 0 => false,
            Verdict::Works | Verdict::Nothing => return None,
        };
        if self.failures == 0 || elapsed(self.since, now) > rules.window {
            if !failed {
                *self = Self::new(&self.model, self.since);
                return None;
            }
            (self.since, self.ends, self.failures) = (now, 0, 0);
        }
        self.ends = self.ends.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(failed));
        if !failed || self.ends < rules.least || !self.is_share_of(rules.share) {
            return None;
        }
        self.rests_until = Some(later(now, rules.rest));
        Some(Turned::Opened)
    }

    /// Whether of the ends after the first failure this share or more failed too.
    fn is_share_of(&self, share: f64) -> bool {
        let (ends, failures) = (self.ends.saturating_sub(1), self.failures.saturating_sub(1));
        ends > 0 && f64::from(failures) / f64::from(ends) >= share
    }

    /// What was asked before it rested says nothing new of a model that rests: its probe does.
    fn note_at_rest(
        &mut self,
        job: &str,
        verdict: Verdict,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Option<Turned> {
        self.probe.as_ref().filter(|probe| probe.job == job)?;
        self.probe = None;
        match verdict {
            Verdict::Works => {
                *self = Self::new(&self.model, now);
                Some(Turned::Closed)
            }
            Verdict::Fails => {
                self.rests_until = Some(later(now, rules.rest));
                None
            }
            // The next job tries it.
            Verdict::Nothing => None,
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules {
        share: 0.5,
        least: 4,
        window: Duration::from_secs(600),
        rest: Duration::from_secs(120),
        probe: Duration::from_secs(900),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn rests(until: i64, tried: bool) -> Clearance {
        let until = at(until);
        Clearance::Rests { until, tried }
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new("m", at(0));
        for second in 0..3 {
            assert_eq!(breaker.note("j", Verdict::Fails, at(second), &RULES), None);
        }
        let turned = breaker.note("j", Verdict::Fails, at(3), &RULES);
        assert_eq!(turned, Some(Turned::Opened));
        breaker
    }

    #[test]
    fn it_opens_at_a_share_of_failures_and_not_by_a_few() {
        let mut breaker = opened();
        assert_eq!(breaker.ask("j", at(100), &RULES), rests(123, false));
        let mut good = Breaker::new("m", at(0));
        for second in 0..40 {
            // A quarter, and what says nothing of the model does not count.
            let verdict = match second % 5 {
                0 => Verdict::Fails,
                1 => Verdict::Nothing,
                _ => Verdict::Works,
            };
            assert_eq!(
                good.note("j", verdict, at(second), &RULES),
                None,
                "{second}"
            );
        }
        assert_eq!((good.ends, good.failures), (32, 8));
        assert_eq!(good.ask("j", at(50), &RULES), Clearance::Works);
    }

    #[test]
    fn while_nothing_fails_nothing_changes() {
        let fresh = Breaker::new("m", at(0));
        let mut breaker = fresh.clone();
        for second in 0..9 {
            assert_eq!(breaker.note("j", Verdict::Works, at(second), &RULES), None);
        }
        assert_eq!(breaker, fresh);
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let mut breaker = Breaker::new("m", at(0));
        for second in 0..3 {
            breaker.note("j", Verdict::Fails, at(second), &RULES);
        }
        assert_eq!(breaker.note("j", Verdict::Fails, at(700), &RULES), None);
        assert_eq!((breaker.ends, breaker.failures), (1, 1));
        assert_eq!(breaker.note("j", Verdict::Works, at(1400), &RULES), None);
        assert_eq!((breaker.ends, breaker.failures), (0, 0));
    }

    #[test]
    fn one_job_probes_and_its_end_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.ask("a", at(123), &RULES), Clearance::Probes);
        // Asking again is the same probe.
        assert_eq!(breaker.ask("a", at(124), &RULES), Clearance::Probes);
        assert_eq!(breaker.ask("b", at(125), &RULES), rests(1023, true));
        // What others of before say changes nothing.
        assert_eq!(breaker.note("old", Verdict::Works, at(126), &RULES), None);
        assert_eq!(breaker.note("a", Verdict::Fails, at(200), &RULES), None);
        assert_eq!(breaker.ask("b", at(201), &RULES), rests(320, false));
        assert_eq!(breaker.ask("b", at(320), &RULES), Clearance::Probes);
        let turned = breaker.note("b", Verdict::Works, at(400), &RULES);
        assert_eq!(turned, Some(Turned::Closed));
        assert_eq!(breaker.ask("c", at(401), &RULES), Clearance::Works);
    }

    #[test]
    fn a_probe_that_says_nothing_is_followed_by_another() {
        let mut breaker = opened();
        assert_eq!(breaker.ask("a", at(123), &RULES), Clearance::Probes);
        assert_eq!(breaker.ask("b", at(1023), &RULES), Clearance::Probes);
        assert_eq!(breaker.note("b", Verdict::Nothing, at(1030), &RULES), None);
        assert_eq!(breaker.ask("c", at(1030), &RULES), Clearance::Probes);
    }

    /// The model fails by chance, a third of the time, and rests at a half. However its ends fall,
    /// at the moment it is first judged it rests as often as a fair sample of them would have it,
    /// and no oftener. With the first failure in the share it rested twice as often.
    #[test]
    fn a_model_rests_no_oftener_than_its_share_of_failures_says() {
        const WINDOWS: u32 = 20_000;
        const FAILS: f64 = 1.0 / 3.0;
        let rules = BreakerRules { least: 10, ..RULES };
        let (mut opened, mut failures) = (0, 0);
        let mut chance = Chance(7);
        for _ in 0..WINDOWS {
            let mut breaker = Breaker::new("m", at(0));
            breaker.note("j", Verdict::Fails, at(0), &rules);
            for second in 1..10 {
                let failed = chance.next() < FAILS;
                failures += u32::from(failed);
                let verdict = if failed {
                    Verdict::Fails
                } else {
                    Verdict::Works
                };
                breaker.note("j", verdict, at(second), &rules);
            }
            opened += u32::from(breaker.rests_until.is_some());
        }
        let drawn = f64::from(failures) / f64::from(WINDOWS * 9);
        assert!((drawn - FAILS).abs() < 0.01, "{drawn}");
        // Five or more of nine, the last one of them, for only a failure opens it.
        let fair = (4..=8).map(|k| binomial(8, k, FAILS)).sum::<f64>() * FAILS;
        let opened = f64::from(opened) / f64::from(WINDOWS);
        assert!(
            (opened - fair).abs() < 0.01,
            "{opened}, and {fair} would be fair"
        );
    }

    fn binomial(n: i32, k: i32, p: f64) -> f64 {
        let ways: f64 = (0..k)
            .map(|i| f64::from(n - i) / f64::from(i + 1))
            .product();
        ways * p.powi(k) * (1.0 - p).powi(n - k)
    }

    /// A sequence from a seed: xorshift64*.
    struct Chance(u64);

    impl Chance {
        fn next(&mut self) -> f64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
            (drawn >> 11) as f64 / (1_u64 << 53) as f64
        }
    }
}
