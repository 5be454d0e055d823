//! `[provider.models]`: who makes each kind.

use std::ops::RangeInclusive;

use super::reader::Reader;
use super::table::{AsItIs, EachOf, Keyed as _, ListOf, Nested, Open, settings};
use crate::fields::{Bounds, Flag, Real, Text, Whole, Word};
use crate::job::{DurationMeaning, Kind, Resolution};
use crate::provider::wavespeed::{ModelOverride, ModelOverrides, ModelTable, Returns};

const ROW: &str = "the row's";

const fn seconds(range: &RangeInclusive<f64>) -> Real<f64> {
    Real(Bounds::Within(*range.start(), *range.end()))
}

const SECONDS: Whole<u32> = Whole(Bounds::Within(
    *ModelOverride::SECONDS.start(),
    *ModelOverride::SECONDS.end(),
));

settings! { MODELS of "provider" {
    BY_KIND: Open<Nested> = "models", Nested("tables"), "the [table](providers.md#the-table)",
        "a table for each kind, for example `[provider.models.extend]`. See [Choosing another](providers.md#choosing-another) and [fallbacks](providers.md#what-a-fallback-may-do-with-somebodys-money)";
}}

settings! { MODEL of "provider.models.KIND" {
    ID: Open<Text> = "id", Text("id of a model"), "the [table](providers.md#the-table)'s first",
        "the model that makes this kind. What the others leave out is as the table has it";
    FALLBACK: Open<ListOf<Text>> = "fallback", ListOf(Text("id of a model of the table")), "none",
        "models to ask where this one does not make the video, in their order; 4 at most";
    MIN_SOURCE_S: Open<Real<f64>> = "min_source_s", seconds(&ModelOverride::FROM_NOTHING_S), ROW,
        "shortest source, in seconds";
    MAX_SOURCE_S: Open<Real<f64>> = "max_source_s", seconds(&ModelOverride::FROM_ONE_S), ROW,
        "longest source, in seconds";
    MAX_TOTAL_S: Open<Real<f64>> = "max_total_s", seconds(&ModelOverride::FROM_ONE_S), ROW,
        "most seconds of source and extension together";
    MAX_SOURCE_PIXELS: Open<Whole<u64>> = "max_source_pixels", Whole(Bounds::AtLeast(1)), ROW,
        "most pixels of a source's frame";
    EXTENSION: Open<ListOf<Whole<u32>>> = "seconds", ListOf(SECONDS), ROW,
        "for example `[4, 15]`: least and most seconds that `duration` may say";
    ONLY_SECONDS: Open<ListOf<Whole<u32>>> = "only_seconds", ListOf(SECONDS), ROW,
        "the only ones of these";
    DURATION: Open<Word<DurationMeaning>> = "duration", Word::new(), ROW,
        "what the model understands by `duration`: the new part, or all. See [Choosing another](providers.md#choosing-another)";
    RESOLUTIONS: Open<ListOf<Word<Resolution>>> = "resolutions", ListOf(Word::new()), ROW,
        "sizes it makes";
    RETURNS: Open<Word<Returns>> = "returns", Word::new(), ROW,
        "whether an extension comes back with its source";
    USUAL_BASE_S: Open<Real<f64>> = "usual_base_s", seconds(&ModelOverride::FROM_NOTHING_S), ROW,
        "seconds after which it is worth asking for the first time";
    USUAL_PER_SECOND_S: Open<Real<f64>> = "usual_per_second_s",
        seconds(&ModelOverride::FROM_NOTHING_S), ROW, "the same for each second of video";
    BILLS_SOURCE: Open<Flag> = "bills_source", Flag, ROW,
        "whether the source's seconds are billed besides the new ones";
    LEAST_BILLED_S: Open<Real<f64>> = "least_billed_s",
        seconds(&ModelOverride::FROM_NOTHING_S), ROW, "seconds that are billed at least";
    USD_PER_SECOND: Open<EachOf<Resolution, Real<f64>>> = "usd_per_second",
        EachOf(Word::new(), Real(Bounds::AtLeast(0.0))), ROW,
        "US dollars for a second of video, by size";
    EXTRA: Open<AsItIs> = "extra", AsItIs, ROW,
        "for example `{ generate_audio = false }`: more parameters, sent as they are";
}}

pub(super) fn models(r: &mut Reader) -> ModelTable {
    let mut overrides = ModelOverrides::default();
    for (kind, at) in r.entries(&BY_KIND.key(), &Word::<Kind>::new()) {
        overrides.set(kind, model(r, &at));
    }
    ModelTable::try_from(overrides).unwrap_or_else(|invalid| {
        for fault in invalid.faults {
            r.fault(&format!("provider.{}", fault.field), fault.message);
        }
        ModelTable::default()
    })
}

fn model(r: &mut Reader, at: &str) -> ModelOverride {
    let range = r.list_at(at, &EXTENSION);
    let range = range.and_then(|given| match given[..] {
        [least, most] => Some((least, most)),
        _ => {
            r.fault(
                &format!("{at}.{}", EXTENSION.field()),
                "must be two numbers",
            );
            None
        }
    });
    ModelOverride {
        id: r.given_at(at, &ID),
        fallback: r.list_at(at, &FALLBACK).unwrap_or_default(),
        min_source_s: r.given_at(at, &MIN_SOURCE_S),
        max_source_s: r.given_at(at, &MAX_SOURCE_S),
        max_total_s: r.given_at(at, &MAX_TOTAL_S),
        max_source_pixels: r.given_at(at, &MAX_SOURCE_PIXELS),
        seconds: range,
        only_seconds: r.list_at(at, &ONLY_SECONDS),
        duration: r.given_at(at, &DURATION),
        resolutions: r.list_at(at, &RESOLUTIONS),
        returns: r.given_at(at, &RETURNS),
        usual_base_s: r.given_at(at, &USUAL_BASE_S),
        usual_per_second_s: r.given_at(at, &USUAL_PER_SECOND_S),
        bills_source: r.given_at(at, &BILLS_SOURCE),
        least_billed_s: r.given_at(at, &LEAST_BILLED_S),
        usd_per_second: r.each_at(at, &USD_PER_SECOND),
        extra: r.as_it_is_at(at, &EXTRA).unwrap_or_default(),
    }
}
