//! The answer to `GET /models`, read within limits.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::live::{Catalogue, LiveModel};
use super::schema::Schema;

/// The provider lists some thousand models.
const MAX_MODELS: usize = 20_000;
/// A model with a long description has a few KiB.
const MAX_MODEL_BYTES: usize = 256 * 1024;
/// Kinds of call that a model describes; the first ones are looked at.
const MAX_CALLS: usize = 16;
const MAX_FORMULA_CHARS: usize = 16 * 1024;

/// Why it could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Unreadable {
    /// It says that something went wrong.
    Refused {
        code: i64,
        message: String,
    },
    Malformed(String),
}

/// In the envelope or bare, as all answers.
pub(in super::super) fn read(body: &[u8]) -> Result<Catalogue, Unreadable> {
    let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
    let is_bare = body
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|byte| *byte == b'[');
    let models = if is_bare {
        serde_json::from_slice(body).map_err(malformed)?
    } else {
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(malformed)?;
        let code = envelope.code.and_then(small).and_then(|code| code.as_i64());
        if let Some(code) = code.filter(|code| !matches!(code, 0 | 200)) {
            let message = envelope.message.and_then(small).unwrap_or_default();
            return Err(Unreadable::Refused {
                code,
                message: message.as_str().unwrap_or_default().to_owned(),
            });
        }
        let data = envelope.data.map_or("null", RawValue::get);
        serde_json::from_str::<Models>(data).map_err(malformed)?
    };
    if models.known.is_empty() {
        return Err(Unreadable::Malformed("it lists no models".into()));
    }
    Ok(Catalogue {
        models: models.known,
        skipped: models.skipped,
    })
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// What is larger is not looked into: a list of a few bytes an item would take many times its size.
fn small(raw: &RawValue) -> Option<Value> {
    (raw.get().len() <= MAX_MODEL_BYTES).then(|| serde_json::from_str(raw.get()).ok())?
}

/// One model after the other: only what is kept of one stays.
#[derive(Default)]
struct Models {
    known: BTreeMap<String, LiveModel>,
    skipped: usize,
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Models;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of models")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Models, A::Error> {
                let mut models = Models::default();
                while let Some(raw) = list.next_element::<&RawValue>()? {
                    if models.known.len() + models.skipped == MAX_MODELS {
                        return Err(A::Error::custom("it lists too many models"));
                    }
                    // A second one of the same name counts as one that cannot be read.
                    match small(raw).as_ref().and_then(model) {
                        Some((id, model)) if !models.known.contains_key(&id) => {
                            models.known.insert(id, model);
                        }
                        _ => models.skipped += 1,
                    }
                }
                Ok(models)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

fn model(value: &Value) -> Option<(String, LiveModel)> {
    let id = value["model_id"].as_str().filter(|id| id.len() <= 200)?;
    let text = |name: &str, most: usize| {
        let text = value[name].as_str().unwrap_or_default();
        (text.len() <= most).then(|| text.to_owned())
    };
    let base_price = value["base_price"].as_f64();
    let model = LiveModel {
        purpose: text("type", 100).unwrap_or_default(),
        base_price: base_price.filter(|usd| usd.is_finite() && *usd >= 0.0),
        formula: text("formula", MAX_FORMULA_CHARS).filter(|formula| !formula.trim().is_empty()),
        schema: schema(&value["api_schema"]["api_schemas"]),
    };
    Some((id.to_owned(), model))
}

/// Of the call that makes something; where none says so, of the first that describes a request.
fn schema(calls: &Value) -> Option<Schema> {
    let calls = calls.as_array()?.iter().take(MAX_CALLS);
    let mut described: Vec<_> = calls
        .filter_map(|call| Some((call, Schema::read(&call["request_schema"])?)))
        .collect();
    let run = described
        .iter()
        .position(|(call, _)| call["type"] == "model_run");
    (!described.is_empty()).then(|| described.swap_remove(run.unwrap_or(0)).1)
}
