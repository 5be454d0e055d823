//! The sound's way: copied, or decoder → resampler → AAC → file.

use super::audio::{can_be_resampled, drain, encode_error, hush, open_decoder, resampler};
use super::counts::Counts;
use super::seam::SeamLane;
use super::sink::{Draft, Sink};
use crate::media::av::{
    AacSettings, AvError, Decoder, Demuxer, Encoder, Entry, Exit, Frame, Graph, Packet, Received,
    StreamInfo,
};
use crate::media::error::{MediaError, memory};
use crate::media::judge::is_heard;
use crate::media::ratio::{Ratio, Time, rescale};

/// Where sound lies in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Subtracted from every timestamp.
    pub offset: Time,
    /// Sound starting at or after this is cut, in the result's time.
    pub end: Option<Time>,
}

/// One audio stream on its way into the file.
pub(crate) enum SoundLane {
    Copy(CopyLane),
    Encode(Box<EncodeLane>),
    Seam(Box<SeamLane>),
}

/// Packets pass as they are.
pub(crate) struct CopyLane {
    stream: usize,
    /// Packets before the first one that is heard; `None` once that has come.
    priming: Option<u32>,
    /// An edit list cuts something out that a copy would bring back.
    cut: bool,
    base: Ratio,
    timing: Timing,
}

/// Decoded, resampled, encoded.
pub(crate) struct EncodeLane {
    decoder: Decoder,
    frame: Frame,
    packet: Packet,
    graph: Option<(Graph, Entry, Exit)>,
    /// Sample rate, sample format and channels the graph was built for.
    built_for: (i32, i32, i32),
    encoder: Encoder,
    settings: AacSettings,
    stream: usize,
    base: Ratio,
    timing: Timing,
    last: Option<i64>,
    /// Something was heard in the source.
    heard: bool,
    counts: Counts,
}

impl SoundLane {
    pub(crate) fn copy(
        demuxer: &Demuxer,
        stream: &StreamInfo,
        timing: Timing,
        draft: &mut Draft,
    ) -> Result<Self, MediaError> {
        let params = demuxer.params(stream.index).map_err(memory)?;
        let index = draft.add_copied(&params, &stream.codec, stream.time_base, None)?;
        Ok(Self::Copy(CopyLane {
            stream: index,
            priming: Some(0),
            cut: false,
            base: stream.time_base,
            timing,
        }))
    }

    pub(crate) fn encode(
        demuxer: &Demuxer,
        stream: &StreamInfo,
        settings: AacSettings,
        timing: Timing,
        draft: &mut Draft,
    ) -> Result<Self, MediaError> {
        let decoder = open_decoder(demuxer, stream)?;
        let encoder = Encoder::aac(settings).map_err(encode_error)?;
        let index = draft.add_encoded(&encoder, None)?;
        Ok(Self::Encode(Box::new(EncodeLane {
            decoder,
            frame: Frame::new().map_err(memory)?,
            packet: Packet::new().map_err(memory)?,
            graph: None,
            built_for: (0, 0, 0),
            encoder,
            settings,
            stream: index,
            base: stream.time_base,
            timing,
            last: None,
            heard: false,
            counts: Counts::default(),
        })))
    }

    /// Takes one packet of the stream, emptying it.
    pub(crate) fn packet(
        &mut self,
        packet: &mut Packet,
        sink: &mut Sink,
    ) -> Result<(), MediaError> {
        match self {
            Self::Copy(lane) => lane.packet(packet, sink),
            Self::Encode(lane) => lane.packet(packet, sink),
            Self::Seam(lane) => lane.packet(packet, sink),
        }
    }

    pub(crate) fn finish(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        match self {
            Self::Copy(_) => Ok(()),
            Self::Encode(lane) => lane.finish(sink),
            Self::Seam(lane) => lane.finish(sink),
        }
    }

    /// Whether something was heard that must be heard in the result as well;
    /// copied packets are not looked into.
    pub(crate) fn heard(&self) -> bool {
        match self {
            Self::Copy(_) => false,
            Self::Encode(lane) => lane.heard,
            Self::Seam(lane) => lane.heard,
        }
    }

    /// Whether the packets that are copied hold what an edit list cuts out of the sound.
    pub(crate) fn holds_what_was_cut(&self) -> bool {
        matches!(self, Self::Copy(lane) if lane.cut)
    }

    /// Damage found so far.
    pub(crate) fn counts(&self) -> Counts {
        match self {
            Self::Copy(_) => Counts::default(),
            Self::Encode(lane) => lane.counts,
            Self::Seam(lane) => lane.counts,
        }
    }
}

/// Packets that prime an AAC decoder: one to three, by the encoder.
const PRIMING: u32 = 3;

impl CopyLane {
    fn packet(&mut self, packet: &mut Packet, sink: &mut Sink) -> Result<(), MediaError> {
        match &mut self.priming {
            Some(primed) if packet.is_cut_off() => {
                *primed += 1;
                self.cut |= *primed > PRIMING;
            }
            Some(_) => self.priming = None,
            None => self.cut |= packet.is_cut_off(),
        }
        packet.subtract(self.timing.offset.ticks(self.base));
        let starts = packet.pts().or(packet.dts()).unwrap_or(0);
        let too_late = self
            .timing
            .end
            .is_some_and(|end| Time::of(starts, self.base) >= end);
        // Up to three packets before the start prime the decoder; what lies before
        // them was cut off by an edit list.
        let cut_off = starts.saturating_add(packet.duration().saturating_mul(3)) <= 0
            && packet.duration() > 0;
        if too_late || cut_off {
            packet.clear();
            return Ok(());
        }
        sink.write(packet, self.stream, self.base)
    }
}

impl EncodeLane {
    fn packet(&mut self, packet: &Packet, sink: &mut Sink) -> Result<(), MediaError> {
        self.counts.packets += 1;
        if self.decoder.send(Some(packet)).is_err() {
            self.counts.bad_packets += 1;
        }
        self.drain_decoder(sink)
    }

    fn finish(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        if self.decoder.send(None).is_err() {
            self.counts.bad_packets += 1;
        }
        self.drain_decoder(sink)?;
        self.drain_graph(true, sink)?;
        self.encoder.send(None).map_err(encode_error)?;
        self.drain_encoder(sink)
    }

    fn drain_decoder(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Item) => self.decoded(sink)?,
                Ok(Received::Again | Received::End) => return Ok(()),
                Err(_) => {
                    self.counts.bad_frames += 1;
                    return Ok(());
                }
            }
        }
    }

    fn decoded(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        self.counts.decoded += 1;
        if !can_be_resampled(&self.frame) {
            self.counts.bad_frames += 1;
            return Ok(());
        }
        let rate = self.frame.sample_rate().max(1);
        let length = rescale(
            i64::from(self.frame.samples()),
            Ratio::new(1, rate),
            self.base,
        );
        let offset = self.timing.offset.ticks(self.base);
        let pts = match (self.frame.best_effort(), self.last) {
            (Some(pts), _) => pts.saturating_sub(offset),
            (None, Some(next)) => next,
            (None, None) => 0,
        };
        let expected = self.last.replace(pts.saturating_add(length));
        if self
            .timing
            .end
            .is_some_and(|end| Time::of(pts, self.base) >= end)
        {
            return Ok(());
        }
        sink.admit(Time::of(pts, self.base))?;
        self.heard = self.heard || is_heard(&self.frame);
        self.frame.set_pts(pts);
        let shape = (
            self.frame.sample_rate(),
            self.frame.format(),
            self.frame.channels(),
        );
        if self.graph.is_some() && self.built_for != shape {
            self.drain_graph(true, sink)?;
        }
        if self.graph.is_none() {
            self.graph = Some(self.build().map_err(encode_error)?);
            self.built_for = shape;
        }
        if let Some(expected) = expected {
            self.fill(expected, pts, sink)?;
        }
        self.push(None)?;
        self.drain_graph(false, sink)
    }

    /// Silence in a long gap, a second at a time. The resampler would do it too,
    /// but in one piece: a forged timestamp made it hold gigabytes.
    fn fill(&mut self, from: i64, until: i64, sink: &mut Sink) -> Result<(), MediaError> {
        let rate = self.frame.sample_rate().max(1);
        let second = rescale(1, Ratio::new(1, 1), self.base).max(1);
        let mut at = from;
        while until.saturating_sub(at) > second {
            sink.admit(Time::of(at, self.base))?;
            let mut silence = self.frame.silence(rate.unsigned_abs()).map_err(memory)?;
            silence.set_pts(at);
            self.push(Some(silence))?;
            self.drain_graph(false, sink)?;
            at = at.saturating_add(second);
        }
        Ok(())
    }

    /// Gives the graph the frame at hand, or another one.
    fn push(&mut self, other: Option<Frame>) -> Result<(), MediaError> {
        let Some((graph, source, _)) = &mut self.graph else {
            return Ok(());
        };
        let mut other = other;
        let frame = other.as_mut().unwrap_or(&mut self.frame);
        graph.push(*source, Some(frame)).map_err(encode_error)
    }

    fn build(&self) -> Result<(Graph, Entry, Exit), AvError> {
        let (mut graph, source, exit) = resampler(&self.frame, self.base, self.settings)?;
        if self.encoder.frame_size() > 0 {
            graph.set_frame_size(exit, self.encoder.frame_size())?;
        }
        Ok((graph, source, exit))
    }

    fn drain_graph(&mut self, end: bool, sink: &mut Sink) -> Result<(), MediaError> {
        let Some((mut graph, source, exit)) = self.graph.take() else {
            return Ok(());
        };
        if end {
            graph.push(source, None).map_err(encode_error)?;
        }
        let base = graph.time_base(exit).map_err(encode_error)?;
        let mut samples = Frame::new().map_err(memory)?;
        while graph.pull(exit, &mut samples).map_err(encode_error)? == Received::Item {
            hush(&mut samples, &mut self.counts)?;
            let pts = samples.pts().unwrap_or(0);
            samples.set_pts(rescale(pts, base, self.encoder.time_base()));
            self.encoder.send(Some(&samples)).map_err(encode_error)?;
            self.drain_encoder(sink)?;
        }
        if !end {
            self.graph = Some((graph, source, exit));
        }
        Ok(())
    }

    fn drain_encoder(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        drain(&mut self.encoder, &mut self.packet, self.stream, sink)
    }
}
