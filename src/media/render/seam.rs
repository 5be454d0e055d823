//! Sound across a seam: two sources one after the other, one track, placed by the
//! sample.

use super::audio::{drain, encode_error};
use super::counts::Counts;
use super::resampled::{Resampled, Wanted};
use super::sink::{Draft, Sink};
use super::timing::Timing;
use crate::media::av::{AacSettings, Demuxer, Encoder, Frame, Packet, StreamInfo, channel, sound};
use crate::media::error::{MediaError, memory};
use crate::media::limits::Limits;
use crate::media::ratio::{Ratio, Time, rescale};

/// Up to here a timestamp that does not follow on is rounding of a container, and
/// what comes follows on; beyond, it is a gap.
const JITTER_S: f64 = 0.05;

/// One track, fed from one part after the other.
pub(crate) struct SeamLane {
    track: Track,
    part: Option<Part>,
    /// Of the parts that have ended.
    heard: bool,
    counts: Counts,
}

/// The samples of both parts, in a row.
struct Track {
    encoder: Encoder,
    settings: AacSettings,
    stream: usize,
    packet: Packet,
    /// Samples the encoder has not got yet, a row per channel.
    waiting: Vec<Vec<f32>>,
    /// Samples the encoder has.
    sent: i64,
}

/// What is decoded at present.
struct Part {
    source: Resampled,
    place: Place,
}

/// Where a part lies in the track.
struct Place {
    /// The sample at which its own zero lies.
    zero: i64,
    begun: bool,
}

impl SeamLane {
    pub(super) fn open(settings: AacSettings, draft: &mut Draft) -> Result<Self, MediaError> {
        let encoder = Encoder::aac(settings).map_err(encode_error)?;
        let stream = draft.add_encoded(&encoder, None)?;
        Ok(Self {
            track: Track {
                encoder,
                settings,
                stream,
                packet: Packet::new().map_err(memory)?,
                waiting: vec![Vec::new(); settings.channels as usize],
                sent: 0,
            },
            part: None,
            heard: false,
            counts: Counts::default(),
        })
    }

    /// Samples of the track up to a time in another time base.
    pub(super) fn samples(&self, at: i64, base: Ratio) -> i64 {
        rescale(at, base, self.track.rate())
    }

    /// Whether something was heard in any part.
    pub(super) fn heard(&self) -> bool {
        self.heard || self.part.as_ref().is_some_and(|part| part.source.heard)
    }

    /// Damage found in all parts so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.counts;
        if let Some(part) = &self.part {
            counts.add(part.source.counts);
        }
        counts
    }

    /// Goes on with another source: what lies at its offset comes at the sample `zero`.
    pub(super) fn begin(
        &mut self,
        demuxer: &Demuxer,
        stream: &StreamInfo,
        timing: Timing,
        zero: i64,
        limits: &Limits,
    ) -> Result<(), MediaError> {
        let wanted = Wanted {
            settings: self.track.settings,
            block: 0,
        };
        let source = Resampled::open(demuxer, stream, wanted, timing, limits)?.starting_at_zero();
        let place = Place { zero, begun: false };
        self.part = Some(Part { source, place });
        Ok(())
    }

    /// Ends the present part, if there is one, exactly at a sample: what is too
    /// long is cut, what is missing is silence.
    pub(super) fn end_at(&mut self, sample: i64, sink: &mut Sink) -> Result<(), MediaError> {
        let track = &mut self.track;
        if let Some(Part { source, place }) = &mut self.part {
            source.finish(&mut |block, base| {
                track.place(place, block, base);
                Ok(())
            })?;
        }
        (self.heard, self.counts) = (self.heard(), self.counts());
        self.part = None;
        self.track.end_at(sample, sink)
    }

    pub(super) fn packet(&mut self, packet: &Packet, sink: &mut Sink) -> Result<(), MediaError> {
        let track = &mut self.track;
        let Some(Part { source, place }) = &mut self.part else {
            return Ok(());
        };
        source.packet(packet, &mut |block, base| {
            sink.admit(track.reached())?;
            track.place(place, block, base);
            track.encode(false, sink)
        })
    }

    pub(super) fn finish(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        self.track.encode(true, sink)?;
        self.track.encoder.send(None).map_err(encode_error)?;
        self.track.drain(sink)
    }
}

impl Track {
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

    fn reached(&self) -> Time {
        Time::of(self.end(), self.rate())
    }

    fn pad(&mut self, samples: i64) {
        let samples = usize::try_from(samples).unwrap_or(0);
        for row in &mut self.waiting {
            row.resize(row.len() + samples, 0.0);
        }
    }

    fn end_at(&mut self, sample: i64, sink: &mut Sink) -> Result<(), MediaError> {
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

    /// Puts a block where it belongs: after what is there, unless its time says
    /// that something is missing or was there before.
    fn place(&mut self, place: &mut Place, block: &Frame, base: Ratio) {
        let (rate, end) = (self.rate(), self.end());
        let at = rescale(block.pts().unwrap_or(0), base, rate).saturating_add(place.zero);
        let off = at.saturating_sub(end) as f64 * rate.as_f64();
        let exact = !place.begun || off.abs() > JITTER_S;
        place.begun = true;
        let mut skip = 0;
        if exact && at > end {
            // Longer gaps come filled.
            let most = i64::from(self.settings.sample_rate) * 2;
            self.pad(at.saturating_sub(end).min(most));
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
            self.drain(sink)?;
        }
        for row in &mut self.waiting {
            row.drain(..used);
        }
        Ok(())
    }

    fn drain(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        drain(&mut self.encoder, &mut self.packet, self.stream, sink)
    }
}
