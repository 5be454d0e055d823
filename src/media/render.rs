//! The one pass: decode once, lay the watermark on, encode, choose a poster,
//! write a file that starts fast, verify it, publish it.

mod alpha;
mod audio;
mod counts;
mod cuts;
mod decoding;
mod duplication;
mod encoding;
mod graph;
mod join;
mod keys;
mod marks;
mod open;
mod order;
mod outcome;
mod pass;
mod poster;
mod remux;
mod report;
mod resampled;
mod seam;
mod setback;
mod silence;
mod sink;
mod sound;
mod still;
mod stills;
mod storyboard;
mod survey;
mod timing;
mod track;
mod transcode;
mod video;

use self::open::Prepared;
/// The parts that `synth` puts together in its own way.
#[cfg(feature = "sandbox")]
pub(crate) mod parts {
    pub(crate) use super::encoding::EncodeSettings;
    pub(crate) use super::graph::{Overlay, VideoSpec};
    pub(crate) use super::open::reserve_for;
    pub(crate) use super::pass::{AHEAD, Pass, sound_lane};
    pub(crate) use super::setback::Setback;
    pub(crate) use super::sink::Draft;
    pub(crate) use super::transcode::spec_for;
    pub(crate) use super::video::VideoLane;
}

use self::outcome::Outcome;
pub use order::{PosterTo, Render};
pub use report::{Damage, Event, PosterInfo, Progress, Report, Timings};
pub(crate) use setback::Setback;
pub use storyboard::StoryboardInfo;

use std::sync::Arc;
use std::time::Instant;

use self::poster::StagedPoster;
use self::report::{Narrator, elapsed};
use super::color::Color;
use super::error::{MediaCode, MediaError};
use super::judge::{AudioExpectation, Expectation, Verified, require_lively};
use super::limits::{Cancel, Guard, Limits};
use super::output::Output;
use super::plan::{AudioPlan, Force, Plan, VideoPlan, length_ms};
use super::probe::{Choice, Probe};
use super::provenance::{Following, ManifestState};
use super::verify::verify_guarded;

/// Processes a video in one pass and publishes the result.
///
/// The result is staged, read back and verified (size, length, frames, sound; a
/// picture that was encoded is the same packet by packet, and decodes) before `output` is committed; on any
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
    let mut force = render.force;
    let mut choice = Choice {
        audio_track: render.audio_track.clone(),
        ..Choice::default()
    };
    let done = loop {
        // Picture and sound are encoded after all at most once each.
        match attempt(render, force, &choice, output, guard, on_event) {
            Err(Setback::CannotCopy(reason)) if !force.video => {
                force.video = true;
                force.because = Some(reason);
            }
            Err(Setback::CannotCopySound(reason)) if !force.audio => {
                force.audio = true;
                force.sound_because = Some(reason);
            }
            // Another track may do, or the source's; each is tried once.
            Err(Setback::NoSound(stream)) if !choice.silent.contains(&stream) => {
                choice.silent.push(stream);
            }
            // Known from here on, whichever it is.
            Err(Setback::AnotherSize(planned)) if choice.size.is_none() => {
                let main = render.main.as_ref();
                match survey::longest(main, &choice, &render.limits, render.threads, guard) {
                    Ok(longest) => choice.size = Some(longest.unwrap_or(planned)),
                    Err(error) => break Err(error.into()),
                }
            }
            Err(Setback::NoSourceSound) if !choice.source_is_silent => {
                choice.source_is_silent = true;
            }
            done => break done,
        }
    };
    let Done {
        plan,
        probe,
        before,
        outcome,
        verified,
        mut timings,
    } = done.map_err(Setback::into_error)?;
    guard.check()?;

    let mut poster_jpeg = None;
    let mut staged = None;
    if let (Some(to), Some((frame, at_ms))) = (&render.poster, outcome.poster) {
        let (jpeg, info) = encode_poster(frame, at_ms, outcome.color)?;
        let file = match to {
            PosterTo::File(path) => Some(StagedPoster::write(path, &jpeg)?),
            PosterTo::Report => {
                poster_jpeg = Some(jpeg);
                None
            }
        };
        staged = Some((file, info));
    }
    let storyboard = match outcome.storyboard {
        Some(storyboard) => storyboard.finish().map_err(|error| {
            let message = format!("the storyboard cannot be encoded: {error}");
            MediaError::new(MediaCode::EncoderFailed, message)
                .at("storyboard")
                .with_log()
        })?,
        None => None,
    };
    let (storyboard_jpeg, storyboard) = storyboard.unzip();
    // The poster first: it can be taken back, an earlier video could not.
    if let Some((Some(poster), _)) = &mut staged {
        poster.publish()?;
    }
    output.commit().map_err(|error| {
        MediaError::new(
            MediaCode::OutputUnwritable,
            format!("the result cannot be published: {error}"),
        )
    })?;
    let poster = staged.map(|(file, info)| {
        if let Some(file) = file {
            file.keep();
        }
        on_event(Event::PosterWritten(info.clone()));
        info
    });
    on_event(Event::Done);
    timings.total_ms = elapsed(started);
    Ok(Report {
        plan,
        source: probe,
        before,
        duration_ms: verified.duration_ms,
        frames: verified.frames,
        bytes: verified.probe.container.bytes,
        faststart: outcome.finished.faststart,
        output: verified.probe,
        poster,
        poster_jpeg,
        storyboard,
        storyboard_jpeg,
        damage: outcome.damage,
        timings,
    })
}

/// A staged and verified file and how it came about.
struct Done {
    plan: Plan,
    probe: Probe,
    before: Option<Probe>,
    outcome: Outcome,
    verified: Verified,
    timings: Timings,
}

fn attempt(
    render: &Render,
    force: Force,
    choice: &Choice,
    output: &mut dyn Output,
    guard: &Arc<Guard>,
    on_event: &mut dyn FnMut(Event),
) -> Result<Done, Setback> {
    let started = Instant::now();
    let prepared = Prepared::open(render, force, choice, guard)?;
    let (plan, mut probe) = (prepared.plan.clone(), prepared.main.probe.clone());
    let mut before = prepared.before.as_ref().map(|before| before.probe.clone());
    let (following, before_following) = (
        prepared.following.clone(),
        prepared.before_following.clone(),
    );
    on_event(Event::Planned(Box::new(plan.clone())));
    let open_ms = elapsed(started);

    let mut narrator = Narrator::new(&probe, on_event);
    if let Some(before) = &prepared.before {
        narrator.lengthen(length_ms(&before.probe));
    }
    let processing = Instant::now();
    let copying = matches!(plan.video, VideoPlan::Copy { .. });
    let outcome = if copying {
        remux::run(prepared, output, &mut narrator)?
    } else if prepared.before.is_some() {
        join::run(prepared, output, &mut narrator)?
    } else {
        transcode::run(prepared, output, &mut narrator)?
    };
    output.finish().map_err(|error| {
        MediaError::new(
            MediaCode::OutputUnwritable,
            format!("the result cannot be completed: {error}"),
        )
        .at("mux")
    })?;
    tell(&mut probe, following.as_ref(), guard)?;
    if let Some(before) = &mut before {
        tell(before, before_following.as_ref(), guard)?;
    }
    let process_ms = elapsed(processing);

    let verifying = Instant::now();
    let verified = match check(output, &plan, &outcome, &probe, render, guard) {
        Ok(verified) => verified,
        // Copied as it came: an encoder can make something whole of it.
        Err(error) if copying => {
            return Err(match error.code {
                MediaCode::NotDecodable => Setback::CannotCopy("its damaged frames are mended"),
                MediaCode::WrongSize => Setback::CannotCopy(remux::CHANGES),
                MediaCode::FramesMissing | MediaCode::WrongDuration => {
                    Setback::CannotCopy(remux::UNFIT)
                }
                _ => error.into(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Done {
        plan,
        probe,
        before,
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

fn encode_poster(
    frame: super::av::Frame,
    at_ms: u64,
    color: Color,
) -> Result<(Vec<u8>, PosterInfo), MediaError> {
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
    Ok((jpeg, info))
}

/// Reads the staged file back and holds it against the plan.
fn check(
    output: &dyn Output,
    plan: &Plan,
    outcome: &Outcome,
    source: &Probe,
    render: &Render,
    guard: &Arc<Guard>,
) -> Result<Verified, MediaError> {
    let checks = &render.checks;
    let most = (checks.max_black_ms, checks.max_frozen_ms);
    // What was decoded is to blame, not what was made of it.
    require_lively(outcome.looked, most).map_err(|error| error.at("decode"))?;
    let (width, height, codec) = match &plan.video {
        VideoPlan::Encode { width, height, .. } => (Some(*width), Some(*height), "h264"),
        VideoPlan::Copy { .. } => (None, None, source.require_video()?.codec.as_str()),
    };
    let expectation = Expectation {
        frames: Some((outcome.frames, 0)),
        duration_ms: outcome.length_ms,
        width,
        height,
        audio: match plan.audio {
            AudioPlan::None { .. } => {
                // Of a track of digital silence nobody misses anything.
                if !render.main_is_silent {
                    source.require_reasons_for_silence()?;
                }
                AudioExpectation::Absent
            }
            _ => AudioExpectation::Required,
        },
        video_codec: Some(codec.to_owned()),
        audio_codec: Some("aac".to_owned()),
        audible: outcome.heard || render.audible,
        playable: true,
        own: true,
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
    let staged = output.staged();
    let sealed = outcome.finished.sealed;
    let verified = verify_guarded(staged.as_ref(), &expectation, sealed, &limits, guard)?;
    if render.signer.is_some() && render.provenance.is_some() {
        require_signed(&verified.probe)?;
    }
    Ok(verified)
}

/// Says of an input what was found out about its manifest meanwhile.
fn tell(probe: &mut Probe, following: Option<&Following>, guard: &Guard) -> Result<(), MediaError> {
    if let (Some(following), Some(said)) = (following, &mut probe.provenance) {
        said.manifest = Some(sink::known(following, guard)?);
    }
    Ok(())
}

/// What was to be signed is not published without a signature, nor with one that does not hold.
fn require_signed(probe: &Probe) -> Result<(), MediaError> {
    let said = probe.provenance.as_ref();
    let manifest = said.and_then(|said| said.manifest.as_ref());
    let wrong = match manifest {
        None => "is not there".to_owned(),
        Some(manifest) if manifest.state == ManifestState::Invalid => {
            let why = manifest.why.as_deref().unwrap_or_default();
            format!("does not hold: {why}")
        }
        Some(_) => return Ok(()),
    };
    let message = format!("the signature of the result {wrong}");
    Err(MediaError::new(MediaCode::OutputUnwritable, message).at("verify"))
}
