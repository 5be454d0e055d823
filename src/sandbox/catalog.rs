//! The models the sandbox knows, with the parameters their pages document.

use serde_json::{Value, json};
use url::Url;

use crate::job::Kind;

/// A model of the stand-in.
#[derive(Debug)]
pub(super) struct CatalogModel {
    pub(super) id: &'static str,
    pub(super) kind: Kind,
    /// US dollars for a second of video.
    pub(super) price: f64,
    /// `duration` is that of the whole video, not of the new part.
    pub(super) whole: bool,
    parameters: &'static [(&'static str, bool, Shape)],
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Address,
    Text,
    OneOf(&'static [&'static str]),
    Whole(i64, i64),
    NumberOf(&'static [i64]),
}

use Shape::{Address, NumberOf, OneOf, Text, Whole};

const SEED: (&str, bool, Shape) = ("seed", false, Whole(-1, 2_147_483_647));
const VIDEO: (&str, bool, Shape) = ("video", true, Address);
const PROMPT: (&str, bool, Shape) = ("prompt", true, Text);
const TARGETS: &[(&str, bool, Shape)] = &[
    VIDEO,
    (
        "target_resolution",
        false,
        OneOf(&["720p", "1080p", "2k", "4k"]),
    ),
];

const ANIMATE: &[(&str, bool, Shape)] = &[
    ("image", true, Address),
    VIDEO,
    ("prompt", false, Text),
    ("mode", false, OneOf(&["animate", "replace"])),
    ("resolution", false, OneOf(&["480p", "720p"])),
    SEED,
];

/// A model of the sandbox's own, which returns the new part only, as some do: the source has to
/// be put in front of it.
pub(super) const SEGMENT: &str = "sandbox/segment-extend";

const CATALOG: &[CatalogModel] = &[
    CatalogModel {
        id: "wavespeed-ai/wan-2.2/animate",
        kind: Kind::CharacterReplace,
        price: 0.08,
        whole: false,
        parameters: ANIMATE,
    },
    CatalogModel {
        id: "wavespeed-ai/scail-2",
        kind: Kind::CharacterReplace,
        price: 0.04,
        whole: false,
        parameters: ANIMATE,
    },
    CatalogModel {
        id: "wavespeed-ai/wan-2.1/mocha",
        kind: Kind::CharacterReplace,
        price: 0.08,
        whole: false,
        parameters: &[
            ("image", true, Address),
            VIDEO,
            ("prompt", false, Text),
            ("resolution", false, OneOf(&["480p", "720p"])),
            SEED,
        ],
    },
    CatalogModel {
        id: "wavespeed-ai/minimax-h3/video-extend",
        kind: Kind::Extend,
        price: 0.1,
        whole: false,
        parameters: &[
            PROMPT,
            VIDEO,
            ("last_image", false, Address),
            (
                "resolution",
                false,
                OneOf(&["480p", "540p", "768p", "1080p"]),
            ),
            ("duration", false, Whole(3, 15)),
        ],
    },
    CatalogModel {
        id: "alibaba/wan-2.6/video-extend",
        kind: Kind::Extend,
        price: 0.1,
        whole: false,
        parameters: &[
            PROMPT,
            VIDEO,
            ("negative_prompt", false, Text),
            ("audio", false, Address),
            ("resolution", false, OneOf(&["720p", "1080p"])),
            ("duration", false, NumberOf(&[5, 10, 15])),
        ],
    },
    CatalogModel {
        id: "alibaba/wan-2.7/video-extend",
        kind: Kind::Extend,
        price: 0.1,
        whole: true,
        parameters: &[
            PROMPT,
            VIDEO,
            ("resolution", false, OneOf(&["720p", "1080p"])),
            ("duration", false, Whole(2, 15)),
            SEED,
        ],
    },
    CatalogModel {
        id: "bytedance/seedance-2.0/video-extend",
        kind: Kind::Extend,
        price: 0.1,
        whole: false,
        parameters: &[
            PROMPT,
            VIDEO,
            ("last_image", false, Address),
            ("resolution", false, OneOf(&["480p", "720p", "1080p", "4k"])),
            ("duration", false, Whole(4, 15)),
        ],
    },
    CatalogModel {
        id: "bytedance/seedance-2.5/video-extend",
        kind: Kind::Extend,
        price: 0.2,
        whole: false,
        parameters: &[
            PROMPT,
            VIDEO,
            ("resolution", false, OneOf(&["480p", "720p", "1080p", "4k"])),
            ("duration", false, Whole(4, 30)),
        ],
    },
    CatalogModel {
        id: "alibaba/wan-2.5/video-extend",
        kind: Kind::Extend,
        price: 0.1,
        whole: false,
        parameters: &[
            PROMPT,
            VIDEO,
            ("resolution", false, OneOf(&["480p", "720p", "1080p"])),
            ("duration", false, Whole(3, 10)),
            SEED,
        ],
    },
    CatalogModel {
        id: SEGMENT,
        kind: Kind::Extend,
        price: 0.1,
        whole: false,
        parameters: &[
            PROMPT,
            VIDEO,
            ("resolution", false, OneOf(&["480p", "720p", "1080p"])),
            ("duration", false, Whole(1, 15)),
        ],
    },
    CatalogModel {
        id: "wavespeed-ai/video-upscaler",
        kind: Kind::Upscale,
        price: 0.01,
        whole: false,
        parameters: TARGETS,
    },
    CatalogModel {
        id: "wavespeed-ai/video-upscaler-pro",
        kind: Kind::Upscale,
        price: 0.05,
        whole: false,
        parameters: TARGETS,
    },
    CatalogModel {
        id: "wavespeed-ai/seedvr2/video",
        kind: Kind::Upscale,
        price: 0.02,
        whole: false,
        parameters: TARGETS,
    },
    CatalogModel {
        id: "wavespeed-ai/flashvsr",
        kind: Kind::Upscale,
        price: 0.02,
        whole: false,
        parameters: TARGETS,
    },
];

/// A parameter at fault: the business code (1400 missing, 1401 invalid) and the words.
pub(super) type Invalid = (i64, String);

pub(super) fn find(id: &str) -> Option<&'static CatalogModel> {
    CATALOG.iter().find(|model| model.id == id)
}

/// The answer to `GET /models`.
pub(super) fn listing() -> Value {
    CATALOG
        .iter()
        .map(|model| {
            let required: Vec<_> = model
                .parameters
                .iter()
                .filter(|(_, required, _)| *required)
                .map(|(name, ..)| *name)
                .collect();
            let properties: serde_json::Map<_, _> = model
                .parameters
                .iter()
                .map(|(name, _, shape)| ((*name).to_owned(), shape.schema()))
                .collect();
            json!({
                "model_id": model.id,
                "name": model.id,
                "description": "made on this machine",
                "type": model.kind.as_str(),
                "base_price": model.price,
                "formula": "",
                "api_schema": {"api_schemas": [{"request_schema": {
                    "properties": properties, "required": required,
                }}]},
            })
        })
        .collect()
}

impl CatalogModel {
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
