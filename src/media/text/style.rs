//! What a layer of text is asked for.

use std::fmt;
use std::str::FromStr;

use crate::media::watermark::Length;

/// Letters of one layer.
pub const MOST_LETTERS: usize = 200;

/// Text and how it looks.
#[derive(Debug, Clone, PartialEq)]
pub struct TextMark {
    /// One line.
    pub text: String,
    /// The family; without it, the built-in one.
    pub font: Option<String>,
    /// Height of a capital letter.
    pub size: Length,
    /// Of the letters.
    pub color: Color,
    /// Of a line around each letter.
    pub stroke: Option<Color>,
    /// Of a box behind them.
    pub background: Option<Color>,
}

impl TextMark {
    /// White letters with a dark line around them, which can be read on anything.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            font: None,
            size: Self::SIZE,
            color: Color::WHITE,
            stroke: Some(Color::BLACK),
            background: None,
        }
    }

    /// Height of a capital letter that nobody sets.
    pub const SIZE: Length = Length::Percent(4.0);

    /// What is wrong with its size, as the end of a sentence.
    #[must_use]
    pub fn size_fault(&self) -> Option<&'static str> {
        let (size, most) = match self.size {
            Length::Percent(size) => (size, 100.0),
            Length::Pixels(size) => (size, 10_000.0),
        };
        (!(size > 0.0 && size <= most))
            .then_some("must be more than 0, and 100% or 10000px at most")
    }

    /// Its words, if they are one line of letters.
    ///
    /// # Errors
    /// `Empty`, `TooLong`, `Control`.
    pub fn words(&self) -> Result<&str, TextError> {
        let words = self.text.trim();
        if words.is_empty() {
            return Err(TextError::Empty);
        }
        if words.chars().count() > MOST_LETTERS {
            return Err(TextError::TooLong);
        }
        // XML has no way to write those two.
        let unwritable = |letter: char| {
            letter.is_control()
                || matches!(letter, '\u{fffe}' | '\u{ffff}' | '\u{2028}' | '\u{2029}')
        };
        match words.chars().find(|letter| unwritable(*letter)) {
            Some(letter) => Err(TextError::Control(letter)),
            None => Ok(words),
        }
    }
}

/// Why text cannot be drawn, as the end of a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("has no letters")]
    Empty,
    /// Longer than [`MOST_LETTERS`].
    #[error("has more than {MOST_LETTERS} characters")]
    TooLong,
    /// A line break, or another character that is no letter.
    #[error("has the control character U+{code:04X}; it must be one line", code = u32::from(*.0))]
    Control(char),
    /// No such family.
    #[error("asks for the font “{0}”, which is not there")]
    NoFont(String),
    /// No font has it.
    #[error("has “{0}” (U+{code:04X}), which no font here has; see [fonts] of the settings", code = u32::from(*.0))]
    NoGlyph(char),
    /// Something else.
    #[error("cannot be drawn: {0}")]
    Unusable(String),
}

/// A colour with its opacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color([u8; 4]);

/// Why a text is no [`Color`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a colour; write #rgb, #rrggbb or #rrggbbaa")]
pub struct ColorError(String);

impl Color {
    /// Opaque.
    pub const WHITE: Self = Self([255; 4]);
    /// Opaque.
    pub const BLACK: Self = Self([0, 0, 0, 255]);

    pub(super) fn as_attributes(self, name: &str) -> String {
        let [r, g, b, alpha] = self.0;
        let alpha = f32::from(alpha) / 255.0;
        format!("{name}=\"#{r:02x}{g:02x}{b:02x}\" {name}-opacity=\"{alpha}\"")
    }
}

impl FromStr for Color {
    type Err = ColorError;

    fn from_str(text: &str) -> Result<Self, ColorError> {
        let wrong = || ColorError(text.to_owned());
        let digits = text.trim().strip_prefix('#').ok_or_else(wrong)?;
        let digits = digits.chars().map(|digit| digit.to_digit(16));
        let digits: Vec<u32> = digits.collect::<Option<_>>().ok_or_else(wrong)?;
        let pair = |high: u32, low: u32| (high * 16 + low) as u8;
        Ok(Self(match digits[..] {
            [r, g, b] => [pair(r, r), pair(g, g), pair(b, b), 255],
            [r, r2, g, g2, b, b2] => [pair(r, r2), pair(g, g2), pair(b, b2), 255],
            [r, r2, g, g2, b, b2, a, a2] => [pair(r, r2), pair(g, g2), pair(b, b2), pair(a, a2)],
            _ => return Err(wrong()),
        }))
    }
}

/// A colour, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub Option<Color>);

impl FromStr for Paint {
    type Err = ColorError;

    fn from_str(text: &str) -> Result<Self, ColorError> {
        match text.trim() {
            "none" => Ok(Self(None)),
            color => color.parse().map(|color| Self(Some(color))),
        }
    }
}

impl fmt::Display for Paint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(color) => color.fmt(f),
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b, alpha] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")?;
        if alpha < 255 {
            write!(f, "{alpha:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_read_as_they_are_written() {
        for (text, shown) in [
            ("#fff", "#ffffff"),
            ("#12ab9F", "#12ab9f"),
            ("#00000080", "#00000080"),
        ] {
            assert_eq!(text.parse::<Color>().unwrap().to_string(), shown);
        }
        for bad in ["", "#", "white", "#ff", "#ggg", "#fffff", "#é00"] {
            assert!(bad.parse::<Color>().is_err(), "{bad}");
        }
    }

    #[test]
    fn words_are_one_line_of_letters() {
        let of = |text: &str| TextMark::new(text).words().map(str::to_owned);
        assert_eq!(of(" @alice "), Ok("@alice".to_owned()));
        assert_eq!(of(" \u{3000}"), Err(TextError::Empty));
        assert_eq!(of("a\nb"), Err(TextError::Control('\n')));
        assert_eq!(of(&"漢".repeat(MOST_LETTERS + 1)), Err(TextError::TooLong));
        assert!(of(&"漢".repeat(MOST_LETTERS)).is_ok());
    }
}
