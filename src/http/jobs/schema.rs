//! What a creation's body must be, as JSON Schema: the same bounds that `request` and
//! `job::kinds` read by. A test holds the two together.

use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use super::request::{DEADLINE_S, MOST_MILLIS, MOST_PRICE};
use super::shape;
use crate::http::HttpSettings;
use crate::job::kinds::{
    CHARACTER_REPLACE_RESOLUTIONS, EXTEND_RESOLUTIONS, EXTEND_SECONDS, MAX_PROMPT_CHARS, SEEDS,
    UPSCALE_TARGETS,
};
use crate::job::{Kind, Resolution};
use crate::media::{Anchor, MAX_LAYERS};

/// Rust's `trim` takes these off (Unicode's White_Space); a prompt of nothing else is empty.
const NOT_BLANK: &str =
    "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

/// Schemas that are no type of ours, by name.
pub(in crate::http) fn schemas(settings: &HttpSettings) -> Vec<(&'static str, Value)> {
    let mut schemas = vec![
        ("NewJob", new_job()),
        ("NewOutput", output(settings)),
        ("NewWatermark", watermark()),
        ("NewNotify", notify(settings)),
        ("Input", input(settings)),
        ("RetryOptions", retry_options()),
        ("ReplayOptions", replay_options()),
        ("LinksOptions", links_options(settings)),
    ];
    schemas.extend(Kind::iter().map(|kind| (name_of(kind), new_job_of(kind))));
    schemas
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::CharacterReplace => "NewCharacterReplace",
        Kind::Extend => "NewExtend",
        Kind::Upscale => "NewUpscale",
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A field that may be left out, and then may be `null` as well.
fn optional(schema: Value) -> Value {
    let or = vec![schema, json!({"type": "null"})];
    json!({"anyOf": or})
}

fn new_job() -> Value {
    let kinds: Vec<Value> = Kind::iter().map(|kind| reference(name_of(kind))).collect();
    let mapping: serde_json::Map<String, Value> = Kind::iter()
        .map(|kind| {
            let place = format!("#/components/schemas/{}", name_of(kind));
            (kind.as_str().to_owned(), Value::from(place))
        })
        .collect();
    json!({
        "description": "A job as asked for. `null` says the same as leaving a field out.",
        "oneOf": kinds,
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    })
}

fn new_job_of(kind: Kind) -> Value {
    let mut required = vec!["kind", "source"];
    let params = params(kind);
    let params = if params["required"].is_array() {
        required.push("params");
        params
    } else {
        optional(params)
    };
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": {
            "kind": {"type": "string", "enum": [kind.as_str()]},
            "owner": optional(owner()),
            "params": params,
            "source": source(kind),
            "output": optional(reference("NewOutput")),
            "notify": optional(reference("NewNotify")),
            "deadline_s": deadline(),
            "max_price": max_price(),
            "tags": tags(),
        },
    })
}

fn deadline() -> Value {
    optional(json!({
        "type": "integer",
        "minimum": DEADLINE_S.start(),
        "maximum": DEADLINE_S.end(),
        "description": "Seconds from now after which the job fails if it has not ended. Default: \
                        `server.default_deadline`, two hours.",
    }))
}

fn max_price() -> Value {
    optional(json!({
        "type": "number",
        "minimum": 0,
        "maximum": MOST_PRICE,
        "description": "US dollars that the provider may be paid by its price list. A model that \
                        costs more, or has no listed price, is not asked.",
    }))
}

fn tags() -> Value {
    optional(json!({
        "type": "array",
        "maxItems": shape::MAX_TAGS,
        "uniqueItems": true,
        "items": {"type": "string", "pattern": shape::TAG_PATTERN},
        "description": "Words of yours, for lists and notices.",
    }))
}

fn retry_options() -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {"deadline_s": deadline()},
    })
}

fn links_options(settings: &HttpSettings) -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "ttl_s": optional(json!({
                "type": "integer",
                "minimum": 1,
                "maximum": settings.longest_link.as_secs(),
                "description": "Seconds that they open; `links.ttl` by default.",
            })),
        },
    })
}

fn replay_options() -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "round": optional(json!({
                "type": "integer",
                "minimum": 1,
                "maximum": u32::MAX,
                "description": "Which round's; the last one's by default.",
            })),
        },
    })
}

fn owner() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "pattern": "^[A-Za-z0-9_-]*$",
        "description": "Whose job it is. A token that belongs to an owner allows only that \
                        owner, and is the default; with an operator's token anybody.",
    })
}

fn source(kind: Kind) -> Value {
    let needs_image = kind == Kind::CharacterReplace;
    let (image, required) = if needs_image {
        (reference("Input"), json!(["video", "image"]))
    } else {
        (json!({"type": "null"}), json!(["video"]))
    };
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": {
            "video": reference("Input"),
            "image": image,
            "audio_track": optional(json!({
                "type": "string",
                "pattern": shape::AUDIO_TRACK,
                "description": "Which of the video's tracks of sound is put into the result: its \
                                number, from 1, or its language as the file writes it. Left out: \
                                what the provider returns, or the first that can be used.",
                "examples": ["2", "deu"],
            })),
        },
    })
}

fn params(kind: Kind) -> Value {
    match kind {
        Kind::CharacterReplace => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "prompt": optional(json!({
                    "type": "string",
                    "maxLength": MAX_PROMPT_CHARS,
                    "description": "What else is to be said to the model.",
                })),
                "resolution": resolution(CHARACTER_REPLACE_RESOLUTIONS, "Default 720p."),
                "seed": seed(),
            },
        }),
        Kind::Extend => json!({
            "type": "object",
            "required": ["prompt"],
            "additionalProperties": false,
            "properties": {
                "prompt": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_PROMPT_CHARS,
                    "pattern": NOT_BLANK,
                    "description": "How the video goes on; more than spaces.",
                },
                "seconds": optional(json!({
                    "type": "integer",
                    "minimum": EXTEND_SECONDS.start(),
                    "maximum": EXTEND_SECONDS.end(),
                    "description": "Length of the new part. Default 5. Models narrow this \
                                    further.",
                })),
                "resolution": resolution(EXTEND_RESOLUTIONS, "Default 720p."),
                "seed": seed(),
            },
        }),
        Kind::Upscale => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "target": resolution(UPSCALE_TARGETS, "Default 1080p."),
            },
        }),
    }
}

fn resolution(allowed: &[Resolution], about: &str) -> Value {
    let names: Vec<_> = allowed.iter().map(|one| one.as_str()).collect();
    optional(json!({"type": "string", "enum": names, "description": about}))
}

fn seed() -> Value {
    optional(json!({
        "type": "integer",
        "minimum": SEEDS.start(),
        "maximum": SEEDS.end(),
        "description": "-1, or left out: the provider chooses.",
    }))
}

fn input(settings: &HttpSettings) -> Value {
    json!({
        "type": "string",
        "maxLength": shape::MAX_ADDRESS_CHARS,
        "pattern": shape::input(settings.allow_loopback),
        "description": "An https address on the public internet without user name and \
                        password, or an upload of the job's owner as `POST /v1/sources` named it.",
        "examples": ["https://media.example.com/clip.mp4"],
    })
}

fn output(settings: &HttpSettings) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "profile": optional(json!({
                "type": "string",
                "enum": settings.profiles,
                "description": "How the result is compressed. Default `web`.",
            })),
            "watermark": {
                "anyOf": [
                    reference("NewWatermark"),
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_LAYERS,
                        "items": reference("NewWatermark"),
                    },
                    {"type": "null"},
                ],
                "description": "One layer, or several, drawn in order.",
            },
        },
    })
}

fn watermark() -> Value {
    let anchors: Vec<String> = Anchor::iter().map(|anchor| anchor.to_string()).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "A layer of the watermark. What is left out is the operator's own.",
        "properties": {
            "image": optional(reference("Input")),
            "anchor": optional(json!({"type": "string", "enum": anchors})),
            "scale": optional(json!({
                "type": "string",
                "pattern": shape::SCALE,
                "description": "Width of the mark: percent of the frame's short side (`15%`), \
                                or pixels of the result (`24px`, `24`).",
            })),
            "offset_x": offset("left or right"),
            "offset_y": offset("top or bottom"),
            "opacity": optional(json!({"type": "number", "minimum": 0, "maximum": 1})),
            "from_ms": millis(0, "Shown from here on, in milliseconds of the result."),
            "until_ms": millis(1, "Shown until before this, which lies behind `from_ms` by no \
                                   less than the fades take. Left out: to the end."),
            "fade_in_ms": millis(0, "Fades in over this time."),
            "fade_out_ms": millis(0, "Fades out over this time."),
        },
    })
}

fn offset(edge: &str) -> Value {
    optional(json!({
        "type": "string",
        "pattern": shape::OFFSET,
        "description": format!("Distance from the anchored {edge} edge, like `scale`."),
    }))
}

fn millis(least: u64, about: &str) -> Value {
    optional(json!({
        "type": "integer",
        "minimum": least,
        "maximum": MOST_MILLIS,
        "description": about,
    }))
}

fn notify(settings: &HttpSettings) -> Value {
    let absent = |name: &str| json!({"properties": {name: {"type": "null"}}});
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "Whom to tell when the job has ended; one way. Without it: the \
                        service's own webhook, if it has one.",
        "properties": {
            "webhook": optional(json!({
                "type": "string",
                "maxLength": shape::MAX_ADDRESS_CHARS,
                "pattern": shape::address(settings.allow_loopback),
                "description": "An https address on the public internet.",
            })),
            "fcm_token": optional(json!({
                "type": "string",
                "maxLength": shape::MAX_FCM_TOKEN_CHARS,
                "pattern": shape::FCM_TOKEN,
                "description": "A device's registration token of Firebase Cloud Messaging.",
            })),
        },
        "anyOf": [absent("webhook"), absent("fcm_token")],
    })
}
