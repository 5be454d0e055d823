//! The models, as their pages have them.

use super::model::Shape::{Address, Flag, NumberOf, OneOf, Text, Whole};
use super::model::{CatalogModel, Parameter};
use crate::job::Kind;

const SEED: Parameter = ("seed", false, Whole(-1, 2_147_483_647));
const VIDEO: Parameter = ("video", true, Address);
const PROMPT: Parameter = ("prompt", true, Text);
const LAST_IMAGE: Parameter = ("last_image", false, Address);
const P480_720: Parameter = ("resolution", false, OneOf(&["480p", "720p"]));
const P720_1080: Parameter = ("resolution", false, OneOf(&["720p", "1080p"]));
const P480_1080: Parameter = ("resolution", false, OneOf(&["480p", "720p", "1080p"]));
const P480_4K: Parameter = ("resolution", false, OneOf(&["480p", "720p", "1080p", "4k"]));

const ANIMATE: &[Parameter] = &[
    ("image", true, Address),
    VIDEO,
    ("prompt", false, Text),
    ("mode", false, OneOf(&["animate", "replace"])),
    P480_720,
    SEED,
];

/// A model of the sandbox's own, which returns the new part only, as some do: the source has to
/// be put in front of it.
pub(in crate::sandbox) const SEGMENT: &str = "sandbox/segment-extend";

const REPLACE: CatalogModel = CatalogModel {
    id: "",
    kind: Kind::CharacterReplace,
    rates: &[("480p", 0.04), ("720p", 0.08)],
    bills_source: false,
    least_s: 5,
    whole: false,
    parameters: ANIMATE,
};

const EXTEND: CatalogModel = CatalogModel {
    kind: Kind::Extend,
    // Of this machine's own where no page says.
    rates: &[("", 0.1)],
    least_s: 0,
    parameters: &[],
    ..REPLACE
};

const UPSCALE: CatalogModel = CatalogModel {
    kind: Kind::Upscale,
    rates: &[("", 0.02)],
    parameters: &[
        VIDEO,
        (
            "target_resolution",
            false,
            OneOf(&["720p", "1080p", "2k", "4k"]),
        ),
    ],
    ..REPLACE
};

pub(super) const CATALOG: &[CatalogModel] = &[
    CatalogModel {
        id: "wavespeed-ai/wan-2.2/animate",
        ..REPLACE
    },
    CatalogModel {
        id: "wavespeed-ai/scail-2",
        ..REPLACE
    },
    CatalogModel {
        id: "wavespeed-ai/wan-2.1/mocha",
        parameters: &[
            ("image", true, Address),
            VIDEO,
            ("prompt", false, Text),
            P480_720,
            SEED,
        ],
        ..REPLACE
    },
    CatalogModel {
        id: "wavespeed-ai/minimax-h3/video-extend",
        rates: &[
            ("480p", 0.02),
            ("540p", 0.03),
            ("1080p", 0.08),
            ("768p", 0.04),
        ],
        parameters: &[
            PROMPT,
            VIDEO,
            LAST_IMAGE,
            (
                "resolution",
                false,
                OneOf(&["480p", "540p", "768p", "1080p"]),
            ),
            ("duration", false, Whole(3, 15)),
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "alibaba/wan-2.5/video-extend",
        rates: &[("480p", 0.05), ("720p", 0.10), ("1080p", 0.15)],
        parameters: &[
            PROMPT,
            VIDEO,
            ("audio", false, Address),
            ("negative_prompt", false, Text),
            P480_1080,
            ("duration", false, Whole(3, 10)),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "alibaba/wan-2.5/video-extend-fast",
        parameters: &[
            PROMPT,
            VIDEO,
            P480_1080,
            ("duration", false, Whole(3, 10)),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "alibaba/wan-2.6/video-extend",
        parameters: &[
            PROMPT,
            VIDEO,
            ("negative_prompt", false, Text),
            ("audio", false, Address),
            P720_1080,
            ("duration", false, NumberOf(&[5, 10, 15])),
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "alibaba/wan-2.7/video-extend",
        whole: true,
        parameters: &[
            PROMPT,
            VIDEO,
            P720_1080,
            ("duration", false, Whole(2, 15)),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "alibaba/wan-3.0/video-extend",
        rates: &[("1080p", 0.30), ("720p", 0.20), ("480p", 0.10)],
        parameters: &[
            PROMPT,
            VIDEO,
            LAST_IMAGE,
            P480_1080,
            ("duration", false, Whole(2, 30)),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "alibaba/wan-3.0-prime/video-extend",
        parameters: &[
            PROMPT,
            VIDEO,
            P480_1080,
            ("duration", false, Whole(2, 30)),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "bytedance/seedance-v1.5-pro/video-extend",
        rates: &[("480p", 0.024), ("720p", 0.052)],
        parameters: &[
            PROMPT,
            VIDEO,
            P480_720,
            ("duration", false, Whole(4, 12)),
            ("generate_audio", false, Flag),
            ("camera_fixed", false, Flag),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "bytedance/seedance-v1.5-pro/video-extend-fast",
        parameters: &[
            PROMPT,
            VIDEO,
            P720_1080,
            ("duration", false, Whole(4, 12)),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "bytedance/seedance-2.0/video-extend",
        parameters: &[
            PROMPT,
            VIDEO,
            LAST_IMAGE,
            P480_4K,
            ("duration", false, Whole(4, 15)),
            ("generate_audio", false, Flag),
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "bytedance/seedance-2.0-fast/video-extend",
        rates: &[("", 0.083)],
        parameters: &[PROMPT, VIDEO, P480_720, ("duration", false, Whole(4, 15))],
        ..EXTEND
    },
    CatalogModel {
        id: "bytedance/seedance-2.0-mini/video-extend",
        rates: &[("", 0.05)],
        parameters: &[PROMPT, VIDEO, P480_720, ("duration", false, Whole(4, 15))],
        ..EXTEND
    },
    CatalogModel {
        id: "bytedance/seedance-2.5/video-extend",
        rates: &[
            ("1080p", 0.44),
            ("4k", 0.88),
            ("720p", 0.22),
            ("480p", 0.11),
        ],
        bills_source: true,
        parameters: &[
            PROMPT,
            VIDEO,
            P480_4K,
            ("duration", false, Whole(4, 30)),
            ("generate_audio", false, Flag),
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "wavespeed-ai/wan-2.2-spicy/video-extend",
        rates: &[("480p", 0.03), ("720p", 0.06)],
        parameters: &[
            PROMPT,
            VIDEO,
            P480_720,
            ("duration", false, NumberOf(&[5, 8])),
            SEED,
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "wavespeed-ai/ltx-2.3/video-extend",
        parameters: &[
            VIDEO,
            ("prompt", false, Text),
            ("duration", false, Whole(1, 20)),
        ],
        ..EXTEND
    },
    CatalogModel {
        id: "wavespeed-ai/ltx-2/video-extend",
        parameters: &[
            VIDEO,
            ("prompt", false, Text),
            ("duration", false, Whole(1, 20)),
        ],
        ..EXTEND
    },
    CatalogModel {
        id: SEGMENT,
        parameters: &[PROMPT, VIDEO, P480_1080, ("duration", false, Whole(1, 15))],
        ..EXTEND
    },
    CatalogModel {
        id: "wavespeed-ai/video-upscaler",
        rates: &[("2k", 0.01), ("4k", 0.02), ("", 0.005)],
        ..UPSCALE
    },
    CatalogModel {
        id: "wavespeed-ai/video-upscaler-pro",
        rates: &[("720p", 0.02), ("2k", 0.04), ("4k", 0.05), ("1080p", 0.03)],
        ..UPSCALE
    },
    CatalogModel {
        id: "wavespeed-ai/ultimate-video-upscaler",
        rates: &[("720p", 0.02), ("2k", 0.05), ("4k", 0.08), ("1080p", 0.03)],
        ..UPSCALE
    },
    CatalogModel {
        id: "wavespeed-ai/seedvr2/video",
        rates: &[("720p", 0.02), ("2k", 0.05), ("4k", 0.06), ("1080p", 0.04)],
        least_s: 3,
        ..UPSCALE
    },
    CatalogModel {
        id: "wavespeed-ai/flashvsr",
        rates: &[
            ("720p", 0.012),
            ("2k", 0.024),
            ("4k", 0.032),
            ("1080p", 0.018),
        ],
        ..UPSCALE
    },
    CatalogModel {
        id: "bytedance/video-upscaler",
        rates: &[("2k", 0.0144), ("4k", 0.0288), ("1080p", 0.0072)],
        parameters: &[
            VIDEO,
            ("target_resolution", false, OneOf(&["1080p", "2k", "4k"])),
        ],
        ..UPSCALE
    },
    CatalogModel {
        id: "bria/fibo/video-upscaler",
        rates: &[("", 0.14)],
        parameters: &[VIDEO, ("target_resolution", false, OneOf(&["2k", "4k"]))],
        ..UPSCALE
    },
];
