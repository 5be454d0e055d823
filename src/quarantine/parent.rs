//! The parent's side: starts the child, gives it its order, and serves it until it ends.

mod files;
mod gone;
mod serve;

use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ChildStderr, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use self::files::Files;
use self::gone::Gone;
use self::serve::serve;
use super::bounds::Bounds;
use super::lifeline::Lifeline;
use super::protocol::{Found, Kind, Order, Outcome, RenderTask, SignerTask, Task, violation};
use super::work::{Answer, Work};
use super::{COMMAND, Quarantine};
use crate::job::Phase;
use crate::media::{Event, Input, Limits, MediaCode, MediaError, Output, Render, Signer};

/// What a child did.
#[derive(Debug)]
pub struct Done {
    pub result: Result<Answer, MediaError>,
    /// Processor time it says it took.
    pub cpu: Duration,
}

/// Why there is no answer of a child.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// No child came up: nothing is known about the file.
    #[error("no child process could be started: {0}")]
    NotStarted(String),
    /// It was ended through its [`Lifeline`].
    #[error("the child process was ended")]
    Cut,
    /// Somebody sent it a signal that asks programs to end: no fault of the file's.
    #[error("the child process was told to end by signal {0}")]
    Told(i32),
    /// It died of its work, or took more than it may.
    #[error("the child process {0}")]
    Died(String),
}

/// Signals by which a machine ends what runs on it: SIGHUP, SIGINT, SIGQUIT, SIGTERM.
const POLITE: [i32; 4] = [1, 2, 3, 15];
/// A child's exit status where it could not be put under its bounds: `EX_OSERR` of `sysexits.h`.
pub(super) const NO_PLACE: u8 = 71;
/// SIGXCPU.
const TOO_MUCH_TIME: i32 = 24;

impl Quarantine {
    /// Does a piece of work in a child and waits for it. A render has limits of its own. Whatever
    /// happens, no child is left, and no output of one that did not come to its end.
    pub fn run(
        &self,
        phase: Phase,
        work: Work,
        limits: &Limits,
        bounds: Bounds,
        lifeline: &Lifeline,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Done, Lost> {
        let (order, mut files) = self.order(work, limits, bounds);
        let reaped = Reaped(lifeline);
        let stderr = self.start(phase, lifeline)?;
        let pipes = lifeline.with(|child| (child.stdin.take(), child.stdout.take()));
        let served = match pipes {
            Some((Some(to), Some(from))) => serve(to, from, &order, &mut files, on_event),
            _ => Err(Gone::Early(io::ErrorKind::BrokenPipe.into())),
        };
        let finished = served.and_then(|outcome| finish(outcome, &order.task, &mut files));
        let status = lifeline.reap();
        drop(reaped);
        let said = stderr.map(tail).unwrap_or_default();
        match finished {
            Ok(done) => Ok(done),
            Err(gone) => {
                files.give_up();
                let lost = explained(gone, status, lifeline.is_cut());
                if !matches!(lost, Lost::Cut) {
                    tracing::warn!(phase = phase.as_str(), said, "{lost}");
                }
                Err(lost)
            }
        }
    }

    #[expect(
        clippy::disallowed_types,
        reason = "the one place that starts a process, and only this program"
    )]
    #[expect(
        clippy::disallowed_methods,
        reason = "where the loader finds libraries is told by the environment alone"
    )]
    fn start(&self, phase: Phase, lifeline: &Lifeline) -> Result<Option<Stderr>, Lost> {
        let mut command = std::process::Command::new(&self.program);
        command
            .arg(COMMAND)
            .arg(phase.as_str())
            .env_clear()
            .current_dir("/")
            // A signal for the terminal's or the service's group is for us; we end the child.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(path) = std::env::var_os(LIBRARIES) {
            command.env(LIBRARIES, path);
        }
        lifeline
            .hold(|| command.spawn())
            .map_err(|error| Lost::NotStarted(error.to_string()))?;
        let stderr = lifeline.with(|child| child.stderr.take()).flatten();
        stderr
            .map(listen)
            .transpose()
            .map_err(|error| Lost::NotStarted(error.to_string()))
    }

    fn order(&self, work: Work, limits: &Limits, bounds: Bounds) -> (Order, Files) {
        let Parts {
            task,
            inputs,
            output,
            signer,
            limits,
        } = parts(work, limits);
        let order = Order {
            task,
            threads: limits.threads,
            bounds,
            max_allocation: self.max_allocation,
            inputs: inputs.iter().map(|input| input.describe()).collect(),
            output: output.as_ref().map(|output| output.describe()),
            limits,
        };
        let files = Files::new(inputs, output, signer, order.limits.max_output_bytes);
        (order, files)
    }
}

/// What the environment hands down, where it is set: without it no library may be found.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// What an order is made of.
struct Parts {
    task: Task,
    inputs: Vec<Arc<dyn Input>>,
    output: Option<Box<dyn Output>>,
    signer: Option<Arc<dyn Signer>>,
    limits: Limits,
}

fn parts(work: Work, limits: &Limits) -> Parts {
    let of = |task, input| Parts {
        task,
        inputs: vec![input],
        output: None,
        signer: None,
        limits: limits.clone(),
    };
    match work {
        Work::Probe(input, track) => of(Task::Probe(track), input),
        Work::Picture(input) => of(Task::Picture, input),
        Work::Audible(input, track) => of(Task::Audible(track), input),
        Work::Verify(input, expected) => of(Task::Verify(expected), input),
        Work::Render(render, output) => {
            // All of it by name: what is not sent would silently be left out.
            let Render {
                main,
                before,
                audio_source,
                profile,
                strict,
                main_is_silent,
                audio_track,
                source_track,
                watermarks,
                force,
                poster,
                storyboard,
                checks,
                audible,
                limits,
                threads,
                provenance,
                signer,
                index_room,
            } = *render;
            let task = RenderTask {
                before: before.is_some(),
                audio_source: audio_source.is_some(),
                profile,
                strict,
                main_is_silent,
                audio_track,
                source_track,
                watermarks: watermarks
                    .iter()
                    .map(|mark| mark.placement.clone())
                    .collect(),
                poster: poster.is_some(),
                storyboard,
                force_video: force.video,
                force_audio: force.audio,
                checks,
                audible,
                threads,
                provenance,
                signer: signer.as_ref().map(|signer| SignerTask {
                    certificates: signer.chain().to_vec(),
                    stamp_room: signer.stamp_room(),
                }),
                index_room,
            };
            let marks = watermarks.into_iter().map(|mark| mark.image);
            let videos = [Some(main), before, audio_source].into_iter().flatten();
            let inputs = videos.chain(marks).collect();
            Parts {
                task: Task::Render(Box::new(task)),
                inputs,
                output: Some(output),
                signer,
                limits,
            }
        }
    }
}

/// What the end of the conversation says, with the child's status.
fn explained(gone: Gone, status: Option<ExitStatus>, cut: bool) -> Lost {
    if cut {
        return Lost::Cut;
    }
    let signal = status.and_then(|status| status.signal());
    match (gone, signal) {
        (_, Some(signal)) if POLITE.contains(&signal) => Lost::Told(signal),
        (Gone::Early(error), _) => match status {
            Some(status) => Lost::NotStarted(format!("{error}; {status}")),
            None => Lost::NotStarted(error.to_string()),
        },
        (_, None) if status.and_then(|status| status.code()) == Some(NO_PLACE.into()) => {
            Lost::NotStarted("its bounds could not be set".to_owned())
        }
        (Gone::Broken(how), _) => Lost::Died(format!("broke: {how}")),
        // We end it ourselves where it says what it must not.
        (Gone::Later(error), _) if error.kind() == io::ErrorKind::InvalidData => {
            Lost::Died(format!("broke the rules: {error}"))
        }
        (Gone::Later(_), Some(TOO_MUCH_TIME)) => {
            Lost::Died("took more processor time than allowed".to_owned())
        }
        (Gone::Later(error), _) => match status {
            Some(status) => Lost::Died(format!("died: {status}")),
            None => Lost::Died(format!("went away: {error}")),
        },
    }
}

/// Makes the outcome an answer: published is what is whole.
fn finish(outcome: Outcome, task: &Task, files: &mut Files) -> Result<Done, Gone> {
    let result = match outcome.result {
        // A panic, or no memory under its bounds.
        Err(failed) if failed.code == MediaCode::Internal => {
            return Err(Gone::Broken(failed.message));
        }
        Err(failed) => {
            files.give_up();
            Err(failed.into())
        }
        Ok(found) => match (found, task) {
            (Found::Probe(probe), Task::Probe(_)) => Ok(Answer::Probe(probe)),
            (Found::Picture(picture), Task::Picture) => Ok(Answer::Picture(picture)),
            (Found::Audible(heard), Task::Audible(_)) => Ok(Answer::Audible(heard)),
            (Found::Verified(verified), Task::Verify(_)) => Ok(Answer::Verified(verified)),
            (Found::Rendered(mut report), Task::Render(_)) => {
                report.poster_jpeg = files.picture(Kind::Poster);
                report.storyboard_jpeg = files.picture(Kind::Storyboard);
                files
                    .publish()
                    .map_err(Gone::Later)?
                    .map(|staged| Answer::Rendered(report, staged))
            }
            _ => return Err(Gone::Later(violation("it did something else"))),
        },
    };
    Ok(Done {
        result,
        cpu: Duration::from_micros(outcome.cpu_us),
    })
}

/// Leaves no child behind, also where serving it panics.
struct Reaped<'a>(&'a Lifeline);

impl Drop for Reaped<'_> {
    fn drop(&mut self) {
        self.0.reap();
    }
}

/// What a dying library says last: a line or two.
const MOST_SAID: usize = 2048;

type Stderr = JoinHandle<Vec<u8>>;

/// Reads what the child complains about, so that it never waits for a reader.
fn listen(mut stderr: ChildStderr) -> io::Result<Stderr> {
    std::thread::Builder::new()
        .name("filmlab-child".into())
        .spawn(move || {
            let mut last = Vec::new();
            let mut part = [0; MOST_SAID];
            while let Ok(read @ 1..) = stderr.read(&mut part) {
                last.extend_from_slice(&part[..read]);
                let over = last.len().saturating_sub(MOST_SAID);
                last.drain(..over);
            }
            last
        })
}

fn tail(stderr: Stderr) -> String {
    let said = stderr.join().unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(kind: io::ErrorKind) -> Gone {
        Gone::Later(kind.into())
    }

    #[test]
    fn a_death_is_told_by_its_reason() {
        let status = |raw| Some(ExitStatus::from_raw(raw));
        let eof = io::ErrorKind::UnexpectedEof;
        for (gone, raw, cut, told) in [
            (later(eof), 6, false, "died"),
            (later(eof), 24, false, "processor time"),
            (later(eof), 15, false, "told to end by signal 15"),
            (later(eof), 9, true, "was ended"),
            (later(eof), 9, false, "died"),
            (later(io::ErrorKind::InvalidData), 9, false, "rules"),
            (Gone::Early(eof.into()), 64 << 8, false, "could be started"),
            (later(eof), 71 << 8, false, "could be started"),
            (Gone::Early(eof.into()), 9, true, "was ended"),
        ] {
            let lost = explained(gone, status(raw), cut).to_string();
            assert!(lost.contains(told), "{raw} {cut}: {lost}");
        }
    }
}
