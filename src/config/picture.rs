//! `[watermark]`, `[profiles]` and `[limits]`: what results look like, and what inputs may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Reader;
use crate::job::WatermarkSpec;
use crate::media::{Limits, Profile};

#[derive(Debug, Clone)]
pub struct Watermark {
    pub image: PathBuf,
    pub spec: WatermarkSpec,
}

pub(super) fn watermark(r: &mut Reader) -> Option<Watermark> {
    let image: Option<PathBuf> = r.get("watermark.image");
    let spec = WatermarkSpec {
        image: None,
        anchor: r
            .parse::<crate::media::Anchor>("watermark.anchor")
            .map(|anchor| anchor.to_string()),
        scale: r
            .parse::<crate::media::Length>("watermark.scale")
            .map(|length| length.to_string()),
        opacity: r.get("watermark.opacity"),
    };
    if spec
        .opacity
        .is_some_and(|opacity: f32| !(0.0..=1.0).contains(&opacity))
    {
        r.fault("watermark.opacity", "must lie between 0 and 1");
    }
    let image = image?;
    if !image.is_file() {
        r.fault(
            "watermark.image",
            format!("{} is not a file", image.display()),
        );
    }
    Some(Watermark { image, spec })
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
