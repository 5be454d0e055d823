//! Wall-clock time without jumps.
//!
//! The machine's clock may be set by hand, or by a time service after a long while without one.
//! Deadlines, leases and wake-ups are written down as moments; a jump would make all of them come
//! at once, or not at all. So what is told here goes on as the monotonic clock does:
//!
//! - Small differences are taken over: that is how a time service keeps a clock right. What is
//!   told never goes back.
//! - A jump is not followed. It is reported, and what is told comes nearer to the machine's clock
//!   by a hundredth of the time that passes: a deadline moves by no more than that.
//! - A witness from outside, such as the `Date` of a cloud's answers, is believed at once: with it
//!   all processes tell the same time, whatever their machines say.
//!
//! The monotonic clock is the one that goes on while the machine sleeps.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Clock, SharedClock, Timestamp};

/// Less than this is the work of a time service, or of a scheduler that was busy. Beyond, clocks
/// are told apart: leases bear it three times.
const SLACK_US: i64 = 5_000_000;
/// Of the time that passes, this part is made good of what a jump left.
const SLEW: i64 = 100;
/// Reads of two clocks that lie further apart say nothing of their difference.
const APART: Duration = Duration::from_millis(100);

/// Tells how much time has passed since a moment that does not change.
pub trait Monotonic: Debug + Send + Sync {
    fn elapsed(&self) -> Duration;
}

/// Time since the machine was started, its sleep included.
#[derive(Debug, Default, Clone, Copy)]
pub struct SinceBoot;

impl Monotonic for SinceBoot {
    fn elapsed(&self) -> Duration {
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
    }
}

/// How the clock was found to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// The machine's clock was set, by so many milliseconds.
    Machine { ms: i64 },
    /// At the start the machine's clock was so many milliseconds behind what is on record.
    Start { ms: i64 },
    /// A witness says that it is so many milliseconds later than was told.
    Witness { ms: i64 },
}

/// Follows a wall clock, but not its jumps.
#[derive(Debug)]
pub struct SteadyClock {
    wall: SharedClock,
    monotonic: Arc<dyn Monotonic>,
    report: fn(Jump),
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The last look at both, in microseconds.
    wall: i64,
    monotonic: i64,
    /// What is told, less what the machine says.
    offset: i64,
    /// Whether a witness has spoken: then the difference is known, and stays.
    is_known: bool,
    slewed_at: i64,
    told: i64,
}

impl SteadyClock {
    /// Starts with what the wall clock says. `report` is called for each jump.
    #[must_use]
    pub fn new(wall: SharedClock, monotonic: Arc<dyn Monotonic>, report: fn(Jump)) -> Self {
        let (now, passed) = look(&*wall, &*monotonic);
        Self {
            wall,
            monotonic,
            report,
            state: Mutex::new(State {
                wall: now,
                monotonic: passed,
                offset: 0,
                is_known: false,
                slewed_at: passed,
                told: now,
            }),
        }
    }

    /// Begins no earlier than `on_record`: somebody has seen that moment, so it has been.
    pub fn start_after(&self, on_record: Timestamp) {
        let ms = {
            let mut state = self.lock();
            let behind = on_record.as_microsecond().saturating_sub(state.told);
            if behind <= SLACK_US {
                return;
            }
            state.offset = state.offset.saturating_add(behind);
            state.told = on_record.as_microsecond();
            behind / 1000
        };
        (self.report)(Jump::Start { ms });
    }

    /// Hears what time it is from outside. Seconds of difference are the way that an answer takes.
    pub fn hear(&self, witness: Timestamp) {
        let now = self.now();
        let ms = {
            let mut state = self.lock();
            state.is_known = true;
            let off = witness
                .as_microsecond()
                .saturating_sub(now.as_microsecond());
            if off.abs() <= SLACK_US {
                return;
            }
            // Only here time may go back: what was told was wrong.
            state.offset = state.offset.saturating_add(off);
            state.told = witness.as_microsecond();
            off / 1000
        };
        (self.report)(Jump::Witness { ms });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let (told, jump) = {
            let mut state = self.lock();
            let (wall, monotonic) = look(&*self.wall, &*self.monotonic);
            let jump = state.look(wall, monotonic);
            (state.told, jump)
        };
        if let Some(us) = jump {
            (self.report)(Jump::Machine { ms: us / 1000 });
        }
        Timestamp::from_microsecond(told).unwrap_or(Timestamp::MAX)
    }
}

impl State {
    /// Takes in a look at both clocks; says by how much the wall clock has jumped, if it has.
    fn look(&mut self, wall: i64, monotonic: i64) -> Option<i64> {
        let passed = monotonic.saturating_sub(self.monotonic).max(0);
        let moved = wall.saturating_sub(self.wall);
        let off = moved.saturating_sub(passed);
        self.wall = wall;
        self.monotonic = monotonic;
        let jump = (off.abs() > SLACK_US).then_some(off);
        if jump.is_some() {
            self.offset = self.offset.saturating_sub(off);
        }
        // In whole steps, so that nothing is lost however often somebody asks.
        let step = monotonic.saturating_sub(self.slewed_at) / SLEW;
        if step > 0 {
            self.slewed_at = self.slewed_at.saturating_add(step * SLEW);
            if !self.is_known {
                let by = self.offset.abs().min(step);
                self.offset -= self.offset.signum() * by;
            }
        }
        self.told = self.told.max(wall.saturating_add(self.offset));
        jump
    }
}

/// Both clocks at one moment.
fn look(wall: &dyn Clock, monotonic: &dyn Monotonic) -> (i64, i64) {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let mut before = monotonic.elapsed();
    loop {
        let now = wall.now().as_microsecond();
        let after = monotonic.elapsed();
        // A process may be stopped in between.
        if after.saturating_sub(before) <= APART {
            return (now, micros(before));
        }
        before = after;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use proptest::prelude::*;

    use super::super::{ManualClock, later};
    use super::*;

    /// A machine whose clock can be set; microseconds.
    #[derive(Debug, Default)]
    struct Machine {
        passed: AtomicI64,
        set_by: AtomicI64,
    }

    impl Machine {
        fn pass(&self, seconds: i64) {
            self.passed.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        }

        fn set(&self, seconds: i64) {
            self.set_by.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        }
    }

    impl Monotonic for Machine {
        fn elapsed(&self) -> Duration {
            Duration::from_micros(self.passed.load(Ordering::SeqCst) as u64)
        }
    }

    const START: i64 = 1_790_000_000_000_000;

    impl Clock for Machine {
        fn now(&self) -> Timestamp {
            let us = self.passed.load(Ordering::SeqCst) + self.set_by.load(Ordering::SeqCst);
            Timestamp::from_microsecond(START + us).unwrap()
        }
    }

    thread_local! {
        static JUMPS: std::cell::RefCell<Vec<Jump>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    fn noted(jump: Jump) {
        JUMPS.with_borrow_mut(|jumps| jumps.push(jump));
    }

    fn jumps() -> Vec<Jump> {
        JUMPS.take()
    }

    fn steady() -> (Arc<Machine>, SteadyClock) {
        let machine = Arc::<Machine>::default();
        let clock = SteadyClock::new(Arc::clone(&machine) as _, Arc::clone(&machine) as _, noted);
        (machine, clock)
    }

    fn seconds(clock: &SteadyClock) -> f64 {
        (clock.now().as_microsecond() - START) as f64 / 1e6
    }

    #[test]
    fn a_jump_is_reported_and_not_followed() {
        for by in [7_200, -7_200] {
            let (machine, clock) = steady();
            machine.pass(10);
            machine.set(by);
            assert!((seconds(&clock) - 10.0).abs() < 0.2);
            assert_eq!(jumps(), [Jump::Machine { ms: by * 1000 }]);
            machine.pass(600);
            // It comes nearer by a hundredth of the time that passes.
            let near = 610.0 + 6.1 * by.signum() as f64;
            assert!((seconds(&clock) - near).abs() < 0.2, "{}", seconds(&clock));
            // Somebody puts it right again.
            machine.set(-by);
            machine.pass(60);
            assert!((seconds(&clock) - 670.0).abs() < 7.0);
            assert_eq!(jumps(), [Jump::Machine { ms: -by * 1000 }]);
        }
    }

    #[test]
    fn a_time_service_is_followed_but_never_back() {
        let (machine, clock) = steady();
        for _ in 0..10 {
            machine.pass(100);
            machine.set(2);
            clock.now();
        }
        assert!((seconds(&clock) - 1_020.0).abs() < 0.1);
        let before = clock.now();
        machine.set(-3);
        machine.pass(1);
        assert_eq!(clock.now(), before);
        machine.pass(3);
        assert!(clock.now() > before);
        assert_eq!(jumps(), []);
    }

    #[test]
    fn what_is_on_record_has_been() {
        let (machine, clock) = steady();
        let on_record = later(clock.now(), Duration::from_secs(7_200));
        clock.start_after(on_record);
        assert_eq!(jumps(), [Jump::Start { ms: 7_200_000 }]);
        machine.pass(5);
        assert!((seconds(&clock) - 7_205.0).abs() < 0.2);
        // The past is no news.
        clock.start_after(on_record);
        assert_eq!(jumps(), []);
    }

    #[test]
    fn processes_that_differ_by_a_minute_tell_the_same_time_once_they_hear_it() {
        let ((one, first), (two, second)) = (steady(), steady());
        two.set(60);
        let second = {
            drop(second);
            SteadyClock::new(Arc::clone(&two) as _, Arc::clone(&two) as _, noted)
        };
        assert!((seconds(&second) - seconds(&first) - 60.0).abs() < 0.1);
        let witness = ManualClock::at(later(one.now(), Duration::from_secs(20)));
        for _ in 0..100 {
            for machine in [&one, &two] {
                machine.pass(10);
            }
            witness.advance(Duration::from_secs(10));
            first.hear(witness.now());
            second.hear(witness.now());
            let told = [seconds(&first), seconds(&second)];
            assert!((told[0] - told[1]).abs() < 0.1, "{told:?}");
        }
        let both = [Jump::Witness { ms: 20_000 }, Jump::Witness { ms: -40_000 }];
        assert_eq!(jumps(), both);
    }

    proptest! {
        /// Whatever is done to the clock: what is told never goes back, and in any stretch of time
        /// as much passes as on the monotonic clock, but for the slack and a hundredth.
        #[test]
        fn time_passes_as_it_does(steps in prop::collection::vec((0_i64..600, -9_000_i64..9_000), 1..60)) {
            let (machine, clock) = steady();
            let mut last = clock.now();
            for (passes, set) in steps {
                machine.pass(passes);
                machine.set(if set % 3 == 0 { set } else { 0 });
                let now = clock.now();
                prop_assert!(now >= last);
                let told = (now.as_microsecond() - last.as_microsecond()) as f64 / 1e6;
                let most = passes as f64 * 1.01 + 5.1;
                prop_assert!(told <= most, "{} in {} s", told, passes);
                last = now;
            }
            jumps();
        }
    }
}
