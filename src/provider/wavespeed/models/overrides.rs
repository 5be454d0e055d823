//! What the settings say of the models: checked, and laid over the rows of the table.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::entry::Entry;
use super::known::{Offer, default_entry, known_row, unknown_entry};
use crate::job::{DurationMeaning, Fault, Kind, Resolution};
use crate::provider::{Model, Returns};

/// What the configuration says about the models. What is left out is as documented for the named
/// id, or, where that is not known here, as most models of the kind have it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelOverrides {
    pub character_replace: Option<ModelOverride>,
    pub extend: Option<ModelOverride>,
    pub upscale: Option<ModelOverride>,
}

/// One model, as the configuration gives it.
#[derive(Debug, Clone, Default, PartialEq)]
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

impl ModelOverrides {
    /// What is said of a kind's model.
    pub fn set(&mut self, kind: Kind, given: ModelOverride) {
        let place = match kind {
            Kind::CharacterReplace => &mut self.character_replace,
            Kind::Extend => &mut self.extend,
            Kind::Upscale => &mut self.upscale,
        };
        *place = Some(given);
    }
}

impl ModelOverride {
    /// A day: no model takes or makes more.
    const DAY_S: f64 = 86_400.0;
    /// Of what may be nothing at all.
    pub const FROM_NOTHING_S: RangeInclusive<f64> = 0.0..=Self::DAY_S;
    /// Of what would leave nothing to do.
    pub const FROM_ONE_S: RangeInclusive<f64> = 1.0..=Self::DAY_S;
    /// Of an extension.
    pub const SECONDS: RangeInclusive<u32> = 1..=600;
}

pub(super) fn overridden(kind: Kind, given: ModelOverride, faults: &mut Vec<Fault>) -> Entry {
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
    let mut number =
        |field: &str, given: Option<f64>, range: RangeInclusive<f64>, into: &mut f64| match given {
            Some(number) if range.contains(&number) => *into = number,
            Some(_) => fault(field, within_seconds(&range)),
            None => {}
        };
    let (nothing, one) = (ModelOverride::FROM_NOTHING_S, ModelOverride::FROM_ONE_S);
    number(
        "min_source_s",
        given.min_source_s,
        nothing.clone(),
        &mut model.min_source_s,
    );
    number(
        "max_source_s",
        given.max_source_s,
        one,
        &mut model.max_source_s,
    );
    number(
        "usual_base_s",
        given.usual_base_s,
        nothing.clone(),
        &mut model.usual_base_s,
    );
    number(
        "usual_per_second_s",
        given.usual_per_second_s,
        nothing.clone(),
        &mut model.usual_per_second_s,
    );
    number(
        "least_billed_s",
        given.least_billed_s,
        nothing,
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

fn within_seconds(range: &RangeInclusive<f64>) -> String {
    format!("must be from {} to {} seconds", range.start(), range.end())
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
    let all = ModelOverride::SECONDS;
    match given.seconds {
        Some((least, most)) if least <= most && all.contains(&least) && all.contains(&most) => {
            model.seconds = Some((least, most));
            // The row's choices belong to the row's range.
            model.only_seconds.clear();
        }
        Some(_) => {
            let (least, most) = (all.start(), all.end());
            let message = format!("must be two rising numbers from {least} to {most}");
            fault("seconds", message);
        }
        None => {}
    }
    if let Some(only) = &given.only_seconds {
        let (least, most) = model.seconds.unwrap_or((*all.start(), *all.end()));
        if only.iter().all(|one| (least..=most).contains(one)) {
            model.only_seconds.clone_from(only);
        } else {
            fault("only_seconds", format!("must be from {least} to {most}"));
        }
    }
    match given.max_total_s {
        Some(most) if ModelOverride::FROM_ONE_S.contains(&most) => model.max_total_s = Some(most),
        Some(_) => fault("max_total_s", within_seconds(&ModelOverride::FROM_ONE_S)),
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
pub(super) fn is_model_id(id: &str) -> bool {
    id.len() <= 200
        && id.split('/').all(|part| {
            !part.is_empty()
                && part.bytes().any(|b| b != b'.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        })
}
