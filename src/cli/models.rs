//! `filmlab models`: which models there are for each kind, and which one is used here.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;
use strum::IntoEnumIterator as _;

use super::console::{Console, Stdio};
use super::table::{table, text};
use crate::app;
use crate::config::Config;
use crate::job::{Code, DurationMeaning, Failure, Kind, Resolution};
use crate::provider::Model;
use crate::provider::wavespeed::{Comparison, Listed, ModelTable, PRICED_S, priced};

#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Lay the table beside the provider's own catalogue. Ends with 70 where they differ.
    #[arg(long)]
    pub live: bool,
    /// Only the models of this kind.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
}

pub(super) async fn run(args: &ModelsArgs, config: &Config) -> Result<(), Failure> {
    if !args.live {
        models(args, &config.provider.models, &Stdio);
        return Ok(());
    }
    let found = app::catalogue::live(config).await?;
    live(args, &config.provider.models, found, &Stdio)
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
        let model = &one.model;
        rows.add_row([
            model.kind.as_str().to_owned(),
            model.id.clone(),
            one.told_use(),
            limits(model),
            sizes(model),
            prices(model),
        ]);
    }
    console.say(&text(&rows));
}

/// Prints what the catalogue says of the table; fails where they differ.
pub fn live(
    args: &ModelsArgs,
    models: &ModelTable,
    mut found: Comparison,
    console: &dyn Console,
) -> Result<(), Failure> {
    let wanted = |kind: Kind| args.kind.is_none_or(|only| only == kind);
    found.models.retain(|one| wanted(one.kind));
    found.unlisted.retain(|one| wanted(one.kind));
    let differing = found.differing().count();
    if args.json {
        console.say(&json!(found).to_string());
    } else {
        beside(models, &found, console);
    }
    if differing == 0 {
        return Ok(());
    }
    let message = format!(
        "the provider's catalogue differs for {differing} of {} models",
        found.models.len()
    );
    Err(Failure::new(Code::ModelChanged, message))
}

fn beside(models: &ModelTable, found: &Comparison, console: &dyn Console) {
    let mut rows = table(&[
        "KIND",
        "MODEL",
        "USED",
        "US$ FOR 5 S",
        "IN THE CATALOGUE",
        "WHAT DIFFERS",
    ]);
    for one in &found.models {
        let listed = models.listed(one.kind);
        let row = listed.iter().find(|row| row.model.id == one.id);
        let live = match one.price_unknown {
            Some(why) => format!("price unknown: {why}"),
            None => by_price(one.prices.iter().map(|(size, price)| (*size, *price))),
        };
        rows.add_row([
            one.kind.as_str().to_owned(),
            one.id.clone(),
            row.map(Listed::told_use).unwrap_or_default(),
            row.map(|row| prices(&row.model)).unwrap_or_default(),
            live,
            one.told(),
        ]);
    }
    console.say(&text(&rows));
    if !found.unlisted.is_empty() {
        let mut rows = table(&["KIND", "IN THE CATALOGUE, NOT IN THE TABLE"]);
        for one in &found.unlisted {
            rows.add_row([one.kind.as_str(), &one.id]);
        }
        console.say(&format!("\n{}", text(&rows)));
    }
    if found.skipped > 0 {
        console.note(&format!(
            "{} of the catalogue's entries could not be read",
            found.skipped
        ));
    }
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
    let listed = model.resolutions.iter().filter_map(|size| {
        let params = priced(model.kind, *size);
        Some((*size, model.list_price(&params, f64::from(PRICED_S))?))
    });
    by_price(listed)
}

/// Equal ones stand together.
fn by_price(prices: impl Iterator<Item = (Resolution, f64)>) -> String {
    let mut by_price: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (size, price) in prices {
        let sizes = by_price.entry(format!("{price:.3}")).or_default();
        sizes.push(size.as_str());
    }
    let told = by_price.iter().map(|(price, sizes)| {
        let price = price.strip_suffix('0').unwrap_or(price);
        format!("{price} ({})", sizes.join(" "))
    });
    told.collect::<Vec<_>>().join(", ")
}
