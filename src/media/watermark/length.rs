//! Lengths on a frame.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length: `15%` of the frame's short side, or `24px` (or `24`) pixels of
/// the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// Percent of the short side.
    Percent(f32),
    /// Pixels of the output.
    Pixels(f32),
}

const MOST_PERCENT: f32 = 1000.0;
const MOST_PIXELS: f32 = 32_768.0;

/// Why a text is not a [`Length`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// Not a number with an optional `%` or `px`.
    #[error("`{0}` is not a length; write 15%, 24px or 24")]
    Syntax(String),
    /// Beyond what makes sense: ±1000 %, ±32768 px.
    #[error("`{0}` is out of range")]
    Range(String),
}

impl FromStr for Length {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let (number, percent) = match trimmed.strip_suffix('%') {
            Some(number) => (number, true),
            None => (trimmed.strip_suffix("px").unwrap_or(trimmed), false),
        };
        let number = number.trim_end();
        // Rust also parses "inf", "nan" and "1e5"; none of them is a length.
        let plain = !number.is_empty()
            && number
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
        let value: f32 = number
            .parse()
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| LengthError::Syntax(text.to_owned()))?;
        let most = if percent { MOST_PERCENT } else { MOST_PIXELS };
        if !value.is_finite() || value.abs() > most {
            return Err(LengthError::Range(text.to_owned()));
        }
        Ok(if percent {
            Self::Percent(value)
        } else {
            Self::Pixels(value)
        })
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(value) => write!(f, "{value}%"),
            Self::Pixels(value) => write!(f, "{value}px"),
        }
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Text(String),
            Number(f32),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::Text(text) => text,
            Raw::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Length {
    /// So many times as long, as far as lengths go.
    pub(in crate::media) fn times(self, factor: f32) -> Self {
        match self {
            Self::Percent(value) => Self::Percent((value * factor).min(MOST_PERCENT)),
            Self::Pixels(value) => Self::Pixels((value * factor).min(MOST_PIXELS)),
        }
    }

    pub(super) fn pixels(self, short_side: u32) -> f64 {
        match self {
            Self::Percent(value) => f64::from(value) / 100.0 * f64::from(short_side),
            Self::Pixels(value) => f64::from(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_parse_and_print() {
        assert_eq!("15%".parse(), Ok(Length::Percent(15.0)));
        assert_eq!(" 2.5 % ".parse(), Ok(Length::Percent(2.5)));
        assert_eq!("24px".parse(), Ok(Length::Pixels(24.0)));
        assert_eq!("24".parse(), Ok(Length::Pixels(24.0)));
        assert_eq!("-8px".parse(), Ok(Length::Pixels(-8.0)));
        for bad in ["", "%", "px", "big", "inf", "nan%", "1e3px", "12em", "1 2"] {
            assert_eq!(
                bad.parse::<Length>(),
                Err(LengthError::Syntax(bad.to_owned())),
                "{bad}"
            );
        }
        assert!(matches!(
            "99999px".parse::<Length>(),
            Err(LengthError::Range(_))
        ));
        assert_eq!(Length::Percent(12.5).to_string(), "12.5%");
    }
}
