//! How the catalogue can move away from what it was.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalog::{self, Invalid};

/// One thing that is no longer as it was. As JSON: `{"drift": "gone", "model": "a/b"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "drift", rename_all = "snake_case", deny_unknown_fields)]
pub enum Drift {
    /// The model is listed no more, and not found.
    Gone { model: String },
    /// It takes a parameter no more: as the real service, it drops it and makes the video.
    Dropped { model: String, parameter: String },
    /// A parameter takes fewer values.
    Narrower {
        model: String,
        parameter: String,
        #[serde(default)]
        choices: Option<Vec<Value>>,
        #[serde(default)]
        minimum: Option<i64>,
        #[serde(default)]
        maximum: Option<i64>,
    },
    /// A text that was not asked for before has to be there.
    Required { model: String, parameter: String },
    /// It costs so many times what it did.
    Price { model: String, factor: f64 },
    /// Its price is told by some other formula.
    Formula { model: String, formula: String },
    /// A model that was not there, as another one is; it is listed and makes nothing.
    New { model: String, like: String },
    /// The catalogue's answer is no JSON.
    Malformed,
    /// The catalogue is answered by a gateway's error page.
    Unreachable,
    /// The catalogue comes this many milliseconds late.
    Late { ms: u64 },
}

/// All that is in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drifts(pub Vec<Drift>);

impl Drifts {
    /// The catalogue as it is now.
    pub(super) fn listing(&self) -> Vec<Value> {
        let mut models = catalog::listing();
        for drift in &self.0 {
            drift.apply(&mut models);
        }
        models
    }

    pub(super) fn is_gone(&self, id: &str) -> bool {
        self.0
            .iter()
            .any(|drift| matches!(drift, Drift::Gone { model } if model == id))
    }

    /// By how much what it costs has changed.
    pub(super) fn price_factor(&self, id: &str) -> f64 {
        self.0
            .iter()
            .filter_map(|drift| match drift {
                Drift::Price { model, factor } if model == id => Some(*factor),
                _ => None,
            })
            .product()
    }

    /// What is wrong with a body since the catalogue has moved.
    pub(super) fn check(&self, id: &str, body: &Value) -> Result<(), Invalid> {
        for drift in &self.0 {
            match drift {
                Drift::Narrower {
                    model,
                    parameter,
                    choices,
                    minimum,
                    maximum,
                } if model == id => {
                    let value = &body[parameter];
                    let among = |known: &Vec<Value>| known.contains(value);
                    let number = value.as_i64();
                    let out = !choices.as_ref().is_none_or(among)
                        || minimum.is_some_and(|least| number.is_some_and(|n| n < least))
                        || maximum.is_some_and(|most| number.is_some_and(|n| n > most));
                    if out && !value.is_null() {
                        return Err((1401, format!("Invalid parameter: {parameter}.")));
                    }
                }
                Drift::Required { model, parameter }
                    if model == id && body[parameter].is_null() =>
                {
                    return Err((1400, format!("Missing required parameter: {parameter}.")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drift {
    fn apply(&self, models: &mut Vec<Value>) {
        match self {
            Self::Gone { model } => models.retain(|known| known["model_id"] != model.as_str()),
            Self::New { model, like } => {
                if let Some(mut copy) = named(models, like).cloned() {
                    copy["model_id"] = json!(model);
                    copy["name"] = json!(model);
                    models.push(copy);
                }
            }
            Self::Dropped { model, parameter } => edit(models, model, |schema| {
                if let Some(known) = schema["properties"].as_object_mut() {
                    known.remove(parameter);
                }
                if let Some(names) = schema["required"].as_array_mut() {
                    names.retain(|name| name != parameter.as_str());
                }
            }),
            Self::Narrower {
                model,
                parameter,
                choices,
                minimum,
                maximum,
            } => edit(models, model, |schema| {
                let known = &mut schema["properties"][parameter];
                if let Some(choices) = choices {
                    known["enum"] = json!(choices);
                }
                if let Some(least) = minimum {
                    known["minimum"] = json!(least);
                }
                if let Some(most) = maximum {
                    known["maximum"] = json!(most);
                }
            }),
            Self::Required { model, parameter } => edit(models, model, |schema| {
                schema["properties"][parameter] = json!({"type": "string"});
                if let Some(names) = schema["required"].as_array_mut() {
                    names.push(json!(parameter));
                }
            }),
            Self::Price { model, factor } => {
                if let Some(known) = named(models, model) {
                    let before = known["formula"].as_str().unwrap_or_default();
                    let inner = before
                        .strip_prefix("{\"total_price\": ")
                        .and_then(|rest| rest.strip_suffix('}'))
                        .unwrap_or("base_price");
                    known["formula"] = json!(format!("{{\"total_price\": {factor} * ({inner})}}"));
                }
            }
            Self::Formula { model, formula } => {
                if let Some(known) = named(models, model) {
                    known["formula"] = json!(formula);
                }
            }
            Self::Malformed | Self::Unreachable | Self::Late { .. } => {}
        }
    }
}

fn named<'a>(models: &'a mut [Value], id: &str) -> Option<&'a mut Value> {
    models.iter_mut().find(|known| known["model_id"] == id)
}

fn edit(models: &mut [Value], id: &str, change: impl FnOnce(&mut Value)) {
    if let Some(known) = named(models, id) {
        change(&mut known["api_schema"]["api_schemas"][0]["request_schema"]);
    }
}
