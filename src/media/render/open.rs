//! What a render works on: opened, planned, ready to begin.

use std::sync::Arc;

use super::marks::Marks;
use super::order::Render;
use super::poster::PosterPicker;
use super::stills::Stills;
use super::storyboard::Storyboard;
use crate::media::color::Color;
use crate::media::error::{MediaCode, MediaError};
use crate::media::head::reservation;
use crate::media::input::Input;
use crate::media::limits::Guard;
use crate::media::logo::Logo;
use crate::media::picture;
use crate::media::plan::{AudioFrom, AudioPlan, Force, Plan, PlanRequest, length_ms, plan};
use crate::media::probe::{Choice, Opened, open_measured};
use crate::media::provenance::{Following, Made, Statement};
use crate::media::watermark::MAX_DRAWN;

/// Everything open and decided.
pub(crate) struct Prepared<'a> {
    pub render: &'a Render,
    pub guard: &'a Arc<Guard>,
    pub main: Opened,
    pub before: Option<Opened>,
    pub source: Option<Opened>,
    /// The pictures of the watermarks, in their order.
    pub logos: Vec<Logo>,
    pub plan: Plan,
    /// What the result says of itself.
    pub statement: Statement,
    /// The input with the manifest it brings, and what stands before it.
    pub following: Option<Following>,
    pub before_following: Option<Following>,
    /// Which size is shown longest was found out.
    pub size_is_known: bool,
}

impl<'a> Prepared<'a> {
    pub(super) fn open(
        render: &'a Render,
        force: Force,
        choice: &Choice,
        guard: &'a Arc<Guard>,
    ) -> Result<Self, MediaError> {
        let limits = &render.limits;
        let of_source = Choice::of(render.source_track.as_ref());
        let own = render
            .signer
            .as_ref()
            .and_then(|signer| signer.chain().first());
        let own = own.map(Vec::as_slice);
        let followed = |choice: &Choice| Choice {
            follow: true,
            ..choice.clone()
        };
        let mut main = open_measured(render.main.as_ref(), &followed(choice), limits, guard)?;
        main.strict = render.strict;
        let before = render.before.as_deref();
        let before = before
            .map(|input| open_measured(input, &followed(&of_source), limits, guard))
            .transpose()?;
        let source = match render.audio_source.as_ref().filter(|_| before.is_none()) {
            Some(input)
                if !choice.source_is_silent && (main.audio.is_none() || render.main_is_silent) =>
            {
                Some(open_measured(input.as_ref(), &of_source, limits, guard)?)
            }
            _ => None,
        };
        let logos = render
            .watermarks
            .iter()
            // A plan refuses more; there is no need to read them.
            .take(MAX_DRAWN + 1)
            .map(|mark| picture::load_mark(mark.image.as_ref(), limits, guard).map_err(as_watermark))
            .collect::<Result<Vec<_>, _>>()?;
        let watermarks = render.watermarks.iter().zip(&logos);
        let plan = plan(&PlanRequest {
            main: &main.probe,
            audio_from: source.as_ref().map(|source| &source.probe),
            main_is_silent: render.main_is_silent,
            source_is_silent: choice.source_is_silent,
            source_is_asked_for: render.source_track.is_some(),
            before: before.as_ref().map(|before| &before.probe),
            profile: &render.profile,
            watermarks: watermarks
                .map(|(mark, logo)| (&mark.placement, logo.size()))
                .collect(),
            limits,
            force,
        })?;
        let said = render.provenance.as_ref();
        let brought = main.probe.provenance.clone();
        let of = || [Some(&main), before.as_ref()].into_iter().flatten();
        let made = Made {
            of: of()
                .map(|opened| {
                    let format = opened.probe.container.format.clone();
                    (format, opened.manifest.clone())
                })
                .collect(),
            copied: plan.is_remux(),
            marked: !plan.watermarks.is_empty(),
        };
        let follow = |(opened, input): (&Opened, &Arc<dyn Input>)| {
            let brought = opened.manifest.clone()?;
            let length = opened.probe.container.bytes;
            Some(Following::new(
                brought,
                Arc::clone(input),
                length,
                own,
                guard,
            ))
        };
        let following = follow((&main, &render.main));
        let before_following = before.as_ref().zip(render.before.as_ref()).and_then(follow);
        let signer = render.signer.as_ref();
        let statement = said.map(|said| Statement::new(said, brought.as_ref(), made, signer));
        let mut statement = statement.unwrap_or_default();
        statement.inputs = [&following, &before_following]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
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
            statement,
            following,
            before_following,
            size_is_known: choice.size.is_some(),
        })
    }

    /// Length of the result as far as the headers say.
    pub(super) fn length_ms(&self) -> u64 {
        let before = self
            .before
            .as_ref()
            .map_or(0, |before| length_ms(&before.probe));
        before.saturating_add(self.main.probe.container.duration_ms)
    }

    /// The layers, ready to be drawn on a result of these colours.
    pub(super) fn marks(&self, color: Color) -> Result<Marks, MediaError> {
        let end_ms = Some(self.length_ms()).filter(|ms| *ms > 0);
        let end_ms = end_ms.map(|ms| ms as f64);
        let mut marks = Marks::default();
        let layers = self.render.watermarks.iter().zip(&self.logos);
        for ((mark, logo), at) in layers.zip(&self.plan.watermarks) {
            marks.add(logo, &mark.placement, *at, color, end_ms)?;
        }
        Ok(marks)
    }

    /// The pictures to take of the frames.
    pub(super) fn stills(&self) -> Stills {
        let (render, length) = (self.render, self.length_ms());
        Stills {
            poster: render.poster.as_ref().map(|_| PosterPicker::new(length)),
            storyboard: render.storyboard.then(|| Storyboard::new(length)),
        }
    }
}

/// Bytes a second of a recording that hardly moves, with speech: 16 kbit/s.
const SLOWEST: f64 = 2000.0;

/// Bytes reserved for the index, from what the headers promise.
pub(crate) fn reserve_for(main: &Opened, source: Option<&Opened>) -> u64 {
    let count = |opened: &Opened| {
        let container = &opened.probe.container;
        // A file that does not say how long it is gets room for what its bytes may hold, ten
        // minutes at most.
        let seconds = match container.duration_ms {
            0 => (container.bytes as f64 / SLOWEST).min(600.0),
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

/// Which container a sound plan reads from.
pub(crate) fn takes_from_source(plan: &AudioPlan) -> bool {
    plan.from() == Some(AudioFrom::Source)
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
