//! What is made of the video.

use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use super::rules::{Rules, UNKNOWN};
use super::source::Input;
use crate::fields::{
    Bounds, Described, Fault, Field, Json, Names, Object, Real, Usual, Whole, object_schema,
};
use crate::http::jobs::shape;
use crate::http::jobs::texts::{Pattern, Words, reference};
use crate::job::{Output, WatermarkSpec};
use crate::media::{Anchor, MAX_LAYERS, MOST_LETTERS};

/// A day: no video is longer.
const MOST_MILLIS: u64 = 86_400_000;
/// More layers than anybody may have, and fewer than would fill an answer with faults.
const MOST_LAYERS_READ: usize = 32;

/// `output`.
pub(super) struct OutputForm<'a>(pub(super) Rules<'a>);

struct OutputFields<'a> {
    profile: Usual<Names>,
    watermark: Field<Layers<'a>>,
}

impl OutputFields<'_> {
    fn listed(&self) -> [&dyn Described; 2] {
        [&self.profile, &self.watermark]
    }
}

impl<'a> OutputForm<'a> {
    fn fields(&self) -> OutputFields<'a> {
        OutputFields {
            profile: Usual::new(
                "profile",
                Names(self.0.settings.profiles.clone()),
                Output::default().profile,
                "How the result is compressed.",
            ),
            watermark: Field::told(
                "watermark",
                Layers(self.0),
                "One layer, or several, drawn in order.",
            ),
        }
    }

    /// The schema that others refer to.
    pub(super) fn object(&self) -> Value {
        object_schema(&self.fields().listed())
    }
}

impl Json for OutputForm<'_> {
    type Value = Output;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Output> {
        let object = Object::read(value, at, faults)?;
        let fields = self.fields();
        object.only(&fields.listed(), UNKNOWN, faults);
        Some(Output {
            profile: object.usual(&fields.profile, faults),
            watermark: object.field(&fields.watermark, faults).unwrap_or_default(),
        })
    }

    fn schema(&self) -> Value {
        reference("NewOutput")
    }
}

/// One layer, or a list of them.
struct Layers<'a>(Rules<'a>);

impl Json for Layers<'_> {
    type Value = Vec<WatermarkSpec>;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self::Value> {
        let mut layers = Vec::new();
        let layer = Layer(self.0);
        match value {
            Value::Array(given) if given.is_empty() => {
                faults.push(Fault::new(at, "must have at least one layer"));
            }
            // How many there may be is said where they are judged; no more is read than would be told.
            Value::Array(given) => {
                let several = given.len() > 1;
                for (index, one) in given.iter().enumerate().take(MOST_LAYERS_READ) {
                    let at = if several {
                        format!("{at}[{index}]")
                    } else {
                        at.to_owned()
                    };
                    layers.extend(layer.read(one, &at, faults));
                }
            }
            one => layers.extend(layer.read(one, at, faults)),
        }
        Some(layers)
    }

    fn schema(&self) -> Value {
        json!({
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
        })
    }
}

/// A layer of the watermark.
pub(super) struct Layer<'a>(pub(super) Rules<'a>);

struct LayerFields<'a> {
    image: Field<Input<'a>>,
    text: Field<Words>,
    font: Field<Words>,
    size: Field<Pattern>,
    color: Field<Pattern>,
    stroke: Field<Pattern>,
    background: Field<Pattern>,
    anchor: Field<Names>,
    scale: Field<Pattern>,
    offset_x: Field<Pattern>,
    offset_y: Field<Pattern>,
    opacity: Field<Real<f64>>,
    from_ms: Field<Whole<u64>>,
    until_ms: Field<Whole<u64>>,
    fade_in_ms: Field<Whole<u64>>,
    fade_out_ms: Field<Whole<u64>>,
}

impl LayerFields<'_> {
    fn listed(&self) -> [&dyn Described; 16] {
        [
            &self.image,
            &self.text,
            &self.font,
            &self.size,
            &self.color,
            &self.stroke,
            &self.background,
            &self.anchor,
            &self.scale,
            &self.offset_x,
            &self.offset_y,
            &self.opacity,
            &self.from_ms,
            &self.until_ms,
            &self.fade_in_ms,
            &self.fade_out_ms,
        ]
    }
}

const LENGTH: &str = "must be a length like 15%, 24px or 24, up to 999.999% or 9999.999px";

const COLOR: Pattern = Pattern {
    pattern: shape::COLOR,
    fits: shape::fits_color,
    otherwise: "must be a colour like #fff, #ff8800 or #ff880080",
    examples: &[],
};
const PAINT: Pattern = Pattern {
    pattern: shape::PAINT,
    fits: shape::fits_paint,
    otherwise: "must be none, or a colour like #fff, #ff8800 or #ff880080",
    examples: &[],
};

fn offset(name: &'static str, about: &'static str) -> Field<Pattern> {
    let form = Pattern {
        pattern: shape::OFFSET,
        fits: shape::fits_offset,
        otherwise: LENGTH,
        examples: &[],
    };
    Field::optional(name, form, about)
}

fn millis(name: &'static str, least: u64, about: &'static str) -> Field<Whole<u64>> {
    Field::optional(name, Whole(Bounds::Within(least, MOST_MILLIS)), about)
}

impl<'a> Layer<'a> {
    fn fields(&self) -> LayerFields<'a> {
        let scale = Pattern {
            pattern: shape::SCALE,
            fits: shape::fits_scale,
            otherwise: LENGTH,
            examples: &[],
        };
        let anchors = Anchor::iter().map(|anchor| anchor.to_string()).collect();
        LayerFields {
            image: Field::optional("image", Input(self.0), ""),
            text: Field::optional(
                "text",
                Words(MOST_LETTERS),
                "One line of text in place of a picture, such as `@alice`.",
            ),
            font: Field::optional("font", Words(MOST_LETTERS), "Family of the text's font."),
            size: Field::optional(
                "size",
                Pattern {
                    pattern: shape::SIZE,
                    fits: shape::fits_size,
                    otherwise: "must be a size like 4%, 24px or 24, up to 100% or 9999.999px",
                    examples: &[],
                },
                "Height of the text's capital letters: percent of the frame's short side, or \
                 pixels of the result.",
            ),
            color: Field::optional("color", COLOR, "Of the text: `#rrggbb`, or `#rrggbbaa`."),
            stroke: Field::optional("stroke", PAINT, "Of a line around each letter, or `none`."),
            background: Field::optional(
                "background",
                PAINT,
                "Of a box behind the text, or `none`.",
            ),
            anchor: Field::optional("anchor", Names(anchors), ""),
            scale: Field::optional(
                "scale",
                scale,
                "Width of the mark: percent of the frame's short side (`15%`), or pixels of the \
                 result (`24px`, `24`).",
            ),
            offset_x: offset(
                "offset_x",
                "Distance from the anchored left or right edge, like `scale`.",
            ),
            offset_y: offset(
                "offset_y",
                "Distance from the anchored top or bottom edge, like `scale`.",
            ),
            opacity: Field::optional("opacity", Real(Bounds::Within(0.0, 1.0)), ""),
            from_ms: millis(
                "from_ms",
                0,
                "Shown from here on, in milliseconds of the result.",
            ),
            until_ms: millis(
                "until_ms",
                1,
                "Shown until before this, which lies behind `from_ms` by no less than the fades \
                 take. Left out: to the end.",
            ),
            fade_in_ms: millis("fade_in_ms", 0, "Fades in over this time."),
            fade_out_ms: millis("fade_out_ms", 0, "Fades out over this time."),
        }
    }

    /// The schema that others refer to.
    pub(super) fn object(&self) -> Value {
        let mut schema = object_schema(&self.fields().listed());
        schema["description"] =
            "A layer of the watermark. What is left out is the operator's own.".into();
        schema
    }
}

impl Json for Layer<'_> {
    type Value = WatermarkSpec;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<WatermarkSpec> {
        let object = Object::read(value, at, faults)?;
        let fields = self.fields();
        object.only(&fields.listed(), UNKNOWN, faults);
        let opacity = object.field(&fields.opacity, faults);
        Some(WatermarkSpec {
            image: object.field(&fields.image, faults),
            text: object.field(&fields.text, faults),
            font: object.field(&fields.font, faults),
            size: object.field(&fields.size, faults),
            color: object.field(&fields.color, faults),
            stroke: object.field(&fields.stroke, faults),
            background: object.field(&fields.background, faults),
            anchor: object.field(&fields.anchor, faults),
            scale: object.field(&fields.scale, faults),
            offset_x: object.field(&fields.offset_x, faults),
            offset_y: object.field(&fields.offset_y, faults),
            opacity: opacity.map(|opacity| opacity as f32),
            from_ms: object.field(&fields.from_ms, faults),
            until_ms: object.field(&fields.until_ms, faults),
            fade_in_ms: object.field(&fields.fade_in_ms, faults),
            fade_out_ms: object.field(&fields.fade_out_ms, faults),
        })
    }

    fn schema(&self) -> Value {
        reference("NewWatermark")
    }
}
