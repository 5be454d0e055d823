//! Fields of a request: read as JSON writes them, and told as JSON Schema.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::fault::Fault;
use super::{Bounds, Real, Text, Whole, Word};

/// What a field of a request may be. JSON says itself what is a number and what is text, so here
/// nothing is taken for what it is not.
pub trait Json {
    type Value;

    /// Reads what stands at `at`, and says all that is wrong there.
    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self::Value>;

    fn schema(&self) -> Value;
}

/// One value, of which one thing can be wrong.
pub trait Scalar {
    type Value;

    /// A fault is the end of a sentence that begins with the field.
    fn of_json(&self, value: &Value) -> Result<Self::Value, String>;

    fn schema(&self) -> Value;
}

impl<S: Scalar> Json for S {
    type Value = S::Value;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<S::Value> {
        match self.of_json(value) {
            Ok(value) => Some(value),
            Err(message) => {
                faults.push(Fault::new(at, message));
                None
            }
        }
    }

    fn schema(&self) -> Value {
        Scalar::schema(self)
    }
}

/// Text, or the fault that it is none.
pub fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be text".to_owned())
}

/// A whole number, however it is written: JSON and its schemas know `5.0` and `5` as the same.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    /// From here on not every whole number is an `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() < EXACT)
            .map(|number| number as i64)
    })
}

fn bounded<T: Serialize>(name: &str, bounds: &Bounds<T>) -> Value {
    match bounds {
        Bounds::Any => json!({"type": name}),
        Bounds::AtLeast(least) => json!({"type": name, "minimum": least}),
        Bounds::Above(least) => json!({"type": name, "exclusiveMinimum": least}),
        Bounds::Within(least, most) => json!({"type": name, "minimum": least, "maximum": most}),
        Bounds::AboveTo(least, most) => {
            json!({"type": name, "exclusiveMinimum": least, "maximum": most})
        }
    }
}

impl<T> Scalar for Whole<T>
where
    T: TryFrom<i64> + PartialOrd + Display + Serialize,
{
    type Value = T;

    fn of_json(&self, value: &Value) -> Result<T, String> {
        let number = whole(value).and_then(|number| T::try_from(number).ok());
        number
            .filter(|number| self.0.hold(number))
            .ok_or_else(|| self.0.must_be("a whole number"))
    }

    fn schema(&self) -> Value {
        bounded("integer", &self.0)
    }
}

impl Scalar for Real<f64> {
    type Value = f64;

    fn of_json(&self, value: &Value) -> Result<f64, String> {
        let number = value.as_f64().filter(|number| self.0.hold(number));
        number.ok_or_else(|| self.0.must_be("a number"))
    }

    fn schema(&self) -> Value {
        bounded("number", &self.0)
    }
}

impl Scalar for Text {
    type Value = String;

    fn of_json(&self, value: &Value) -> Result<String, String> {
        text(value).map(str::to_owned)
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

/// Some of the values of an enumeration.
#[derive(Debug, Clone, Copy)]
pub struct Choice<T: 'static>(pub &'static [T]);

/// What says that text is none of some names.
fn must_be_one_of(names: &[&str]) -> String {
    format!("must be one of {}", names.join(", "))
}

/// The names of an enumeration, for a message.
#[must_use]
pub fn one_of<T: IntoEnumIterator + Into<&'static str>>() -> String {
    let names: Vec<&'static str> = T::iter().map(Into::into).collect();
    must_be_one_of(&names)
}

impl<T> Choice<T>
where
    T: Copy + Into<&'static str>,
{
    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|one| (*one).into()).collect()
    }
}

impl<T> Scalar for Choice<T>
where
    T: Copy + PartialEq + FromStr + Into<&'static str>,
{
    type Value = T;

    fn of_json(&self, value: &Value) -> Result<T, String> {
        let chosen = value.as_str().and_then(|text| text.parse().ok());
        chosen
            .filter(|one| self.0.contains(one))
            .ok_or_else(|| must_be_one_of(&self.names()))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "enum": self.names()})
    }
}

impl<T> Scalar for Word<T>
where
    T: FromStr + IntoEnumIterator + Into<&'static str>,
{
    type Value = T;

    fn of_json(&self, value: &Value) -> Result<T, String> {
        let word = value.as_str().and_then(|text| text.parse().ok());
        word.ok_or_else(one_of::<T>)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "enum": self.words()})
    }
}

/// One of a few names that are known at the start.
#[derive(Debug, Clone)]
pub struct Names(pub Vec<String>);

impl Scalar for Names {
    type Value = String;

    fn of_json(&self, value: &Value) -> Result<String, String> {
        let name = text(value)?;
        if self.0.iter().any(|known| known == name) {
            return Ok(name.to_owned());
        }
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        Err(must_be_one_of(&names))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "enum": self.0})
    }
}
