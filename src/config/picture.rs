//! `[watermark]`, `[profiles]` and `[limits]`: what results look like, and what inputs may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Reader;
use crate::media::{Limits, MAX_LAYERS, Placement, Profile};

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

/// The built-in profiles, and those of the file in their place or beside them.
pub(super) fn profiles(r: &mut Reader) -> BTreeMap<String, Profile> {
    let mut profiles: BTreeMap<String, Profile> = ["web", "small", "archive"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Profile::builtin(name)?)))
        .collect();
    for name in r.tables("profiles") {
        let key = format!("profiles.{name}");
        if let Some(mut profile) = r.get::<Profile>(&key) {
            profile.name.clone_from(&name);
            if !profile.video.crf_is_usable() {
                r.fault(&format!("{key}.video.crf"), "must lie between 1 and 51");
            }
            profiles.insert(name, profile);
        }
    }
    profiles
}

pub(super) fn limits(r: &mut Reader) -> Limits {
    let default = Limits::default();
    Limits {
        max_bytes: r.bytes("limits.max_bytes", default.max_bytes),
        max_streams: r.get_or("limits.max_streams", default.max_streams),
        probe_size: r.bytes("limits.probe_size", default.probe_size),
        analyze_duration_ms: r.get_or("limits.analyze_duration_ms", default.analyze_duration_ms),
        max_pixels: r.get_or("limits.max_pixels", default.max_pixels),
        max_fps: r.get_or("limits.max_fps", default.max_fps),
        max_duration_ms: r.get_or("limits.max_duration_ms", default.max_duration_ms),
        max_frames: r.get_or("limits.max_frames", default.max_frames),
        max_output_bytes: r.bytes("limits.max_output_bytes", default.max_output_bytes),
        deadline_ms: r.get("limits.deadline_ms").or(default.deadline_ms),
        max_damage: r.get_or("limits.max_damage", default.max_damage),
        allow_truncated: r.get_or("limits.allow_truncated", default.allow_truncated),
    }
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
