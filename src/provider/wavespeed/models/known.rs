//! The rows, as the models' pages document them.

use std::collections::BTreeMap;

use strum::IntoEnumIterator;

use super::entry::{Entry, Shape};
use crate::job::{Kind, Resolution};
use crate::provider::{Model, Returns};

/// Ids by kind, the default first.
pub(super) fn known_ids(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::CharacterReplace => &["wavespeed-ai/wan-2.2/animate"],
        Kind::Extend => &[
            "bytedance/seedance-2.0/video-extend",
            "bytedance/seedance-2.5/video-extend",
            "bytedance/seedance-v1.5-pro/video-extend",
            "alibaba/wan-2.5/video-extend",
            "alibaba/wan-2.5/video-extend-fast",
            "alibaba/wan-2.7/video-extend",
            "alibaba/wan-3.0/video-extend",
            "wavespeed-ai/wan-2.2-spicy/video-extend",
            "wavespeed-ai/ltx-2/video-extend",
        ],
        Kind::Upscale => &[
            "wavespeed-ai/video-upscaler",
            "wavespeed-ai/video-upscaler-pro",
            "wavespeed-ai/ultimate-video-upscaler",
            "wavespeed-ai/seedvr2/video",
            "wavespeed-ai/flashvsr",
            "bytedance/video-upscaler",
            "runwayml/upscale-v1",
            "bria/fibo/video-upscaler",
        ],
    }
}

/// The row of a documented id.
pub(super) fn known_entry(id: &str) -> Option<Entry> {
    let kind = Kind::iter().find(|kind| known_ids(*kind).contains(&id))?;
    let mut entry = default_entry(kind);
    id.clone_into(&mut entry.model.id);
    entry.model.usd_per_second = usd_per_second(id);
    let model = &mut entry.model;
    use Resolution::{K2, K4, P480, P720, P1080};
    // Where the page does not say what comes back, the result is probed anyway; `Merged` is what
    // the pages that do say say.
    match id {
        "bytedance/seedance-2.5/video-extend" => {
            model.seconds = Some((4, 30));
        }
        "bytedance/seedance-v1.5-pro/video-extend" => {
            model.seconds = Some((4, 12));
            model.resolutions = vec![P480, P720];
            entry.shape.seed = true;
        }
        "alibaba/wan-2.5/video-extend" | "alibaba/wan-2.5/video-extend-fast" => {
            model.seconds = Some((3, 10));
            model.resolutions = vec![P480, P720, P1080];
            entry.shape.seed = true;
        }
        "alibaba/wan-2.7/video-extend" => {
            model.seconds = Some((2, 15));
            model.resolutions = vec![P720, P1080];
            entry.shape.seed = true;
        }
        "alibaba/wan-3.0/video-extend" => {
            model.seconds = Some((2, 30));
            model.resolutions = vec![P480, P720, P1080];
            entry.shape.seed = true;
        }
        "wavespeed-ai/wan-2.2-spicy/video-extend" => {
            // It takes 5 or 8; the range is the nearest this table can say.
            model.seconds = Some((5, 8));
            model.resolutions = vec![P480, P720];
            entry.shape.seed = true;
        }
        "wavespeed-ai/ltx-2/video-extend" => {
            model.seconds = Some((1, 20));
            entry.shape.resolution = false;
        }
        "wavespeed-ai/video-upscaler-pro" | "wavespeed-ai/ultimate-video-upscaler" => {
            // 10 to 30 s for each second of video.
            model.usual_per_second_s = 20.0;
        }
        "wavespeed-ai/flashvsr" => model.usual_per_second_s = 10.0,
        "bytedance/video-upscaler" => model.resolutions = vec![P1080, K2, K4],
        "bria/fibo/video-upscaler" => model.resolutions = vec![K2, K4],
        "runwayml/upscale-v1" => entry.shape.resolution = false,
        _ => {}
    }
    Some(entry)
}

/// What a frame may have: DCI 4K. No page says what the models take; this is ours.
const MAX_SOURCE_PIXELS: u64 = 4096 * 2304;

/// US dollars for a second of video, by the models' pages and the official tools' notes. Where
/// they say nothing, or give a range, there is no price.
fn usd_per_second(id: &str) -> BTreeMap<Resolution, f64> {
    use Resolution::{K2, K4, P480, P720, P1080};
    let rates: &[(Resolution, f64)] = match id {
        "wavespeed-ai/wan-2.2/animate" => &[(P480, 0.04), (P720, 0.08)],
        "wavespeed-ai/wan-2.2-spicy/video-extend" => &[(P480, 0.03), (P720, 0.06)],
        "alibaba/wan-2.5/video-extend" => &[(P480, 0.05), (P720, 0.10), (P1080, 0.15)],
        "bytedance/seedance-v1.5-pro/video-extend" => &[(P480, 0.024), (P720, 0.052)],
        // $0.025 for five seconds; the other sizes' prices are not said.
        "wavespeed-ai/video-upscaler" => &[(P720, 0.005)],
        "wavespeed-ai/ultimate-video-upscaler" => {
            &[(P720, 0.02), (P1080, 0.03), (K2, 0.05), (K4, 0.08)]
        }
        "wavespeed-ai/seedvr2/video" => &[(P720, 0.02), (K4, 0.06)],
        "wavespeed-ai/flashvsr" => &[(P720, 0.012), (P1080, 0.018), (K2, 0.024), (K4, 0.032)],
        "bytedance/video-upscaler" => &[(P1080, 0.0072), (K2, 0.0144), (K4, 0.0288)],
        "runwayml/upscale-v1" => &[(P720, 0.02), (P1080, 0.02), (K2, 0.02), (K4, 0.02)],
        _ => &[],
    };
    rates.iter().copied().collect()
}

/// The row of the model that makes `kind` unless the configuration names another.
pub(super) fn default_entry(kind: Kind) -> Entry {
    use Resolution::{K2, K4, P480, P720, P1080};
    let model = |id: &str, max_source_s, seconds, resolutions, returns, base, per_second| Model {
        id: id.to_owned(),
        kind,
        max_source_s,
        max_source_pixels: MAX_SOURCE_PIXELS,
        seconds,
        resolutions,
        returns,
        usual_base_s: base,
        usual_per_second_s: per_second,
        least_billed_s: match kind {
            Kind::CharacterReplace | Kind::Upscale => 5.0,
            Kind::Extend => 0.0,
        },
        usd_per_second: usd_per_second(id),
    };
    let (model, seed) = match kind {
        // Times of motion transfer were measured at 392 to 511 s a clip; asking from 60 s on
        // costs little and the pauses grow.
        Kind::CharacterReplace => (
            model(
                "wavespeed-ai/wan-2.2/animate",
                120.0,
                None,
                vec![P480, P720],
                Returns::Merged,
                60.0,
                10.0,
            ),
            true,
        ),
        // No limit of the source is documented; 120 s is ours (its siblings use the last 30 or
        // 120 s). `duration` counts the new part only, and the source comes back with it.
        Kind::Extend => (
            model(
                "bytedance/seedance-2.0/video-extend",
                120.0,
                Some((4, 15)),
                vec![P480, P720, P1080, K4],
                Returns::Merged,
                30.0,
                5.0,
            ),
            false,
        ),
        // 5 to 10 s for each second of video.
        Kind::Upscale => (
            model(
                "wavespeed-ai/video-upscaler",
                600.0,
                None,
                vec![P720, P1080, K2, K4],
                Returns::Merged,
                10.0,
                5.0,
            ),
            false,
        ),
    };
    Entry {
        model,
        shape: Shape {
            resolution: true,
            seed,
        },
        extra: BTreeMap::new(),
    }
}
