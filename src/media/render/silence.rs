//! How much silence may be made for the sound that there is.
//!
//! Gaps in the sound become silence, since an encoder has no notion of them. Timestamps are easily
//! forged: two seconds of sound, the last packet of which is said to come half an hour later,
//! would become half an hour to encode.

use super::duplication::ALWAYS;
use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::Limits;
use crate::media::ratio::{Ratio, Time};

/// Counts silence that is made against sound that was decoded.
///
/// As long as there is a picture silence costs nothing: a screen may be recorded for an hour with
/// the microphone on for its first and its last minute. What is made beyond is allowed for a
/// minute, and for as many times the sound that was decoded as frames may be duplicated.
pub(super) struct Silence {
    picture_ends: Time,
    most: u32,
    decoded: f64,
    made: f64,
}

impl Silence {
    pub(super) fn of(picture_ends: Time, limits: &Limits) -> Self {
        Self {
            picture_ends,
            most: limits.max_duplication,
            decoded: 0.0,
            made: 0.0,
        }
    }

    /// So much sound was decoded.
    pub(super) fn decoded(&mut self, length: Time) {
        self.decoded += seconds(length);
    }

    /// Silence is to be made from here to there.
    pub(super) fn made(&mut self, from: Time, until: Time) -> Result<(), MediaError> {
        self.made += seconds(until - from.max(self.picture_ends));
        if self.made <= ALWAYS.as_secs_f64() + f64::from(self.most) * self.decoded {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::TooManyDuplicates,
            format!(
                "gaps in the sound's timestamps take more than {} times the sound there is",
                self.most
            ),
        )
        .at("filter"))
    }
}

/// Seconds of a length; none of one that is negative.
fn seconds(length: Time) -> f64 {
    length.ticks(Ratio::MICROS).max(0) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// Whole seconds of silence that may be made from `from` on.
    fn allowed(most: u32, picture: i64, decoded: i64, from: i64) -> i64 {
        let limits = Limits {
            max_duplication: most,
            ..Limits::default()
        };
        let mut silence = Silence::of(at(picture), &limits);
        silence.decoded(at(decoded));
        let mut until = from;
        while silence.made(at(until), at(until + 1)).is_ok() {
            until += 1;
        }
        let error = silence.made(at(until), at(until + 1)).unwrap_err();
        assert_eq!(error.code, MediaCode::TooManyDuplicates);
        until - from
    }

    #[test]
    fn silence_is_paid_for_by_a_picture_or_by_sound() {
        assert_eq!(allowed(16, 0, 0, 0), 60);
        assert_eq!(allowed(16, 0, 2, 0), 60 + 32);
        assert_eq!(allowed(1, 0, 2, 2), 60 + 2);
        assert_eq!(allowed(16, 3600, 0, 0), 3600 + 60);
        assert_eq!(allowed(16, 3600, 1, 3590), 10 + 60 + 16);
        assert_eq!(allowed(16, -5, 0, 0), 60);
    }

    #[test]
    fn time_that_runs_backwards_costs_nothing_and_brings_nothing() {
        let mut silence = Silence::of(Time::ZERO, &Limits::default());
        silence.decoded(at(-1000));
        silence.made(at(90_000), at(0)).unwrap();
        assert!(silence.made(at(0), at(61)).is_err());
    }
}
