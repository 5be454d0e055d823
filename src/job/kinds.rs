//! What can be asked for. One file a kind; its row in the provider's model table says who makes it.

mod character_replace;
mod extend;
mod prompt;
mod resolution;
mod seed;
mod upscale;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

use crate::fields::{Described, Fault, Object};
pub use character_replace::{CharacterReplace, RESOLUTIONS as CHARACTER_REPLACE_RESOLUTIONS};
pub use extend::{Extend, RESOLUTIONS as EXTEND_RESOLUTIONS, SECONDS as EXTEND_SECONDS};
pub use resolution::Resolution;
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

    /// Whether it needs a picture besides the video; others have no use for one.
    #[must_use]
    pub fn needs_image(self) -> bool {
        match self {
            Self::CharacterReplace => true,
            Self::Extend | Self::Upscale => false,
        }
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

    /// Reads the parameters of `kind`; gives every fault, not only the first.
    pub fn parse(kind: Kind, value: &Value) -> Result<Self, Vec<Fault>> {
        const AT: &str = "params";
        let mut faults = Vec::new();
        let given = match value {
            Value::Null => None,
            given => Object::read(given, AT, &mut faults),
        };
        let given = given.unwrap_or_else(|| Object::none(AT));
        let params = match kind {
            Kind::CharacterReplace => {
                Self::CharacterReplace(CharacterReplace::read(given, &mut faults))
            }
            Kind::Extend => Self::Extend(Extend::read(given, &mut faults)),
            Kind::Upscale => Self::Upscale(Upscale::read(given, &mut faults)),
        };
        let otherwise = "is not a parameter of this kind";
        given.only(Self::fields(kind), otherwise, &mut faults);
        if faults.is_empty() {
            Ok(params)
        } else {
            Err(faults)
        }
    }

    /// The parameters that a kind has.
    #[must_use]
    pub fn fields(kind: Kind) -> &'static [&'static dyn Described] {
        match kind {
            Kind::CharacterReplace => character_replace::FIELDS,
            Kind::Extend => extend::FIELDS,
            Kind::Upscale => upscale::FIELDS,
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
