//! The picture's way: decoder → graph → [`Encoding`].

use std::collections::BTreeMap;

use super::alpha::AlphaLane;
use super::counts::Counts;
use super::cuts::Cuts;
use super::decoding;
use super::duplication::Duplication;
use super::encoding::{EncodeSettings, Encoding};
use super::graph::{VideoGraph, VideoSpec};
use super::sink::{Draft, Sink};
use crate::media::av::{AvError, Decoder, Frame, Packet, Received};
use crate::media::error::{MediaCode, MediaError, memory};
use crate::media::limits::Limits;
use crate::media::probe::{Opened, memory_limit, nominal_rate};
use crate::media::ratio::{Ratio, rescale, to_millis};
use crate::media::sizes::Sizes;

/// Decodes, filters and encodes one video stream.
pub(crate) struct VideoLane {
    decoder: Decoder,
    /// Of codecs whose transparency is coded beside their pictures.
    alpha_decoder: Option<&'static str>,
    /// Since the first packet that has any.
    alpha: Option<AlphaLane>,
    frame: Frame,
    filtered: Frame,
    spec: VideoSpec,
    preset: String,
    input_base: Ratio,
    input_rate: Ratio,
    /// Start of the container in the stream's time base.
    offset: i64,
    /// Where this input begins in the result, in the encoder's time base.
    shift: i64,
    graph: Option<VideoGraph>,
    /// Durations of packets inside the decoder, by presentation time.
    packet_durations: BTreeMap<i64, i64>,
    cuts: Cuts,
    last_input: Option<i64>,
    last_duration: i64,
    longest: i64,
    /// Where the frame rate is made constant.
    duplication: Option<Duplication>,
    limits: Limits,
    /// Whether no damage is mended, and no other size taken in.
    strict: bool,
    pub(crate) counts: Counts,
    /// How long each size is shown.
    pub(crate) sizes: Sizes,
    /// What leaves the graph goes here.
    pub(crate) result: Encoding,
}

impl VideoLane {
    /// Opens decoder and encoder and adds the stream to the file.
    pub(crate) fn open(
        input: &Opened,
        spec: VideoSpec,
        settings: &EncodeSettings,
        limits: &Limits,
        draft: &mut Draft,
    ) -> Result<Self, MediaError> {
        let stream = &input.video;
        let decoder = decoding::beside_encoder(input, &spec, &settings.preset, limits)?;
        let input_rate = nominal_rate(&input.video);
        let rate = spec.fps.unwrap_or(input_rate);
        let time_base = spec.fps.map_or(stream.time_base, Ratio::inverse);
        let result = Encoding::open(&spec, settings, time_base, rate, draft)?;
        let offset = input.begins().ticks(stream.time_base);
        Ok(Self {
            decoder,
            alpha_decoder: decoding::of_transparency(input),
            alpha: None,
            frame: Frame::new().map_err(memory)?,
            filtered: Frame::new().map_err(memory)?,
            input_base: stream.time_base,
            input_rate,
            offset,
            shift: 0,
            graph: None,
            packet_durations: BTreeMap::new(),
            cuts: Cuts::default(),
            last_input: None,
            last_duration: 0,
            longest: 0,
            duplication: Duplication::of(spec.fps, limits),
            limits: limits.clone(),
            strict: input.strict,
            counts: Counts::default(),
            sizes: Sizes::default(),
            result,
            spec,
            preset: settings.preset.clone(),
        })
    }

    /// Goes on with another input after [`VideoLane::finish_decoding`]: its first
    /// frame follows the last one so far. Returns what was counted of the one before.
    pub(crate) fn follow(&mut self, input: &Opened, spec: VideoSpec) -> Result<Counts, MediaError> {
        self.shift = self.end();
        self.decoder = decoding::beside_encoder(input, &spec, &self.preset, &self.limits)?;
        self.alpha_decoder = decoding::of_transparency(input);
        self.alpha = None;
        self.strict = input.strict;
        self.input_base = input.video.time_base;
        self.input_rate = nominal_rate(&input.video);
        self.offset = input.video_begins().ticks(self.input_base);
        self.spec = spec;
        self.graph = None;
        self.packet_durations.clear();
        self.sizes = Sizes::default();
        self.cuts = Cuts::default();
        self.last_input = None;
        self.last_duration = 0;
        self.longest = 0;
        self.duplication = Duplication::of(self.spec.fps, &self.limits);
        let before = std::mem::take(&mut self.counts);
        self.counts.encoded = before.encoded;
        Ok(before)
    }

    /// Where the present input begins in the result, in the encoder's time base.
    pub(crate) fn begins(&self) -> i64 {
        self.shift
    }

    /// Where a frame after the last one would be shown, in the encoder's time base.
    pub(crate) fn end(&self) -> i64 {
        let last = self.result.last_frame().map(|last| last.pts().unwrap_or(0));
        last.map_or(self.shift, |last| last.saturating_add(self.tail_duration()))
    }

    /// Takes one packet of the stream.
    pub(crate) fn packet(&mut self, packet: &Packet, sink: &mut Sink) -> Result<(), MediaError> {
        self.counts.packets += 1;
        if packet.is_corrupt() {
            self.bad_packet(packet)?;
        }
        if let Some(pts) = packet.pts()
            && packet.duration() > 0
        {
            self.packet_durations.insert(pts, packet.duration());
            // A decoder holds far fewer; more means their frames never came.
            if self.packet_durations.len() > 512 {
                self.packet_durations.pop_first();
            }
        }
        self.cuts.take(packet);
        self.transparency(packet)?;
        match self.decoder.send(Some(packet)) {
            Ok(()) => {}
            Err(error) if error.is_memory() => return Err(memory_limit().at("decode")),
            Err(_) => self.bad_packet(packet)?,
        }
        self.drain_decoder(sink)
    }

    fn transparency(&mut self, packet: &Packet) -> Result<(), MediaError> {
        if let (Some(decoder), None, Some(_)) = (self.alpha_decoder, &self.alpha, packet.beside()) {
            let lane = AlphaLane::open(decoder, self.input_base, &self.limits)?;
            self.alpha = Some(lane);
        }
        if let Some(alpha) = &mut self.alpha
            && !alpha.take(packet)?
        {
            self.bad_packet(packet)?;
        }
        Ok(())
    }

    fn bad_packet(&mut self, packet: &Packet) -> Result<(), MediaError> {
        self.counts.bad_packets += 1;
        let at = packet.pts().or(packet.dts()).unwrap_or(0);
        let at = to_millis(at.saturating_sub(self.offset), self.input_base);
        self.bad(at)
    }

    fn bad_frame(&mut self) -> Result<(), MediaError> {
        self.counts.bad_frames += 1;
        self.bad(self.reached_ms())
    }

    fn bad(&mut self, at_ms: u64) -> Result<(), MediaError> {
        self.counts.first_bad_ms.get_or_insert(at_ms);
        if !self.strict {
            return Ok(());
        }
        let message = format!("the picture is damaged at {:.2} s", at_ms as f64 / 1000.0);
        Err(MediaError::new(MediaCode::NotDecodable, message)
            .at("decode")
            .with_log())
    }

    /// Drains decoder, graph and encoder, in that order.
    pub(crate) fn finish(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        self.finish_decoding(sink)?;
        self.finish_encoding(sink)
    }

    /// The first half of [`VideoLane::finish`]; further frames may be added after it.
    pub(crate) fn finish_decoding(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        if self.decoder.send(None).is_err() {
            self.counts.bad_packets += 1;
            self.bad(self.reached_ms())?;
        }
        self.drain_decoder(sink)?;
        let nominal = self.input_rate.frame(self.input_base);
        let last = match self.last_duration {
            0 => nominal,
            shown => shown,
        };
        // A cap on the rate would leave out an only picture that is shorter than its frames.
        let least = match self.spec.fps {
            Some(cap) if self.result.last_frame().is_none() => cap.frame(self.input_base) + 1,
            _ => 0,
        };
        let last = last.max(least);
        let end = self.last_input.unwrap_or(0).saturating_add(last);
        self.shown(last);
        self.drain_graph(Some(end), sink)
    }

    /// The second half of [`VideoLane::finish`].
    pub(crate) fn finish_encoding(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        let last = self.tail_duration();
        self.result.finish(last, &mut self.counts, sink)
    }

    /// The last frame lasts as long as the source said, or one frame.
    pub(crate) fn tail_duration(&self) -> i64 {
        let source = if self.spec.fps.is_none() {
            rescale(self.last_duration, self.input_base, self.encoder_base())
        } else {
            0
        };
        if source > 0 {
            source
        } else {
            self.frame_duration()
        }
    }

    /// One frame at the nominal rate, in the encoder's time base.
    pub(crate) fn frame_duration(&self) -> i64 {
        let rate = self.spec.fps.unwrap_or(self.input_rate);
        rate.frame(self.encoder_base())
    }

    pub(crate) fn encoder_base(&self) -> Ratio {
        self.result.base()
    }

    /// End of what has been decoded, in milliseconds from the start.
    pub(crate) fn reached_ms(&self) -> u64 {
        self.last_input.map_or(0, |pts| {
            let nominal = self.input_rate.frame(self.input_base);
            to_millis(
                pts.saturating_add(self.last_duration.max(nominal)),
                self.input_base,
            )
        })
    }

    /// The longest time a frame was shown, in milliseconds.
    pub(crate) fn longest_ms(&self) -> u64 {
        to_millis(self.longest, self.input_base)
    }

    /// Longest black and longest still stretch in milliseconds, if looked for.
    pub(crate) fn looked(&self) -> Option<(u64, u64)> {
        let watch = self.result.watch.as_ref()?;
        Some(watch.longest_ms(self.encoder_base(), self.tail_duration()))
    }

    fn drain_decoder(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Item) => self.decoded(sink)?,
                Ok(Received::Again | Received::End) => return Ok(()),
                Err(error) if error.is_memory() => return Err(memory_limit().at("decode")),
                // The decoder goes on with the next packet.
                Err(_) => {
                    self.bad_frame()?;
                    return Ok(());
                }
            }
        }
    }

    fn decoded(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        self.counts.decoded += 1;
        if self.frame.is_damaged() {
            self.bad_frame()?;
        }
        if self.counts.decoded > self.limits.max_frames {
            return Err(MediaError::new(
                MediaCode::TooManyFrames,
                format!("more than {} frames", self.limits.max_frames),
            ));
        }
        let nominal = self.input_rate.frame(self.input_base);
        let stamp = self.frame.best_effort();
        let duration = stamp
            .and_then(|pts| self.packet_durations.remove(&pts))
            .unwrap_or(0);
        // Files that were trimmed on a phone begin before their container does: such times count
        // from the trim on, with offsets that libav does not know. Their first picture is the
        // first.
        if let (Some(pts), None) = (stamp, self.last_input)
            && pts < self.offset
        {
            self.offset = pts;
        }
        if let (Some(pts), Some(last)) = (stamp, self.last_input) {
            let last = last.saturating_add(self.offset);
            let end = last.saturating_add(self.last_duration);
            self.offset += self.cuts.late(last, end, pts);
        }
        let pts = match (stamp, self.last_input) {
            (Some(pts), _) => pts.saturating_sub(self.offset),
            (None, Some(last)) => last.saturating_add(self.last_duration.max(nominal)),
            (None, None) => 0,
        };
        if self.last_input.is_some_and(|last| pts <= last) {
            self.counts.dropped += 1;
            return Ok(());
        }
        if to_millis(pts, self.input_base) > self.limits.max_duration_ms {
            return Err(MediaError::new(
                MediaCode::TooLong,
                format!("longer than {} ms", self.limits.max_duration_ms),
            ));
        }
        if let Some(last) = self.last_input {
            let shown = pts.saturating_sub(last);
            self.longest = self.longest.max(shown);
            self.shown(shown);
        }
        self.last_input = Some(pts);
        self.last_duration = duration;
        let changes = self.sizes.begin((self.frame.width(), self.frame.height()));
        if changes && self.strict {
            let message = "the size of the picture changes in mid-stream";
            return Err(MediaError::new(MediaCode::NotDecodable, message).at("decode"));
        }
        if let Some(alpha) = &mut self.alpha {
            alpha.apply(&mut self.frame).map_err(memory)?;
        }
        self.frame.set_pts(pts);
        self.filter(sink)
    }

    fn filter(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        // Size or format changed in mid-stream: what is inside comes out first.
        if self
            .graph
            .as_ref()
            .is_some_and(|graph| !graph.fits(&self.frame, &self.spec))
        {
            let next = self.frame.pts().unwrap_or(0);
            self.drain_graph(Some(next), sink)?;
        }
        let graph = match &mut self.graph {
            Some(graph) => graph,
            empty => empty.insert(VideoGraph::build(
                &self.spec,
                &self.frame,
                self.input_base,
                Some(self.input_rate),
            )?),
        };
        graph.push(Some(&mut self.frame)).map_err(filter_error)?;
        self.drain_graph(None, sink)
    }

    /// Takes what is ready out of the graph; with `end`, in the input's time base,
    /// all there is.
    fn drain_graph(&mut self, end: Option<i64>, sink: &mut Sink) -> Result<(), MediaError> {
        let Some(mut graph) = self.graph.take() else {
            return Ok(());
        };
        if let Some(end) = end {
            graph.close(end).map_err(filter_error)?;
        }
        let base = graph.time_base().map_err(filter_error)?;
        while graph.pull(&mut self.filtered).map_err(filter_error)? == Received::Item {
            if let Some(duplication) = &mut self.duplication {
                duplication.made()?;
            }
            let next = Frame::new().map_err(memory)?;
            let mut frame = std::mem::replace(&mut self.filtered, next);
            let pts = rescale(frame.pts().unwrap_or(0), base, self.encoder_base());
            let pts = self.shift.saturating_add(pts);
            frame.set_pts(pts);
            self.emit(frame, sink)?;
        }
        if end.is_none() {
            self.graph = Some(graph);
        }
        Ok(())
    }

    /// Takes a frame of the result, `pts` in the encoder's time base.
    pub(crate) fn emit(&mut self, mut frame: Frame, sink: &mut Sink) -> Result<(), MediaError> {
        frame.set_color(self.spec.color);
        self.result.emit(frame, &mut self.counts, sink)
    }

    /// A decoded frame's time is over.
    fn shown(&mut self, time: i64) {
        self.sizes.shown(time);
        if let Some(duplication) = &mut self.duplication {
            duplication.shown(time, self.input_base);
        }
    }
}

fn filter_error(error: AvError) -> MediaError {
    MediaError::new(
        MediaCode::EncoderFailed,
        format!("a filter failed: {error}"),
    )
    .at("filter")
    .with_log()
}
