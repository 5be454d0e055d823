//! How many frames may be made of those that were decoded.
//!
//! A constant frame rate fills gaps with copies of the frame before. Timestamps are easily forged:
//! a hundred frames, one of them said to be shown for twenty minutes, would become tens of
//! thousands to filter and encode.

use std::time::Duration;

use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::Limits;
use crate::media::ratio::Ratio;

/// The longest that one frame counts as shown. Slide shows change pictures more often; a longer
/// pause has to be paid for by the frames around it.
const LONGEST: Duration = Duration::from_secs(10);
/// What is always allowed: a short video of one picture is no attack.
pub(super) const ALWAYS: Duration = Duration::from_secs(60);

/// Counts frames that leave a filter graph of constant rate against those that went in.
///
/// Each decoded frame is worth the frames of the time it is shown, [`LONGEST`] at most and one at
/// least: a source that is slow by itself is not refused. The limit is a multiple of their sum.
pub(super) struct Duplication {
    /// Frames a second of the result.
    rate: f64,
    most: u32,
    worth: f64,
    made: u64,
}

impl Duplication {
    /// For an input brought to a constant `rate`; `None` where frames keep their own times.
    pub(super) fn of(rate: Option<Ratio>, limits: &Limits) -> Option<Self> {
        Some(Self {
            rate: rate?.as_f64(),
            most: limits.max_duplication,
            worth: 0.0,
            made: 0,
        })
    }

    /// A decoded frame was shown so long, in `base`.
    pub(super) fn shown(&mut self, time: i64, base: Ratio) {
        let seconds = time as f64 * base.as_f64();
        let frames = seconds.min(LONGEST.as_secs_f64()) * self.rate;
        self.worth += frames.max(1.0);
    }

    /// A frame left the graph.
    pub(super) fn made(&mut self) -> Result<(), MediaError> {
        self.made += 1;
        let allowed = ALWAYS.as_secs_f64() * self.rate + f64::from(self.most) * self.worth;
        if self.made as f64 <= allowed {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::TooManyDuplicates,
            format!(
                "gaps in the timestamps take more than {} times the frames there are",
                self.most
            ),
        )
        .at("filter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: Ratio = Ratio { num: 1, den: 1000 };

    /// Frames that may be made at `fps` of frames shown for so many milliseconds.
    fn allowed(fps: i32, most: u32, shown: &[i64]) -> u64 {
        let limits = Limits {
            max_duplication: most,
            ..Limits::default()
        };
        let mut frames = Duplication::of(Some(Ratio::new(fps, 1)), &limits).unwrap();
        for time in shown {
            frames.shown(*time, MILLIS);
        }
        let mut made = 0;
        while frames.made().is_ok() {
            made += 1;
        }
        assert_eq!(
            frames.made().unwrap_err().code,
            MediaCode::TooManyDuplicates
        );
        made
    }

    #[test]
    fn a_frame_is_worth_its_time_ten_seconds_at_most_and_itself_at_least() {
        assert_eq!(allowed(30, 16, &[]), 1800);
        assert_eq!(allowed(30, 16, &[40]), 1800 + 16 + 3);
        assert_eq!(allowed(30, 16, &[1]), 1800 + 16);
        assert_eq!(allowed(30, 1, &[1000; 100]), 1800 + 3000);
        assert_eq!(allowed(30, 2, &[20 * 60_000]), 1800 + 2 * 300);
        assert_eq!(allowed(30, 2, &[i64::MAX, -5]), 1800 + 2 * 301);
    }

    #[test]
    fn slow_sources_pass_whole_and_forged_gaps_do_not() {
        let minutes = |minutes: u64| minutes * 60 * 30;
        // A picture a second, or every ten, for half an hour.
        assert!(allowed(30, 1, &[1000; 1800]) >= minutes(30));
        assert!(allowed(30, 1, &[10_000; 180]) >= minutes(30));
        // One picture alone.
        assert!(allowed(30, 16, &[180_000]) >= minutes(3));
        // A screen recording of a minute that pauses for five.
        let mut pause = vec![33; 1800];
        pause.push(300_000);
        assert!(allowed(30, 16, &pause) >= minutes(6));
        // Four seconds that claim to be twenty minutes.
        let mut forged = vec![40; 100];
        forged.push(20 * 60_000);
        assert!(allowed(30, 16, &forged) < minutes(5));
    }

    #[test]
    fn frames_that_keep_their_times_are_not_counted() {
        assert!(Duplication::of(None, &Limits::default()).is_none());
    }
}
