//! `filmlab models`: which models there are for each kind, and which one is used here.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;
use strum::IntoEnumIterator as _;

use super::console::{Console, Stdio};
use super::table::{table, text};
use crate::config::Config;
use crate::job::{DurationMeaning, Kind, Params, Resolution};
use crate::provider::Model;
use crate::provider::wavespeed::{Listed, ModelTable};

#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Only the models of this kind.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
}

/// Prices are told for a clip of so many seconds, and for as many new ones.
const PRICED_S: u32 = 5;

pub(super) fn run(args: &ModelsArgs, config: &Config) {
    models(args, &config.provider.models, &Stdio);
}

/// Prints the table.
pub fn models(args: &ModelsArgs, models: &ModelTable, console: &dyn Console) {
    let listed: Vec<Listed> = Kind::iter()
        .filter(|kind| args.kind.is_none_or(|only| only == *kind))
        .flat_map(|kind| models.listed(kind))
        .collect();
    if args.json {
        console.say(&json!({"models": listed}).to_string());
        return;
    }
    let mut rows = table(&["KIND", "MODEL", "USED", "TAKES", "SIZES", "US$ FOR 5 S"]);
    for one in &listed {
        let used = if one.is_used { "yes" } else { "" };
        let model = &one.model;
        rows.add_row([
            model.kind.as_str().to_owned(),
            model.id.clone(),
            used.to_owned(),
            limits(model),
            sizes(model),
            prices(model),
        ]);
    }
    console.say(&text(&rows));
}

/// What a model takes and adds, in seconds.
#[must_use]
pub fn limits(model: &Model) -> String {
    let least = model.min_source_s;
    let source = if least > 0.0 {
        format!("{least} to {} s", model.max_source_s)
    } else {
        format!("up to {} s", model.max_source_s)
    };
    let Some((least, most)) = model.seconds else {
        return source;
    };
    let added = if model.duration == DurationMeaning::Whole {
        format!("up to {most} s in all")
    } else if model.only_seconds.is_empty() {
        format!("adds {least} to {most} s")
    } else {
        let only: Vec<_> = model.only_seconds.iter().map(u32::to_string).collect();
        format!("adds {} s", only.join(" or "))
    };
    let together = model
        .max_total_s
        .map(|most| format!(", up to {most} s in all"));
    format!("{source}, {added}{}", together.unwrap_or_default())
}

/// The sizes it makes.
#[must_use]
pub fn sizes(model: &Model) -> String {
    let names: Vec<_> = model.resolutions.iter().map(|one| one.as_str()).collect();
    names.join(" ")
}

/// US dollars for five seconds (of an extension, five new ones to a clip of five), by size; empty
/// where no page says.
#[must_use]
pub fn prices(model: &Model) -> String {
    // Equal ones stand together.
    let mut by_price: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for size in &model.resolutions {
        let params = asked(model.kind, *size);
        if let Some(price) = model.list_price(&params, f64::from(PRICED_S)) {
            let price = format!("{price:.3}");
            by_price.entry(price).or_default().push(size.as_str());
        }
    }
    let told = by_price.iter().map(|(price, sizes)| {
        let price = price.strip_suffix('0').unwrap_or(price);
        format!("{price} ({})", sizes.join(" "))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn asked(kind: Kind, size: Resolution) -> Params {
    use crate::job::kinds::{CharacterReplace, Extend, Upscale};
    match kind {
        Kind::CharacterReplace => Params::CharacterReplace(CharacterReplace {
            prompt: None,
            resolution: size,
            seed: None,
        }),
        Kind::Extend => Params::Extend(Extend {
            prompt: String::new(),
            seconds: PRICED_S,
            resolution: size,
            seed: None,
        }),
        Kind::Upscale => Params::Upscale(Upscale { target: size }),
    }
}
