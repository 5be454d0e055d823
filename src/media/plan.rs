//! What will be done to a video, decided before anything is decoded. Pure.

mod sound;
mod terms;

use self::sound::{plan_audio, plan_joined_audio};
use super::error::{MediaCode, MediaError};
use super::judge::obstacle;
use super::probe::{Probe, VideoInfo};
use super::profile::Deinterlace;
use super::watermark::{MAX_DRAWN, MAX_LAYERS};
pub use terms::{AudioFrom, AudioPlan, Force, Plan, PlanRequest, VideoPlan};

/// Decides what to do. No I/O, no clock, same answer every time.
///
/// # Errors
/// `no_video_stream`, `invalid_profile`, `invalid_watermark`, `too_many_pixels`.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, MediaError> {
    let video = request.main.require_video()?;
    if let Some(before) = request.before {
        before.require_video()?;
    }
    if let Some((field, why)) = request.profile.faults().first() {
        return Err(MediaError::new(
            MediaCode::InvalidProfile,
            format!("the profile's {field} {why}"),
        ));
    }
    let (width, height) = output_size(video, request.profile.video.max_height);
    let pixels = u64::from(width) * u64::from(height);
    if pixels > request.limits.max_pixels || width.max(height) > LONGEST_SIDE {
        return Err(MediaError::new(
            MediaCode::TooManyPixels,
            format!("the result would have {width}×{height} pixels"),
        ));
    }
    if request.watermarks.len() > MAX_DRAWN {
        return Err(MediaError::new(
            MediaCode::InvalidWatermark,
            format!("there are more than {MAX_LAYERS} watermarks"),
        ));
    }
    let watermarks = request
        .watermarks
        .iter()
        .map(|(placement, logo)| placement.rectangle((width, height), *logo))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Plan {
        container: "mp4".to_owned(),
        profile: request.profile.name.clone(),
        video: plan_video(request, video, (width, height), !watermarks.is_empty()),
        audio: match request.before {
            Some(before) => plan_joined_audio(request, before),
            None => plan_audio(request),
        },
        continues_ms: request.before.map(length_ms),
        watermarks,
    })
}

/// What x264 takes; level 6.2, the highest there is, stops near it.
const LONGEST_SIDE: u32 = 16_384;

/// What is faster is thinned out to this where the profile has no cap: screens show no
/// more, and phones record no more.
const USUAL_FPS: f64 = 240.0;

fn plan_video(
    request: &PlanRequest<'_>,
    video: &VideoInfo,
    (width, height): (u32, u32),
    marked: bool,
) -> VideoPlan {
    let settings = &request.profile.video;
    let tone_map = is_hdr(video);
    let shown = match settings.deinterlace {
        Deinterlace::Double if video.interlaced => video.fps * 2.0,
        _ => video.fps,
    };
    let most = settings.max_fps.unwrap_or(USUAL_FPS);
    let mut fps = Some(most).filter(|most| shown > most * 1.01);
    let mut reasons: Vec<String> = Vec::new();
    let before = request.before.and_then(|before| before.video.as_ref());
    if let Some(before) = before {
        let joined = joined_rate(before.fps, video.fps, settings.max_fps);
        reasons.push(format!(
            "it continues a video of {}×{} and {:.2} frames per second; both become {width}×{height} \
             and {joined:.2}",
            before.display_width, before.display_height, before.fps
        ));
        fps = Some(joined);
    }
    if marked {
        reasons.push("a watermark is laid on".into());
    }
    if video.codec != "h264" {
        reasons.push(format!("{} becomes h264", video.codec));
    }
    if video.pixel_format != "yuv420p" || video.color.range == "pc" {
        reasons.push(format!("{} becomes 8-bit yuv420p", video.pixel_format));
    } else if let Some(obstacle) = obstacle(video) {
        reasons.push(format!("{obstacle} becomes what players know"));
    }
    reasons.extend(interlaced(video, settings.deinterlace).map(str::to_owned));
    if tone_map {
        reasons.push("HDR becomes standard range".into());
    }
    reasons.extend(shape(video, (width, height)));
    if let Some(fps) = fps.filter(|_| before.is_none()) {
        reasons.push(format!(
            "{:.2} frames per second become {fps:.2}",
            video.fps
        ));
    }
    if let Some(most) = settings.max_rate.filter(|most| video.bit_rate > *most) {
        reasons.push(format!(
            "{} kbit/s are more than {}",
            video.bit_rate / 1000,
            most / 1000
        ));
    }
    // Where something has to change anyway, that says more.
    if request.force.video && (request.force.because.is_some() || reasons.is_empty()) {
        reasons.push(request.force.reason());
    }
    if reasons.is_empty() {
        return VideoPlan::Copy {
            reason: "it already is what the profile asks for".into(),
        };
    }
    let parts = || [Some(video), before].into_iter().flatten();
    let max_rate = parts()
        .map(|video| capped_rate(video, settings.max_rate, (width, height)))
        // Either part may need what it had; unknown is no bound.
        .reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))
        .flatten()
        .or(settings.max_rate);
    let burst_ms = match max_rate {
        // The source's own: what it spent at once may be spent at once.
        Some(rate) if settings.max_rate.is_none_or(|most| rate < most) => {
            parts().map(burst).max().unwrap_or(SECOND)
        }
        // What players and networks bear, second by second.
        _ => SECOND,
    };
    VideoPlan::Encode {
        width,
        height,
        crf: settings.crf,
        preset: settings.preset.as_str().to_owned(),
        max_rate,
        burst_ms,
        fps,
        tone_map,
        deinterlace: settings.deinterlace,
        background: settings.background,
        reason: reasons.join("; "),
    }
}

/// What has to change in the picture's shape.
fn shape(video: &VideoInfo, (width, height): (u32, u32)) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some([left, top, width, height]) = video.crop {
        reasons.push(format!(
            "the container shows {width}×{height} of it, from {left}, {top}"
        ));
    }
    if let Some([first_width, first_height]) = video.begins_with {
        reasons.push(format!(
            "it begins with {first_width}×{first_height} and is shown longest with {}×{}",
            video.width, video.height
        ));
    }
    if video.rotation != 0 || video.flipped {
        reasons.push(format!("it is turned upright by {}°", video.rotation));
    }
    if !is_square(&video.sample_aspect_ratio) {
        reasons.push(format!(
            "pixels of {} become square",
            video.sample_aspect_ratio
        ));
    }
    let upright_even = (video.display_width & !1, video.display_height & !1);
    if (width, height) != upright_even {
        reasons.push(format!("it is scaled to {width}×{height}"));
    } else if upright_even != (video.display_width, video.display_height) {
        reasons.push(format!("odd sizes become even: {width}×{height}"));
    }
    reasons
}

/// What becomes of a video that says it is interlaced.
fn interlaced(video: &VideoInfo, how: Deinterlace) -> Option<&'static str> {
    match how {
        _ if !video.interlaced => None,
        Deinterlace::Off => None,
        Deinterlace::Double => Some("interlaced fields become frames of their own"),
        Deinterlace::Auto => Some("interlaced frames become progressive"),
    }
}

const SECOND: u64 = 1000;

/// How much of its rate a video may spend at once, in milliseconds: half as much again as it did,
/// since an encoding of an encoding costs more where there is most to show. Slides and screen
/// recordings spend seconds of it at each change; held to an even rate they stay blurred for as
/// long. Where nobody knows, half the length, up to ten seconds.
fn burst(video: &VideoInfo) -> u64 {
    video
        .burst_ms
        .map_or((video.duration_ms / 2).min(10 * SECOND), |own| {
            (own / 2).saturating_mul(3)
        })
        // x264 counts the buffer in an int of bits.
        .clamp(SECOND, 60 * SECOND)
}

/// Never larger than the source for nothing: its own rate bounds the peak.
fn capped_rate(video: &VideoInfo, profile: Option<u64>, size: (u32, u32)) -> Option<u64> {
    // Rough efficiency of the codec against H.264: what it said in one bit
    // takes us this many. Intra-only codecs say nothing about need.
    let factor = match video.codec.as_str() {
        "hevc" | "vp9" => 1.7,
        "av1" => 2.0,
        "h264" | "vp8" | "mpeg4" => 1.0,
        _ => return profile,
    };
    if video.bit_rate == 0 {
        return profile;
    }
    let before = f64::from(video.display_width) * f64::from(video.display_height);
    let after = f64::from(size.0) * f64::from(size.1);
    // The rate falls slower than the pixel count; never scaled up.
    let scaled = (after / before.max(1.0)).min(1.0).powf(0.75);
    // An encoding of an encoding needs headroom to look the same, and very
    // low rates say "easy content", not "needs little at a cut": 10 % and a floor.
    let source = (video.bit_rate as f64 * factor * scaled * 1.1).max(400_000.0) as u64;
    Some(profile.map_or(source, |most| most.min(source)))
}

/// One rate for two parts: the higher, so that neither loses frames, within the cap.
fn joined_rate(before: f64, after: f64, most: Option<f64>) -> f64 {
    // Rates are averages: a hair's breadth is no difference.
    let higher = if (before / after.max(1e-3) - 1.0).abs() < 0.01 {
        before
    } else {
        before.max(after)
    };
    let rate = most.map_or(higher, |most| higher.min(most));
    if rate.is_finite() && rate > 0.0 {
        rate
    } else {
        25.0
    }
}

/// Length of a video, or of its file where the stream does not say.
pub(crate) fn length_ms(probe: &Probe) -> u64 {
    match probe.video.as_ref().map_or(0, |video| video.duration_ms) {
        0 => probe.container.duration_ms,
        length => length,
    }
}

/// Size of the result: as shown, within the profile's cap, both sides even.
pub(crate) fn output_size(video: &VideoInfo, max_short_side: Option<u32>) -> (u32, u32) {
    let (width, height) = (video.display_width, video.display_height);
    let short = width.min(height);
    match max_short_side {
        Some(most) if short > most => {
            let factor = f64::from(most) / f64::from(short);
            (
                nearest_even(f64::from(width) * factor),
                nearest_even(f64::from(height) * factor),
            )
        }
        // One column or row is cut off: sharper than scaling by one pixel.
        _ => ((width & !1).max(2), (height & !1).max(2)),
    }
}

pub(crate) fn nearest_even(value: f64) -> u32 {
    ((value / 2.0).round() as u32).max(1) * 2
}

fn is_square(aspect: &str) -> bool {
    aspect
        .split_once(':')
        .is_none_or(|(num, den)| num == den || num == "0" || den == "0")
}

fn is_hdr(video: &VideoInfo) -> bool {
    matches!(video.color.transfer.as_str(), "smpte2084" | "arib-std-b67")
}
