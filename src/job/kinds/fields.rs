//! Parameters as the caller gave them, read with every fault.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::resolution::Resolution;

/// One thing that is wrong with a request: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// The field, as a dotted path: `params.seconds`.
    pub field: String,
    pub message: String,
}

impl Fault {
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The provider's documented bounds for a seed; −1 lets it choose.
pub const SEEDS: std::ops::RangeInclusive<i64> = -1..=2_147_483_647;
/// No public limit is documented; this one keeps a job document far below Firestore's 1 MiB.
pub const MAX_PROMPT_CHARS: usize = 4_000;

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

/// Reads typed fields out of a JSON object and remembers every fault.
pub(super) struct Fields<'a> {
    object: Option<&'a serde_json::Map<String, Value>>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        let mut faults = Vec::new();
        if !value.is_object() && !value.is_null() {
            faults.push(Fault::new("params", "must be an object"));
        }
        Self {
            object: value.as_object(),
            known: Vec::new(),
            faults,
        }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object
            .and_then(|object| object.get(name))
            .filter(|value| !value.is_null())
    }

    pub(super) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults
            .push(Fault::new(format!("params.{name}"), message));
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.take(name)?;
        match value.as_str() {
            Some(text) if text.chars().count() <= MAX_PROMPT_CHARS => {
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            }
            Some(_) => {
                self.fault(
                    name,
                    format!("must be at most {MAX_PROMPT_CHARS} characters"),
                );
                None
            }
            None => {
                self.fault(name, "must be text");
                None
            }
        }
    }

    pub(super) fn required_text(&mut self, name: &'static str) -> String {
        let before = self.faults.len();
        let text = self.text(name);
        if text.is_none() && self.faults.len() == before {
            self.fault(name, "is required");
        }
        text.unwrap_or_default()
    }

    pub(super) fn integer(
        &mut self,
        name: &'static str,
        allowed: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = self.take(name)?;
        match whole(value).filter(|number| allowed.contains(number)) {
            Some(number) => Some(number),
            None => {
                let message = format!(
                    "must be a whole number from {} to {}",
                    allowed.start(),
                    allowed.end()
                );
                self.fault(name, message);
                None
            }
        }
    }

    pub(super) fn seed(&mut self) -> Option<i64> {
        self.integer("seed", SEEDS).filter(|seed| *seed >= 0)
    }

    pub(super) fn resolution(
        &mut self,
        name: &'static str,
        allowed: &[Resolution],
        default: Resolution,
    ) -> Resolution {
        let Some(value) = self.take(name) else {
            return default;
        };
        let chosen = value.as_str().and_then(|text| text.parse().ok());
        match chosen.filter(|resolution| allowed.contains(resolution)) {
            Some(resolution) => resolution,
            None => {
                let names: Vec<_> = allowed
                    .iter()
                    .map(|resolution| resolution.as_str())
                    .collect();
                self.fault(name, format!("must be one of {}", names.join(", ")));
                default
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<(), Vec<Fault>> {
        // A misspelt parameter would otherwise be paid for and silently left out.
        let unknown: Vec<_> = self
            .object
            .iter()
            .flat_map(|object| object.keys())
            .filter(|name| !self.known.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in unknown {
            self.fault(&name, "is not a parameter of this kind");
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(self.faults)
        }
    }
}
