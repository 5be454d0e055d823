//! `[watermark]`, `[profiles]`, `[verify]` and `[limits]`: what results look like, and what inputs
//! may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::reader::Reader;
use crate::media::{AudioSettings, Checks, MAX_LAYERS, Placement, Profile, VideoSettings};

/// One layer of the operator's watermark.
#[derive(Debug, Clone)]
pub struct Watermark {
    pub image: PathBuf,
    pub placement: Placement,
}

/// What a layer may say.
const LAYER: [&str; 10] = [
    "image",
    "anchor",
    "scale",
    "offset_x",
    "offset_y",
    "opacity",
    "from_ms",
    "until_ms",
    "fade_in_ms",
    "fade_out_ms",
];

/// One layer as `[watermark]`, or several as `[[watermark.layers]]`.
pub(super) fn watermark(r: &mut Reader) -> Vec<Watermark> {
    let single = layer(r, "watermark");
    let Some(listed) = r.items("watermark.layers") else {
        return single.into_iter().collect();
    };
    if single.is_some() {
        r.fault(
            "watermark.layers",
            "stands beside watermark.image; write one or the other",
        );
    }
    if listed > MAX_LAYERS {
        r.fault(
            "watermark.layers",
            format!("has more than {MAX_LAYERS} layers"),
        );
    }
    let mut layers = Vec::new();
    for index in 0..listed.min(MAX_LAYERS) {
        let key = format!("watermark.layers[{index}]");
        for name in r.tables(&key) {
            if !LAYER.contains(&name.as_str()) {
                r.fault(&format!("{key}.{name}"), "is not a setting");
            }
        }
        match layer(r, &key) {
            Some(layer) => layers.push(layer),
            None if r.has(&format!("{key}.image")) => {}
            None => r.fault(&format!("{key}.image"), "is required"),
        }
    }
    layers
}

fn layer(r: &mut Reader, at: &str) -> Option<Watermark> {
    let key = |name: &str| format!("{at}.{name}");
    let default = Placement::default();
    let image: Option<PathBuf> = r.get(&key("image"));
    let before = r.count();
    let placement = Placement {
        anchor: r.parse(&key("anchor")).unwrap_or(default.anchor),
        size: r.parse(&key("scale")).unwrap_or(default.size),
        offset_x: r.parse(&key("offset_x")).unwrap_or(default.offset_x),
        offset_y: r.parse(&key("offset_y")).unwrap_or(default.offset_y),
        opacity: r.get_or(&key("opacity"), default.opacity),
        from_ms: r.get_or(&key("from_ms"), default.from_ms),
        until_ms: r.get(&key("until_ms")),
        fade_in_ms: r.get_or(&key("fade_in_ms"), default.fade_in_ms),
        fade_out_ms: r.get_or(&key("fade_out_ms"), default.fade_out_ms),
    };
    if r.count() == before {
        for (field, why) in placement.faults() {
            r.fault(&key(field), why);
        }
    }
    let image = image?;
    if !image.is_file() {
        r.fault(&key("image"), format!("{} is not a file", image.display()));
    }
    Some(Watermark { image, placement })
}

/// The built-in profiles, and those of the file in their place or beside them. What a built-in one
/// of the file leaves out stays as it is.
pub(super) fn profiles(r: &mut Reader) -> BTreeMap<String, Profile> {
    let mut profiles: BTreeMap<String, Profile> = Profile::BUILTIN
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Profile::builtin(name)?)))
        .collect();
    for name in r.tables("profiles") {
        let base = Profile::builtin(&name).unwrap_or_else(|| Profile {
            name: name.clone(),
            video: VideoSettings::default(),
            audio: AudioSettings::default(),
            full_decode: None,
        });
        let profile = profile(r, &format!("profiles.{name}"), base);
        profiles.insert(name, profile);
    }
    profiles
}

fn profile(r: &mut Reader, at: &str, base: Profile) -> Profile {
    let key = |name: &str| format!("{at}.{name}");
    // The table's name counts; a file may repeat it.
    let _: Option<String> = r.get(&key("name"));
    let before = r.count();
    let (video, audio) = (base.video, base.audio);
    let profile = Profile {
        name: base.name,
        video: VideoSettings {
            crf: r.get_or(&key("video.crf"), video.crf),
            preset: r.parse(&key("video.preset")).unwrap_or(video.preset),
            max_rate: r.get(&key("video.max_rate")).or(video.max_rate),
            max_height: r.get(&key("video.max_height")).or(video.max_height),
            max_fps: r.get(&key("video.max_fps")).or(video.max_fps),
            deinterlace: r
                .parse(&key("video.deinterlace"))
                .unwrap_or(video.deinterlace),
            background: r
                .parse(&key("video.background"))
                .unwrap_or(video.background),
        },
        audio: AudioSettings {
            bit_rate: r.get_or(&key("audio.bit_rate"), audio.bit_rate),
            sample_rate: r.get_or(&key("audio.sample_rate"), audio.sample_rate),
            max_channels: r.get_or(&key("audio.max_channels"), audio.max_channels),
        },
        full_decode: r.get(&key("full_decode")),
    };
    if r.count() == before {
        for (field, why) in profile.faults() {
            r.fault(&key(field), why);
        }
    }
    profile
}

/// What is verified besides what always is.
#[derive(Debug, Clone)]
pub struct Verify {
    pub checks: Checks,
    /// Whether sound that is digital silence counts as sound the provider dropped.
    pub audible: bool,
}

impl Verify {
    /// As a profile wants it.
    #[must_use]
    pub fn checks_of(&self, profile: &Profile) -> Checks {
        Checks {
            full_decode: profile.full_decode.unwrap_or(self.checks.full_decode),
            ..self.checks.clone()
        }
    }
}

pub(super) fn verify(r: &mut Reader) -> Verify {
    let verify = Verify {
        checks: Checks {
            full_decode: r.get_or("verify.full_decode", false),
            max_black_ms: r.get("verify.max_black_ms"),
            max_frozen_ms: r.get("verify.max_frozen_ms"),
        },
        audible: r.get_or("verify.audible", true),
    };
    // A cut or two identical frames are no fault of anybody's.
    for (key, most) in [
        ("verify.max_black_ms", verify.checks.max_black_ms),
        ("verify.max_frozen_ms", verify.checks.max_frozen_ms),
    ] {
        if most.is_some_and(|most| most < 100) {
            r.fault(key, "must be at least 100");
        }
    }
    verify
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Sources};
    use crate::media::{Anchor, Length};

    /// A logo and a file of settings that may name it `{logo}`.
    fn load(settings: &str) -> Result<Config, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let logo = dir.path().join("logo.png");
        std::fs::write(&logo, "a logo").unwrap();
        let file = dir.path().join("filmlab.toml");
        std::fs::write(&file, settings.replace("{logo}", logo.to_str().unwrap())).unwrap();
        Config::load(&Sources {
            file: Some(file),
            ..Sources::default()
        })
        .map_err(|faults| faults.into_iter().map(|fault| fault.key).collect())
    }

    #[test]
    fn a_watermark_is_one_layer_or_a_list() {
        let one = load("[watermark]\nimage = '{logo}'\nanchor = 'top'\noffset_x = '8px'").unwrap();
        assert_eq!(one.watermark.len(), 1);
        let placement = &one.watermark[0].placement;
        assert_eq!(
            (placement.anchor, placement.offset_x),
            (Anchor::Top, Length::Pixels(8.0))
        );
        let two = load(
            "[[watermark.layers]]\nimage = '{logo}'\nscale = '9%'\n\
             [[watermark.layers]]\nimage = '{logo}'\nfrom_ms = 500\nuntil_ms = 900\nfade_in_ms = 100",
        )
        .unwrap();
        assert_eq!(two.watermark[0].placement.size, Length::Percent(9.0));
        let second = &two.watermark[1].placement;
        assert_eq!(
            (second.from_ms, second.until_ms, second.fade_in_ms),
            (500, Some(900), 100)
        );
        assert!(load("").unwrap().watermark.is_empty());
    }

    #[test]
    fn a_profile_of_the_file_stands_beside_or_in_place_of_a_built_in_one() {
        let config = load(
            "[profiles.web.video]\ncrf = 30\n\
             [profiles.tiny]\nfull_decode = true\nvideo = { max_height = 240, preset = 'fast' }\n\
             [profiles.tiny.audio]\nsample_rate = 44100\nmax_channels = 1\n\
             [verify]\nmax_black_ms = 900\n",
        )
        .unwrap();
        let web = &config.profiles["web"];
        assert_eq!(
            (web.video.crf, web.video.max_rate),
            (30.0, Some(12_000_000))
        );
        let tiny = &config.profiles["tiny"];
        assert_eq!(
            (tiny.name.as_str(), tiny.video.max_height),
            ("tiny", Some(240))
        );
        assert_eq!(
            (tiny.audio.sample_rate, tiny.audio.max_channels),
            (44_100, 1)
        );
        assert_eq!(tiny.video.max_rate, None);
        let checks = |name: &str| config.verify.checks_of(&config.profiles[name]);
        assert!(checks("tiny").full_decode && !checks("small").full_decode);
        assert_eq!(checks("tiny").max_black_ms, Some(900));
        assert!(config.verify.audible);
    }

    #[test]
    fn every_fault_of_every_profile_is_told_at_once() {
        let mut faults = load(
            "[profiles.a.video]\ncrf = 0\nmax_height = 1\nmax_fps = 0.5\nmax_rate = 10\n\
             [profiles.a.audio]\nbit_rate = 1\nsample_rate = 47999\nmax_channels = 9\n\
             [profiles.b.video]\npreset = 'best'\ncrf = 'low'\nbitrate = 1\n\
             [profiles.b]\nformat = 'webm'\n\
             [verify]\nmax_black_ms = 1\nmax_frozen_ms = -1\nsilence = true\n",
        )
        .unwrap_err();
        faults.sort();
        assert_eq!(
            faults,
            [
                "profiles.a.audio.bit_rate",
                "profiles.a.audio.max_channels",
                "profiles.a.audio.sample_rate",
                "profiles.a.video.crf",
                "profiles.a.video.max_fps",
                "profiles.a.video.max_height",
                "profiles.a.video.max_rate",
                "profiles.b.format",
                "profiles.b.video.bitrate",
                "profiles.b.video.crf",
                "profiles.b.video.preset",
                "verify.max_black_ms",
                "verify.max_frozen_ms",
                "verify.silence",
            ]
        );
    }

    #[test]
    fn every_fault_of_every_layer_is_told_at_once() {
        let mut faults = load(
            "[watermark]\nimage = '{logo}'\n\
             [[watermark.layers]]\nimage = 'gone.png'\nanchor = 'middle'\nopacity = 0.5\n\
             [[watermark.layers]]\nimage = '{logo}'\nopacity = 7\nscale = '0%'\n\
             [[watermark.layers]]\ncolour = 'red'\nfrom_ms = 9\nuntil_ms = 9\n",
        )
        .unwrap_err();
        faults.sort();
        assert_eq!(
            faults,
            [
                "watermark.layers",
                "watermark.layers[0].anchor",
                "watermark.layers[0].image",
                "watermark.layers[1].opacity",
                "watermark.layers[1].scale",
                "watermark.layers[2].colour",
                "watermark.layers[2].image",
                "watermark.layers[2].until_ms",
            ]
        );
    }
}
