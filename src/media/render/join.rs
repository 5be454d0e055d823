//! A video and what continues it, as one: one size, one frame rate, one kind of
//! pixel and colour, and sound that meets at the seam.
//!
//! The first frame of the second part stands exactly one frame after the last of
//! the first, and its sound at the same place to the sample, whatever either
//! container says about its own beginning.

use std::sync::Arc;

use super::counts::Counts;
use super::encoding::EncodeSettings;
use super::graph::VideoSpec;
use super::open::Prepared;
use super::outcome::Outcome;
use super::pass::{Pass, SoundSource, picture_ends};
use super::poster::PosterPicker;
use super::report::{Damage, Narrator};
use super::seam::SeamLane;
use super::setback::Setback;
use super::sink::{Draft, Sink};
use super::sound::SoundLane;
use super::timing::Timing;
use super::transcode::spec_for;
use super::video::VideoLane;
use crate::media::av::AacSettings;
use crate::media::error::{MediaCode, MediaError};
use crate::media::head::reservation;
use crate::media::input::Input;
use crate::media::judge::Watch;
use crate::media::limits::{Guard, Limits};
use crate::media::output::Output;
use crate::media::plan::{AudioPlan, VideoPlan, length_ms};
use crate::media::probe::{AudioTrack, Choice, Opened, open_as};
use crate::media::profile::{Background, Deinterlace};
use crate::media::ratio::{Ratio, Time, to_millis};

/// Sound stays this far behind the picture, so that none of it is encoded before
/// it is known where the picture ends.
const BEHIND: Time = Time::from_millis(-500);

pub(super) fn run(
    prepared: Prepared<'_>,
    output: &mut dyn Output,
    narrator: &mut Narrator<'_>,
) -> Result<Outcome, MediaError> {
    let stills = prepared.stills();
    let length = prepared.length_ms();
    let Shape {
        width,
        height,
        fps,
        deinterlace,
        background,
        settings,
    } = Shape::of(&prepared.plan.video)?;
    let rate = Ratio::approximate(fps);
    let color = spec_for(&prepared.main, width, height)?.color;
    let marks = prepared.marks(color)?;
    let audio = prepared.plan.audio.clone();
    let Prepared {
        render,
        guard,
        main,
        before,
        statement,
        ..
    } = prepared;
    let (Some(before), Some(before_input)) = (before, render.before.as_ref()) else {
        return Err(no_two_parts());
    };
    let limits = &render.limits;
    let spec = |part: &Opened| -> Result<VideoSpec, MediaError> {
        Ok(VideoSpec {
            fps: Some(rate),
            deinterlace,
            background,
            threads: render.threads,
            color,
            ..spec_for(part, width, height)?
        })
    };

    let mut draft = Draft::create(output, limits, guard, &statement)?;
    let mut video = VideoLane::open(&before, spec(&before)?, &settings, limits, &mut draft)?;
    video.result.stills = stills;
    video.result.marks = marks;
    video.result.watch = render.checks.look().then(Watch::default);
    let lane = seam_lane(&audio, &mut draft)?;
    let seconds = length as f64 / 1000.0;
    // One frame more of each than the lengths say: both round up.
    let sink = draft.start(reservation(
        (seconds * fps).ceil() as u64 + 2,
        (seconds * 48_000.0 / 1024.0).ceil() as u64 + 2,
    ))?;

    let track = render.source_track.as_ref();
    let first = Part::new(before_input, before, track, lane.is_some(), limits, guard)?;
    let spec_after = spec(&main)?;
    let mut counts = Counts::default();
    let work = Work { video, lane, sink };
    let work = first.run(work, 0, limits, guard, &mut |frames, ms| {
        narrator.progress(frames, ms);
    })?;
    let Work {
        mut video,
        lane,
        sink,
    } = work;
    let seam_ms = to_millis(video.end(), video.encoder_base());
    counts.add(video.follow(&main, spec_after)?);
    let with_sound = lane.is_some() && !render.main_is_silent;
    let track = render.audio_track.as_ref();
    let second = Part::new(&render.main, main, track, with_sound, limits, guard)?;
    let work = second.run(
        Work { video, lane, sink },
        seam_ms,
        limits,
        guard,
        &mut |frames, ms| narrator.progress(frames, ms),
    )?;
    let Work {
        mut video,
        lane,
        mut sink,
    } = work;

    let (end, base) = (video.end(), video.encoder_base());
    let looked = video.looked();
    video.finish_encoding(&mut sink)?;
    let (mut sound, mut heard) = (Counts::default(), false);
    if let Some(mut lane) = lane {
        lane.finish(&mut sink)?;
        (sound, heard) = (lane.counts(), lane.heard());
    }
    guard.check()?;
    let finished = sink.finish()?;
    // Both lengths are rounded to a millisecond.
    let frame_ms = rate.frame(Ratio::MILLIS).unsigned_abs() + 1;
    counts.add(video.counts);
    Ok(Outcome {
        color,
        heard,
        looked,
        length_ms: Some((to_millis(end, base), frame_ms)),
        frames: video.counts.encoded,
        damage: Damage::new(counts, sound),
        poster: video.result.stills.poster.and_then(PosterPicker::take),
        storyboard: video.result.stills.storyboard,
        finished,
    })
}

/// What both parts become.
struct Shape {
    width: u32,
    height: u32,
    fps: f64,
    deinterlace: Deinterlace,
    background: Background,
    settings: EncodeSettings,
}

impl Shape {
    fn of(plan: &VideoPlan) -> Result<Self, MediaError> {
        let VideoPlan::Encode {
            width,
            height,
            fps: Some(fps),
            deinterlace,
            background,
            ..
        } = plan
        else {
            return Err(no_two_parts());
        };
        Ok(Self {
            width: *width,
            height: *height,
            fps: *fps,
            deinterlace: *deinterlace,
            background: *background,
            settings: EncodeSettings::of(plan).ok_or_else(no_two_parts)?,
        })
    }
}

fn no_two_parts() -> MediaError {
    MediaError::new(MediaCode::Internal, "there are no two parts to join")
}

fn seam_lane(plan: &AudioPlan, sink: &mut Draft) -> Result<Option<SoundLane>, MediaError> {
    let AudioPlan::Encode {
        sample_rate,
        channels,
        bit_rate,
        ..
    } = plan
    else {
        return Ok(None);
    };
    let settings = AacSettings {
        sample_rate: *sample_rate,
        channels: *channels,
        bit_rate: *bit_rate,
    };
    let lane = SeamLane::open(settings, sink)?;
    Ok(Some(SoundLane::Seam(Box::new(lane))))
}

/// What goes from one part to the next.
struct Work {
    video: VideoLane,
    lane: Option<SoundLane>,
    sink: Sink,
}

/// One of the two videos.
struct Part {
    opened: Opened,
    /// Its sound, read on its own, since it goes at a pace of its own.
    sound: Option<SoundSource>,
    name: String,
}

impl Part {
    fn new(
        input: &Arc<dyn Input>,
        opened: Opened,
        track: Option<&AudioTrack>,
        with_sound: bool,
        limits: &Limits,
        guard: &Arc<Guard>,
    ) -> Result<Self, MediaError> {
        let sound = if with_sound && opened.audio.is_some() {
            let choice = Choice::of(track);
            let opened = open_as("open", input.as_ref(), &choice, limits, guard)?;
            Some(SoundSource::new(opened)?)
        } else {
            None
        };
        Ok(Self {
            opened,
            sound,
            name: input.describe(),
        })
    }

    /// Decodes the part to its end, picture and sound, and ends its sound where
    /// its picture ends. `from_ms` is where it begins in the result.
    fn run(
        self,
        work: Work,
        from_ms: u64,
        limits: &Limits,
        guard: &Arc<Guard>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Work, MediaError> {
        let Work {
            video,
            mut lane,
            sink,
        } = work;
        let (base, begins) = (video.encoder_base(), video.begins());
        // The first part keeps its container's clock, as a video by itself does;
        // the second begins with its first frame, at the seam.
        let offset = if begins == 0 {
            self.opened.begins()
        } else {
            self.opened.video_begins()
        };
        if let (Some(SoundLane::Seam(lane)), Some(sound)) = (&mut lane, &self.sound)
            && let Some(audio) = &sound.opened.audio
        {
            let zero = lane.samples(begins, base);
            let timing = Timing {
                offset,
                end: None,
                picture_ends: picture_ends(&self.opened, offset),
            };
            lane.begin(&sound.opened.demuxer, audio, timing, zero, limits)?;
        }
        let expected_ms = length_ms(&self.opened.probe);
        let mut pass = Pass {
            main: self.opened,
            source: self.sound,
            video,
            sound: lane,
            sink,
            limits: limits.clone(),
            guard: Arc::clone(guard),
            ahead: BEHIND,
            name: self.name,
            sounds: 0,
            // That of the new part, which was asked for.
            planned_size: None,
        };
        pass.read_all(&mut |lane, _| {
            progress(
                lane.counts.encoded,
                from_ms.saturating_add(lane.reached_ms().min(expected_ms)),
            );
        })
        .map_err(Setback::into_error)?;
        let end = pass.video.end();
        let Pass {
            video,
            mut sound,
            source,
            mut sink,
            ..
        } = pass;
        if let (Some(mut source), Some(lane)) = (source, &mut sound) {
            let shown = Time::of(end, base) - Time::of(begins, base);
            source.feed(Some(shown + offset), lane, &mut sink, guard)?;
        }
        if let Some(SoundLane::Seam(lane)) = &mut sound {
            let sample = lane.samples(end, base);
            lane.end_at(sample, &mut sink)?;
        }
        Ok(Work {
            video,
            lane: sound,
            sink,
        })
    }
}
