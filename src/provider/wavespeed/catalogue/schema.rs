//! What a model takes, as the catalogue's JSON Schema says.
//!
//! The few keywords that the catalogue uses for flat requests are read here and not by a crate for
//! all of JSON Schema: the same reading has to say how a range became narrower, and a schema comes
//! from outside, where a pattern or a reference would need limits of its own. A keyword that is not
//! read refuses nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// More than any model has; what goes on has its first ones read.
const MAX_PARAMETERS: usize = 200;
const MAX_CHOICES: usize = 500;
const MAX_NAME_CHARS: usize = 100;
/// Choices that are told to people.
const MAX_TOLD: usize = 12;

/// A model's request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Schema {
    parameters: BTreeMap<String, Parameter>,
    required: BTreeSet<String>,
    /// Whether it says that it takes others too.
    takes_others: bool,
}

/// Why a request is not what a schema describes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// The provider drops such a parameter and bills the rest.
    Unknown {
        parameter: String,
    },
    Missing {
        parameter: String,
    },
    Value {
        parameter: String,
        value: String,
        takes: String,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { parameter } => write!(f, "{parameter} is not known"),
            Self::Missing { parameter } => write!(f, "{parameter} is missing"),
            Self::Value {
                parameter,
                value,
                takes,
            } => write!(f, "{parameter} is {value}, and takes {takes}"),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Parameter {
    /// Empty where any will do.
    types: Vec<String>,
    choices: Option<Vec<Value>>,
    least: Option<f64>,
    most: Option<f64>,
    most_chars: Option<u64>,
    default: Option<Value>,
}

impl Schema {
    /// `None` where it describes no parameters.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let properties = value["properties"].as_object()?;
        let parameters: BTreeMap<_, _> = properties
            .iter()
            .filter(|(name, _)| name.len() <= MAX_NAME_CHARS)
            .take(MAX_PARAMETERS)
            .map(|(name, value)| (name.clone(), Parameter::read(value)))
            .collect();
        let required = value["required"].as_array().into_iter().flatten();
        let required = required
            .filter_map(Value::as_str)
            .filter(|name| name.len() <= MAX_NAME_CHARS)
            .take(MAX_PARAMETERS)
            .map(ToOwned::to_owned);
        let others = &value["additionalProperties"];
        (!parameters.is_empty()).then(|| Self {
            parameters,
            required: required.collect(),
            takes_others: others.as_bool() == Some(true)
                || others.is_object()
                || properties.len() > MAX_PARAMETERS,
        })
    }

    pub(super) fn has(&self, parameter: &str) -> bool {
        self.parameters.contains_key(parameter)
    }

    /// Whether a parameter may be this text.
    pub(super) fn offers(&self, parameter: &str, text: &str) -> bool {
        let choices = self
            .parameters
            .get(parameter)
            .and_then(|known| known.choices.as_ref());
        choices.is_some_and(|choices| choices.iter().any(|choice| choice == text))
    }

    pub(super) fn defaults(&self) -> BTreeMap<&str, &Value> {
        self.parameters
            .iter()
            .filter_map(|(name, parameter)| Some((name.as_str(), parameter.default.as_ref()?)))
            .collect()
    }

    /// Everything in a request that it refuses.
    pub(super) fn refusals(&self, body: &Map<String, Value>) -> Vec<Refusal> {
        let missing = self
            .required
            .iter()
            .filter(|name| !body.contains_key(*name))
            .map(|parameter| Refusal::Missing {
                parameter: parameter.clone(),
            });
        let wrong = body.iter().filter_map(|(name, value)| {
            let parameter = name.clone();
            match self.parameters.get(name) {
                None if self.takes_others => None,
                None => Some(Refusal::Unknown { parameter }),
                Some(known) => (!known.admits(value)).then(|| Refusal::Value {
                    parameter,
                    value: told(value),
                    takes: known.takes(),
                }),
            }
        });
        missing.chain(wrong).collect()
    }
}

impl Parameter {
    fn read(value: &Value) -> Self {
        let types = match &value["type"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => several
                .iter()
                .filter_map(|one| one.as_str().map(ToOwned::to_owned))
                .take(8)
                .collect(),
            _ => Vec::new(),
        };
        let scalars = |values: &[Value]| -> Vec<Value> {
            let is_scalar = |value: &&Value| !value.is_array() && !value.is_object();
            let scalars = values.iter().filter(is_scalar).take(MAX_CHOICES);
            scalars.cloned().collect()
        };
        let choices = value["enum"].as_array().map(|values| scalars(values));
        let constant = value
            .get("const")
            .map(|one| scalars(std::slice::from_ref(one)));
        Self {
            types,
            choices: choices.or(constant).filter(|choices| !choices.is_empty()),
            least: value["minimum"].as_f64(),
            most: value["maximum"].as_f64(),
            most_chars: value["maxLength"].as_u64(),
            default: value
                .get("default")
                .filter(|value| !value.is_null())
                .cloned(),
        }
    }

    fn admits(&self, value: &Value) -> bool {
        let is_of = |name: &String| match name.as_str() {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            // 5.0 is a whole number too.
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            _ => true,
        };
        let number = value.as_f64();
        let chars = value.as_str().map(|text| text.chars().count() as u64);
        (self.types.is_empty() || self.types.iter().any(is_of))
            && self
                .choices
                .as_ref()
                .is_none_or(|choices| choices.iter().any(|choice| is_same(choice, value)))
            && number.is_none_or(|number| self.least.is_none_or(|least| number >= least))
            && number.is_none_or(|number| self.most.is_none_or(|most| number <= most))
            && chars.is_none_or(|chars| self.most_chars.is_none_or(|most| chars <= most))
    }

    /// For people.
    fn takes(&self) -> String {
        if let Some(choices) = &self.choices {
            let names: Vec<_> = choices.iter().take(MAX_TOLD).map(told).collect();
            let more = if choices.len() > MAX_TOLD {
                ", …"
            } else {
                ""
            };
            return format!("{}{more}", names.join(", "));
        }
        match (self.least, self.most, self.most_chars) {
            (Some(least), Some(most), _) => format!("{least} to {most}"),
            (Some(least), None, _) => format!("{least} or more"),
            (None, Some(most), _) => format!("{most} at most"),
            (None, None, Some(chars)) => format!("{chars} characters at most"),
            (None, None, None) => self.types.join(" or "),
        }
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

/// A value as a person writes it; long texts are cut.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > 40 => {
            let start: String = text.chars().take(40).collect();
            format!("{start}…")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
