//! The table beside the catalogue.
//!
//! Every request that a row may make (each size, each length) is laid before the model's schema by
//! the same check that a paid request has to pass: the two cannot disagree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use strum::IntoEnumIterator as _;
use url::Url;

use super::live::{Catalogue, LiveModel};
use super::schema::Refusal;
use crate::job::kinds::{CharacterReplace, Extend, Upscale};
use crate::job::{DurationMeaning, Kind, Params, Resolution};
use crate::provider::wavespeed::models::ModelTable;
use crate::provider::{Model, Submission};

/// Prices are told for a clip of so many seconds, and for as many new ones.
pub const PRICED_S: u32 = 5;
/// A price has moved where it differs by more: pages round to a cent.
const SAME_PRICE: f64 = 0.02;
/// Differences told of one model, values told of one parameter, models told that are not known.
const MAX_TOLD: usize = 12;
const MAX_UNLISTED: usize = 100;

/// What the catalogue says of the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    pub models: Vec<Compared>,
    /// Models of our kinds that the table does not have.
    pub unlisted: Vec<Unlisted>,
    /// Models that the catalogue has in all.
    pub listed: usize,
    /// Entries of the catalogue that could not be read.
    pub skipped: usize,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    pub kind: Kind,
    pub id: String,
    /// Whether it makes its kind here, or is asked where the one that does makes no video.
    pub is_used: bool,
    pub differences: Vec<Difference>,
    /// US dollars for five seconds by the catalogue's formula.
    pub prices: BTreeMap<Resolution, f64>,
    /// Why there is no such price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_unknown: Option<&'static str>,
}

/// One thing that the catalogue says otherwise than the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum Difference {
    /// The catalogue does not have it.
    Gone,
    /// We send a parameter that it does not know.
    Unknown { parameter: String },
    /// It needs one that we do not always send.
    Required { parameter: String },
    /// It does not take all that we offer.
    Narrower {
        parameter: String,
        refused: Vec<String>,
        takes: String,
    },
    Price {
        resolution: Resolution,
        listed: f64,
        live: f64,
    },
}

/// A model that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlisted {
    pub kind: Kind,
    pub id: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("gone"),
            Self::Unknown { parameter } => write!(f, "{parameter} is not known"),
            Self::Required { parameter } => write!(f, "{parameter} is required"),
            Self::Narrower {
                parameter,
                refused,
                takes,
            } => write!(f, "{parameter} takes {takes}, not {}", refused.join(", ")),
            Self::Price {
                resolution,
                listed,
                live,
            } => write!(
                f,
                "{} costs {live:.3}, not {listed:.3}",
                resolution.as_str()
            ),
        }
    }
}

impl Comparison {
    /// Rows that the catalogue says otherwise.
    pub fn differing(&self) -> impl Iterator<Item = &Compared> {
        self.models.iter().filter(|one| !one.differences.is_empty())
    }

    /// One line: how the two stand.
    #[must_use]
    pub fn summary(&self) -> String {
        let differing: Vec<_> = self.differing().collect();
        let new = match self.unlisted.len() {
            0 => String::new(),
            more => format!("; it has {more} more of our kinds"),
        };
        if differing.is_empty() {
            return format!("the provider's catalogue says what the table says{new}");
        }
        // The ones that are paid for first.
        let used = differing.iter().filter(|one| one.is_used);
        let used: Vec<_> = used
            .map(|one| format!("{}: {}", one.id, one.told()))
            .collect();
        let used = if used.is_empty() {
            "none that is used here".to_owned()
        } else {
            used.join("; ")
        };
        format!(
            "the provider's catalogue differs for {} of {} models ({used}){new}",
            differing.len(),
            self.models.len()
        )
    }
}

impl Compared {
    /// Its differences, for people.
    #[must_use]
    pub fn told(&self) -> String {
        let told: Vec<_> = self.differences.iter().map(ToString::to_string).collect();
        told.join("; ")
    }
}

/// Lays each row of the table beside the catalogue.
#[must_use]
pub fn compare(table: &ModelTable, catalogue: &Catalogue) -> Comparison {
    let models = Kind::iter()
        .flat_map(|kind| table.listed(kind))
        .map(|listed| {
            let mut compared = Compared {
                kind: listed.model.kind,
                id: listed.model.id.clone(),
                is_used: listed.is_used || listed.fallback.is_some(),
                differences: Vec::new(),
                prices: BTreeMap::new(),
                price_unknown: None,
            };
            match catalogue.models.get(&listed.model.id) {
                Some(live) => beside(table, &listed.model, live, &mut compared),
                None => compared.differences.push(Difference::Gone),
            }
            compared
        })
        .collect();
    let unlisted = catalogue.models.iter().filter_map(|(id, live)| {
        let kind = live.kind(id).filter(|_| !table.knows(id))?;
        Some(Unlisted {
            kind,
            id: id.clone(),
        })
    });
    let mut unlisted: Vec<_> = unlisted.take(MAX_UNLISTED).collect();
    unlisted.sort_by_key(|one| one.kind.as_str());
    Comparison {
        models,
        unlisted,
        listed: catalogue.len(),
        skipped: catalogue.skipped,
    }
}

fn beside(table: &ModelTable, model: &Model, live: &LiveModel, compared: &mut Compared) {
    if let Some(schema) = &live.schema {
        let mut narrower: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
        let mut found = Vec::new();
        for body in requests(model).iter().filter_map(|one| body(table, one)) {
            for refusal in schema.refusals(&body) {
                let difference = match refusal {
                    Refusal::Unknown { parameter } => Difference::Unknown { parameter },
                    Refusal::Missing { parameter } => Difference::Required { parameter },
                    Refusal::Value {
                        parameter,
                        value,
                        takes,
                    } => {
                        let (refused, _) = narrower.entry(parameter).or_insert((Vec::new(), takes));
                        if !refused.contains(&value) && refused.len() < MAX_TOLD {
                            refused.push(value);
                        }
                        continue;
                    }
                };
                if !found.contains(&difference) && found.len() < MAX_TOLD {
                    found.push(difference);
                }
            }
        }
        let narrower =
            narrower
                .into_iter()
                .map(|(parameter, (refused, takes))| Difference::Narrower {
                    parameter,
                    refused,
                    takes,
                });
        compared.differences = found.into_iter().chain(narrower).collect();
    }
    for size in &model.resolutions {
        let Some(submission) = submission(model, priced(model.kind, *size), f64::from(PRICED_S))
        else {
            continue;
        };
        let Some(body) = body(table, &submission) else {
            continue;
        };
        let listed = model.list_price(&submission.params, submission.source_s);
        match (live.price(&body, submission.source_s), listed) {
            (Ok(live), listed) => {
                compared.prices.insert(*size, live);
                let has_moved =
                    |listed: &f64| (live - listed).abs() > SAME_PRICE * listed.max(0.01);
                if let Some(listed) = listed.filter(has_moved) {
                    compared.differences.push(Difference::Price {
                        resolution: *size,
                        listed,
                        live,
                    });
                }
            }
            (Err(why), _) => compared.price_unknown = Some(why),
        }
    }
}

fn body(table: &ModelTable, submission: &Submission) -> Option<Map<String, Value>> {
    match table.body(submission) {
        Some(Value::Object(body)) => Some(body),
        _ => None,
    }
}

/// The plainest job for that size, of the length that prices are told for.
#[must_use]
pub fn priced(kind: Kind, size: Resolution) -> Params {
    params(kind, size, PRICED_S, false)
}

fn params(kind: Kind, size: Resolution, seconds: u32, full: bool) -> Params {
    let prompt = full.then(|| "x".to_owned());
    let seed = full.then_some(1);
    match kind {
        Kind::CharacterReplace => Params::CharacterReplace(CharacterReplace {
            prompt,
            resolution: size,
            seed,
        }),
        Kind::Extend => Params::Extend(Extend {
            prompt: "x".to_owned(),
            seconds,
            resolution: size,
            seed,
        }),
        Kind::Upscale => Params::Upscale(Upscale { target: size }),
    }
}

/// Every size and every length that a row offers, with the least and with the most that a job may
/// say.
fn requests(model: &Model) -> Vec<Submission> {
    let (least, most) = model.seconds.unwrap_or((PRICED_S, PRICED_S));
    let usual = model
        .only_seconds
        .first()
        .copied()
        .unwrap_or(PRICED_S.clamp(least, most));
    // The shortest source leaves most room where both count.
    let source_s = model.min_source_s.max(1.0);
    let of = |size: Resolution, seconds: u32, full: bool| {
        submission(model, params(model.kind, size, seconds, full), source_s)
    };
    let sizes = model
        .resolutions
        .iter()
        .flat_map(|size| [of(*size, usual, false), of(*size, usual, true)])
        .flatten();
    let offered = |seconds: &u32| {
        let only = &model.only_seconds;
        let whole = f64::from(*seconds) + source_s;
        (only.is_empty() || only.contains(seconds))
            && (model.duration == DurationMeaning::Added || whole <= f64::from(most))
            && model.max_total_s.is_none_or(|most| whole <= most)
    };
    let lengths = (least..=most)
        .filter(|_| model.kind == Kind::Extend)
        .filter(offered)
        .filter_map(|seconds| of(*model.resolutions.first()?, seconds, false));
    sizes.chain(lengths).collect()
}

/// Never sent; its addresses are as any other.
fn submission(model: &Model, params: Params, source_s: f64) -> Option<Submission> {
    let image = Url::parse("https://files.example/image.png").ok()?;
    Some(Submission {
        model: model.id.clone(),
        params,
        source_s,
        duration: model.duration,
        video: Url::parse("https://files.example/video.mp4").ok()?,
        image: (model.kind == Kind::CharacterReplace).then_some(image),
        callback: None,
    })
}
