//! Which H.264 plays everywhere: in browsers, on phones, in hardware.

use crate::media::probe::VideoInfo;

/// Macroblocks of the largest frame of level 5.2, the highest that hardware
/// decoders of the last ten years share; 4096×2304 is 36,864.
const LEVEL_52_MACROBLOCKS: u64 = 36_864;
/// And of its longer side: the root of eight times that number, as the standard says.
const LEVEL_52_SIDE: u64 = 543;

/// Why an H.264 stream does not play everywhere, if that is so.
pub(crate) fn obstacle(video: &VideoInfo) -> Option<String> {
    if video.codec != "h264" {
        return None;
    }
    if let Some(profile) = &video.profile
        && !matches!(
            profile.as_str(),
            "Baseline" | "Constrained Baseline" | "Main" | "High"
        )
    {
        return Some(format!("H.264 of the profile {profile}"));
    }
    if video.pixel_format != "yuv420p" && video.pixel_format != "yuvj420p" {
        return Some(format!("H.264 in {}", video.pixel_format));
    }
    let sides = [video.width, video.height].map(|side| u64::from(side.div_ceil(16)));
    let fits = sides.iter().product::<u64>() <= LEVEL_52_MACROBLOCKS
        && sides.iter().all(|side| *side <= LEVEL_52_SIDE);
    // Larger and longer pictures need higher levels; smaller ones only claim them.
    let most = if fits { 52 } else { 62 };
    let level = video.level.filter(|level| *level > most)?;
    Some(format!(
        "H.264 of level {}.{}, {}.{} is the most for {}×{}",
        level / 10,
        level % 10,
        most / 10,
        most % 10,
        video.width,
        video.height
    ))
}
