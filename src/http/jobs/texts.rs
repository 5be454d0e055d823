//! Texts, lists of them and amounts of a request.

use serde_json::{Value, json};

use super::shape;
use crate::fields::{Fault, Json, Object, Real, Scalar, text};
use crate::http::caller::Caller;
use crate::job::Owner;

/// A schema that has a name of its own.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A form whose schema has a name of its own.
pub(super) struct Named<F>(pub(super) &'static str, pub(super) F);

impl<F: Scalar> Scalar for Named<F> {
    type Value = F::Value;

    fn of_json(&self, value: &Value) -> Result<F::Value, String> {
        self.1.of_json(value)
    }

    fn schema(&self) -> Value {
        reference(self.0)
    }
}

/// Text of a pattern.
pub(super) struct Pattern {
    pub(super) pattern: &'static str,
    pub(super) fits: fn(&str) -> bool,
    pub(super) otherwise: &'static str,
    pub(super) examples: &'static [&'static str],
}

impl Scalar for Pattern {
    type Value = String;

    fn of_json(&self, value: &Value) -> Result<String, String> {
        let text = text(value)?;
        if (self.fits)(text) {
            return Ok(text.to_owned());
        }
        Err(self.otherwise.to_owned())
    }

    fn schema(&self) -> Value {
        let mut schema = json!({"type": "string", "pattern": self.pattern});
        if !self.examples.is_empty() {
            schema["examples"] = json!(self.examples);
        }
        schema
    }
}

/// One line of a caller's own words, of so many letters.
pub(super) struct Words(pub(super) usize);

impl Scalar for Words {
    type Value = String;

    fn of_json(&self, value: &Value) -> Result<String, String> {
        let text = text(value)?;
        if (1..=self.0).contains(&text.chars().count()) {
            return Ok(text.to_owned());
        }
        Err(format!("must have 1 to {} characters", self.0))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": self.0})
    }
}

pub(super) struct OwnerName;

impl Scalar for OwnerName {
    type Value = Owner;

    fn of_json(&self, value: &Value) -> Result<Owner, String> {
        text(value)?.parse().map_err(|error| format!("{error}"))
    }

    fn schema(&self) -> Value {
        reference("Owner")
    }
}

/// Whose a new job or upload is, by what `owner` says of it.
pub(super) fn owner(given: Object<'_>, caller: &Caller, faults: &mut Vec<Fault>) -> Option<Owner> {
    let named = match given.get("owner") {
        Some(named) => Some(OwnerName.read(named, "owner", faults)?),
        None => None,
    };
    allowed(caller, named, faults)
}

/// For whom the caller acts, if it may.
pub(super) fn allowed(
    caller: &Caller,
    named: Option<Owner>,
    faults: &mut Vec<Fault>,
) -> Option<Owner> {
    caller
        .owner_for(named)
        .map_err(|message| faults.push(Fault::new("owner", message)))
        .ok()
}

/// A number of US dollars.
pub(super) struct Dollars(pub(super) Real<f64>);

impl Scalar for Dollars {
    type Value = f64;

    fn of_json(&self, value: &Value) -> Result<f64, String> {
        let amount = self.0.of_json(value);
        amount.map_err(|_| self.0.0.must_be("a number of US dollars"))
    }

    fn schema(&self) -> Value {
        Scalar::schema(&self.0)
    }
}

/// Words of the caller's.
pub(super) struct Tags;

impl Json for Tags {
    type Value = Vec<String>;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Vec<String>> {
        let given = value
            .as_array()
            .filter(|given| given.len() <= shape::MAX_TAGS);
        let Some(given) = given else {
            let message = format!("must be a list of at most {} tags", shape::MAX_TAGS);
            faults.push(Fault::new(at, message));
            return None;
        };
        let mut tags: Vec<String> = Vec::new();
        for (index, tag) in given.iter().enumerate() {
            let message = match tag.as_str().filter(|tag| shape::fits_tag(tag)) {
                Some(tag) if tags.iter().any(|known| known == tag) => "stands there twice",
                Some(tag) => {
                    tags.push(tag.to_owned());
                    continue;
                }
                None => shape::TAG,
            };
            faults.push(Fault::new(format!("{at}[{index}]"), message));
        }
        Some(tags)
    }

    fn schema(&self) -> Value {
        json!({
            "type": "array",
            "maxItems": shape::MAX_TAGS,
            "uniqueItems": true,
            "items": {"type": "string", "pattern": shape::TAG_PATTERN},
        })
    }
}
