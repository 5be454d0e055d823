//! The models the sandbox knows, with the parameters their pages document.

use serde_json::{Value, json};
use url::Url;

use crate::job::Kind;

/// A model of the stand-in.
#[derive(Debug)]
pub(super) struct CatalogModel {
    pub(super) id: &'static str,
    pub(super) kind: Kind,
    /// US dollars for a second of video, by size; the last one where no size is said.
    rates: &'static [(&'static str, f64)],
    /// The source's seconds are billed besides the new ones.
    pub(super) bills_source: bool,
    /// Seconds that are billed at least.
    pub(super) least_s: u32,
    /// `duration` is that of the whole video, not of the new part.
    pub(super) whole: bool,
    parameters: &'static [Parameter],
}

/// Name, whether it has to be there, and what may stand there.
type Parameter = (&'static str, bool, Shape);

#[derive(Debug, Clone, Copy)]
enum Shape {
    Address,
    Text,
    Flag,
    OneOf(&'static [&'static str]),
    Whole(i64, i64),
    NumberOf(&'static [i64]),
}

use Shape::{Address, Flag, NumberOf, OneOf, Text, Whole};

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
pub(super) const SEGMENT: &str = "sandbox/segment-extend";

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

const CATALOG: &[CatalogModel] = &[
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

/// A parameter at fault: the business code (1400 missing, 1401 invalid) and the words.
pub(super) type Invalid = (i64, String);

pub(super) fn find(id: &str) -> Option<&'static CatalogModel> {
    CATALOG.iter().find(|model| model.id == id)
}

/// What `GET /models` answers with while nothing has drifted.
pub(super) fn listing() -> Vec<Value> {
    CATALOG.iter().map(CatalogModel::listed).collect()
}

impl CatalogModel {
    fn listed(&self) -> Value {
        let required: Vec<_> = self
            .parameters
            .iter()
            .filter(|(_, required, _)| *required)
            .map(|(name, ..)| *name)
            .collect();
        let properties: serde_json::Map<_, _> = self
            .parameters
            .iter()
            .map(|(name, _, shape)| ((*name).to_owned(), shape.schema()))
            .collect();
        json!({
            "model_id": self.id,
            "name": self.id,
            "description": "made on this machine",
            "type": "video-to-video",
            "base_price": self.usual_rate() * 5.0,
            "formula": self.formula(),
            "api_schema": {"api_schemas": [{
                "type": "model_run",
                "method": "POST",
                "api_path": format!("/api/v3/{}", self.id),
                "request_schema": {
                    "type": "object", "properties": properties, "required": required,
                },
            }]},
        })
    }

    fn usual_rate(&self) -> f64 {
        self.rates.last().map_or(0.0, |(_, rate)| *rate)
    }

    fn size_parameter(&self) -> &'static str {
        match self.kind {
            Kind::Upscale => "target_resolution",
            Kind::CharacterReplace | Kind::Extend => "resolution",
        }
    }

    /// US dollars for `video_s` seconds of input.
    pub(super) fn price(&self, inputs: &Value, video_s: f64) -> f64 {
        let size = inputs[self.size_parameter()].as_str();
        let rate = self
            .rates
            .iter()
            .find(|(name, _)| Some(*name) == size)
            .map_or(self.usual_rate(), |(_, rate)| *rate);
        let seconds = match self.kind {
            Kind::Extend => {
                let source = if self.bills_source { video_s } else { 0.0 };
                inputs["duration"].as_f64().unwrap_or(5.0) + source
            }
            Kind::CharacterReplace | Kind::Upscale => video_s,
        };
        rate * seconds.max(f64::from(self.least_s))
    }

    /// The same, as the catalogue words it: in millionths of a dollar.
    fn formula(&self) -> String {
        let size = self.size_parameter();
        let millionths = |rate: f64| (rate * 1e6).round();
        let mut rate = "base_price / 5".to_owned();
        for (name, dollars) in self.rates.iter().rev().skip(1) {
            rate = format!("({size} = \"{name}\" ? {} : {rate})", millionths(*dollars));
        }
        let seconds = match self.kind {
            Kind::Extend if self.bills_source => "(get_duration_v3(video) + duration)".to_owned(),
            Kind::Extend => "duration".to_owned(),
            Kind::CharacterReplace | Kind::Upscale => {
                format!("$max([{}, get_duration_v3(video)])", self.least_s)
            }
        };
        format!("{{\"total_price\": {rate} * {seconds}}}")
    }

    /// Checks a body; parameters nobody documents are let through, as far as is known.
    pub(super) fn check(&self, body: &Value) -> Result<(), Invalid> {
        if !body.is_object() {
            return Err((1401, "The request body must be a JSON object.".into()));
        }
        for (name, required, _) in self.parameters {
            if *required && body[*name].is_null() {
                return Err((1400, format!("Missing required parameter: {name}.")));
            }
        }
        for (name, _, shape) in self.parameters {
            let value = &body[*name];
            if !value.is_null() && !shape.admits(value) {
                return Err((1401, format!("Invalid parameter: {name}.")));
            }
        }
        Ok(())
    }
}

impl Shape {
    fn admits(self, value: &Value) -> bool {
        match self {
            Address => value
                .as_str()
                .and_then(|text| Url::parse(text).ok())
                .is_some_and(|url| matches!(url.scheme(), "http" | "https")),
            Text => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Flag => value.is_boolean(),
            OneOf(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
            Whole(least, most) => value
                .as_i64()
                .is_some_and(|number| (least..=most).contains(&number)),
            NumberOf(choices) => value
                .as_i64()
                .is_some_and(|number| choices.contains(&number)),
        }
    }

    fn schema(self) -> Value {
        match self {
            Address => json!({"type": "string", "format": "uri"}),
            Text => json!({"type": "string"}),
            Flag => json!({"type": "boolean"}),
            OneOf(choices) => json!({"type": "string", "enum": choices}),
            Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            NumberOf(choices) => json!({"type": "integer", "enum": choices}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked_as_documented() {
        let animate = find("wavespeed-ai/wan-2.2/animate").expect("known");
        let good = json!({"image": "https://a.example/i.png", "video": "https://a.example/v.mp4",
            "mode": "replace", "resolution": "720p", "seed": -1});
        assert_eq!(animate.check(&good), Ok(()));
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            animate.check(&body).map_err(|(code, _)| code)
        };
        assert_eq!(with("image", Value::Null), Err(1400));
        assert_eq!(with("video", json!("file:///etc/passwd")), Err(1401));
        assert_eq!(with("mode", json!("swap")), Err(1401));
        assert_eq!(with("resolution", json!("1080p")), Err(1401));
        assert_eq!(with("seed", json!("7")), Err(1401));
        assert_eq!(with("sparkle", json!(true)), Ok(()));
        assert_eq!(
            animate.check(&json!([])).map_err(|(code, _)| code),
            Err(1401)
        );
        assert!(find("wavespeed-ai/wan-9/animate").is_none());
    }
}
