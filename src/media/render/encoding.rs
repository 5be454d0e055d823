//! Frames of the result: looked at, drawn on, encoded, written.

use std::collections::BTreeMap;

use super::counts::Counts;
use super::graph::VideoSpec;
use super::marks::Marks;
use super::sink::{Draft, Sink};
use super::stills::Stills;
use crate::media::av::{AvError, Encoder, Frame, FramePool, Packet, Received, X264Settings};
use crate::media::error::{MediaCode, MediaError, memory};
use crate::media::judge::Watch;
use crate::media::plan::VideoPlan;
use crate::media::ratio::{Ratio, to_millis};

/// Encoder settings beyond the graph's.
pub(crate) struct EncodeSettings {
    pub crf: f32,
    pub preset: String,
    pub max_rate: Option<u64>,
    /// See [`X264Settings`].
    pub burst_ms: u64,
}

impl EncodeSettings {
    /// What the plan says; `None` where it encodes nothing.
    pub(crate) fn of(plan: &VideoPlan) -> Option<Self> {
        let VideoPlan::Encode {
            crf,
            preset,
            max_rate,
            burst_ms,
            ..
        } = plan
        else {
            return None;
        };
        Some(Self {
            crf: *crf,
            preset: preset.clone(),
            max_rate: *max_rate,
            burst_ms: *burst_ms,
        })
    }
}

/// The encoder, and what happens to each frame on its way there.
pub(crate) struct Encoding {
    encoder: Encoder,
    stream: usize,
    packet: Packet,
    /// The frame before the current one: its duration is known only now.
    pending: Option<Frame>,
    /// Durations of frames inside the encoder, by presentation time.
    durations: BTreeMap<i64, i64>,
    pub(crate) stills: Stills,
    /// Looks at the frames, where that was asked for.
    pub(crate) watch: Option<Watch>,
    /// Frames are decoded and not written; only the last one is kept.
    pub(crate) hold: bool,
    /// Drawn on every frame.
    pub(crate) marks: Marks,
    /// Frames that are drawn on.
    pool: FramePool,
}

impl Encoding {
    /// Opens the encoder and adds its stream to the file.
    pub(super) fn open(
        spec: &VideoSpec,
        settings: &EncodeSettings,
        time_base: Ratio,
        rate: Ratio,
        draft: &mut Draft,
    ) -> Result<Self, MediaError> {
        let encoder = Encoder::x264(&X264Settings {
            width: spec.width,
            height: spec.height,
            time_base,
            frame_rate: rate,
            color: spec.color,
            crf: settings.crf,
            preset: &settings.preset,
            max_rate: settings.max_rate,
            burst_ms: settings.burst_ms,
            threads: spec.threads,
        })
        .map_err(encode_error)?;
        let stream = draft.add_encoded(&encoder, Some(rate))?;
        draft.set_picture(stream);
        Ok(Self {
            encoder,
            stream,
            packet: Packet::new().map_err(memory)?,
            pending: None,
            durations: BTreeMap::new(),
            stills: Stills::default(),
            watch: None,
            hold: false,
            marks: Marks::default(),
            pool: FramePool::new(),
        })
    }

    /// The time base of the result.
    pub(crate) fn base(&self) -> Ratio {
        self.encoder.time_base()
    }

    /// The last frame so far and its time, for continuing after it.
    pub(crate) fn last_frame(&self) -> Option<&Frame> {
        self.pending.as_ref()
    }

    /// Ends holding frames back; gives the last one, which is not written.
    #[cfg(feature = "sandbox")]
    pub(crate) fn release(&mut self) -> Option<Frame> {
        self.hold = false;
        self.pending.take()
    }

    /// Writes what is left; the last frame is shown for so long.
    pub(super) fn finish(
        &mut self,
        last: i64,
        counts: &mut Counts,
        sink: &mut Sink,
    ) -> Result<(), MediaError> {
        if let Some(frame) = self.pending.take() {
            self.encode(&frame, last, counts, sink)?;
        }
        self.encoder.send(None).map_err(encode_error)?;
        self.drain_encoder(sink)
    }

    /// Takes a frame of the result, `pts` in the encoder's time base.
    pub(crate) fn emit(
        &mut self,
        mut frame: Frame,
        counts: &mut Counts,
        sink: &mut Sink,
    ) -> Result<(), MediaError> {
        frame.set_sample_aspect(Ratio::new(1, 1));
        frame.forget_origin();
        if self.hold {
            self.pending = Some(frame);
            return Ok(());
        }
        let pts = frame.pts().unwrap_or(0);
        let base = self.base();
        let at_ms = pts as f64 * f64::from(base.num) * 1000.0 / f64::from(base.den.max(1));
        if let Some(watch) = &mut self.watch {
            watch.see(&frame, pts);
        }
        self.marks
            .draw(&mut frame, at_ms, &mut self.pool)
            .map_err(memory)?;
        self.stills
            .consider(&frame, to_millis(pts, base))
            .map_err(memory)?;
        if let Some(before) = self.pending.take() {
            let duration = pts.saturating_sub(before.pts().unwrap_or(0));
            if duration <= 0 {
                counts.dropped += 1;
                self.pending = Some(before);
                return Ok(());
            }
            self.encode(&before, duration, counts, sink)?;
        }
        self.pending = Some(frame);
        Ok(())
    }

    fn encode(
        &mut self,
        frame: &Frame,
        duration: i64,
        counts: &mut Counts,
        sink: &mut Sink,
    ) -> Result<(), MediaError> {
        self.durations.insert(frame.pts().unwrap_or(0), duration);
        counts.encoded += 1;
        self.encoder.send(Some(frame)).map_err(encode_error)?;
        self.drain_encoder(sink)
    }

    fn drain_encoder(&mut self, sink: &mut Sink) -> Result<(), MediaError> {
        let base = self.base();
        while self
            .encoder
            .receive(&mut self.packet)
            .map_err(encode_error)?
            == Received::Item
        {
            if let Some(duration) = self
                .packet
                .pts()
                .and_then(|pts| self.durations.remove(&pts))
            {
                self.packet.set_duration(duration);
            }
            sink.write(&mut self.packet, self.stream, base)?;
        }
        Ok(())
    }
}

fn encode_error(error: AvError) -> MediaError {
    MediaError::new(
        MediaCode::EncoderFailed,
        format!("the video cannot be encoded: {error}"),
    )
    .at("encode")
    .with_log()
}
