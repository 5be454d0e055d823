//! Native work of a visit: noted in the job before it begins in this process, or done in a child.

use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::admission::Permit;
use super::context::Context;
use super::failures::internal;
use super::halt::{About, Halt};
use super::objects::{ObjectInput, ObjectOutput};
use super::watchdog::Watchdog;
use crate::job::{Change, Code, Failure, Job, NativeWork, Party, Phase};
use crate::media::{
    AudioTrack, Event, Expectation, Input, Limits, MediaCode, MediaError, PictureProbe, Probe,
    Render, Report, Verified,
};
use crate::quarantine::{Answer, Bounds, Lifeline, Lost, Mode, Work};
use crate::telemetry::{metrics, spans};

/// Whether the job's native work is done in a child.
fn is_apart(mode: Mode, job: &Job) -> bool {
    match mode {
        Mode::AfterDeath => job.is_quarantined(),
        Mode::Always => true,
        Mode::Never => false,
    }
}

/// What a child may take. Memory: all that passes may take together, or what this one is reckoned
/// to take where that is more, since it runs alone then. Time: what a visit could take of all its
/// threads; the visit's own end comes first for work that waits.
pub(super) fn bounds(settings: &Settings, place: &Permit, limits: &Limits) -> Bounds {
    let threads = limits.threads.max(place.threads());
    let cpu = settings.budget.saturating_mul(threads as u32);
    Bounds::new(settings.media_memory.max(place.asked()), threads, cpu)
}

/// Ends the child of work that nobody waits for any more.
pub(super) struct CutOnDrop(pub(super) Lifeline);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

type Made<T> = Result<Result<T, MediaError>, Halt>;

/// The answer as what was asked for.
fn picked<T>(
    result: Result<Answer, MediaError>,
    pick: impl FnOnce(Answer) -> Option<T>,
) -> Made<T> {
    match result.map(pick) {
        Ok(Some(found)) => Ok(Ok(found)),
        Ok(None) => Err(Failure::new(Code::Internal, Code::Internal.about())
            .because("media work answered something else than it was asked")
            .into()),
        Err(error) => Ok(Err(error)),
    }
}

impl Context<'_> {
    /// The headers of the caller's video.
    pub(super) async fn probe(
        &self,
        input: &ObjectInput,
        track: Option<AudioTrack>,
    ) -> Made<Probe> {
        let about = About::new(Phase::Source, Party::Caller);
        let work = Work::Probe(Arc::new(input.clone()), track);
        let limits = self.settings().limits.clone();
        let result = self.native(about, work, limits, |_| {}).await?;
        picked(result, |answer| match answer {
            Answer::Probe(probe) => Some(*probe),
            _ => None,
        })
    }

    pub(super) async fn picture(&self, about: About, input: Arc<dyn Input>) -> Made<PictureProbe> {
        let limits = self.settings().limits.clone();
        let result = self.native(about, Work::Picture(input), limits, |_| {});
        picked(result.await?, |answer| match answer {
            Answer::Picture(picture) => Some(picture),
            _ => None,
        })
    }

    /// Whether there is anything to hear in the caller's video.
    pub(super) async fn audible(
        &self,
        input: &ObjectInput,
        track: Option<AudioTrack>,
    ) -> Made<bool> {
        let about = About::new(Phase::Listen, Party::Caller);
        let work = Work::Audible(Arc::new(input.clone()), track);
        let limits = self.settings().limits.clone();
        let result = self.native(about, work, limits, |_| {}).await?;
        picked(result, |answer| match answer {
            Answer::Audible(heard) => Some(heard),
            _ => None,
        })
    }

    pub(super) async fn verify(
        &self,
        about: About,
        input: Arc<dyn Input>,
        expected: Expectation,
    ) -> Made<Verified> {
        let work = Work::Verify(input, Box::new(expected));
        let result = self.native(about, work, self.limits(), |_| {}).await?;
        picked(result, |answer| match answer {
            Answer::Verified(verified) => Some(*verified),
            _ => None,
        })
    }

    /// What it writes is read back and verified before it is committed.
    pub(super) async fn render(
        &self,
        render: Render,
        output: ObjectOutput,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> Made<Report> {
        let about = About::new(Phase::Render, Party::Provider);
        let work = Work::Render(Box::new(render), Box::new(output));
        let result = self.native(about, work, self.limits(), on_event).await?;
        picked(result, |answer| match answer {
            Answer::Rendered(report, _) => Some(*report),
            _ => None,
        })
    }

    /// Native work is over for a while: a death from here on is none of the files' making.
    pub(super) async fn native_over(&self) -> Result<(), Halt> {
        if self.writer.job().await.is_in_native_work() {
            self.writer.record(&Change::NativeOver).await?;
        }
        Ok(())
    }

    /// Whether the pass may have no other beside it: the file may end the process, and this job
    /// has no other.
    pub(super) async fn has_to_be_alone(&self) -> bool {
        let mode = self.settings().quarantine.mode;
        mode == Mode::Never && self.writer.job().await.is_quarantined()
    }

    /// Does it on a thread of its own, here or in a child, and waits for it, stopped or not: what
    /// it writes is taken back by then.
    async fn native(
        &self,
        about: About,
        work: Work,
        limits: Limits,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> Made<Answer> {
        let (place, _turn) = self.place().await?;
        let job = self.writer.job().await;
        let is_apart = is_apart(self.settings().quarantine.mode, &job);
        let span = spans::media_pass(about.phase.into(), is_apart);
        let result = if is_apart {
            self.in_child(about, work, &place, limits, on_event).await?
        } else {
            self.note(about, &job).await?;
            self.in_process(about, work, &place, limits, on_event)
                .await?
        };
        let outcome = result.as_ref().err().map(|error| error.code);
        span.record("outcome", outcome.map_or("ok", Into::into));
        drop(span);
        match (result, self.stop.reason()) {
            (Err(error), Some(reason))
                if matches!(
                    error.code,
                    MediaCode::Cancelled
                        | MediaCode::DeadlineExceeded
                        // A read or a write was waiting when it came.
                        | MediaCode::InputUnreadable
                        | MediaCode::OutputUnwritable
                ) =>
            {
                Err(Halt::Stopped(reason))
            }
            (result, _) => Ok(result),
        }
    }

    /// Says in the job that native work begins in this process.
    async fn note(&self, about: About, job: &Job) -> Result<(), Halt> {
        let note = NativeWork {
            process: self.worker.holder.clone(),
            fence: job.lease.fence,
            phase: about.phase,
            party: about.party,
        };
        if job.native.as_ref() != Some(&note) {
            self.writer.record(&Change::NativeBegun(note)).await?;
        }
        Ok(())
    }

    async fn in_process(
        &self,
        about: About,
        work: Work,
        place: &Permit,
        limits: Limits,
        mut on_event: impl FnMut(Event) + Send + 'static,
    ) -> Made<Answer> {
        // Its lines belong to this visit too.
        let span = tracing::Span::current();
        let cancel = self.stop.media();
        let running = place
            .run(move || span.in_scope(|| work.run(about.phase, &limits, &cancel, &mut on_event)));
        let patience = self.settings().watchdog;
        let done = tokio::select! {
            biased;
            done = running => done,
            reason = Watchdog::overdue(&self.stop, patience) => return Err(Halt::Stuck(reason)),
        };
        done.map_err(|error| internal(&error).into())
    }

    async fn in_child(
        &self,
        about: About,
        work: Work,
        place: &Permit,
        limits: Limits,
        mut on_event: impl FnMut(Event) + Send + 'static,
    ) -> Made<Answer> {
        let span = tracing::Span::current();
        let quarantine = self.settings().quarantine.clone();
        let bounds = bounds(self.settings(), place, &limits);
        let lifeline = Lifeline::default();
        let held = lifeline.clone();
        let running = place.run(move || {
            span.in_scope(|| {
                quarantine.run(about.phase, work, &limits, bounds, &held, &mut on_event)
            })
        });
        let _cut = CutOnDrop(lifeline.clone());
        // What it does not stop at is reading or writing on its behalf, here.
        let ended = async {
            self.stop.stopped().await;
            lifeline.cut();
            Watchdog::overdue(&self.stop, self.settings().watchdog).await
        };
        let done = tokio::select! {
            biased;
            done = running => done,
            reason = ended => return Err(Halt::Stuck(reason)),
        };
        match done.map_err(|error| internal(&error))? {
            Ok(done) => {
                metrics::media_took(done.cpu);
                Ok(done.result)
            }
            Err(lost) => Err(self.lost(lost, about)),
        }
    }

    fn lost(&self, lost: Lost, about: About) -> Halt {
        match (lost, self.stop.reason()) {
            (_, Some(reason)) => Halt::Stopped(reason),
            (Lost::Died(how), None) => Halt::Crashed { about, how },
            // Whoever ends what runs on this machine is about to end us: nothing is wrong with
            // the job.
            (Lost::Told(_), None) => Halt::NoPlace,
            (lost @ (Lost::NotStarted(_) | Lost::Cut), None) => internal(&lost).into(),
        }
    }
}

/// Longest look at a source of no job.
pub(super) fn look_bounds(settings: &Settings, place: &Permit, longest: Duration) -> Bounds {
    Bounds::new(settings.media_memory.max(place.asked()), 1, longest)
}
