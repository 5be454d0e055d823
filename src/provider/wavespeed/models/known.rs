//! The rows, as the models' pages document them.
//!
//! A number that no page gives is marked as ours. Where two sources disagree, the row has what
//! cannot be paid for in vain.

use super::entry::{Entry, Sends};
use crate::job::{DurationMeaning, Kind, Resolution};
use crate::provider::{Model, Returns};
use Resolution::{K2, K4, P480, P540, P720, P768, P1080};

/// A documented model.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) kind: Kind,
    pub(super) offer: Offer,
    /// 1 is what release 0.1.0 sent; goes up with each change of what is sent.
    revision: u32,
    source_s: (f64, f64),
    total_s: Option<f64>,
    seconds: Option<(u32, u32)>,
    /// The only lengths, where not every one of the range is taken.
    only_seconds: &'static [u32],
    duration: DurationMeaning,
    resolutions: &'static [Resolution],
    returns: Returns,
    sends: Sends,
    usual: (f64, f64),
    bills_source: bool,
    least_billed_s: f64,
    usd_per_second: &'static [(Resolution, f64)],
}

/// Whether a model may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Yes,
    /// What it made is still read; it is named no more.
    Retired {
        instead: &'static str,
    },
    /// Does something else than our kinds.
    Never {
        why: &'static str,
    },
}

/// Times of motion transfer were measured at 392 to 511 s a clip; asking from 60 s on costs little
/// and the pauses grow.
const REPLACE: Row = Row {
    id: "wavespeed-ai/wan-2.2/animate",
    kind: Kind::CharacterReplace,
    offer: Offer::Yes,
    revision: 1,
    source_s: (0.0, 120.0),
    total_s: None,
    seconds: None,
    only_seconds: &[],
    duration: DurationMeaning::Added,
    resolutions: &[P480, P720],
    returns: Returns::Merged,
    sends: Sends {
        mode: true,
        resolution: true,
        seed: true,
    },
    usual: (60.0, 10.0),
    bills_source: false,
    least_billed_s: 5.0,
    usd_per_second: &[],
};

/// No limit of the source is documented; 120 s is ours (some use the last 30 or 120 s). Where the
/// page does not say what comes back, the result is probed anyway; `Merged` is what the pages that
/// do say say.
const EXTEND: Row = Row {
    id: "",
    kind: Kind::Extend,
    seconds: Some((4, 15)),
    sends: Sends {
        mode: false,
        resolution: true,
        seed: false,
    },
    usual: (30.0, 5.0),
    least_billed_s: 0.0,
    ..REPLACE
};

const EXTEND_SEED: Sends = Sends {
    mode: false,
    resolution: true,
    seed: true,
};
const NO_RESOLUTION: Sends = Sends {
    mode: false,
    resolution: false,
    seed: false,
};

/// 5 to 10 s for each second of video.
const UPSCALE: Row = Row {
    id: "",
    kind: Kind::Upscale,
    source_s: (0.0, 600.0),
    resolutions: &[P720, P1080, K2, K4],
    sends: Sends {
        mode: false,
        resolution: true,
        seed: false,
    },
    usual: (10.0, 5.0),
    ..REPLACE
};

/// The default of each kind comes first among its own.
pub(super) const ROWS: &[Row] = &[
    Row {
        usd_per_second: &[(P480, 0.04), (P720, 0.08)],
        ..REPLACE
    },
    Row {
        id: "wavespeed-ai/scail-2",
        // About $0.20 for five seconds, without a word of the size: taken for the smaller one.
        usd_per_second: &[(P480, 0.04)],
        ..REPLACE
    },
    Row {
        id: "wavespeed-ai/wan-2.1/mocha",
        // It replaces and does nothing else.
        sends: EXTEND_SEED,
        usd_per_second: &[(P480, 0.04), (P720, 0.08)],
        ..REPLACE
    },
    Row {
        id: "wavespeed-ai/minimax-h3/video-extend",
        seconds: Some((3, 15)),
        resolutions: &[P480, P540, P768, P1080],
        // $0.20 for five seconds at 768p; the other sizes' prices are not said.
        usd_per_second: &[(P768, 0.04)],
        ..EXTEND
    },
    Row {
        id: "bytedance/seedance-2.0/video-extend",
        resolutions: &[P480, P720, P1080, K4],
        ..EXTEND
    },
    Row {
        id: "bytedance/seedance-2.0-fast/video-extend",
        resolutions: &[P480, P720],
        ..EXTEND
    },
    Row {
        id: "bytedance/seedance-2.0-mini/video-extend",
        // Its page says 5 to 12, its schema 4 to 15.
        seconds: Some((5, 12)),
        resolutions: &[P480, P720],
        ..EXTEND
    },
    Row {
        id: "bytedance/seedance-2.5/video-extend",
        seconds: Some((4, 30)),
        resolutions: &[P480, P720, P1080, K4],
        bills_source: true,
        // $1.10 for a clip of five seconds and five more.
        usd_per_second: &[(P480, 0.11)],
        ..EXTEND
    },
    Row {
        id: "bytedance/seedance-v1.5-pro/video-extend",
        seconds: Some((4, 12)),
        sends: EXTEND_SEED,
        usd_per_second: &[(P480, 0.024), (P720, 0.052)],
        ..EXTEND
    },
    Row {
        id: "bytedance/seedance-v1.5-pro/video-extend-fast",
        seconds: Some((4, 12)),
        resolutions: &[P720, P1080],
        sends: EXTEND_SEED,
        ..EXTEND
    },
    Row {
        id: "alibaba/wan-2.5/video-extend",
        seconds: Some((3, 10)),
        resolutions: &[P480, P720, P1080],
        sends: EXTEND_SEED,
        usd_per_second: &[(P480, 0.05), (P720, 0.10), (P1080, 0.15)],
        ..EXTEND
    },
    Row {
        id: "alibaba/wan-2.5/video-extend-fast",
        seconds: Some((3, 10)),
        resolutions: &[P480, P720, P1080],
        sends: EXTEND_SEED,
        ..EXTEND
    },
    Row {
        id: "alibaba/wan-2.6/video-extend",
        seconds: Some((5, 15)),
        only_seconds: &[5, 10, 15],
        resolutions: &[P720, P1080],
        ..EXTEND
    },
    Row {
        id: "alibaba/wan-2.7/video-extend",
        revision: 2,
        source_s: (2.0, 10.0),
        seconds: Some((2, 15)),
        // Disputed. If `duration` is the whole and the new seconds are sent, a clip as long as
        // these comes back with nothing added, and is paid for. The other way round more is added
        // than was asked for.
        duration: DurationMeaning::Whole,
        resolutions: &[P720, P1080],
        sends: EXTEND_SEED,
        ..EXTEND
    },
    Row {
        id: "alibaba/wan-3.0/video-extend",
        seconds: Some((2, 30)),
        total_s: Some(30.0),
        resolutions: &[P480, P720, P1080],
        sends: EXTEND_SEED,
        // From $0.50 for five seconds, which is the smallest size's.
        usd_per_second: &[(P480, 0.10)],
        ..EXTEND
    },
    Row {
        id: "alibaba/wan-3.0-prime/video-extend",
        seconds: Some((2, 30)),
        total_s: Some(30.0),
        resolutions: &[P480, P720, P1080],
        sends: EXTEND_SEED,
        ..EXTEND
    },
    Row {
        id: "wavespeed-ai/wan-2.2-spicy/video-extend",
        seconds: Some((5, 8)),
        only_seconds: &[5, 8],
        sends: EXTEND_SEED,
        usd_per_second: &[(P480, 0.03), (P720, 0.06)],
        ..EXTEND
    },
    Row {
        id: "wavespeed-ai/ltx-2.3/video-extend",
        seconds: Some((1, 20)),
        resolutions: &[P480, P720, P1080, K4],
        sends: NO_RESOLUTION,
        usd_per_second: &[(P480, 0.10), (P720, 0.10), (P1080, 0.10), (K4, 0.10)],
        ..EXTEND
    },
    Row {
        id: "wavespeed-ai/ltx-2/video-extend",
        seconds: Some((1, 20)),
        resolutions: &[P480, P720, P1080, K4],
        sends: NO_RESOLUTION,
        ..EXTEND
    },
    Row {
        id: "google/veo3.1/video-extend",
        offer: Offer::Never {
            why: "continues only what Veo 3.1 made itself",
        },
        ..EXTEND
    },
    Row {
        id: "wavespeed-ai/video-upscaler",
        usd_per_second: &[(P720, 0.005), (P1080, 0.005), (K2, 0.01), (K4, 0.02)],
        ..UPSCALE
    },
    Row {
        id: "wavespeed-ai/video-upscaler-pro",
        // 10 to 30 s for each second of video.
        usual: (10.0, 20.0),
        usd_per_second: &[(P720, 0.02), (P1080, 0.03), (K2, 0.04), (K4, 0.05)],
        ..UPSCALE
    },
    Row {
        id: "wavespeed-ai/ultimate-video-upscaler",
        usual: (10.0, 20.0),
        usd_per_second: &[(P720, 0.02), (P1080, 0.03), (K2, 0.05), (K4, 0.08)],
        ..UPSCALE
    },
    Row {
        id: "wavespeed-ai/seedvr2/video",
        usual: (10.0, 20.0),
        least_billed_s: 3.0,
        usd_per_second: &[(P720, 0.02), (P1080, 0.04), (K2, 0.05), (K4, 0.06)],
        ..UPSCALE
    },
    Row {
        id: "wavespeed-ai/flashvsr",
        usual: (10.0, 10.0),
        usd_per_second: &[(P720, 0.012), (P1080, 0.018), (K2, 0.024), (K4, 0.032)],
        ..UPSCALE
    },
    Row {
        id: "bytedance/video-upscaler",
        resolutions: &[P1080, K2, K4],
        usd_per_second: &[(P1080, 0.0072), (K2, 0.0144), (K4, 0.0288)],
        ..UPSCALE
    },
    Row {
        id: "bria/fibo/video-upscaler",
        resolutions: &[K2, K4],
        ..UPSCALE
    },
    Row {
        id: "runwayml/upscale-v1",
        // Not among the upscalers that the provider lists since September 2026.
        offer: Offer::Retired {
            instead: "wavespeed-ai/video-upscaler-pro",
        },
        sends: NO_RESOLUTION,
        usd_per_second: &[(P720, 0.02), (P1080, 0.02), (K2, 0.02), (K4, 0.02)],
        ..UPSCALE
    },
];

/// The row of a documented id, whether it is offered or not.
pub(super) fn known_row(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}

/// The same, as the table has it; nothing for what was never offered.
pub(super) fn known_entry(id: &str) -> Option<Entry> {
    known_row(id)
        .filter(|row| !matches!(row.offer, Offer::Never { .. }))
        .map(Row::entry)
}

/// The row of the model that makes `kind` unless the configuration names another.
pub(super) fn default_entry(kind: Kind) -> Entry {
    let row = ROWS.iter().find(|row| row.kind == kind);
    // Each kind has rows: a test holds it.
    row.unwrap_or(&REPLACE).entry()
}

/// What a model that nobody has documented is asked for until the settings say more.
pub(super) fn unknown_entry(kind: Kind, id: String) -> Entry {
    let row = match kind {
        Kind::CharacterReplace => REPLACE,
        Kind::Extend => Row {
            resolutions: &[P480, P720, P1080, K4],
            ..EXTEND
        },
        Kind::Upscale => UPSCALE,
    };
    let mut entry = row.entry();
    entry.model.id = id;
    entry.model.revision = 0;
    entry
}

/// What the configuration may name for a kind, the default first.
pub(super) fn offered(kind: Kind) -> impl Iterator<Item = &'static Row> {
    ROWS.iter()
        .filter(move |row| row.kind == kind && row.offer == Offer::Yes)
}

/// What a frame may have: DCI 4K. No page says what the models take; this is ours.
const MAX_SOURCE_PIXELS: u64 = 4096 * 2304;

impl Row {
    pub(super) fn entry(&self) -> Entry {
        Entry {
            model: Model {
                id: self.id.to_owned(),
                kind: self.kind,
                revision: self.revision,
                min_source_s: self.source_s.0,
                max_source_s: self.source_s.1,
                max_total_s: self.total_s,
                max_source_pixels: MAX_SOURCE_PIXELS,
                seconds: self.seconds,
                only_seconds: self.only_seconds.to_vec(),
                duration: self.duration,
                resolutions: self.resolutions.to_vec(),
                returns: self.returns,
                usual_base_s: self.usual.0,
                usual_per_second_s: self.usual.1,
                bills_source: self.bills_source,
                least_billed_s: self.least_billed_s,
                usd_per_second: self.usd_per_second.iter().copied().collect(),
            },
            sends: self.sends,
            extra: std::collections::BTreeMap::new(),
        }
    }
}
