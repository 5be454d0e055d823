//! Sound across a seam: two sources one after the other, one track, placed by the
//! sample.

use super::audio::{can_be_resampled, drain, encode_error, hush, open_decoder, resampler};
use super::counts::Counts;
use super::sink::{Draft, Sink};
use crate::media::av::{
    AacSettings, Decoder, Demuxer, Encoder, Entry, Exit, Frame, Graph, Packet, Received,
    StreamInfo, channel, sound,
};
use crate::media::error::{MediaError, memory};
use crate::media::judge::is_heard;
use crate::media::ratio::{Ratio, Time, rescale};

/// Up to here a timestamp that does not follow on is rounding of a container, and
/// what comes follows on; beyond, it is a gap.
const JITTER_S: f64 = 0.05;

/// One track, fed from one part after the other.
pub(crate) struct SeamLane {
    encoder: Encoder,
    settings: AacSettings,
    stream: usize,
    packet: Packet,
    /// Samples the encoder has not got yet, a row per channel.
    waiting: Vec<Vec<f32>>,
    /// Samples the encoder has.
    sent: i64,
    part: Option<Part>,
    pub(super) heard: bool,
    pub(super) counts: Counts,
}

/// What is decoded at present.
struct Part {
    decoder: Decoder,
    frame: Frame,
    graph: Option<(Graph, Entry, Exit)>,
    built_for: (i32, i32),
    base: Ratio,
    /// Subtracted from its timestamps, in its time base.
    offset: i64,
    /// The sample at which its own zero lies.
    zero: i64,
    next: Option<i64>,
    begun: bool,
}

impl SeamLane {
    pub(super) fn open(settings: AacSettings, draft: &mut Draft) -> Result<Self, MediaError> {
        let encoder = Encoder::aac(settings).map_err(encode_error)?;
        let stream = draft.add_encoded(&encoder, None)?;
        Ok(Self {
            encoder,
            settings,
            stream,
            packet: Packet::new().map_err(memory)?,
            waiting: vec![Vec::new(); settings.channels as usize],
            sent: 0,
            part: None,
            heard: false,
            counts: Counts::default(),
        })
    }

    /// Samples of the track up to a time in another time base.
    pub(super) fn samples(&self, at: i64, base: Ratio) -> i64 {
        rescale(at, base, self.rate())
    }

    /// Goes on with another source: what lies at `offset` of its clock comes at
    /// the sample `zero`.
    pub(super) fn begin(
        &mut self,
        demuxer: &Demuxer,
        stream: &StreamInfo,
        offset: Time,
        zero: i64,
    ) -> Result<(), MediaError> {
        self.part = Some(Part {
            decoder: open_decoder(demuxer, stream)?,
            frame: Frame::new().map_err(memory)?,
            graph: None,
            built_for: (0, 0),
            base: stream.time_base,
            offset: offset.ticks(stream.time_base),
            zero,
            next: None,
            begun: false,
        });
        Ok(())
    }

    /// Ends the present part, if there is one, exactly at a sample: what is too
    /// long is cut, what is missing is silence.
    pub(super) fn end_at(&mut self, sample: i64, sink: &mut Sink) -> Result<(), MediaError> {
        if let Some(part) = &mut self.part {
            if part.decoder.send(None).is_err() {
                self.counts.bad_packets += 1;
            }
            self.drain_decoder()?;
            self.drain_graph(true)?;
        }
        self.part = None;
        let keep = usize::try_from(sample.saturating_sub(self.sent)).unwrap_or(0);
        for row in &mut self.waiting {
            row.truncate(keep);
        }
        // In steps: an hour of silence need not be in memory.
        while self.end() < sample {
            let missing = sample.saturating_sub(self.end());
            self.pad(missing.min(i64::from(self.settings.sample_rate)));
            self.encode(false, sink)?;
        }
        self.encode(false, sink)
    }

    pub(super) fn packet(&mut self, packet: &Packet, sink: &mut Sink) -> Result<(), MediaError> {
        let Some(part) = &mut self.part else {
            return Ok(());
        };
        self.counts.packets += 1;
        if part.decoder.send(Some(packet)).is_err() {
            self.counts.bad_packets += 1;
        }
        self.drain_decoder()?;
        self.encode(false, sink)
    }

    pub(super) fn finish(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        self.encode(true, sink)?;
        self.encoder.send(None).map_err(encode_error)?;
        self.drain_encoder(sink)
    }

    fn rate(&self) -> Ratio {
        Ratio::new(
            1,
            i32::try_from(self.settings.sample_rate).unwrap_or(48_000),
        )
    }

    /// The sample after the last one so far.
    fn end(&self) -> i64 {
        let waiting = self.waiting.first().map_or(0, Vec::len);
        self.sent + i64::try_from(waiting).unwrap_or(0)
    }

    fn pad(&mut self, samples: i64) {
        let samples = usize::try_from(samples).unwrap_or(0);
        for row in &mut self.waiting {
            row.resize(row.len() + samples, 0.0);
        }
    }

    fn drain_decoder(&mut self) -> Result<(), MediaError> {
        loop {
            let Some(part) = &mut self.part else {
                return Ok(());
            };
            match part.decoder.receive(&mut part.frame) {
                Ok(Received::Item) => self.decoded()?,
                Ok(Received::Again | Received::End) => return Ok(()),
                Err(_) => {
                    self.counts.bad_frames += 1;
                    return Ok(());
                }
            }
        }
    }

    fn decoded(&mut self) -> Result<(), MediaError> {
        let settings = self.settings;
        let Some(part) = &mut self.part else {
            return Ok(());
        };
        self.counts.decoded += 1;
        if !can_be_resampled(&part.frame) {
            self.counts.bad_frames += 1;
            return Ok(());
        }
        self.heard = self.heard || is_heard(&part.frame);
        let rate = Ratio::new(1, part.frame.sample_rate().max(1));
        let length = rescale(i64::from(part.frame.samples()), rate, part.base);
        let pts = match (part.frame.best_effort(), part.next) {
            (Some(pts), _) => pts.saturating_sub(part.offset),
            (None, Some(next)) => next,
            (None, None) => 0,
        };
        part.next = Some(pts.saturating_add(length));
        part.frame.set_pts(pts);
        let shape = (part.frame.sample_rate(), part.frame.format());
        if part.graph.is_some() && part.built_for != shape {
            self.drain_graph(true)?;
        }
        let Some(part) = &mut self.part else {
            return Ok(());
        };
        if part.graph.is_none() {
            let graph = resampler(&part.frame, part.base, settings).map_err(encode_error)?;
            part.graph = Some(graph);
            part.built_for = shape;
        }
        if let Some((graph, source, _)) = &mut part.graph {
            graph
                .push(*source, Some(&mut part.frame))
                .map_err(encode_error)?;
        }
        self.drain_graph(false)
    }

    fn drain_graph(&mut self, end: bool) -> Result<(), MediaError> {
        let taken = self.part.as_mut().and_then(|part| part.graph.take());
        let Some((mut graph, source, exit)) = taken else {
            return Ok(());
        };
        if end {
            graph.push(source, None).map_err(encode_error)?;
        }
        let base = graph.time_base(exit).map_err(encode_error)?;
        let mut samples = Frame::new().map_err(memory)?;
        while graph.pull(exit, &mut samples).map_err(encode_error)? == Received::Item {
            hush(&mut samples, &mut self.counts)?;
            self.place(&samples, base);
        }
        if let Some(part) = self.part.as_mut().filter(|_| !end) {
            part.graph = Some((graph, source, exit));
        }
        Ok(())
    }

    /// Puts a block where it belongs: after what is there, unless its time says
    /// that something is missing or was there before.
    fn place(&mut self, block: &Frame, base: Ratio) {
        let (rate, end) = (self.rate(), self.end());
        let Some(part) = &mut self.part else { return };
        let at = rescale(block.pts().unwrap_or(0), base, rate).saturating_add(part.zero);
        let off = at.saturating_sub(end) as f64 * rate.as_f64();
        let exact = !part.begun || off.abs() > JITTER_S;
        part.begun = true;
        let mut skip = 0;
        if exact && at > end {
            // A forged gap must not take all memory; the picture bounds it later.
            self.pad(
                at.saturating_sub(end)
                    .min(i64::from(self.settings.sample_rate) * 60),
            );
        } else if exact {
            skip = usize::try_from(end.saturating_sub(at)).unwrap_or(0);
        }
        for (index, row) in self.waiting.iter_mut().enumerate() {
            let samples = channel(block, index).unwrap_or_default();
            row.extend_from_slice(samples.get(skip..).unwrap_or_default());
        }
    }

    /// Gives the encoder what makes whole frames; at the end the rest too.
    fn encode(&mut self, all: bool, sink: &mut Sink) -> Result<(), MediaError> {
        let size = match self.encoder.frame_size() {
            0 => 1024,
            size => size as usize,
        };
        let there = self.waiting.first().map_or(0, Vec::len);
        let mut used = 0;
        while there - used >= size || (all && there > used) {
            let to = there.min(used + size);
            let rows: Vec<&[f32]> = self.waiting.iter().map(|row| &row[used..to]).collect();
            let mut frame = sound(self.settings.sample_rate, &rows).map_err(memory)?;
            frame.set_pts(rescale(self.sent, self.rate(), self.encoder.time_base()));
            self.sent += i64::try_from(to - used).unwrap_or(0);
            used = to;
            self.encoder.send(Some(&frame)).map_err(encode_error)?;
            self.drain_encoder(sink)?;
        }
        for row in &mut self.waiting {
            row.drain(..used);
        }
        Ok(())
    }

    fn drain_encoder(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        drain(&mut self.encoder, &mut self.packet, self.stream, sink)
    }
}
