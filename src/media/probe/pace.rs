//! How fast pictures come, measured: what a header says is a wish, or a guess of
//! libav's from the time base.

use crate::media::av::{Ahead, Demuxer, OpenError, StreamInfo};
use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::Limits;
use crate::media::ratio::{Ratio, Time};

/// Long enough that a burst at the start of a recording is not taken for its rate.
const SPAN: Time = Time::from_millis(4000);
const SECOND: Time = Time::from_millis(1000);
/// Rates that cameras and editing programs have; a measured one this near is meant to
/// be one of them.
const USUAL: [(i32, i32); 13] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (120_000, 1001),
    (120, 1),
    (15, 1),
    (10, 1),
];

pub(super) struct Pace {
    shown: Vec<Time>,
    /// The file was read to its end, and no picture came.
    pub nothing: bool,
}

impl Pace {
    pub(super) fn measure(
        demuxer: &mut Demuxer,
        video: &StreamInfo,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        // Enough to see that a second holds more than it may.
        let pictures = (limits.max_fps * 1.5).clamp(500.0, 5000.0) as usize;
        let Ahead { shown, all } =
            demuxer.look_ahead(video.index, video.time_base, SPAN, pictures)?;
        Ok(Self {
            nothing: all && shown.is_empty(),
            shown,
        })
    }

    /// When the first picture is shown, whatever order they come in.
    pub(super) fn first(&self) -> Option<Time> {
        self.shown.first().copied()
    }

    /// Refuses what really comes faster than it may.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), MediaError> {
        let most = self.busiest();
        // A second that begins and ends with a picture has one more.
        if most as f64 <= limits.max_fps + 1.0 {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::FrameRateTooHigh,
            format!("{most} frames in a second, {} are allowed", limits.max_fps),
        ))
    }

    /// Most pictures within a second.
    fn busiest(&self) -> usize {
        let mut from = 0;
        let mut most = 0;
        for (to, at) in self.shown.iter().enumerate() {
            while *at - self.shown[from] > SECOND {
                from += 1;
            }
            most = most.max(to + 1 - from);
        }
        most
    }

    /// Pictures a second as they usually come: a pause, or a burst, is none of it.
    fn usual(&self) -> Option<f64> {
        let pairs = self.shown.windows(2);
        let mut steps: Vec<i64> = pairs
            .map(|pair| (pair[1] - pair[0]).ticks(Ratio::MICROS))
            .filter(|step| *step > 0)
            .collect();
        steps.sort_unstable();
        let middle = *steps.get(steps.len() / 2)?;
        let near = |step: &&i64| **step >= middle / 2 && **step <= middle.saturating_mul(2);
        let count = steps.iter().filter(near).count();
        let sum: f64 = steps.iter().filter(near).map(|step| *step as f64).sum();
        (sum > 0.0).then(|| count as f64 * 1e6 / sum)
    }

    /// The measured rate, where what the file says is more than a tenth off.
    pub(super) fn rate(&self, video: &StreamInfo) -> Option<Ratio> {
        let measured = self.usual()?;
        let near =
            |rate: Ratio, by: f64| rate.is_valid() && (rate.as_f64() / measured - 1.0).abs() < by;
        if near(video.average_rate, 0.1) {
            return None;
        }
        let usual = USUAL.iter().map(|(num, den)| Ratio::new(*num, *den));
        let known = std::iter::once(video.real_rate).chain(usual);
        // The nearest of those that are as good as it.
        let best = known.filter(|rate| near(*rate, 0.02)).min_by(|one, other| {
            let off = |rate: &Ratio| (rate.as_f64() - measured).abs();
            off(one).total_cmp(&off(other))
        });
        Some(best.unwrap_or_else(|| Ratio::approximate(measured)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(milliseconds: impl IntoIterator<Item = i64>) -> Pace {
        Pace {
            shown: milliseconds.into_iter().map(Time::from_millis).collect(),
            nothing: false,
        }
    }

    fn refused(pace: &Pace, max_fps: f64) -> bool {
        let limits = Limits {
            max_fps,
            ..Limits::default()
        };
        pace.check(&limits).is_err()
    }

    #[test]
    fn only_frames_that_come_faster_are_too_many() {
        let burst = pace((0..20).chain((1..100).map(|at| 20 + at * 40)));
        assert!(!refused(&burst, 60.0));
        let usual = burst.usual().unwrap();
        assert!((usual - 25.0).abs() < 0.5, "{usual}");
        assert_eq!(pace([7]).usual(), None);
        let fast = pace((0..1000).map(|at| at * 2));
        assert!(refused(&fast, 240.0));
        assert!(!refused(&fast, 500.0));
        assert!(!refused(&pace([]), 1.0));
        assert!(!refused(&pace([7]), 1.0));
    }
}
