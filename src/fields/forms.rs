//! The forms that several fields have.

use std::fmt::Display;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use strum::IntoEnumIterator;

use super::{Bounds, Form};

/// `a`, `b`, for a page.
fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(code).collect();
    words.join(", ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn with_range(what: &str, range: Option<String>) -> String {
    match range {
        Some(range) => format!("{what}, {range}"),
        None => what.to_owned(),
    }
}

/// Digits in threes from 1,000 on, as pages write them.
fn thousands(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Yes or no.
#[derive(Debug, Clone, Copy)]
pub struct Flag;

impl Form for Flag {
    type Value = bool;

    fn of_text(&self, text: &str) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(format!("must be true or false, found “{text}”")),
        }
    }

    fn takes(&self) -> String {
        listed(["true", "false"])
    }

    fn shown(&self, value: &bool) -> String {
        code(if *value { "true" } else { "false" })
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub struct Whole<T>(pub Bounds<T>);

impl<T: FromStr + PartialOrd + Display + Clone> Form for Whole<T> {
    type Value = T;

    fn of_text(&self, text: &str) -> Result<T, String> {
        // What is no number at all is in no range either.
        let number = text.parse().ok().filter(|number| self.0.hold(number));
        number.ok_or_else(|| self.0.fault(text, "a whole number", "above", T::to_string))
    }

    fn takes(&self) -> String {
        let range = self
            .0
            .told("above", |number| thousands(&number.to_string()));
        with_range("whole number", range)
    }

    fn shown(&self, value: &T) -> String {
        thousands(&value.to_string())
    }
}

/// A number.
#[derive(Debug, Clone, Copy)]
pub struct Real<T>(pub Bounds<T>);

/// Numbers that may be none at all.
pub trait Finite: Copy + FromStr + PartialOrd + Display {
    fn is_finite(self) -> bool;
}

impl Finite for f32 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Finite for f64 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl<T: Finite> Form for Real<T> {
    type Value = T;

    fn of_text(&self, text: &str) -> Result<T, String> {
        let number = text.parse().ok();
        let number = number.filter(|number: &T| number.is_finite() && self.0.hold(number));
        number.ok_or_else(|| self.0.fault(text, "a number", "above", T::to_string))
    }

    fn takes(&self) -> String {
        let range = self
            .0
            .told("above", |number| thousands(&number.to_string()));
        with_range("number", range)
    }

    fn shown(&self, value: &T) -> String {
        thousands(&value.to_string())
    }
}

/// A duration such as `90s` or `2h 30m`.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Bounds<Duration>);

fn span(duration: &Duration) -> String {
    if duration.is_zero() {
        return "0".to_owned();
    }
    humantime::format_duration(*duration).to_string()
}

impl Form for Span {
    type Value = Duration;

    fn of_text(&self, text: &str) -> Result<Duration, String> {
        let duration = humantime::parse_duration(text)
            .map_err(|error| format!("“{text}” is not a duration such as 90s or 2h: {error}"))?;
        if self.0.hold(&duration) {
            return Ok(duration);
        }
        Err(self.0.fault(text, "a duration", "longer than", span))
    }

    fn takes(&self) -> String {
        with_range("duration", self.0.told("longer than", span))
    }

    fn shown(&self, value: &Duration) -> String {
        code(&span(value))
    }
}

/// A number of bytes, such as `512 MiB`.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub Bounds<u64>);

fn size(bytes: &u64) -> String {
    ByteSize::b(*bytes).to_string()
}

/// Without a fraction that is none.
fn plain_size(bytes: &u64) -> String {
    size(bytes).replace(".0 ", " ")
}

impl Form for Size {
    type Value = u64;

    fn of_text(&self, text: &str) -> Result<u64, String> {
        let parsed = text.parse::<ByteSize>();
        match (parsed, &self.0) {
            (Ok(size), bounds) if bounds.hold(&size.as_u64()) => Ok(size.as_u64()),
            (Err(error), Bounds::Any) => Err(format!("“{text}” is not usable: {error}")),
            (_, bounds) => Err(bounds.fault(text, "a size", "above", size)),
        }
    }

    fn takes(&self) -> String {
        with_range("size", self.0.told("above", plain_size))
    }

    fn shown(&self, value: &u64) -> String {
        plain_size(value)
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub struct OneOf(pub &'static [&'static str]);

impl Form for OneOf {
    type Value = &'static str;

    fn of_text(&self, text: &str) -> Result<&'static str, String> {
        let known = self.0.iter().find(|word| **word == text);
        known
            .copied()
            .ok_or_else(|| format!("“{text}” is not one of {}", self.0.join(", ")))
    }

    fn takes(&self) -> String {
        listed(self.0.iter().copied())
    }

    fn shown(&self, value: &&'static str) -> String {
        code(value)
    }
}

/// One of the words of an enumeration.
#[derive(Debug, Clone, Copy)]
pub struct Word<T>(PhantomData<fn() -> T>);

impl<T> Word<T> {
    #[must_use]
    #[expect(clippy::new_without_default, reason = "constants need it")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Word<T>
where
    T: IntoEnumIterator + Into<&'static str>,
{
    pub(super) fn words(&self) -> Vec<&'static str> {
        T::iter().map(Into::into).collect()
    }
}

impl<T> Form for Word<T>
where
    T: FromStr + IntoEnumIterator + Into<&'static str> + Clone,
{
    type Value = T;

    fn of_text(&self, text: &str) -> Result<T, String> {
        let word = text.parse().ok();
        word.ok_or_else(|| format!("“{text}” is not one of {}", self.words().join(", ")))
    }

    fn takes(&self) -> String {
        listed(self.words())
    }

    fn shown(&self, value: &T) -> String {
        code(value.clone().into())
    }
}

/// Something with a textual form of its own; in words what.
#[derive(Debug, Clone, Copy)]
pub struct Parsed<T>(pub &'static str, PhantomData<fn() -> T>);

impl<T> Parsed<T> {
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self(what, PhantomData)
    }
}

impl<T> Form for Parsed<T>
where
    T: FromStr + Display + Clone,
    T::Err: Display,
{
    type Value = T;

    fn of_text(&self, text: &str) -> Result<T, String> {
        text.parse()
            .map_err(|error| format!("“{text}” is not usable: {error}"))
    }

    fn takes(&self) -> String {
        self.0.to_owned()
    }

    fn shown(&self, value: &T) -> String {
        code(&value.to_string())
    }
}

/// Any text; in words what it names.
#[derive(Debug, Clone, Copy)]
pub struct Text(pub &'static str);

impl Form for Text {
    type Value = String;

    fn of_text(&self, text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn takes(&self) -> String {
        self.0.to_owned()
    }

    fn shown(&self, value: &String) -> String {
        code(value)
    }
}

/// A path on this machine's disk.
#[derive(Debug, Clone, Copy)]
pub struct DiskPath(pub &'static str);

impl Form for DiskPath {
    type Value = PathBuf;

    fn of_text(&self, text: &str) -> Result<PathBuf, String> {
        Ok(PathBuf::from(text))
    }

    fn takes(&self) -> String {
        self.0.to_owned()
    }

    fn shown(&self, value: &PathBuf) -> String {
        code(&value.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_says_is_what_it_reads() {
        let places = Whole(Bounds::Within(1_u32, 10_000));
        assert_eq!(places.takes(), "whole number, 1 to 10,000");
        assert_eq!(places.of_text("10000"), Ok(10_000));
        for wrong in ["0", "10001", "-1", "many", ""] {
            let fault = places.of_text(wrong).unwrap_err();
            assert_eq!(fault, format!("must be from 1 to 10000, found “{wrong}”"));
        }
        let share = Real(Bounds::AboveTo(0.0, 1.0));
        assert_eq!(share.takes(), "number, above 0, and 1 at most");
        assert!(share.of_text("1").is_ok());
        for wrong in ["0", "1.1", "nan", "inf"] {
            assert!(share.of_text(wrong).is_err(), "{wrong}");
        }
        let pause = Span(Bounds::Above(Duration::ZERO));
        assert_eq!(pause.takes(), "duration, longer than 0");
        assert_eq!(
            pause.of_text("0s").unwrap_err(),
            "must be longer than 0, found “0s”"
        );
        assert_eq!(pause.shown(&Duration::from_secs(5400)), "`1h 30m`");
        let memory = Size(Bounds::AtLeast(64 << 20));
        assert_eq!(memory.takes(), "size, at least 64 MiB");
        assert_eq!(memory.of_text("1 GiB"), Ok(1 << 30));
        assert_eq!(
            memory.of_text("63 MiB").unwrap_err(),
            "must be at least 64.0 MiB, found “63 MiB”"
        );
        let word = OneOf(&["text", "json"]);
        assert_eq!(
            (word.takes(), word.of_text("json")),
            ("`text`, `json`".into(), Ok("json"))
        );
        assert_eq!(
            word.of_text("xml").unwrap_err(),
            "“xml” is not one of text, json"
        );
    }

    #[test]
    fn digits_stand_in_threes() {
        for (text, wanted) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567", "-1,234,567"),
            ("1234.5", "1234.5"),
        ] {
            assert_eq!(thousands(text), wanted);
        }
    }
}
