//! Decoding and encoding one video from beginning to end.

use std::sync::Arc;

use super::encoding::EncodeSettings;
use super::graph::VideoSpec;
use super::open::{Prepared, reserve_for};
use super::outcome::Outcome;
use super::pass::{AHEAD, Pass, SoundSource, sound_lane};
use super::poster::PosterPicker;
use super::report::{Damage, Narrator};
use super::setback::Setback;
use super::sink::Draft;
use super::sound::SoundLane;
use super::video::VideoLane;
use crate::media::color::Color;
use crate::media::error::{MediaCode, MediaError};
use crate::media::judge::Watch;
use crate::media::output::Output;
use crate::media::plan::VideoPlan;
use crate::media::probe::Opened;
use crate::media::profile::{Background, Deinterlace};
use crate::media::ratio::Ratio;

pub(super) fn run(
    prepared: Prepared<'_>,
    output: &mut dyn Output,
    narrator: &mut Narrator<'_>,
) -> Result<Outcome, Setback> {
    let stills = prepared.stills();
    let color = spec_for(&prepared.main, 2, 2)?.color;
    let marks = prepared.marks(color)?;
    let Prepared {
        render,
        guard,
        main,
        source,
        plan,
        statement,
        size_is_known,
        ..
    } = prepared;
    let nothing = || MediaError::new(MediaCode::Internal, "nothing to encode");
    let VideoPlan::Encode {
        width,
        height,
        fps,
        tone_map,
        deinterlace,
        background,
        ..
    } = &plan.video
    else {
        return Err(nothing().into());
    };
    let spec = VideoSpec {
        fps: fps.map(Ratio::approximate),
        tone_map: *tone_map,
        deinterlace: *deinterlace,
        background: *background,
        threads: render.threads,
        ..spec_for(&main, *width, *height)?
    };
    let settings = EncodeSettings::of(&plan.video).ok_or_else(nothing)?;
    let mut draft = Draft::create(output, &render.limits, guard, &statement)?;
    let mut video = VideoLane::open(&main, spec, &settings, &render.limits, &mut draft)?;
    video.result.stills = stills;
    video.result.watch = render.checks.look().then(Watch::default);
    video.result.marks = marks;
    let sound = sound_lane(
        &plan.audio,
        &main,
        source.as_ref(),
        &render.limits,
        &mut draft,
    )?;
    let room = render.index_room;
    let sink = draft.start(room.unwrap_or_else(|| reserve_for(&main, source.as_ref())))?;
    let planned_size = (!size_is_known).then_some((main.video.width, main.video.height));
    let mut pass = Pass {
        main,
        source: source.map(SoundSource::new).transpose()?,
        video,
        sound,
        sink,
        limits: render.limits.clone(),
        guard: Arc::clone(guard),
        ahead: AHEAD,
        name: render.main.describe(),
        sounds: 0,
        planned_size,
    };
    pass.read_all(&mut |lane, _| narrator.progress(lane.counts.encoded, lane.reached_ms()))?;
    pass.require_sound()?;
    pass.video.finish(&mut pass.sink)?;
    let looked = pass.video.looked();
    let heard = pass.sound.as_ref().is_some_and(SoundLane::heard);
    let (lane, sound, finished) = pass.close()?;
    Ok(Outcome {
        color,
        heard,
        length_ms: None,
        looked,
        frames: lane.counts.encoded,
        damage: Damage::new(lane.counts, sound),
        poster: lane.result.stills.poster.and_then(PosterPicker::take),
        storyboard: lane.result.stills.storyboard,
        finished,
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
        crop: main
            .crop
            .map(|crop| (crop, (main.video.width, main.video.height))),
        fps: None,
        tone_map: color.is_hdr(),
        sample_aspect: main.video.sample_aspect,
        color: if color.is_hdr() {
            Color::SDR_HD
        } else {
            color.resolved(video.display_height.min(video.display_width))
        },
        deinterlace: Deinterlace::default(),
        background: Background::default(),
        overlay: None,
        threads: 0,
    })
}
