//! Encoding profiles: built in, or defined in the configuration.

use std::ops::RangeInclusive;

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
    /// Whether every frame of the result is decoded again; left out, the
    /// service's `verify.full_decode` says so.
    #[serde(default)]
    pub full_decode: Option<bool>,
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
    /// What becomes of interlaced frames.
    pub deinterlace: Deinterlace,
    /// What transparent parts are laid on: a result has no transparency.
    pub background: Background,
}

/// A colour under transparent parts.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs, reason = "colours need no words")]
pub enum Background {
    #[default]
    White,
    Black,
}

/// What becomes of frames whose lines are of two moments. Progressive frames are left alone.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Deinterlace {
    /// Each becomes one progressive frame.
    #[default]
    Auto,
    /// They stay as they are: fine lines show combs where something moves.
    Off,
    /// Each of its two fields becomes a frame: twice the rate, motion as smooth as it was.
    Double,
}

impl VideoSettings {
    /// Below 1 x264 is lossless, 51 is the coarsest it knows.
    pub const CRF: RangeInclusive<f32> = 1.0..=51.0;
    /// Below, no picture is recognisable; above, no link carries it.
    pub const MAX_RATE: RangeInclusive<u64> = 100_000..=1_000_000_000;
    pub const MAX_HEIGHT: RangeInclusive<u32> = 64..=8192;
    pub const MAX_FPS: RangeInclusive<f64> = 1.0..=240.0;

    pub(crate) fn crf_is_usable(&self) -> bool {
        Self::CRF.contains(&self.crf)
    }
}

impl AudioSettings {
    pub const BIT_RATE: RangeInclusive<u64> = 16_000..=512_000;
    /// AAC knows lower ones and higher ones; these are what players do well.
    pub const SAMPLE_RATES: [u32; 6] = [16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
    pub const MAX_CHANNELS: RangeInclusive<u32> = 1..=8;
}

impl Default for VideoSettings {
    fn default() -> Self {
        Self {
            crf: 21.0,
            preset: Preset::Medium,
            max_rate: None,
            max_height: None,
            max_fps: None,
            deinterlace: Deinterlace::Auto,
            background: Background::White,
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
    strum::EnumIter,
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

fn between<T: std::fmt::Display>(range: &RangeInclusive<T>, unit: &str) -> String {
    format!(
        "must lie between {} and {}{unit}",
        range.start(),
        range.end()
    )
}

impl Profile {
    /// The same without its caps on size and frame rate: what was paid to be
    /// larger is not made smaller again.
    #[must_use]
    pub fn uncapped(mut self) -> Self {
        self.video.max_height = None;
        self.video.max_fps = None;
        self
    }

    /// What is wrong with it: fields as settings name them, and the end of a
    /// sentence about each.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut check = |field, fits: bool, must: String| {
            if !fits {
                faults.push((field, must));
            }
        };
        let (video, audio) = (&self.video, &self.audio);
        check(
            "video.crf",
            video.crf_is_usable(),
            between(&VideoSettings::CRF, ""),
        );
        let fits = video
            .max_rate
            .is_none_or(|rate| VideoSettings::MAX_RATE.contains(&rate));
        let per_second = " bits per second";
        check(
            "video.max_rate",
            fits,
            between(&VideoSettings::MAX_RATE, per_second),
        );
        let fits = video
            .max_height
            .is_none_or(|lines| VideoSettings::MAX_HEIGHT.contains(&lines));
        check(
            "video.max_height",
            fits,
            between(&VideoSettings::MAX_HEIGHT, " pixels"),
        );
        let fits = video
            .max_fps
            .is_none_or(|fps| VideoSettings::MAX_FPS.contains(&fps));
        check("video.max_fps", fits, between(&VideoSettings::MAX_FPS, ""));
        check(
            "audio.bit_rate",
            AudioSettings::BIT_RATE.contains(&audio.bit_rate),
            between(&AudioSettings::BIT_RATE, per_second),
        );
        check(
            "audio.sample_rate",
            AudioSettings::SAMPLE_RATES.contains(&audio.sample_rate),
            "must be 16000, 22050, 24000, 32000, 44100 or 48000".to_owned(),
        );
        check(
            "audio.max_channels",
            AudioSettings::MAX_CHANNELS.contains(&audio.max_channels),
            between(&AudioSettings::MAX_CHANNELS, ""),
        );
        faults
    }

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
                    deinterlace: Deinterlace::Auto,
                    background: Background::White,
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
                    deinterlace: Deinterlace::Auto,
                    background: Background::White,
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
                    deinterlace: Deinterlace::Auto,
                    background: Background::White,
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
            full_decode: None,
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
            full_decode: None,
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
