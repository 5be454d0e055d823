//! Videos made without a provider, for the sandbox only.
//!
//! The sandbox stands in for the paid service, so it must return real videos
//! of the right size, length and content; these three do what the three kinds
//! of job ask for, with simple means. All outputs are H.264 yuv420p with AAC
//! in an MP4 that starts fast.

mod drift;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::av::Frame;
use super::error::{MediaCode, MediaError, memory};
use super::input::Input;
use super::judge::Expectation;
use super::limits::{Cancel, Guard, Limits};
use super::output::{FileOutput, Output};
use super::plan::{AudioFrom, AudioPlan, Force, Plan, PlanRequest, VideoPlan, nearest_even, plan};
use super::probe::{Opened, open};
use super::profile::Profile;
use super::provenance::Statement;
use super::render::parts::{
    AHEAD, Draft, EncodeSettings, Overlay, Pass, Setback, VideoLane, VideoSpec, reserve_for,
    sound_lane, spec_for,
};
use super::render::{Damage, Report, Timings};
use super::verify::verify_guarded;
use super::{logo, picture};

/// Scales a video to `target_height` lines, keeping its proportions.
///
/// `audio` keeps the source's sound. Both sides of the result are even.
///
/// # Errors
/// Those of [`super::render()`].
pub fn upscale(
    input: &dyn Input,
    target_height: u32,
    audio: bool,
    out: &Path,
    cancel: &Cancel,
) -> Result<Report, MediaError> {
    make(input, audio, out, cancel, |opened, _, _| {
        let video = opened.probe.require_video()?;
        let height = nearest_even(f64::from(target_height.max(2)));
        let ratio = f64::from(video.display_width) / f64::from(video.display_height.max(1));
        Ok(Work {
            spec: spec_for(opened, nearest_even(f64::from(height) * ratio), height)?,
            extra_seconds: 0.0,
            new_only: false,
            what: format!("scaled to {height} lines"),
        })
    })
}

/// Squeezes a video to half its width; what it shows is distorted.
///
/// # Errors
/// Those of [`super::render()`].
pub fn squeeze(
    input: &dyn Input,
    audio: bool,
    out: &Path,
    cancel: &Cancel,
) -> Result<Report, MediaError> {
    make(input, audio, out, cancel, |opened, _, _| {
        let (width, height) = even_size(opened)?;
        Ok(Work {
            spec: spec_for(opened, nearest_even(f64::from(width) / 2.0), height)?,
            extra_seconds: 0.0,
            new_only: false,
            what: "squeezed to half its width".to_owned(),
        })
    })
}

/// The whole clip, followed by `extra_seconds` of newly made moving picture:
/// a slow drift into the last frame. The new part is silent.
///
/// # Errors
/// Those of [`super::render()`].
pub fn extend(
    input: &dyn Input,
    extra_seconds: f64,
    audio: bool,
    out: &Path,
    cancel: &Cancel,
) -> Result<Report, MediaError> {
    make(input, audio, out, cancel, |opened, _, _| {
        let (width, height) = even_size(opened)?;
        Ok(Work {
            spec: spec_for(opened, width, height)?,
            extra_seconds: extra_seconds.clamp(0.0, 600.0),
            new_only: false,
            what: format!("continued by {extra_seconds} s"),
        })
    })
}

/// As [`extend`], the new part only, without sound.
///
/// # Errors
/// Those of [`super::render()`].
pub fn segment(
    input: &dyn Input,
    seconds: f64,
    out: &Path,
    cancel: &Cancel,
) -> Result<Report, MediaError> {
    make(input, false, out, cancel, |opened, _, _| {
        let (width, height) = even_size(opened)?;
        Ok(Work {
            spec: spec_for(opened, width, height)?,
            extra_seconds: seconds.clamp(0.1, 600.0),
            new_only: true,
            what: format!("{seconds} s that continue it"),
        })
    })
}

/// Lays a picture, about half the frame's height, over the clip; it sways a
/// little. Size, length and frame count stay.
///
/// # Errors
/// Those of [`super::render()`] and [`super::probe_picture`].
pub fn character_replace(
    input: &dyn Input,
    picture: &dyn Input,
    audio: bool,
    out: &Path,
    cancel: &Cancel,
) -> Result<Report, MediaError> {
    make(input, audio, out, cancel, |opened, limits, guard| {
        let (width, height) = even_size(opened)?;
        let image = picture::load(picture, limits, guard)?;
        let factor = (f64::from(height) * 0.5 / f64::from(image.height.max(1)))
            .min(f64::from(width) * 0.6 / f64::from(image.width.max(1)));
        let w = nearest_even(f64::from(image.width) * factor).min(width);
        let h = nearest_even(f64::from(image.height) * factor).min(height);
        let sway = width / 40;
        let overlay = Overlay {
            image: logo::resize(&image, w, h).map_err(memory)?,
            x: format!("2*round(((W-w)/2+{sway}*sin(2*t))/2)"),
            y: format!("2*round((H-h-{}*abs(sin(3*t)))/2)", height / 40),
        };
        Ok(Work {
            spec: VideoSpec {
                overlay: Some(overlay),
                ..spec_for(opened, width, height)?
            },
            extra_seconds: 0.0,
            new_only: false,
            what: "a character is laid over it".to_owned(),
        })
    })
}

struct Work {
    spec: VideoSpec,
    extra_seconds: f64,
    /// The clip itself is left out.
    new_only: bool,
    what: String,
}

fn even_size(opened: &Opened) -> Result<(u32, u32), MediaError> {
    let video = opened.probe.require_video()?;
    Ok((
        (video.display_width & !1).max(2),
        (video.display_height & !1).max(2),
    ))
}

/// Opens, transcodes, verifies and publishes.
fn make(
    input: &dyn Input,
    audio: bool,
    out: &Path,
    cancel: &Cancel,
    work: impl FnOnce(&Opened, &Limits, &Arc<Guard>) -> Result<Work, MediaError>,
) -> Result<Report, MediaError> {
    super::shielded(|| {
        let limits = Limits::default();
        let guard = Guard::new(cancel, &limits);
        let mut output = FileOutput::new(out);
        // Dropping an uncommitted output removes what was staged.
        run(input, audio, &mut output, &limits, &guard, work)
            .map_err(|error| guard.check().err().unwrap_or(error))
    })
}

fn run(
    input: &dyn Input,
    audio: bool,
    output: &mut FileOutput,
    limits: &Limits,
    guard: &Arc<Guard>,
    work: impl FnOnce(&Opened, &Limits, &Arc<Guard>) -> Result<Work, MediaError>,
) -> Result<Report, MediaError> {
    let started = Instant::now();
    let main = open(input, limits, guard)?;
    let source = main.probe.clone();
    let Work {
        spec,
        extra_seconds,
        new_only,
        what,
    } = work(&main, limits, guard)?;
    let plan = fixed_plan(&main, &spec, audio, limits, what)?;
    let open_ms = ms(started);

    let processing = Instant::now();
    let settings = EncodeSettings {
        crf: 18.0,
        preset: "veryfast".to_owned(),
        max_rate: None,
        burst_ms: 1000,
    };
    let mut draft = Draft::create(output, limits, guard, &Statement::default())?;
    let mut video = VideoLane::open(&main, spec, &settings, limits, &mut draft)?;
    video.result.hold = new_only;
    let sound = sound_lane(&plan.audio, &main, None, limits, &mut draft)?;
    let extra = (extra_seconds * 240.0) as u64 * 48;
    let sink = draft.start(reserve_for(&main, None).saturating_add(extra))?;
    let mut pass = Pass {
        main,
        source: None,
        video,
        sound,
        sink,
        limits: limits.clone(),
        guard: Arc::clone(guard),
        ahead: AHEAD,
        name: input.describe(),
        sounds: 0,
        planned_size: None,
    };
    pass.read_all(&mut |_, _| {}).map_err(Setback::into_error)?;
    if extra_seconds > 0.0 {
        continue_moving(&mut pass, extra_seconds)?;
    }
    pass.video.finish_encoding(&mut pass.sink)?;
    let (lane, sound, finished) = pass.close().map_err(Setback::into_error)?;
    let process_ms = ms(processing);

    let verifying = Instant::now();
    let expectation = Expectation {
        frames: Some((lane.counts.encoded, 0)),
        ..Expectation::default()
    };
    let staged = output.staged();
    let sealed = finished.sealed;
    let verified = verify_guarded(staged.as_ref(), &expectation, sealed, limits, guard)?;
    let verify_ms = ms(verifying);
    output.commit().map_err(|error| {
        MediaError::new(
            MediaCode::OutputUnwritable,
            format!("the result cannot be published: {error}"),
        )
    })?;
    Ok(Report {
        plan,
        source,
        before: None,
        duration_ms: verified.duration_ms,
        frames: verified.frames,
        bytes: verified.probe.container.bytes,
        faststart: finished.faststart,
        output: verified.probe,
        poster: None,
        poster_jpeg: None,
        storyboard: None,
        storyboard_jpeg: None,
        damage: Damage::new(lane.counts, sound),
        timings: Timings {
            open_ms,
            process_ms,
            verify_ms,
            total_ms: ms(started),
        },
    })
}

/// The new seconds: each frame looks a little deeper into the last one.
fn continue_moving(pass: &mut Pass, seconds: f64) -> Result<(), MediaError> {
    let held = pass.video.result.hold;
    let last = if held {
        pass.video.result.release()
    } else {
        let shared = pass.video.result.last_frame().map(Frame::share);
        shared.transpose().map_err(memory)?
    };
    let Some(last) = last else {
        return Ok(());
    };
    let step = pass.video.frame_duration();
    let base = pass.video.encoder_base();
    let first = if held {
        0
    } else {
        let after = pass.video.tail_duration();
        last.pts().unwrap_or(0).saturating_add(after)
    };
    let count = (seconds / (step as f64 * base.as_f64()).max(1e-6)).round() as i64;
    for index in 0..count {
        pass.guard.check()?;
        let at = (index + 1) as f64 * step as f64 * base.as_f64();
        let mut frame: Frame = drift::into(&last, at).map_err(memory)?;
        frame.set_pts(first.saturating_add(index * step));
        pass.video.emit(frame, &mut pass.sink)?;
    }
    Ok(())
}

fn fixed_plan(
    main: &Opened,
    spec: &VideoSpec,
    audio: bool,
    limits: &Limits,
    what: String,
) -> Result<Plan, MediaError> {
    let profile = Profile {
        name: "sandbox".to_owned(),
        ..Profile::default()
    };
    let mut plan = plan(&PlanRequest {
        source_is_silent: false,
        source_is_asked_for: false,
        main: &main.probe,
        audio_from: None,
        main_is_silent: false,
        before: None,
        profile: &profile,
        watermarks: Vec::new(),
        limits,
        force: Force {
            video: true,
            audio: false,
            because: None,
            sound_because: None,
        },
    })?;
    plan.video = VideoPlan::Encode {
        width: spec.width,
        height: spec.height,
        crf: 18.0,
        preset: "veryfast".to_owned(),
        max_rate: None,
        burst_ms: 1000,
        fps: None,
        tone_map: spec.tone_map,
        deinterlace: spec.deinterlace,
        background: spec.background,
        reason: what,
    };
    if !audio && plan.audio.from() == Some(AudioFrom::Main) {
        plan.audio = AudioPlan::None {
            reason: "the sound was not asked for".to_owned(),
        };
    }
    Ok(plan)
}

fn ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
