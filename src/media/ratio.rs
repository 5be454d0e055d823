//! Rational numbers and time bases, in exact integer arithmetic.

use serde::{Deserialize, Serialize};

/// A fraction as containers write it: a time base, a frame rate, an aspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    pub num: i32,
    pub den: i32,
}

impl Ratio {
    pub(crate) const MICROS: Self = Self::new(1, 1_000_000);
    pub(crate) const MILLIS: Self = Self::new(1, 1000);

    pub(crate) const fn new(num: i32, den: i32) -> Self {
        Self { num, den }
    }

    pub(crate) fn is_valid(self) -> bool {
        self.num > 0 && self.den > 0
    }

    pub(crate) fn as_f64(self) -> f64 {
        if self.den == 0 {
            0.0
        } else {
            f64::from(self.num) / f64::from(self.den)
        }
    }

    /// Of a frame rate: how long one frame is shown, in ticks of a time base; one at least.
    pub(crate) fn frame(self, base: Self) -> i64 {
        rescale(1, self.inverse(), base).max(1)
    }

    pub(crate) fn inverse(self) -> Self {
        Self::new(self.den, self.num)
    }

    /// A fraction of large numbers, where it can be written with small ones.
    pub(crate) fn reduced(num: u64, den: u64) -> Option<Self> {
        let (mut one, mut other) = (num, den);
        while other > 0 {
            (one, other) = (other, one % other);
        }
        let ratio = Self::new(
            i32::try_from(num.checked_div(one)?).ok()?,
            i32::try_from(den.checked_div(one)?).ok()?,
        );
        ratio.is_valid().then_some(ratio)
    }

    /// The nearest fraction with a denominator that libav's muxers accept.
    pub(crate) fn approximate(value: f64) -> Self {
        // NTSC rates are x·1000/1001; everything else is exact in thousandths.
        let ntsc = value * 1001.0 / 1000.0;
        if (ntsc - ntsc.round()).abs() < 1e-3 && (value - value.round()).abs() > 1e-3 {
            return Self::new(ntsc.round() as i32 * 1000, 1001);
        }
        Self::new((value * 1000.0).round() as i32, 1000)
    }
}

/// Converts a timestamp between time bases, rounding half away from zero.
///
/// 128-bit intermediates: 64-bit timestamps times a 32-bit time base overflow
/// otherwise, and hostile headers make them do so.
pub(crate) fn rescale(value: i64, from: Ratio, to: Ratio) -> i64 {
    let num = i128::from(value) * i128::from(from.num) * i128::from(to.den);
    let den = i128::from(from.den) * i128::from(to.num);
    if den == 0 {
        return value;
    }
    let (num, den) = if den < 0 { (-num, -den) } else { (num, den) };
    let half = den / 2;
    let rounded = if num >= 0 {
        (num + half) / den
    } else {
        (num - half) / den
    };
    rounded.clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64
}

/// A timestamp in whole milliseconds; negative ones count as zero.
pub(crate) fn to_millis(value: i64, base: Ratio) -> u64 {
    rescale(value, base, Ratio::MILLIS).max(0).unsigned_abs()
}

/// A time on a file's clock, or the distance of two.
///
/// Picoseconds in 128 bits: a tick of any time base there is comes back as itself
/// (the finest, 1/2³¹ s, has 465 of them), so that a shift by a time of another
/// stream moves no frame. Files say what they like about time: all arithmetic
/// saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(i128);

impl Time {
    pub(crate) const ZERO: Self = Self(0);
    const SECOND: i128 = 1_000_000_000_000;
    /// What 64 bits of seconds hold, so that no product below overflows.
    const MOST: i128 = i64::MAX as i128 * Self::SECOND;

    pub(crate) const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds as i128 * (Self::SECOND / 1000))
    }

    /// `ticks` of a time base; nothing for one that is none.
    pub(crate) fn of(ticks: i64, base: Ratio) -> Self {
        if !base.is_valid() {
            return Self::ZERO;
        }
        // 94 bits at most; whole seconds and the rest of one apart.
        let (count, den) = (
            i128::from(ticks) * i128::from(base.num),
            i128::from(base.den),
        );
        let (whole, rest) = (count.div_euclid(den), count.rem_euclid(den));
        let part = (rest * Self::SECOND + den / 2) / den;
        Self(whole.saturating_mul(Self::SECOND).saturating_add(part)).bounded()
    }

    /// The nearest tick of a time base; 0 for one that is none.
    pub(crate) fn ticks(self, base: Ratio) -> i64 {
        if !base.is_valid() {
            return 0;
        }
        let (whole, rest) = (
            self.0.div_euclid(Self::SECOND),
            self.0.rem_euclid(Self::SECOND),
        );
        let (num, den) = (i128::from(base.num), i128::from(base.den));
        // Whole ticks of the whole seconds first: with picoseconds 128 bits are too few.
        let count = whole * den;
        let (ticks, left) = (count.div_euclid(num), count.rem_euclid(num));
        let unit = num * Self::SECOND;
        let nearest = ticks + (left * Self::SECOND + rest * den + unit / 2) / unit;
        nearest.clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64
    }

    /// In whole milliseconds; negative ones count as zero.
    pub(crate) fn millis(self) -> u64 {
        self.ticks(Ratio::MILLIS).max(0).unsigned_abs()
    }

    fn bounded(self) -> Self {
        Self(self.0.clamp(-Self::MOST, Self::MOST))
    }
}

impl std::ops::Add for Time {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0)).bounded()
    }
}

impl std::ops::Sub for Time {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0)).bounded()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tick_of_any_base_comes_back_as_itself(
            ticks in -(1i64 << 62)..(1i64 << 62),
            num in 1..100_000i32,
            den in 1..=i32::MAX,
        ) {
            let base = Ratio::new(num, den);
            let time = Time::of(ticks, base);
            if time < Time(Time::MOST) && time > Time(-Time::MOST) {
                prop_assert_eq!(time.ticks(base), ticks);
            }
        }

        #[test]
        fn times_of_any_file_are_added_and_taken_apart_without_overflow(
            one in any::<i64>(),
            other in any::<i64>(),
            bases in (any::<i32>(), any::<i32>(), any::<i32>(), any::<i32>()),
        ) {
            let base = Ratio::new(bases.0, bases.1);
            let time = Time::of(one, base) - Time::of(other, Ratio::new(bases.2, bases.3));
            let sum = time + time + Time::of(i64::MAX, Ratio::new(i32::MAX, 1));
            prop_assert!(sum.0.abs() <= Time::MOST);
            let _ = (sum.ticks(base), sum.millis(), (Time::ZERO - sum).ticks(Ratio::MICROS));
        }
    }

    #[test]
    fn a_shift_in_a_finer_base_than_microseconds_is_exact() {
        // 83.4167 ms in the 10 MHz of Smooth Streaming: microseconds make 834,170 of it.
        let base = Ratio::new(1, 10_000_000);
        let start = Time::of(834_167, base);
        assert_eq!((Time::of(834_167, base) - start).ticks(base), 0);
        assert_eq!(start.ticks(Ratio::MICROS), 83_417);
        assert_eq!(Time::from_millis(-3).ticks(Ratio::new(1, 90_000)), -270);
        assert_eq!(Time::from_millis(-3).millis(), 0);
    }

    #[test]
    fn a_frame_lasts_a_tick_at_least() {
        let (ntsc, base) = (Ratio::new(30_000, 1001), Ratio::new(1, 90_000));
        assert_eq!(ntsc.frame(base), 3003);
        assert_eq!(ntsc.frame(Ratio::MILLIS), 33);
        assert_eq!(Ratio::new(240, 1).frame(Ratio::new(1, 25)), 1);
        assert_eq!(Ratio::new(0, 0).frame(base), 1);
    }

    #[test]
    fn rescaling_rounds_to_nearest_and_survives_extremes() {
        assert_eq!(rescale(1, Ratio::new(1, 25), Ratio::new(1, 12800)), 512);
        assert_eq!(rescale(-1, Ratio::new(1, 3), Ratio::new(1, 2)), -1);
        assert_eq!(
            rescale(i64::MAX, Ratio::new(1, 1), Ratio::new(1, 90_000)),
            i64::MAX
        );
        assert_eq!(rescale(7, Ratio::new(1, 0), Ratio::new(1, 10)), 7);
    }

    #[test]
    fn ntsc_rates_are_recognised() {
        assert_eq!(Ratio::approximate(29.97), Ratio::new(30_000, 1001));
        assert_eq!(Ratio::approximate(60.0), Ratio::new(60_000, 1000));
    }
}
