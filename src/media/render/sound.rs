//! The sound's way: copied, or decoder → resampler → AAC → file.

use super::audio::{drain, encode_error};
use super::counts::Counts;
use super::resampled::{Resampled, Wanted};
use super::seam::SeamLane;
use super::sink::{Draft, Sink};
use super::timing::Timing;
use crate::media::av::{AacSettings, Demuxer, Encoder, Frame, Packet, StreamInfo};
use crate::media::error::{MediaError, memory};
use crate::media::limits::Limits;
use crate::media::ratio::{Ratio, Time, rescale};

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
    source: Resampled,
    coded: Coded,
}

/// The encoder, and where its packets go.
struct Coded {
    encoder: Encoder,
    packet: Packet,
    stream: usize,
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
        limits: &Limits,
        draft: &mut Draft,
    ) -> Result<Self, MediaError> {
        let encoder = Encoder::aac(settings).map_err(encode_error)?;
        let block = encoder.frame_size();
        let wanted = Wanted { settings, block };
        let source = Resampled::open(demuxer, stream, wanted, timing, limits)?;
        let stream = draft.add_encoded(&encoder, None)?;
        Ok(Self::Encode(Box::new(EncodeLane {
            source,
            coded: Coded {
                encoder,
                packet: Packet::new().map_err(memory)?,
                stream,
            },
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
            Self::Encode(lane) => lane.source.heard,
            Self::Seam(lane) => lane.heard(),
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
            Self::Encode(lane) => lane.source.counts,
            Self::Seam(lane) => lane.counts(),
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
        let too_late = self.timing.is_over(Time::of(starts, self.base));
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
        let Self { source, coded } = self;
        source.packet(packet, &mut |samples, base| coded.take(samples, base, sink))
    }

    fn finish(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        let Self { source, coded } = self;
        source.finish(&mut |samples, base| coded.take(samples, base, sink))?;
        coded.encoder.send(None).map_err(encode_error)?;
        coded.drain(sink)
    }
}

impl Coded {
    fn take(
        &mut self,
        samples: &mut Frame,
        base: Ratio,
        sink: &mut Sink,
    ) -> Result<(), MediaError> {
        let pts = samples.pts().unwrap_or(0);
        sink.admit(Time::of(pts, base))?;
        samples.set_pts(rescale(pts, base, self.encoder.time_base()));
        self.encoder.send(Some(samples)).map_err(encode_error)?;
        self.drain(sink)
    }

    fn drain(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        drain(&mut self.encoder, &mut self.packet, self.stream, sink)
    }
}
