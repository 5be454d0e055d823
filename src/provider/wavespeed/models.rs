//! The models, one row each, and what their requests look like.
//!
//! Parameters, limits and prices as WaveSpeed's model pages gave them; where a page says nothing a
//! comment marks the number as ours. The configuration may name another model for a kind and
//! correct any field:
//!
//! ```toml
//! [provider.models.upscale]
//! id = "wavespeed-ai/flashvsr"
//! max_source_s = 300
//! ```

mod entry;
mod fallback;
mod known;
mod overrides;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::invalid::InvalidConfig;
use crate::job::{DurationMeaning, Kind, Params};
use crate::provider::{Model, Submission, whole_seconds};
use entry::Entry;
use known::{default_entry, known_entry, known_row, offered};
use overrides::overridden;
pub use overrides::{ModelOverride, ModelOverrides};

/// The model that makes each kind.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelTable {
    character_replace: Entry,
    extend: Entry,
    upscale: Entry,
    /// Documented rows only: what a fallback would do with somebody's money has to be known.
    fallbacks: BTreeMap<Kind, Vec<Model>>,
}

/// A model, for whoever has to choose one.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub model: Model,
    /// Whether it makes its kind here.
    pub is_used: bool,
    /// Its place among the ones that are asked where that one makes no video, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<usize>,
    /// What a request to it has.
    pub parameters: Vec<String>,
}

impl Listed {
    /// How it is used here, for people; empty where it is not.
    #[must_use]
    pub fn told_use(&self) -> String {
        match self.fallback {
            _ if self.is_used => "yes".to_owned(),
            Some(place) => format!("fallback {place}"),
            None => String::new(),
        }
    }
}

impl Default for ModelTable {
    fn default() -> Self {
        Self {
            character_replace: default_entry(Kind::CharacterReplace),
            extend: default_entry(Kind::Extend),
            upscale: default_entry(Kind::Upscale),
            fallbacks: BTreeMap::new(),
        }
    }
}

impl TryFrom<ModelOverrides> for ModelTable {
    type Error = InvalidConfig;

    fn try_from(overrides: ModelOverrides) -> Result<Self, InvalidConfig> {
        let mut faults = Vec::new();
        let mut fallbacks = BTreeMap::new();
        let mut entry = |kind: Kind, given: Option<ModelOverride>| match given {
            Some(given) => {
                let names = given.fallback.clone();
                let entry = overridden(kind, given, &mut faults);
                let models = fallback::models(kind, &entry.model.id, &names, &mut faults);
                fallbacks.insert(kind, models);
                entry
            }
            None => default_entry(kind),
        };
        let table = Self {
            character_replace: entry(Kind::CharacterReplace, overrides.character_replace),
            extend: entry(Kind::Extend, overrides.extend),
            upscale: entry(Kind::Upscale, overrides.upscale),
            fallbacks,
        };
        if faults.is_empty() {
            Ok(table)
        } else {
            Err(InvalidConfig { faults })
        }
    }
}

impl ModelTable {
    /// The model of a kind.
    #[must_use]
    pub fn model(&self, kind: Kind) -> &Model {
        &self.entry(kind).model
    }

    /// The models that are asked where the kind's own makes no video, in their order.
    #[must_use]
    pub fn fallbacks(&self, kind: Kind) -> &[Model] {
        self.fallbacks.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Every model that may be named for a kind: the one that is used first, then the others.
    #[must_use]
    pub fn listed(&self, kind: Kind) -> Vec<Listed> {
        let used = self.entry(kind);
        let others = offered(kind)
            .filter(|row| row.id != used.model.id)
            .map(known::Row::entry);
        let entries = std::iter::once((used.clone(), true)).chain(others.map(|row| (row, false)));
        entries
            .map(|(entry, is_used)| Listed {
                parameters: entry.parameters(),
                fallback: self.fallback_place(kind, &entry.model.id),
                model: entry.model,
                is_used,
            })
            .collect()
    }

    fn fallback_place(&self, kind: Kind, id: &str) -> Option<usize> {
        let mut fallbacks = self.fallbacks(kind).iter();
        Some(fallbacks.position(|model| model.id == id)? + 1)
    }

    /// Whether there is a row for it, or the configuration names it.
    pub(super) fn knows(&self, id: &str) -> bool {
        known_row(id).is_some()
            || [&self.character_replace, &self.extend, &self.upscale]
                .iter()
                .any(|entry| entry.model.id == id)
    }

    fn entry(&self, kind: Kind) -> &Entry {
        match kind {
            Kind::CharacterReplace => &self.character_replace,
            Kind::Extend => &self.extend,
            Kind::Upscale => &self.upscale,
        }
    }

    /// The body of a submission; `None` where its model is not known, so that nobody can say what
    /// it would do with which parameters.
    ///
    /// The submission names its model, since it may have been recorded before the configuration
    /// named another: that one's own request is made then.
    pub(super) fn body(&self, submission: &Submission) -> Option<Value> {
        let kind = submission.params.kind();
        let configured = self.entry(kind);
        let known = (configured.model.id != submission.model)
            .then(|| known_entry(&submission.model).filter(|known| known.model.kind == kind));
        let entry = match &known {
            None => configured,
            Some(known) => known.as_ref()?,
        };

        let mut body = Map::new();
        body.insert("video".into(), json!(submission.video));
        if let Some(image) = &submission.image {
            // For an extension the picture is not an input of the documented models.
            if kind == Kind::CharacterReplace {
                body.insert("image".into(), json!(image));
            }
        }
        // What is not served is sent as it was asked for: the provider says what it thinks of it.
        let size = |asked| json!(entry.model.serves(asked).unwrap_or(asked));
        let mut seed = None;
        match &submission.params {
            Params::CharacterReplace(params) => {
                if let Some(prompt) = &params.prompt {
                    body.insert("prompt".into(), json!(prompt));
                }
                // Without it the model moves the picture's character and drops the video's scene.
                if entry.sends.mode {
                    body.insert("mode".into(), json!("replace"));
                }
                body.insert("resolution".into(), size(params.resolution));
                seed = params.seed;
            }
            Params::Extend(params) => {
                body.insert("prompt".into(), json!(params.prompt));
                let duration = match submission.duration {
                    DurationMeaning::Added => u64::from(params.seconds),
                    DurationMeaning::Whole => whole_seconds(submission.source_s, params.seconds),
                };
                body.insert("duration".into(), json!(duration));
                body.insert("resolution".into(), size(params.resolution));
                seed = params.seed;
            }
            Params::Upscale(params) => {
                body.insert("target_resolution".into(), size(params.target));
            }
        }
        if !entry.sends.resolution {
            body.remove("resolution");
            body.remove("target_resolution");
        }
        if let Some(seed) = seed.filter(|_| entry.sends.seed) {
            body.insert("seed".into(), json!(seed));
        }
        body.extend(entry.extra.clone());
        Some(Value::Object(body))
    }
}

#[cfg(test)]
mod tests;
