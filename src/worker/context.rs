//! What stages work with, and how they say what became of them.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::admission::Permit;
use super::awaited::Awaited;
use super::deadline::Deadline;
use super::halt::Halt;
use super::places::{Place, Places};
use super::stop::Stop;
use super::writer::Writer;
use super::{Services, Settings, Worker};
use crate::job::{Change, Failure, JobError, Owner, Timestamp, WaitsFor};
use crate::media::Limits;

/// What a stage works with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) worker: &'a Worker,
    pub(super) services: &'a Services,
    pub(super) writer: Writer<'a>,
    pub(super) stop: Stop,
    /// Whose job it is.
    pub(super) owner: Owner,
    /// Whether the visit's own place is one to fetch inputs in.
    pub(super) fetches: bool,
    /// The submission whose callback it is made for.
    pub(super) heard: Option<String>,
    pub(super) awaited: Awaited,
    /// The place its pass has, while it has one.
    pub(super) pass: Mutex<Option<Permit>>,
    pub(super) started: Instant,
    /// How the visit stands to the job's deadline.
    pub(super) deadline: Deadline,
}

impl Context<'_> {
    pub(super) fn settings(&self) -> &Settings {
        &self.services.settings
    }

    pub(super) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    pub(super) fn after(&self, by: Duration) -> Timestamp {
        self.worker.after(by)
    }

    /// Waits for `work` unless the visit has to stop first. Not for paying.
    pub(super) async fn interruptible<F: Future>(&self, work: F) -> Result<F::Output, Halt> {
        tokio::select! {
            biased;
            reason = self.stop.stopped() => Err(Halt::Stopped(reason)),
            output = work => Ok(output),
        }
    }

    /// Waits for a place for a pass that takes `bytes`; everything that is run before the answer
    /// is dropped has it.
    pub(super) async fn pass(&self, bytes: u64) -> Result<Pass<'_>, Halt> {
        self.noted(self.pass_in_turn(bytes)).await
    }

    async fn pass_in_turn(&self, bytes: u64) -> Result<Pass<'_>, Halt> {
        let patience = self.settings().media_slot_patience;
        let began = Instant::now();
        let turn = self.place_of(&self.worker.places.passes).await?;
        let left = patience.saturating_sub(began.elapsed());
        let bytes = if self.has_to_be_alone().await {
            u64::MAX
        } else {
            bytes
        };
        let permit = self.worker.media.pass(bytes, left);
        let permit = self.interruptible(permit).await?.ok_or(Halt::NoPlace)?;
        *self.held() = Some(permit.clone());
        Ok(Pass {
            permit,
            context: self,
            _turn: turn,
        })
    }

    /// A place of one kind, beside the visit's own.
    async fn place_of(&self, places: &Places) -> Result<Place, Halt> {
        let place = places.get(&self.owner, self.settings().media_slot_patience);
        self.interruptible(place).await?.ok_or(Halt::NoPlace)
    }

    /// A place to fetch an input in; none where the visit's own is one.
    pub(super) async fn fetching(&self) -> Result<Option<Place>, Halt> {
        if self.fetches {
            return Ok(None);
        }
        self.place_of(&self.worker.places.fetches).await.map(Some)
    }

    /// The pass's place, or one for a probe with its turn.
    pub(super) async fn place(&self) -> Result<(Permit, Option<Place>), Halt> {
        let held = self.held().clone();
        if let Some(permit) = held {
            return Ok((permit, None));
        }
        self.noted(self.probe_in_turn()).await
    }

    async fn probe_in_turn(&self) -> Result<(Permit, Option<Place>), Halt> {
        let turn = self.place_of(&self.worker.places.probes).await?;
        let probe = self.worker.media.probe(self.settings().media_slot_patience);
        let permit = self.interruptible(probe).await?.ok_or(Halt::NoPlace)?;
        Ok((permit, Some(turn)))
    }

    /// Waits for a place, and lets the job say so where that takes longer than progress may be
    /// old.
    async fn noted<T>(&self, place: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        tokio::pin!(place);
        let moment = self.settings().progress_every;
        if let Ok(place) = tokio::time::timeout(moment, &mut place).await {
            return place;
        }
        let awaits = Change::Awaits(Some(WaitsFor::MediaPlace));
        self.writer.record(&awaits).await?;
        let place = place.await?;
        self.writer.record(&Change::Awaits(None)).await?;
        Ok(place)
    }

    /// The bounds of a piece of work, with the threads it may use now.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            threads: self.held().as_ref().map_or(1, Permit::threads),
            ..self.settings().limits.clone()
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Permit>> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pass that has its place until this is dropped, and what it still runs has ended.
pub(super) struct Pass<'a> {
    permit: Permit,
    context: &'a Context<'a>,
    _turn: Place,
}

impl Pass<'_> {
    /// Whether work of this cost may go on in it.
    pub(super) fn covers(&self, bytes: u64) -> bool {
        self.permit.covers(bytes)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.context.held().take();
    }
}

/// The failure as the job's document shows it.
pub(super) async fn error_of(context: &Context<'_>, failure: &Failure) -> JobError {
    let job = context.writer.job().await;
    // Bounded: a document stays far below Firestore's 1 MiB whatever a library says.
    let message = failure.message.chars().take(500).collect();
    JobError {
        code: failure.code,
        message,
        party: failure.party,
        stage: job.stage,
        attempt: job.attempt,
        at: context.now(),
    }
}
