//! The provider's catalogue, as it was read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::formula::{Inputs, price};
use super::schema::{Refusal, Schema};
use super::syntax::Why;
use crate::job::Kind;

/// What the provider says of its models.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    pub(super) models: BTreeMap<String, LiveModel>,
    /// Entries that could not be read.
    pub(super) skipped: usize,
}

/// One model, as the catalogue has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LiveModel {
    /// What it is for, in the provider's words: `video-to-video`.
    pub(super) purpose: String,
    /// US dollars.
    pub(super) base_price: Option<f64>,
    pub(super) formula: Option<String>,
    pub(super) schema: Option<Schema>,
}

impl Catalogue {
    /// How many models it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// What it refuses of a request, in words; empty where it knows no schema of the model.
    pub(in super::super) fn refuses(&self, model: &str, body: &Value) -> Vec<String> {
        let schema = self.models.get(model).and_then(|live| live.schema.as_ref());
        match (schema, body) {
            (Some(schema), Value::Object(body)) => {
                let refusals = schema.refusals(body);
                refusals.iter().map(Refusal::to_string).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl LiveModel {
    /// US dollars for a request whose video lasts so long.
    pub(super) fn price(&self, body: &Map<String, Value>, video_s: f64) -> Result<f64, Why> {
        let formula = self.formula.as_deref().ok_or("it has no formula")?;
        price(
            formula,
            &Inputs {
                body,
                defaults: self
                    .schema
                    .as_ref()
                    .map(Schema::defaults)
                    .unwrap_or_default(),
                base_price: self.base_price,
                video_s,
            },
        )
    }

    /// Which of our kinds it makes, as far as its name and its parameters tell.
    pub(super) fn kind(&self, id: &str) -> Option<Kind> {
        let schema = self.schema.as_ref().filter(|schema| schema.has("video"))?;
        let name = format!("{id} {}", self.purpose).to_ascii_lowercase();
        if name.contains("extend") {
            Some(Kind::Extend)
        } else if name.contains("upscal") {
            Some(Kind::Upscale)
        } else if schema.has("image") && schema.offers("mode", "replace") {
            Some(Kind::CharacterReplace)
        } else {
            None
        }
    }
}
