//! The child's side: takes its order, does the work, says what came of it, and ends.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::process::{Signal, set_parent_process_death_signal};

use super::bounds;
use super::parent::NO_PLACE;
use super::protocol::{Found, Kind, Order, Outcome, Task};
use super::remote::{RemoteInput, RemoteOutput, RemoteSigner, Wire};
use super::work::{Answer, Work};
use crate::job::Phase;
use crate::media::{
    self, Cancel, Force, Input, Limits, MediaCode, MediaError, PosterTo, Render, Watermark,
};

/// Is the child, for one order. `phase` is the word that the parent gave it.
#[must_use]
pub fn run(phase: Phase) -> ExitCode {
    match work(phase) {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::NoPlace) => ExitCode::from(NO_PLACE),
        // The parent is gone, or is to see that we are.
        Err(End::Io) => ExitCode::FAILURE,
    }
}

/// Why a child ends without an outcome.
enum End {
    /// This machine does not give it what it has to have before it may look at a file.
    NoPlace,
    Io,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

fn work(phase: Phase) -> Result<(), End> {
    // Without a parent nobody wants what is done here. One that was gone before this line is
    // noticed by its closed pipes.
    #[cfg(target_os = "linux")]
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    // Ours are closed at the start of a child anyway; what ours were started with may not be.
    media::close_inherited();
    bounds::close_in()?;
    let wire = Arc::new(Wire::default());
    wire.hello()?;
    let order = wire.order()?;
    order.bounds.apply().map_err(|_| End::NoPlace)?;
    let result = done(phase, order, &wire);
    if let Ok(Answer::Rendered(report, _)) = &result {
        for (kind, jpeg) in [
            (Kind::Poster, &report.poster_jpeg),
            (Kind::Storyboard, &report.storyboard_jpeg),
        ] {
            wire.picture(kind, jpeg.as_deref().unwrap_or_default())?;
        }
    }
    wire.done(&Outcome {
        result: result.map(found).map_err(Into::into),
        cpu_us: u64::try_from(cpu().as_micros()).unwrap_or(u64::MAX),
    })?;
    Ok(())
}

fn done(phase: Phase, order: Order, wire: &Arc<Wire>) -> Result<Answer, MediaError> {
    media::init()?;
    media::limit_allocations(order.max_allocation);
    let limits = Limits {
        threads: order.threads,
        ..order.limits
    };
    let inputs = order.inputs.into_iter().zip(0..);
    let inputs = inputs
        .map(|(name, number)| Arc::new(RemoteInput::new(wire, number, name)) as Arc<dyn Input>);
    let work = assemble(order.task, inputs, order.output, &limits, wire);
    let work =
        work.ok_or_else(|| MediaError::new(MediaCode::Internal, "the order names too few inputs"))?;
    work.run(phase, &limits, &Cancel::new(), &mut |event| {
        // Where it cannot be told, nothing else can be either, and reading says so.
        let _ = wire.event(&event);
    })
}

/// The work that was ordered, on the parent's files.
fn assemble(
    task: Task,
    mut inputs: impl Iterator<Item = Arc<dyn Input>>,
    output: Option<String>,
    limits: &Limits,
    wire: &Arc<Wire>,
) -> Option<Work> {
    let main = inputs.next()?;
    Some(match task {
        Task::Probe(track) => Work::Probe(main, track),
        Task::Picture => Work::Picture(main),
        Task::Audible(track) => Work::Audible(main, track),
        Task::Verify(expected) => Work::Verify(main, expected),
        Task::Render(task) => {
            let before = if task.before {
                Some(inputs.next()?)
            } else {
                None
            };
            let audio_source = if task.audio_source {
                Some(inputs.next()?)
            } else {
                None
            };
            let marks = task.watermarks.into_iter().map(|placement| {
                let image = inputs.next()?;
                Some(Watermark { image, placement })
            });
            let render = Render {
                main,
                before,
                audio_source,
                profile: task.profile,
                strict: task.strict,
                main_is_silent: task.main_is_silent,
                audio_track: task.audio_track,
                source_track: task.source_track,
                watermarks: marks.collect::<Option<_>>()?,
                force: Force {
                    video: task.force_video,
                    audio: task.force_audio,
                    because: None,
                    sound_because: None,
                },
                poster: task.poster.then_some(PosterTo::Report),
                storyboard: task.storyboard,
                checks: task.checks,
                limits: limits.clone(),
                threads: task.threads,
                provenance: task.provenance,
                audible: task.audible,
                signer: task.signer.map(|signer| {
                    Arc::new(RemoteSigner::new(wire, signer)) as Arc<dyn media::Signer>
                }),
                index_room: task.index_room,
            };
            let output = RemoteOutput::new(wire, output?);
            Work::Render(Box::new(render), Box::new(output))
        }
    })
}

fn found(answer: Answer) -> Found {
    match answer {
        Answer::Probe(probe) => Found::Probe(probe),
        Answer::Picture(picture) => Found::Picture(picture),
        Answer::Audible(heard) => Found::Audible(heard),
        Answer::Verified(verified) => Found::Verified(verified),
        Answer::Rendered(report, _) => Found::Rendered(report),
    }
}

/// Of all threads, since the start.
fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}
