//! The sound of a source as an encoder takes it: decoded, of one rate and layout, in order and
//! without long gaps, whatever its timestamps say.

use super::audio::{can_be_resampled, encode_error, hush, open_decoder, resampler};
use super::counts::Counts;
use super::silence::Silence;
use super::timing::Timing;
use crate::media::av::{
    AacSettings, Decoder, Demuxer, Entry, Exit, Frame, Graph, Packet, Received, StreamInfo,
};
use crate::media::error::{MediaError, memory};
use crate::media::judge::is_heard;
use crate::media::limits::Limits;
use crate::media::ratio::{Ratio, Time};

/// Takes one block of samples, whose time is in a base.
pub(super) type Take<'a> = &'a mut dyn FnMut(&mut Frame, Ratio) -> Result<(), MediaError>;

/// Shorter gaps and overlaps are the resampler's. Longer ones are filled here, in steps of this
/// length: it would fill them in one piece, and a forged timestamp made it hold gigabytes.
const STEP: Time = Time::from_millis(1000);

/// What the encoder asks for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub settings: AacSettings,
    /// Samples of each block but the last; 0 is any number.
    pub block: u32,
}

/// One stream of sound on its way to an encoder.
pub(super) struct Resampled {
    decoder: Decoder,
    frame: Frame,
    graph: Option<(Graph, Entry, Exit)>,
    /// Sample rate, sample format and channels the graph was built for.
    built_for: (i32, i32, i32),
    wanted: Wanted,
    base: Ratio,
    timing: Timing,
    /// Where a frame that has no time of its own begins.
    next: Option<i64>,
    /// How far it has come: what is said to lie before was there already.
    reached: Option<i64>,
    silence: Silence,
    /// Something was heard in the source.
    pub heard: bool,
    pub counts: Counts,
}

impl Resampled {
    pub(super) fn open(
        demuxer: &Demuxer,
        stream: &StreamInfo,
        wanted: Wanted,
        timing: Timing,
        limits: &Limits,
    ) -> Result<Self, MediaError> {
        Ok(Self {
            decoder: open_decoder(demuxer, stream)?,
            frame: Frame::new().map_err(memory)?,
            graph: None,
            built_for: (0, 0, 0),
            wanted,
            base: stream.time_base,
            timing,
            next: None,
            reached: None,
            silence: Silence::of(timing.picture_ends, limits),
            heard: false,
            counts: Counts::default(),
        })
    }

    /// Silence comes first, if its sound begins later than zero.
    pub(super) fn starting_at_zero(mut self) -> Self {
        self.reached = Some(0);
        self
    }

    pub(super) fn packet(&mut self, packet: &Packet, take: Take<'_>) -> Result<(), MediaError> {
        self.counts.packets += 1;
        if self.decoder.send(Some(packet)).is_err() {
            self.counts.bad_packets += 1;
        }
        self.drain_decoder(take)
    }

    /// What the decoder and the resampler still hold.
    pub(super) fn finish(&mut self, take: Take<'_>) -> Result<(), MediaError> {
        if self.decoder.send(None).is_err() {
            self.counts.bad_packets += 1;
        }
        self.drain_decoder(take)?;
        self.drain_graph(true, take)
    }

    fn drain_decoder(&mut self, take: Take<'_>) -> Result<(), MediaError> {
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Item) => self.decoded(take)?,
                Ok(Received::Again | Received::End) => return Ok(()),
                Err(_) => {
                    self.counts.bad_frames += 1;
                    return Ok(());
                }
            }
        }
    }

    fn decoded(&mut self, take: Take<'_>) -> Result<(), MediaError> {
        self.counts.decoded += 1;
        if !can_be_resampled(&self.frame) {
            self.counts.bad_frames += 1;
            return Ok(());
        }
        let rate = Ratio::new(1, self.frame.sample_rate().max(1));
        let length = Time::of(i64::from(self.frame.samples()), rate);
        let offset = self.timing.offset.ticks(self.base);
        let stamp = self.frame.best_effort();
        let pts = match stamp {
            Some(pts) => pts.saturating_sub(offset),
            None => self.next.unwrap_or(0),
        };
        let end = pts.saturating_add(length.ticks(self.base));
        self.next = Some(end);
        if self.timing.is_over(Time::of(pts, self.base)) || self.is_past(end) {
            return Ok(());
        }
        self.silence.decoded(length);
        self.heard = self.heard || is_heard(&self.frame);
        self.frame.set_pts(pts);
        self.fit(take)?;
        if let Some(reached) = self.reached {
            self.fill(reached, pts, take)?;
        }
        self.reached = Some(end.max(self.reached.unwrap_or(end)));
        self.push(None)?;
        self.drain_graph(false, take)
    }

    /// Whether a frame that ends at `end` comes too late to be heard. Its time is forged then,
    /// except before the first: what lies before the beginning is cut off.
    fn is_past(&mut self, end: i64) -> bool {
        let step = STEP.ticks(self.base);
        let past = end.saturating_add(step) <= self.reached.unwrap_or(0);
        if past && self.reached.is_some_and(|reached| reached > 0) {
            self.counts.bad_frames += 1;
        }
        past
    }

    /// Builds the graph for frames like the one at hand.
    fn fit(&mut self, take: Take<'_>) -> Result<(), MediaError> {
        let shape = (
            self.frame.sample_rate(),
            self.frame.format(),
            self.frame.channels(),
        );
        if self.graph.is_some() && self.built_for != shape {
            self.drain_graph(true, take)?;
        }
        if self.graph.is_none() {
            let (mut graph, entry, exit) =
                resampler(&self.frame, self.base, self.wanted.settings).map_err(encode_error)?;
            if self.wanted.block > 0 {
                graph
                    .set_frame_size(exit, self.wanted.block)
                    .map_err(encode_error)?;
            }
            self.graph = Some((graph, entry, exit));
            self.built_for = shape;
        }
        Ok(())
    }

    /// Silence in a long gap.
    fn fill(&mut self, from: i64, until: i64, take: Take<'_>) -> Result<(), MediaError> {
        let rate = self.frame.sample_rate().max(1).unsigned_abs();
        let step = STEP.ticks(self.base).max(1);
        let mut at = from;
        while until.saturating_sub(at) > step {
            let next = at.saturating_add(step);
            let span = (Time::of(at, self.base), Time::of(next, self.base));
            self.silence.made(span.0, span.1)?;
            let mut silence = self.frame.silence(rate).map_err(memory)?;
            silence.set_pts(at);
            self.push(Some(silence))?;
            self.drain_graph(false, take)?;
            at = next;
        }
        Ok(())
    }

    /// Gives the graph the frame at hand, or another one.
    fn push(&mut self, other: Option<Frame>) -> Result<(), MediaError> {
        let Some((graph, entry, _)) = &mut self.graph else {
            return Ok(());
        };
        let mut other = other;
        let frame = other.as_mut().unwrap_or(&mut self.frame);
        graph.push(*entry, Some(frame)).map_err(encode_error)
    }

    fn drain_graph(&mut self, end: bool, take: Take<'_>) -> Result<(), MediaError> {
        let Some((mut graph, entry, exit)) = self.graph.take() else {
            return Ok(());
        };
        if end {
            graph.push(entry, None).map_err(encode_error)?;
        }
        let base = graph.time_base(exit).map_err(encode_error)?;
        let mut samples = Frame::new().map_err(memory)?;
        while graph.pull(exit, &mut samples).map_err(encode_error)? == Received::Item {
            hush(&mut samples, &mut self.counts)?;
            take(&mut samples, base)?;
        }
        if !end {
            self.graph = Some((graph, entry, exit));
        }
        Ok(())
    }
}
