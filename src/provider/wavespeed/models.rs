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
mod known;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::invalid::InvalidConfig;
use crate::job::{Fault, Kind, Params, Resolution};
use crate::provider::{Model, Returns, Submission};
use entry::Entry;
use known::{default_entry, known_entry};

/// The model that makes each kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "ModelOverrides")]
pub struct ModelTable {
    character_replace: Entry,
    extend: Entry,
    upscale: Entry,
}

/// What the configuration says about the models. What is left out is as documented for the named
/// id, or, where that is not known here, as for the kind's default.
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
    /// Longest source, in seconds.
    pub max_source_s: Option<f64>,
    /// Most pixels of a source's frame.
    pub max_source_pixels: Option<u64>,
    /// Least and most seconds an extension may add.
    pub seconds: Option<(u32, u32)>,
    pub resolutions: Option<Vec<Resolution>>,
    pub returns: Option<Returns>,
    pub usual_base_s: Option<f64>,
    pub usual_per_second_s: Option<f64>,
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
        }
    }
}

impl TryFrom<ModelOverrides> for ModelTable {
    type Error = InvalidConfig;

    fn try_from(overrides: ModelOverrides) -> Result<Self, InvalidConfig> {
        let mut faults = Vec::new();
        let mut entry = |kind: Kind, given: Option<ModelOverride>| match given {
            Some(given) => overridden(kind, given, &mut faults),
            None => default_entry(kind),
        };
        let table = Self {
            character_replace: entry(Kind::CharacterReplace, overrides.character_replace),
            extend: entry(Kind::Extend, overrides.extend),
            upscale: entry(Kind::Upscale, overrides.upscale),
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

    fn entry(&self, kind: Kind) -> &Entry {
        match kind {
            Kind::CharacterReplace => &self.character_replace,
            Kind::Extend => &self.extend,
            Kind::Upscale => &self.upscale,
        }
    }

    /// The body of a submission.
    ///
    /// The submission names its model, since it may have been recorded before the configuration
    /// named another: that one's own request is made then, as far as it is known.
    pub(super) fn body(&self, submission: &Submission) -> Value {
        let kind = submission.params.kind();
        let entry = self.entry(kind);
        let known = (entry.model.id != submission.model)
            .then(|| known_entry(&submission.model).filter(|known| known.model.kind == kind))
            .flatten();
        let entry = known.as_ref().unwrap_or(entry);

        let mut body = Map::new();
        body.insert("video".into(), json!(submission.video));
        if let Some(image) = &submission.image {
            // For an extension the picture is not an input of the documented models.
            if kind == Kind::CharacterReplace {
                body.insert("image".into(), json!(image));
            }
        }
        let mut seed = None;
        match &submission.params {
            Params::CharacterReplace(params) => {
                if let Some(prompt) = &params.prompt {
                    body.insert("prompt".into(), json!(prompt));
                }
                // Without it the model moves the picture's character and drops the video's scene.
                body.insert("mode".into(), json!("replace"));
                body.insert("resolution".into(), json!(params.resolution));
                seed = params.seed;
            }
            Params::Extend(params) => {
                body.insert("prompt".into(), json!(params.prompt));
                body.insert("duration".into(), json!(params.seconds));
                body.insert("resolution".into(), json!(params.resolution));
                seed = params.seed;
            }
            Params::Upscale(params) => {
                body.insert("target_resolution".into(), json!(params.target));
            }
        }
        if !entry.shape.resolution {
            body.remove("resolution");
            body.remove("target_resolution");
        }
        if let Some(seed) = seed.filter(|_| entry.shape.seed) {
            body.insert("seed".into(), json!(seed));
        }
        body.extend(entry.extra.clone());
        Value::Object(body)
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
    if let Some(id) = given.id {
        if !is_model_id(&id) {
            fault(
                "id",
                "must be names separated by '/', of a–z, 0–9, '.', '_' and '-'".into(),
            );
        } else if let Some(known) = known_entry(&id) {
            if known.model.kind == kind {
                entry = known;
            } else {
                fault("id", format!("{id} makes {}", known.model.kind.as_str()));
            }
        } else {
            entry.model.id = id;
            // What the default costs says nothing about another model.
            entry.model.usd_per_second.clear();
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
    if let Some((least, most)) = given.seconds {
        if kind != Kind::Extend {
            fault("seconds", "belongs to extend only".into());
        } else if least == 0 || least > most || most > 600 {
            fault("seconds", "must be two rising numbers from 1 to 600".into());
        } else {
            model.seconds = Some((least, most));
        }
    }
    if let Some(mut resolutions) = given.resolutions {
        resolutions.sort_unstable();
        resolutions.dedup();
        if resolutions.is_empty() {
            fault("resolutions", "must name at least one".into());
        } else {
            model.resolutions = resolutions;
        }
    }
    if let Some(returns) = given.returns {
        if kind == Kind::Extend {
            model.returns = returns;
        } else {
            fault("returns", "belongs to extend only".into());
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
mod tests {
    use super::known::known_ids;
    use super::*;
    use crate::job::kinds::{CharacterReplace, Extend, Upscale};
    use strum::IntoEnumIterator;

    fn table(toml: &str) -> Result<ModelTable, toml::de::Error> {
        toml::from_str(toml)
    }

    fn body_of(table: &ModelTable, params: Params) -> Value {
        let model = table.model(params.kind()).id.clone();
        let image = params
            .needs_image()
            .then(|| "https://a.example/i.png".parse().expect("address"));
        table.body(&Submission {
            model,
            params,
            video: "https://a.example/v.mp4".parse().expect("address"),
            image,
            callback: None,
        })
    }

    #[test]
    fn bodies_hold_the_documented_parameters_and_no_others() {
        let table = ModelTable::default();
        let replace = Params::CharacterReplace(CharacterReplace {
            prompt: None,
            resolution: Resolution::P720,
            seed: Some(7),
        });
        assert_eq!(
            body_of(&table, replace),
            json!({"image": "https://a.example/i.png", "video": "https://a.example/v.mp4",
                "mode": "replace", "resolution": "720p", "seed": 7})
        );
        let extend = Params::Extend(Extend {
            prompt: "on".into(),
            seconds: 5,
            resolution: Resolution::P480,
            seed: Some(7),
        });
        assert_eq!(
            body_of(&table, extend.clone()),
            json!({"video": "https://a.example/v.mp4", "prompt": "on", "duration": 5,
                "resolution": "480p"}),
            "this model documents no seed"
        );
        let wan = self::table("[extend]\nid = 'alibaba/wan-2.7/video-extend'").expect("valid");
        assert_eq!(body_of(&wan, extend)["seed"], 7);
        let upscale = Params::Upscale(Upscale {
            target: Resolution::K2,
        });
        assert_eq!(
            body_of(&table, upscale.clone()),
            json!({"video": "https://a.example/v.mp4", "target_resolution": "2k"})
        );
        let runway = self::table("[upscale]\nid = 'runwayml/upscale-v1'").expect("valid");
        assert_eq!(
            body_of(&runway, upscale),
            json!({"video": "https://a.example/v.mp4"})
        );
    }

    #[test]
    fn an_override_takes_the_rest_from_the_id_or_the_kind() {
        let table = table(
            "[upscale]\nid = 'bria/fibo/video-upscaler'\nmax_source_s = 30\n\
             [extend]\nid = 'new/model'\nextra = { generate_audio = false }",
        )
        .expect("valid");
        let upscale = table.model(Kind::Upscale);
        assert_eq!(upscale.resolutions, [Resolution::K2, Resolution::K4]);
        assert!((upscale.max_source_s - 30.0).abs() < f64::EPSILON);
        let extend = table.model(Kind::Extend);
        assert_eq!(
            (extend.id.as_str(), extend.seconds),
            ("new/model", Some((4, 15)))
        );
        assert_eq!(
            table.model(Kind::CharacterReplace).id,
            "wavespeed-ai/wan-2.2/animate"
        );
        let body = body_of(
            &table,
            Params::Extend(Extend {
                prompt: "on".into(),
                seconds: 5,
                resolution: Resolution::P720,
                seed: None,
            }),
        );
        assert_eq!(body["generate_audio"], false);
    }

    #[test]
    fn every_fault_of_the_overrides_is_named_at_once() {
        let overrides = ModelOverrides {
            upscale: Some(ModelOverride {
                id: Some("wavespeed-ai/wan-2.2/animate".into()),
                max_source_s: Some(f64::NAN),
                max_source_pixels: Some(0),
                least_billed_s: Some(-1.0),
                usd_per_second: Some([(Resolution::P720, -0.1)].into()),
                seconds: Some((1, 2)),
                resolutions: Some(Vec::new()),
                ..ModelOverride::default()
            }),
            extend: Some(ModelOverride {
                id: Some("a/../b".into()),
                seconds: Some((9, 3)),
                extra: [("video".to_owned(), json!("x"))].into(),
                ..ModelOverride::default()
            }),
            character_replace: None,
        };
        let faults = ModelTable::try_from(overrides)
            .expect_err("ten faults")
            .faults;
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "models.extend.id",
                "models.extend.seconds",
                "models.extend.extra",
                "models.upscale.id",
                "models.upscale.max_source_s",
                "models.upscale.least_billed_s",
                "models.upscale.seconds",
                "models.upscale.resolutions",
                "models.upscale.max_source_pixels",
                "models.upscale.usd_per_second",
            ]
        );
    }

    #[test]
    fn unknown_fields_and_kinds_are_refused() {
        assert!(table("[upscale]\nidd = 'x'").is_err());
        assert!(table("[upscail]\nid = 'x'").is_err());
        assert!(table("[upscale]\nresolutions = ['8k']").is_err());
        assert_eq!(table("").expect("empty"), ModelTable::default());
    }

    #[test]
    fn every_known_row_is_of_its_kind_and_usable() {
        for kind in Kind::iter() {
            assert_eq!(default_entry(kind).model.id, known_ids(kind)[0]);
            for id in known_ids(kind) {
                let entry = known_entry(id).expect("known");
                assert_eq!((entry.model.kind, entry.model.id.as_str()), (kind, *id));
                assert!(is_model_id(id));
                assert_eq!(entry.model.seconds.is_some(), kind == Kind::Extend);
            }
        }
    }
}
