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

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::invalid::InvalidConfig;
use crate::job::{DurationMeaning, Fault, Kind, Params, Resolution};
use crate::provider::{Model, Returns, Submission, whole_seconds};
use entry::Entry;
use known::{Offer, default_entry, known_entry, known_row, offered, unknown_entry};

/// The model that makes each kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "ModelOverrides")]
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

/// What the configuration says about the models. What is left out is as documented for the named
/// id, or, where that is not known here, as most models of the kind have it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOverrides {
    pub character_replace: Option<ModelOverride>,
    pub extend: Option<ModelOverride>,
    pub upscale: Option<ModelOverride>,
}

/// One model, as the configuration gives it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOverride {
    pub id: Option<String>,
    /// Models to ask where this one does not make the video, in their order.
    pub fallback: Vec<String>,
    /// Shortest source, in seconds.
    pub min_source_s: Option<f64>,
    /// Longest source, in seconds.
    pub max_source_s: Option<f64>,
    /// Most seconds of source and extension together.
    pub max_total_s: Option<f64>,
    /// Most pixels of a source's frame.
    pub max_source_pixels: Option<u64>,
    /// Least and most seconds an extension may add.
    pub seconds: Option<(u32, u32)>,
    /// The only ones of these that it takes.
    pub only_seconds: Option<Vec<u32>>,
    /// What the model understands by `duration`.
    pub duration: Option<DurationMeaning>,
    pub resolutions: Option<Vec<Resolution>>,
    pub returns: Option<Returns>,
    pub usual_base_s: Option<f64>,
    pub usual_per_second_s: Option<f64>,
    /// Whether the source's seconds are billed besides the new ones.
    pub bills_source: Option<bool>,
    /// Seconds billed at least.
    pub least_billed_s: Option<f64>,
    /// US dollars for a second of video, by resolution.
    pub usd_per_second: Option<BTreeMap<Resolution, f64>>,
    pub extra: BTreeMap<String, Value>,
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

fn overridden(kind: Kind, given: ModelOverride, faults: &mut Vec<Fault>) -> Entry {
    let mut fault = |field: &str, message: String| {
        faults.push(Fault::new(
            format!("models.{}.{field}", kind.as_str()),
            message,
        ));
    };
    let mut entry = default_entry(kind);
    if let Some(id) = given.id.clone() {
        if !is_model_id(&id) {
            fault(
                "id",
                "must be names separated by '/', of a–z, 0–9, '.', '_' and '-'".into(),
            );
        } else if let Some(known) = known_row(&id) {
            match known.offer {
                Offer::Retired { instead } => {
                    fault("id", format!("{id} is offered no more; use {instead}"));
                }
                Offer::Never { why } => fault("id", format!("{id} {why}")),
                Offer::Yes if known.kind == kind => entry = known.entry(),
                Offer::Yes => fault("id", format!("{id} makes {}", known.kind.as_str())),
            }
        } else {
            entry = unknown_entry(kind, id);
        }
    }
    let model = &mut entry.model;
    let mut number = |field: &str, given: Option<f64>, least: f64, into: &mut f64| {
        if let Some(number) = given {
            if number.is_finite() && (least..=86_400.0).contains(&number) {
                *into = number;
            } else {
                fault(field, format!("must be from {least} to 86400 seconds"));
            }
        }
    };
    number(
        "min_source_s",
        given.min_source_s,
        0.0,
        &mut model.min_source_s,
    );
    number(
        "max_source_s",
        given.max_source_s,
        1.0,
        &mut model.max_source_s,
    );
    number(
        "usual_base_s",
        given.usual_base_s,
        0.0,
        &mut model.usual_base_s,
    );
    number(
        "usual_per_second_s",
        given.usual_per_second_s,
        0.0,
        &mut model.usual_per_second_s,
    );
    number(
        "least_billed_s",
        given.least_billed_s,
        0.0,
        &mut model.least_billed_s,
    );
    extension(kind, &given, model, &mut fault);
    if let Some(mut resolutions) = given.resolutions {
        resolutions.sort_unstable();
        resolutions.dedup();
        if resolutions.is_empty() {
            fault("resolutions", "must name at least one".into());
        } else {
            model.resolutions = resolutions;
        }
    }
    size_and_price(
        given.max_source_pixels,
        given.usd_per_second,
        model,
        &mut fault,
    );
    for name in ["video", "image"] {
        if given.extra.contains_key(name) {
            fault("extra", format!("must not set {name}"));
        }
    }
    entry.extra = given.extra;
    entry
}

/// What only an extension has.
fn extension(
    kind: Kind,
    given: &ModelOverride,
    model: &mut Model,
    fault: &mut impl FnMut(&str, String),
) {
    let given_names = [
        ("seconds", given.seconds.is_some()),
        ("only_seconds", given.only_seconds.is_some()),
        ("duration", given.duration.is_some()),
        ("max_total_s", given.max_total_s.is_some()),
        ("bills_source", given.bills_source.is_some()),
        ("returns", given.returns.is_some()),
    ];
    if kind != Kind::Extend {
        for (name, _) in given_names.iter().filter(|(_, given)| *given) {
            fault(name, "belongs to extend only".into());
        }
        return;
    }
    match given.seconds {
        Some((least, most)) if least == 0 || least > most || most > 600 => {
            fault("seconds", "must be two rising numbers from 1 to 600".into());
        }
        Some(range) => {
            model.seconds = Some(range);
            // The row's choices belong to the row's range.
            model.only_seconds.clear();
        }
        None => {}
    }
    if let Some(only) = &given.only_seconds {
        let (least, most) = model.seconds.unwrap_or((1, 600));
        if only.iter().all(|one| (least..=most).contains(one)) {
            model.only_seconds.clone_from(only);
        } else {
            fault("only_seconds", format!("must be from {least} to {most}"));
        }
    }
    match given.max_total_s {
        Some(most) if !most.is_finite() || !(1.0..=86_400.0).contains(&most) => {
            fault("max_total_s", "must be from 1 to 86400 seconds".into());
        }
        Some(most) => model.max_total_s = Some(most),
        None => {}
    }
    model.duration = given.duration.unwrap_or(model.duration);
    model.bills_source = given.bills_source.unwrap_or(model.bills_source);
    model.returns = given.returns.unwrap_or(model.returns);
}

fn size_and_price(
    pixels: Option<u64>,
    prices: Option<BTreeMap<Resolution, f64>>,
    model: &mut Model,
    fault: &mut impl FnMut(&str, String),
) {
    if let Some(pixels) = pixels {
        if pixels == 0 {
            fault("max_source_pixels", "must be more than nothing".into());
        } else {
            model.max_source_pixels = pixels;
        }
    }
    if let Some(prices) = prices {
        if prices
            .values()
            .all(|price| price.is_finite() && *price >= 0.0)
        {
            model.usd_per_second = prices;
        } else {
            fault("usd_per_second", "must not be negative".into());
        }
    }
}

/// Whether an id can stand in the path of a submission as it is.
fn is_model_id(id: &str) -> bool {
    id.len() <= 200
        && id.split('/').all(|part| {
            !part.is_empty()
                && part.bytes().any(|b| b != b'.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        })
}

#[cfg(test)]
mod tests;
