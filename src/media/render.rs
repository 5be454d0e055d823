//! The one pass: decode once, lay the watermark on, encode, choose a poster,
//! write a file that starts fast, verify it, publish it.

mod graph;
mod join;
mod marks;
mod pass;
mod poster;
mod remux;
mod report;
mod seam;
mod sink;
mod sound;
mod video;

pub(crate) use graph::{Overlay, VideoSpec};
pub(crate) use pass::{AHEAD_US, Pass, SoundSource, sound_lane};
pub(crate) use sink::Sink;
pub(crate) use video::{EncodeSettings, VideoLane, memory};

pub use report::{Damage, Event, PosterInfo, Progress, Report, Timings};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use self::marks::Marks;
use self::poster::{PosterPicker, StagedPoster};
use self::report::Narrator;
use self::sound::SoundLane;
use super::color::Color;
use super::error::{MediaCode, MediaError};
use super::head::reservation;
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::output::Output;
use super::picture::{self, Image};
use super::plan::{AudioFrom, AudioPlan, Force, Plan, PlanRequest, VideoPlan, length_ms, plan};
use super::probe::{Opened, Probe, open};
use super::profile::Profile;
use super::ratio::Ratio;
use super::verify::{
    AudioExpectation, Checks, Expectation, Verified, Watch, require_lively, verify_guarded,
};
use super::watermark::{MAX_LAYERS, Watermark};

/// One video to process.
#[derive(Clone, Debug)]
pub struct Render {
    /// The video.
    pub main: Arc<dyn Input>,
    /// What `main` continues: the result holds both, one after the other, as one
    /// video. Sound is then that of both and `audio_source` is not used.
    pub before: Option<Arc<dyn Input>>,
    /// The user's source: its sound is put back when `main` has none.
    pub audio_source: Option<Arc<dyn Input>>,
    /// Encoding settings.
    pub profile: Profile,
    /// `main` has a sound track with nothing to hear on it: the source's sound
    /// goes before it.
    pub main_is_silent: bool,
    /// Pictures laid over the frames, in this order.
    pub watermarks: Vec<Watermark>,
    /// Encode even where a copy would do.
    pub force: Force,
    /// Where a JPEG poster goes.
    pub poster: Option<PathBuf>,
    /// What is looked at besides what is always verified.
    pub checks: Checks,
    /// Bounds; the deadline covers the whole call.
    pub limits: Limits,
    /// Codec threads; 0 = one per core.
    pub threads: usize,
}

/// Processes a video in one pass and publishes the result.
///
/// The result is staged, read back and verified (size, length, frames, sound,
/// first and last group of pictures) before `output` is committed; on any
/// failure neither video nor poster is left behind. If the picture was to be
/// copied and turns out not to allow it (damaged frames, a size that changes),
/// it is encoded instead: a second [`Event::Planned`] says so. Blocks until done;
/// `on_event` is called on this thread, about 20 times a second at most.
///
/// # Errors
/// Those of [`super::probe()`], [`super::plan()`] and [`super::verify()`], and
/// `output_unwritable`, `output_too_large`, `encoder_failed`,
/// `hdr_not_supported`, `damaged_media`, `truncated`.
pub fn render(
    render: &Render,
    output: &mut dyn Output,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report, MediaError> {
    let result = super::shielded(|| {
        let guard = Guard::new(cancel, &render.limits);
        let result = run(render, output, &guard, on_event);
        // Whatever libav made of it, a stop is reported as a stop.
        result.map_err(|error| guard.check().err().unwrap_or(error))
    });
    if result.is_err() {
        output.discard();
    }
    result
}

fn run(
    render: &Render,
    output: &mut dyn Output,
    guard: &Arc<Guard>,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report, MediaError> {
    let started = Instant::now();
    let done = match attempt(render, render.force, output, guard, on_event) {
        Err(Setback::CannotCopy(reason)) => {
            let force = Force {
                video: true,
                because: Some(reason),
                ..render.force
            };
            attempt(render, force, output, guard, on_event)
        }
        other => other,
    };
    let Done {
        plan,
        probe,
        outcome,
        verified,
        mut timings,
    } = done.map_err(Setback::into_error)?;
    guard.check()?;

    let mut staged = match (&render.poster, outcome.poster) {
        (Some(path), Some((frame, at_ms))) => {
            Some(stage_poster(path, frame, at_ms, outcome.color)?)
        }
        _ => None,
    };
    // The poster first: it can be taken back, an earlier video could not.
    if let Some((poster, _)) = &mut staged {
        poster.publish()?;
    }
    output.commit().map_err(|error| {
        MediaError::new(
            MediaCode::OutputUnwritable,
            format!("the result cannot be published: {error}"),
        )
    })?;
    let poster = staged.map(|(staged, info)| {
        staged.keep();
        on_event(Event::PosterWritten(info.clone()));
        info
    });
    on_event(Event::Done);
    timings.total_ms = elapsed(started);
    Ok(Report {
        plan,
        source: probe,
        duration_ms: verified.duration_ms,
        frames: verified.frames,
        bytes: verified.probe.container.bytes,
        faststart: outcome.faststart,
        output: verified.probe,
        poster,
        damage: outcome.damage,
        timings,
    })
}

/// Why one attempt came to nothing.
pub(crate) enum Setback {
    Failed(MediaError),
    /// The picture has to be encoded after all, for this reason.
    CannotCopy(&'static str),
}

impl From<MediaError> for Setback {
    fn from(error: MediaError) -> Self {
        Self::Failed(error)
    }
}

impl Setback {
    fn into_error(self) -> MediaError {
        match self {
            Self::Failed(error) => error,
            Self::CannotCopy(reason) => MediaError::new(
                MediaCode::Internal,
                format!("encoding was no way out either: {reason}"),
            ),
        }
    }
}

/// A staged and verified file and how it came about.
struct Done {
    plan: Plan,
    probe: Probe,
    outcome: Outcome,
    verified: Verified,
    timings: Timings,
}

fn attempt(
    render: &Render,
    force: Force,
    output: &mut dyn Output,
    guard: &Arc<Guard>,
    on_event: &mut dyn FnMut(Event),
) -> Result<Done, Setback> {
    let started = Instant::now();
    let job = Job::open(render, force, guard)?;
    let (plan, probe) = (job.plan.clone(), job.main.probe.clone());
    on_event(Event::Planned(Box::new(plan.clone())));
    let open_ms = elapsed(started);

    let mut narrator = Narrator::new(&probe, on_event);
    if let Some(before) = &job.before {
        narrator.lengthen(length_ms(&before.probe));
    }
    let processing = Instant::now();
    let copying = matches!(plan.video, VideoPlan::Copy { .. });
    let outcome = if copying {
        remux::run(job, output, &mut narrator)?
    } else if job.before.is_some() {
        join::run(job, output, &mut narrator)?
    } else {
        transcode(job, output, &mut narrator)?
    };
    let process_ms = elapsed(processing);

    let verifying = Instant::now();
    let codec = &probe.require_video()?.codec;
    let verified = match check(output, &plan, &outcome, codec, render, guard) {
        Ok(verified) => verified,
        // Copied as it came: an encoder can make something whole of it.
        Err(error) if copying && error.code == MediaCode::NotDecodable => {
            return Err(Setback::CannotCopy("its damaged frames are mended"));
        }
        Err(error) if copying && error.code == MediaCode::WrongSize => {
            return Err(Setback::CannotCopy(remux::CHANGES));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Done {
        plan,
        probe,
        outcome,
        verified,
        timings: Timings {
            open_ms,
            process_ms,
            verify_ms: elapsed(verifying),
            total_ms: 0,
        },
    })
}

/// Everything open and decided.
pub(crate) struct Job<'a> {
    pub render: &'a Render,
    pub guard: &'a Arc<Guard>,
    pub main: Opened,
    pub before: Option<Opened>,
    pub source: Option<Opened>,
    /// The pictures of the watermarks, in their order.
    pub logos: Vec<Image>,
    pub plan: Plan,
}

impl<'a> Job<'a> {
    fn open(render: &'a Render, force: Force, guard: &'a Arc<Guard>) -> Result<Self, MediaError> {
        let limits = &render.limits;
        let main = open(render.main.as_ref(), limits, guard)?;
        let before = match &render.before {
            Some(input) => Some(open(input.as_ref(), limits, guard)?),
            None => None,
        };
        let source = match render.audio_source.as_ref().filter(|_| before.is_none()) {
            Some(input) if main.audio.is_none() || render.main_is_silent => {
                Some(open(input.as_ref(), limits, guard)?)
            }
            _ => None,
        };
        let logos = render
            .watermarks
            .iter()
            // A plan refuses more; there is no need to read them.
            .take(MAX_LAYERS + 1)
            .map(|mark| picture::load(mark.image.as_ref(), limits, guard).map_err(as_watermark))
            .collect::<Result<Vec<_>, _>>()?;
        let watermarks = render.watermarks.iter().zip(&logos);
        let plan = plan(&PlanRequest {
            main: &main.probe,
            audio_from: source.as_ref().map(|source| &source.probe),
            main_is_silent: render.main_is_silent,
            before: before.as_ref().map(|before| &before.probe),
            profile: &render.profile,
            watermarks: watermarks
                .map(|(mark, logo)| (&mark.placement, (logo.width, logo.height)))
                .collect(),
            limits,
            force,
        })?;
        // A source without sound has nothing to give.
        let source = source.filter(|_| takes_from_source(&plan.audio));
        Ok(Self {
            render,
            guard,
            main,
            before,
            source,
            logos,
            plan,
        })
    }

    /// Length of the result as far as the headers say.
    fn length_ms(&self) -> u64 {
        let before = self
            .before
            .as_ref()
            .map_or(0, |before| length_ms(&before.probe));
        before.saturating_add(self.main.probe.container.duration_ms)
    }

    /// The layers, ready to be drawn on a result of these colours.
    fn marks(&self, color: Color) -> Marks {
        let end_ms = Some(self.length_ms()).filter(|ms| *ms > 0);
        let end_ms = end_ms.map(|ms| ms as f64);
        let mut marks = Marks::default();
        let layers = self.render.watermarks.iter().zip(&self.logos);
        for ((mark, logo), at) in layers.zip(&self.plan.watermarks) {
            marks.add(logo, &mark.placement, *at, color, end_ms);
        }
        marks
    }

    fn poster_picker(&self) -> Option<PosterPicker> {
        self.render
            .poster
            .as_ref()
            .map(|_| PosterPicker::new(self.length_ms()))
    }
}

/// What a pass leaves behind besides the staged file.
pub(crate) struct Outcome {
    pub poster: Option<(super::av::Frame, u64)>,
    pub color: Color,
    pub damage: Damage,
    pub faststart: bool,
    /// Frames given to the encoder or copied.
    pub frames: u64,
    /// Something was heard in the source of the sound.
    pub heard: bool,
    /// Length of the result and how far it may be off, where a pass knows that.
    pub length_ms: Option<(u64, u64)>,
    /// Longest black and longest still stretch in milliseconds, if looked for.
    pub looked: Option<(u64, u64)>,
}

fn transcode(
    job: Job<'_>,
    output: &mut dyn Output,
    narrator: &mut Narrator<'_>,
) -> Result<Outcome, MediaError> {
    let poster = job.poster_picker();
    let color = spec_for(&job.main, 2, 2)?.color;
    let marks = job.marks(color);
    let Job {
        render,
        guard,
        main,
        source,
        plan,
        ..
    } = job;
    let VideoPlan::Encode {
        width,
        height,
        crf,
        preset,
        max_rate,
        fps,
        tone_map,
        ..
    } = &plan.video
    else {
        return Err(MediaError::new(MediaCode::Internal, "nothing to encode"));
    };
    let spec = VideoSpec {
        fps: fps.map(Ratio::approximate),
        tone_map: *tone_map,
        threads: render.threads,
        ..spec_for(&main, *width, *height)?
    };
    let settings = EncodeSettings {
        crf: *crf,
        preset: preset.clone(),
        max_rate: *max_rate,
    };
    let mut sink = Sink::create(output, &render.limits, guard)?;
    let mut video = VideoLane::open(&main, spec, &settings, &render.limits, &mut sink)?;
    video.poster = poster;
    video.watch = render.checks.look().then(Watch::default);
    video.marks = marks;
    let sound = sound_lane(&plan.audio, &main, source.as_ref(), &mut sink)?;
    sink.start(reserve_for(&main, source.as_ref()))?;
    let mut pass = Pass {
        main,
        source: source.map(SoundSource::new).transpose()?,
        video,
        sound,
        sink,
        limits: render.limits.clone(),
        guard: Arc::clone(guard),
        ahead_us: AHEAD_US,
        name: render.main.describe(),
    };
    pass.read_all(&mut |lane, _| narrator.progress(lane.counts.encoded, lane.reached_ms()))?;
    pass.video.finish(&mut pass.sink)?;
    let looked = pass.video.looked();
    let heard = pass.sound.as_ref().is_some_and(SoundLane::heard);
    let (lane, sound, faststart) = pass.close()?;
    Ok(Outcome {
        color,
        heard,
        length_ms: None,
        looked,
        frames: lane.counts.encoded,
        damage: Damage::new(lane.counts, sound),
        poster: lane.poster.and_then(PosterPicker::take),
        faststart,
    })
}

/// The parts of a [`VideoSpec`] that follow from the source.
pub(crate) fn spec_for(main: &Opened, width: u32, height: u32) -> Result<VideoSpec, MediaError> {
    let video = main.probe.require_video()?;
    let color = main.video.color;
    Ok(VideoSpec {
        width,
        height,
        rotation: video.rotation,
        flipped: video.flipped,
        fps: None,
        tone_map: color.is_hdr(),
        sample_aspect: main.video.sample_aspect,
        color: if color.is_hdr() {
            Color::SDR_HD
        } else {
            color.resolved(video.display_height.min(video.display_width))
        },
        overlay: None,
        threads: 0,
    })
}

/// Bytes reserved for the index, from what the headers promise.
pub(crate) fn reserve_for(main: &Opened, source: Option<&Opened>) -> u64 {
    let count = |opened: &Opened| {
        // A file that does not say how long it is gets room for ten minutes.
        let seconds = match opened.probe.container.duration_ms {
            0 => 600.0,
            ms => ms as f64 / 1000.0,
        };
        let average = opened.probe.video.as_ref().map_or(0.0, |video| video.fps);
        // Where frames are not counted, the average stems from the first
        // seconds only; the base rate bounds it, up to what is no guess any more.
        let fps = match opened.video.frames {
            0 => average.max(opened.video.real_rate.as_f64().min(60.0)),
            _ => average,
        };
        let frames = opened.video.frames.max((seconds * fps).ceil() as u64);
        let sound = opened
            .probe
            .audio
            .as_ref()
            .map_or(0.0, |audio| f64::from(audio.sample_rate));
        // AAC frames have 1024 samples; 48 kHz is what we encode to.
        (
            frames,
            (seconds * sound.max(48_000.0) / 1024.0).ceil() as u64,
        )
    };
    let (frames, sounds) = count(main);
    let put_back = source.map_or(0, |source| count(source).1);
    reservation(frames, sounds.max(put_back))
}

fn stage_poster<'a>(
    path: &'a std::path::Path,
    frame: super::av::Frame,
    at_ms: u64,
    color: Color,
) -> Result<(StagedPoster<'a>, PosterInfo), MediaError> {
    let (width, height) = (frame.width(), frame.height());
    let jpeg = poster::encode(frame, color).map_err(|error| {
        MediaError::new(
            MediaCode::EncoderFailed,
            format!("the poster cannot be encoded: {error}"),
        )
        .at("poster")
        .with_log()
    })?;
    let info = PosterInfo {
        width,
        height,
        time_ms: at_ms,
        bytes: jpeg.len() as u64,
    };
    Ok((StagedPoster::write(path, &jpeg)?, info))
}

/// Reads the staged file back and holds it against the plan.
fn check(
    output: &dyn Output,
    plan: &Plan,
    outcome: &Outcome,
    codec: &str,
    render: &Render,
    guard: &Arc<Guard>,
) -> Result<Verified, MediaError> {
    let checks = &render.checks;
    let most = (checks.max_black_ms, checks.max_frozen_ms);
    // What was decoded is to blame, not what was made of it.
    require_lively(outcome.looked, most).map_err(|error| error.at("decode"))?;
    let (width, height, codec) = match &plan.video {
        VideoPlan::Encode { width, height, .. } => (Some(*width), Some(*height), "h264"),
        VideoPlan::Copy { .. } => (None, None, codec),
    };
    let expectation = Expectation {
        frames: Some((outcome.frames, 0)),
        duration_ms: outcome.length_ms,
        width,
        height,
        audio: match plan.audio {
            AudioPlan::None { .. } => AudioExpectation::Absent,
            _ => AudioExpectation::Required,
        },
        video_codec: Some(codec.to_owned()),
        audio_codec: Some("aac".to_owned()),
        audible: outcome.heard,
        playable: true,
        depth: checks.depth(),
        ..Expectation::default()
    };
    // Copied packets were not looked at yet.
    let expectation = match plan.video {
        VideoPlan::Copy { .. } => checks.onto(expectation),
        VideoPlan::Encode { .. } => expectation,
    };
    let limits = &render.limits;
    // The result is ours: only decoding bounds apply, not those for uploads.
    let limits = Limits {
        max_bytes: u64::MAX,
        max_duration_ms: limits.max_duration_ms.saturating_add(60_000),
        threads: render.threads,
        ..limits.clone()
    };
    verify_guarded(output.staged().as_ref(), &expectation, &limits, guard)
}

/// A watermark's picture that cannot be used is the watermark's fault.
fn as_watermark(error: MediaError) -> MediaError {
    match error.code {
        MediaCode::NotAPicture | MediaCode::EmptyFile | MediaCode::DamagedMedia => MediaError {
            code: MediaCode::InvalidWatermark,
            message: format!("the watermark's picture: {}", error.message),
            ..error
        },
        _ => error,
    }
}

/// Which container a sound plan reads from.
pub(crate) fn takes_from_source(plan: &AudioPlan) -> bool {
    plan.from() == Some(AudioFrom::Source)
}

pub(crate) fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
