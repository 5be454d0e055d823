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

    pub(crate) fn inverse(self) -> Self {
        Self::new(self.den, self.num)
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

#[cfg(test)]
mod tests {
    use super::*;

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
