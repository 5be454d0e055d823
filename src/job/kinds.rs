//! What can be asked for. One file a kind; its row in the provider's model table says who makes it.

mod character_replace;
mod extend;
mod upscale;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

pub use character_replace::{CharacterReplace, RESOLUTIONS as CHARACTER_REPLACE_RESOLUTIONS};
pub use extend::{Extend, RESOLUTIONS as EXTEND_RESOLUTIONS, SECONDS as EXTEND_SECONDS};
pub use upscale::{TARGETS as UPSCALE_TARGETS, Upscale};

/// The kinds of job.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Put a character from a picture into a video.
    CharacterReplace,
    /// Continue a video.
    Extend,
    /// Raise a video's resolution.
    Upscale,
}

impl Kind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A kind with its parameters, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "params", rename_all = "snake_case")]
pub enum Params {
    CharacterReplace(CharacterReplace),
    Extend(Extend),
    Upscale(Upscale),
}

impl Params {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::CharacterReplace(_) => Kind::CharacterReplace,
            Self::Extend(_) => Kind::Extend,
            Self::Upscale(_) => Kind::Upscale,
        }
    }

    /// The resolution asked for, which the price depends on.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        match self {
            Self::CharacterReplace(params) => params.resolution,
            Self::Extend(params) => params.resolution,
            Self::Upscale(params) => params.target,
        }
    }

    /// Seconds of video the provider makes from a source of `source_s` seconds.
    #[must_use]
    pub fn billed_seconds(&self, source_s: f64) -> f64 {
        match self {
            Self::CharacterReplace(_) | Self::Upscale(_) => source_s,
            Self::Extend(params) => f64::from(params.seconds),
        }
    }

    /// Whether the kind needs a picture besides the video.
    #[must_use]
    pub fn needs_image(&self) -> bool {
        matches!(self, Self::CharacterReplace(_))
    }

    /// Reads the parameters of `kind`; gives every fault, not only the first.
    pub fn parse(kind: Kind, value: &Value) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of(value);
        let params = match kind {
            Kind::CharacterReplace => Self::CharacterReplace(CharacterReplace::read(&mut fields)),
            Kind::Extend => Self::Extend(Extend::read(&mut fields)),
            Kind::Upscale => Self::Upscale(Upscale::read(&mut fields)),
        };
        fields.finish().map(|()| params)
    }
}

/// Named picture sizes, as the provider's models name them.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
    ToSchema,
)]
pub enum Resolution {
    #[serde(rename = "480p")]
    #[strum(serialize = "480p")]
    P480,
    #[serde(rename = "720p")]
    #[strum(serialize = "720p")]
    P720,
    #[serde(rename = "1080p")]
    #[strum(serialize = "1080p")]
    P1080,
    #[serde(rename = "2k")]
    #[strum(serialize = "2k")]
    K2,
    #[serde(rename = "4k")]
    #[strum(serialize = "4k")]
    K4,
}

impl Resolution {
    /// Pixels of the short side: the height of a landscape video.
    #[must_use]
    pub fn short_side(self) -> u32 {
        match self {
            Self::P480 => 480,
            Self::P720 => 720,
            Self::P1080 => 1080,
            Self::K2 => 1440,
            Self::K4 => 2160,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One thing that is wrong with a request: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// The field, as a dotted path: `params.seconds`.
    pub field: String,
    pub message: String,
}

impl Fault {
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The provider's documented bounds for a seed; −1 lets it choose.
pub const SEEDS: std::ops::RangeInclusive<i64> = -1..=2_147_483_647;
/// No public limit is documented; this one keeps a job document far below Firestore's 1 MiB.
pub const MAX_PROMPT_CHARS: usize = 4_000;

/// A whole number, however it is written: JSON and its schemas know `5.0` and `5` as the same.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    /// From here on not every whole number is an `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() < EXACT)
            .map(|number| number as i64)
    })
}

/// Reads typed fields out of a JSON object and remembers every fault.
struct Fields<'a> {
    object: Option<&'a serde_json::Map<String, Value>>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value) -> Self {
        let mut faults = Vec::new();
        if !value.is_object() && !value.is_null() {
            faults.push(Fault::new("params", "must be an object"));
        }
        Self {
            object: value.as_object(),
            known: Vec::new(),
            faults,
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object
            .and_then(|object| object.get(name))
            .filter(|value| !value.is_null())
    }

    fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults
            .push(Fault::new(format!("params.{name}"), message));
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.take(name)?;
        match value.as_str() {
            Some(text) if text.chars().count() <= MAX_PROMPT_CHARS => {
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            }
            Some(_) => {
                self.fault(
                    name,
                    format!("must be at most {MAX_PROMPT_CHARS} characters"),
                );
                None
            }
            None => {
                self.fault(name, "must be text");
                None
            }
        }
    }

    fn required_text(&mut self, name: &'static str) -> String {
        let before = self.faults.len();
        let text = self.text(name);
        if text.is_none() && self.faults.len() == before {
            self.fault(name, "is required");
        }
        text.unwrap_or_default()
    }

    fn integer(
        &mut self,
        name: &'static str,
        allowed: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = self.take(name)?;
        match whole(value).filter(|number| allowed.contains(number)) {
            Some(number) => Some(number),
            None => {
                let message = format!(
                    "must be a whole number from {} to {}",
                    allowed.start(),
                    allowed.end()
                );
                self.fault(name, message);
                None
            }
        }
    }

    fn seed(&mut self) -> Option<i64> {
        self.integer("seed", SEEDS).filter(|seed| *seed >= 0)
    }

    fn resolution(
        &mut self,
        name: &'static str,
        allowed: &[Resolution],
        default: Resolution,
    ) -> Resolution {
        let Some(value) = self.take(name) else {
            return default;
        };
        let chosen = value.as_str().and_then(|text| text.parse().ok());
        match chosen.filter(|resolution| allowed.contains(resolution)) {
            Some(resolution) => resolution,
            None => {
                let names: Vec<_> = allowed
                    .iter()
                    .map(|resolution| resolution.as_str())
                    .collect();
                self.fault(name, format!("must be one of {}", names.join(", ")));
                default
            }
        }
    }

    fn finish(mut self) -> Result<(), Vec<Fault>> {
        // A misspelt parameter would otherwise be paid for and silently left out.
        let unknown: Vec<_> = self
            .object
            .iter()
            .flat_map(|object| object.keys())
            .filter(|name| !self.known.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in unknown {
            self.fault(&name, "is not a parameter of this kind");
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(self.faults)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_fault_is_reported_at_once() {
        let faults = Params::parse(
            Kind::Extend,
            &json!({"seconds": 99, "resolution": "8k", "colour": 1}),
        );
        let fields: Vec<_> = faults
            .unwrap_err()
            .into_iter()
            .map(|fault| fault.field)
            .collect();
        assert_eq!(
            fields,
            [
                "params.prompt",
                "params.seconds",
                "params.resolution",
                "params.colour"
            ]
        );
    }

    #[test]
    fn defaults_are_those_documented() {
        let Ok(Params::Upscale(upscale)) = Params::parse(Kind::Upscale, &Value::Null) else {
            panic!()
        };
        assert_eq!(upscale.target, Resolution::P1080);
        let Ok(Params::Extend(extend)) = Params::parse(Kind::Extend, &json!({"prompt": "on"}))
        else {
            panic!()
        };
        assert_eq!((extend.seconds, extend.resolution), (5, Resolution::P720));
    }

    #[test]
    fn a_stored_job_reads_back() {
        let params = Params::parse(Kind::CharacterReplace, &json!({"seed": 7})).unwrap();
        let text = serde_json::to_value(&params).unwrap();
        assert_eq!(text["kind"], "character_replace");
        assert_eq!(serde_json::from_value::<Params>(text).unwrap(), params);
    }
}
