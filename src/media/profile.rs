//! Encoding profiles: built in, or defined in the configuration.

use serde::{Deserialize, Serialize};

/// A named set of encoding settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name users choose it by. In a settings file the table's name, hence
    /// not demanded there.
    #[serde(default)]
    pub name: String,
    /// Video settings.
    #[serde(default)]
    pub video: VideoSettings,
    /// Audio settings.
    #[serde(default)]
    pub audio: AudioSettings,
}

/// H.264 settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VideoSettings {
    /// Constant rate factor of x264: 1 to 51; lower is better. Below 1 x264 is
    /// lossless, in a profile of H.264 that browsers do not play.
    pub crf: f32,
    /// x264's preset, `ultrafast` to `veryslow`.
    pub preset: Preset,
    /// Peak bits per second. An H.264 source below it may be copied.
    pub max_rate: Option<u64>,
    /// Longest allowed short side in pixels; larger videos are scaled down.
    /// (The height of a landscape video, the width of a portrait one.)
    pub max_height: Option<u32>,
    /// Highest frame rate; faster videos lose frames.
    pub max_fps: Option<f64>,
}

impl VideoSettings {
    /// What `crf` may be: below 1 x264 is lossless, 51 is the coarsest it knows.
    pub(crate) fn crf_is_usable(&self) -> bool {
        (1.0..=51.0).contains(&self.crf)
    }
}

impl Default for VideoSettings {
    fn default() -> Self {
        Self {
            crf: 21.0,
            preset: Preset::Medium,
            max_rate: None,
            max_height: None,
            max_fps: None,
        }
    }
}

/// x264's speed against size.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs, reason = "x264's own names")]
pub enum Preset {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    Veryslow,
}

impl Preset {
    /// The name x264 knows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// AAC settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioSettings {
    /// Bits per second for stereo; mono gets half, more channels more.
    pub bit_rate: u64,
    /// Samples per second.
    pub sample_rate: u32,
    /// More channels than this are mixed down.
    pub max_channels: u32,
}

impl Default for AudioSettings {
    fn default() -> Self {
        Self {
            bit_rate: 160_000,
            sample_rate: 48_000,
            max_channels: 2,
        }
    }
}

impl Profile {
    /// The names of the built-in profiles.
    pub const BUILTIN: [&str; 3] = ["web", "small", "archive"];

    /// A built-in profile.
    ///
    /// - `web`: what a browser plays at once, visually close to the source.
    /// - `small`: for phones and messengers, 720 lines and 30 frames at most.
    /// - `archive`: near transparent; surround sound is kept.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let (video, audio) = match name {
            "web" => (
                VideoSettings {
                    crf: 21.0,
                    preset: Preset::Medium,
                    max_rate: Some(12_000_000),
                    max_height: None,
                    max_fps: Some(60.0),
                },
                AudioSettings::default(),
            ),
            "small" => (
                VideoSettings {
                    crf: 26.0,
                    preset: Preset::Medium,
                    max_rate: Some(2_500_000),
                    max_height: Some(720),
                    max_fps: Some(30.0),
                },
                AudioSettings {
                    bit_rate: 96_000,
                    ..AudioSettings::default()
                },
            ),
            "archive" => (
                VideoSettings {
                    crf: 16.0,
                    preset: Preset::Slow,
                    max_rate: None,
                    max_height: None,
                    max_fps: None,
                },
                AudioSettings {
                    bit_rate: 256_000,
                    max_channels: 8,
                    ..AudioSettings::default()
                },
            ),
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            video,
            audio,
        })
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            name: "web".to_owned(),
            video: VideoSettings {
                max_rate: Some(12_000_000),
                max_fps: Some(60.0),
                ..VideoSettings::default()
            },
            audio: AudioSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_a_settings_file_needs_no_name() {
        let profile: Profile = toml::from_str("[video]\ncrf = 30.0\n").unwrap();
        assert_eq!((profile.name.as_str(), profile.video.crf), ("", 30.0));
    }

    #[test]
    fn quality_has_bounds() {
        let usable = |crf| {
            VideoSettings {
                crf,
                ..VideoSettings::default()
            }
            .crf_is_usable()
        };
        assert!(usable(1.0) && usable(51.0));
        for crf in [0.0, 0.99, 51.5, f32::NAN, f32::INFINITY] {
            assert!(!usable(crf), "{crf}");
        }
    }

    #[test]
    fn builtin_profiles_exist_and_the_default_is_web() {
        for name in Profile::BUILTIN {
            assert_eq!(
                Profile::builtin(name).map(|p| p.name).as_deref(),
                Some(name)
            );
        }
        assert_eq!(Profile::builtin("web"), Some(Profile::default()));
        assert_eq!(Profile::builtin("nope"), None);
    }
}
