//! What the models' pages say.

use crate::job::Kind;

/// One model as its page documents it: written by hand, and on purpose not made from the rows.
pub(super) struct Documented {
    pub(super) id: &'static str,
    pub(super) kind: Kind,
    /// Sizes, and what five seconds cost in US dollars (of an extension: five new ones to a clip of
    /// five), where that is said.
    pub(super) sizes: &'static [(&'static str, Option<f64>)],
    /// Parameters besides video, image, prompt and size.
    pub(super) sends: &'static [&'static str],
    /// Lengths of an extension that are taken, and that are not, of a clip of five seconds.
    pub(super) adds: (&'static [u32], &'static [u32]),
}

pub(super) const DOCUMENTED: &[Documented] = &[
    Documented {
        id: "wavespeed-ai/wan-2.2/animate",
        kind: Kind::CharacterReplace,
        sizes: &[("480p", Some(0.2)), ("720p", Some(0.4))],
        sends: &["mode", "seed"],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/scail-2",
        kind: Kind::CharacterReplace,
        sizes: &[("480p", Some(0.2)), ("720p", None)],
        sends: &["mode", "seed"],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/wan-2.1/mocha",
        kind: Kind::CharacterReplace,
        sizes: &[("480p", Some(0.2)), ("720p", Some(0.4))],
        sends: &["seed"],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/minimax-h3/video-extend",
        kind: Kind::Extend,
        sizes: &[
            ("480p", None),
            ("540p", None),
            ("768p", Some(0.2)),
            ("1080p", None),
        ],
        sends: &["duration"],
        adds: (&[3, 15], &[2, 16]),
    },
    Documented {
        id: "bytedance/seedance-2.0/video-extend",
        kind: Kind::Extend,
        sizes: &[
            ("480p", None),
            ("720p", None),
            ("1080p", None),
            ("4k", None),
        ],
        sends: &["duration"],
        adds: (&[4, 15], &[3, 16]),
    },
    Documented {
        id: "bytedance/seedance-2.0-fast/video-extend",
        kind: Kind::Extend,
        sizes: &[("480p", None), ("720p", None)],
        sends: &["duration"],
        adds: (&[4, 15], &[3, 16]),
    },
    Documented {
        id: "bytedance/seedance-2.0-mini/video-extend",
        kind: Kind::Extend,
        sizes: &[("480p", None), ("720p", None)],
        sends: &["duration"],
        adds: (&[5, 12], &[4, 13]),
    },
    Documented {
        id: "bytedance/seedance-2.5/video-extend",
        kind: Kind::Extend,
        sizes: &[
            ("480p", Some(1.1)),
            ("720p", None),
            ("1080p", None),
            ("4k", None),
        ],
        sends: &["duration"],
        adds: (&[4, 30], &[3]),
    },
    Documented {
        id: "bytedance/seedance-v1.5-pro/video-extend",
        kind: Kind::Extend,
        sizes: &[("480p", Some(0.12)), ("720p", Some(0.26))],
        sends: &["duration", "seed"],
        adds: (&[4, 12], &[3, 13]),
    },
    Documented {
        id: "bytedance/seedance-v1.5-pro/video-extend-fast",
        kind: Kind::Extend,
        sizes: &[("720p", None), ("1080p", None)],
        sends: &["duration", "seed"],
        adds: (&[4, 12], &[3, 13]),
    },
    Documented {
        id: "alibaba/wan-2.5/video-extend",
        kind: Kind::Extend,
        sizes: &[
            ("480p", Some(0.25)),
            ("720p", Some(0.5)),
            ("1080p", Some(0.75)),
        ],
        sends: &["duration", "seed"],
        adds: (&[3, 10], &[2, 11]),
    },
    Documented {
        id: "alibaba/wan-2.5/video-extend-fast",
        kind: Kind::Extend,
        sizes: &[("480p", None), ("720p", None), ("1080p", None)],
        sends: &["duration", "seed"],
        adds: (&[3, 10], &[2, 11]),
    },
    Documented {
        id: "alibaba/wan-2.6/video-extend",
        kind: Kind::Extend,
        sizes: &[("720p", None), ("1080p", None)],
        sends: &["duration"],
        adds: (&[5, 10, 15], &[4, 6, 14, 16]),
    },
    Documented {
        id: "alibaba/wan-2.7/video-extend",
        kind: Kind::Extend,
        sizes: &[("720p", None), ("1080p", None)],
        sends: &["duration", "seed"],
        // Fifteen in all.
        adds: (&[1, 10], &[11]),
    },
    Documented {
        id: "alibaba/wan-3.0/video-extend",
        kind: Kind::Extend,
        sizes: &[("480p", Some(0.5)), ("720p", None), ("1080p", None)],
        sends: &["duration", "seed"],
        // Thirty in all.
        adds: (&[2, 25], &[1, 26]),
    },
    Documented {
        id: "alibaba/wan-3.0-prime/video-extend",
        kind: Kind::Extend,
        sizes: &[("480p", None), ("720p", None), ("1080p", None)],
        sends: &["duration", "seed"],
        adds: (&[2, 25], &[1, 26]),
    },
    Documented {
        id: "wavespeed-ai/wan-2.2-spicy/video-extend",
        kind: Kind::Extend,
        sizes: &[("480p", Some(0.15)), ("720p", Some(0.3))],
        sends: &["duration", "seed"],
        adds: (&[5, 8], &[4, 6, 7, 9]),
    },
    Documented {
        id: "wavespeed-ai/ltx-2.3/video-extend",
        kind: Kind::Extend,
        sizes: &[
            ("480p", Some(0.5)),
            ("720p", Some(0.5)),
            ("1080p", Some(0.5)),
            ("4k", Some(0.5)),
        ],
        sends: &["duration", "no size"],
        adds: (&[1, 20], &[21]),
    },
    Documented {
        id: "wavespeed-ai/ltx-2/video-extend",
        kind: Kind::Extend,
        sizes: &[
            ("480p", None),
            ("720p", None),
            ("1080p", None),
            ("4k", None),
        ],
        sends: &["duration", "no size"],
        adds: (&[1, 20], &[21]),
    },
    Documented {
        id: "wavespeed-ai/video-upscaler",
        kind: Kind::Upscale,
        sizes: &[
            ("720p", Some(0.025)),
            ("1080p", Some(0.025)),
            ("2k", Some(0.05)),
            ("4k", Some(0.1)),
        ],
        sends: &[],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/video-upscaler-pro",
        kind: Kind::Upscale,
        sizes: &[
            ("720p", Some(0.1)),
            ("1080p", Some(0.15)),
            ("2k", Some(0.2)),
            ("4k", Some(0.25)),
        ],
        sends: &[],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/ultimate-video-upscaler",
        kind: Kind::Upscale,
        sizes: &[
            ("720p", Some(0.1)),
            ("1080p", Some(0.15)),
            ("2k", Some(0.25)),
            ("4k", Some(0.4)),
        ],
        sends: &[],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/seedvr2/video",
        kind: Kind::Upscale,
        sizes: &[
            ("720p", Some(0.1)),
            ("1080p", Some(0.2)),
            ("2k", Some(0.25)),
            ("4k", Some(0.3)),
        ],
        sends: &[],
        adds: (&[], &[]),
    },
    Documented {
        id: "wavespeed-ai/flashvsr",
        kind: Kind::Upscale,
        sizes: &[
            ("720p", Some(0.06)),
            ("1080p", Some(0.09)),
            ("2k", Some(0.12)),
            ("4k", Some(0.16)),
        ],
        sends: &[],
        adds: (&[], &[]),
    },
    Documented {
        id: "bytedance/video-upscaler",
        kind: Kind::Upscale,
        sizes: &[
            ("1080p", Some(0.036)),
            ("2k", Some(0.072)),
            ("4k", Some(0.144)),
        ],
        sends: &[],
        adds: (&[], &[]),
    },
    Documented {
        id: "bria/fibo/video-upscaler",
        kind: Kind::Upscale,
        sizes: &[("2k", None), ("4k", None)],
        sends: &[],
        adds: (&[], &[]),
    },
];
