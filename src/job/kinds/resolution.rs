//! Named picture sizes.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

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
    #[serde(rename = "540p")]
    #[strum(serialize = "540p")]
    P540,
    #[serde(rename = "720p")]
    #[strum(serialize = "720p")]
    P720,
    #[serde(rename = "768p")]
    #[strum(serialize = "768p")]
    P768,
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
            Self::P540 => 540,
            Self::P720 => 720,
            Self::P768 => 768,
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
