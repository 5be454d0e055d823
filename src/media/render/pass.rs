//! Reading the containers and feeding the lanes, in step.

use std::sync::Arc;

use super::sink::Sink;
use super::sound::{SoundLane, Timing};
use super::takes_from_source;
use super::video::{Counts, VideoLane, memory};
use crate::media::av::{AacSettings, Frame, OpenError, Packet};
use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::{Guard, Limits};
use crate::media::plan::AudioPlan;
use crate::media::probe::{Opened, memory_limit, open_error};
use crate::media::ratio::{Ratio, rescale};
use crate::media::verify::Truncation;

/// Half a second more of the source's sound than of the picture: the muxer
/// interleaves, and the encoder holds frames back anyway.
pub(crate) const AHEAD_US: i64 = 500_000;

/// Unreadable packets in a row after which the rest is given up.
const GIVE_UP: u32 = 64;

/// The container whose sound is put back, read one packet ahead.
pub(crate) struct SoundSource {
    pub(super) opened: Opened,
    ahead: Option<Packet>,
    ended: bool,
}

impl SoundSource {
    pub(crate) fn new(mut opened: Opened) -> Result<Self, MediaError> {
        let wanted: Vec<usize> = opened.audio.iter().map(|audio| audio.index).collect();
        opened.demuxer.keep_only(&wanted);
        Ok(Self {
            opened,
            ahead: None,
            ended: false,
        })
    }

    /// Feeds packets up to `until_us` (of the source's own clock); `None` = all.
    pub(crate) fn feed(
        &mut self,
        until_us: Option<i64>,
        lane: &mut SoundLane,
        sink: &mut Sink,
        guard: &Guard,
    ) -> Result<(), MediaError> {
        let Some(audio) = self.opened.audio.clone() else {
            return Ok(());
        };
        while !self.ended {
            guard.check()?;
            let mut packet = match self.ahead.take() {
                Some(packet) => packet,
                None => {
                    let mut packet = Packet::new().map_err(memory)?;
                    match self.opened.demuxer.read(&mut packet) {
                        Ok(true) => {}
                        // Sound that breaks off is better than none.
                        Ok(false) | Err(OpenError::Libav(_)) => {
                            guard.check()?;
                            self.ended = true;
                            return Ok(());
                        }
                        Err(_) => {
                            return Err(MediaError::new(
                                MediaCode::InputUnreadable,
                                "the source's sound cannot be read",
                            ));
                        }
                    }
                    packet
                }
            };
            if packet.stream() != audio.index {
                continue;
            }
            let at = packet.pts().or(packet.dts()).unwrap_or(0);
            let at_us = rescale(at, audio.time_base, Ratio::MICROS);
            if until_us.is_some_and(|until| at_us > until) {
                self.ahead = Some(packet);
                return Ok(());
            }
            lane.packet(&mut packet, sink)?;
        }
        Ok(())
    }
}

/// Everything one pass works with.
pub(crate) struct Pass {
    pub main: Opened,
    pub source: Option<SoundSource>,
    pub video: VideoLane,
    pub sound: Option<SoundLane>,
    pub sink: Sink,
    pub limits: Limits,
    pub guard: Arc<Guard>,
    /// How far the source's sound runs ahead of the picture, in microseconds;
    /// negative is behind. See [`AHEAD_US`].
    pub ahead_us: i64,
    /// Name of the main input, for messages.
    pub name: String,
}

impl Pass {
    /// Reads the main container to its end. The lanes are not finished yet.
    pub(crate) fn read_all(
        &mut self,
        on_packet: &mut dyn FnMut(&VideoLane, &Sink),
    ) -> Result<(), MediaError> {
        let video = self.main.video.index;
        let audio = self
            .main
            .audio
            .as_ref()
            .map(|audio| audio.index)
            .filter(|_| self.source.is_none());
        self.main.demuxer.keep_only(
            &[Some(video), audio]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
        );
        let lead_us = self.lead_us();
        let base = self.main.video.time_base;
        let mut reader = Reader::default();
        let mut packet = Packet::new().map_err(memory)?;
        let mut audio_reached_ms = 0;
        while reader.next(&mut self.main, &mut packet, &self.name, &self.guard)? {
            if packet.stream() == video {
                let at = packet.dts().or(packet.pts());
                self.video.packet(&packet, &mut self.sink)?;
                if let (Some(source), Some(lane), Some(at)) =
                    (&mut self.source, &mut self.sound, at)
                {
                    let until = rescale(at, base, Ratio::MICROS).saturating_add(lead_us);
                    source.feed(Some(until), lane, &mut self.sink, &self.guard)?;
                }
                on_packet(&self.video, &self.sink);
            } else if Some(packet.stream()) == audio {
                audio_reached_ms = audio_reached_ms.max(audio_end_ms(&self.main, &packet));
                if let Some(lane) = &mut self.sound {
                    lane.packet(&mut packet, &mut self.sink)?;
                }
            }
        }
        self.video.counts.bad_packets += u64::from(reader.bad);
        self.video.finish_decoding(&mut self.sink)?;
        self.judge(audio_reached_ms)
    }

    fn lead_us(&self) -> i64 {
        let main = self.main.demuxer.start_us().unwrap_or(0);
        let source = self
            .source
            .as_ref()
            .map_or(0, |source| video_start_us(&source.opened));
        source - main + self.ahead_us
    }

    /// Whether what was decoded is enough to go on with.
    fn judge(&mut self, audio_reached_ms: u64) -> Result<(), MediaError> {
        let counts = self.video.counts;
        let index = self.main.video.index;
        let stage = |error: MediaError| error.at("decode").on_stream(index).with_log();
        // First: what is missing explains what does not decode.
        self.video.counts.truncated = Truncation {
            claimed_ms: self.main.probe.container.duration_ms,
            reached_ms: self.video.reached_ms().max(audio_reached_ms),
            claimed_frames: self.main.video.frames,
            frames: counts.packets,
            longest_ms: self.video.longest_ms(),
        }
        .judge(&self.limits)
        .map_err(stage)?;
        if counts.decoded == 0 && self.is_too_large() {
            return Err(stage(memory_limit()));
        }
        if counts.decoded == 0 {
            return Err(stage(MediaError::new(
                MediaCode::DamagedMedia,
                "not one frame of the video can be decoded",
            )));
        }
        let bad = counts.bad_packets.max(counts.bad_frames) as f64;
        if bad / counts.packets.max(1) as f64 > self.limits.max_damage {
            return Err(stage(MediaError::new(
                MediaCode::DamagedMedia,
                format!("{bad} of {} packets are damaged", counts.packets),
            )));
        }
        Ok(())
    }

    /// Whether not even one frame may be had; decoders do not always say so.
    fn is_too_large(&self) -> bool {
        let video = self.main.probe.video.as_ref();
        let frame = video.map(|video| Frame::video(&video.pixel_format, video.width, video.height));
        matches!(frame, Some(Err(error)) if error.is_memory())
    }

    /// Finishes sound and file after the video was finished. Returns the video
    /// lane, the sound's counts, and whether the index stands first.
    pub(crate) fn close(mut self) -> Result<(VideoLane, Counts, bool), MediaError> {
        if let Some(lane) = &mut self.sound {
            if let Some(source) = &mut self.source {
                source.feed(None, lane, &mut self.sink, &self.guard)?;
            }
            lane.finish(&mut self.sink)?;
        }
        self.guard.check()?;
        let sound = self
            .sound
            .as_ref()
            .map(SoundLane::counts)
            .unwrap_or_default();
        Ok((self.video, sound, self.sink.finish()?))
    }
}

/// Reads packets, tolerating a few that are unreadable.
#[derive(Default)]
pub(crate) struct Reader {
    pub bad: u32,
    in_a_row: u32,
}

impl Reader {
    /// `false` at the end, also when the rest is unreadable.
    pub(crate) fn next(
        &mut self,
        main: &mut Opened,
        packet: &mut Packet,
        name: &str,
        guard: &Guard,
    ) -> Result<bool, MediaError> {
        loop {
            guard.check()?;
            match main.demuxer.read(packet) {
                Ok(more) => {
                    self.in_a_row = 0;
                    return Ok(more);
                }
                // Out of memory too: a header that lies about the size of one packet.
                Err(OpenError::Libav(error)) if !error.is_interrupted() => {
                    self.bad += 1;
                    self.in_a_row += 1;
                    if self.in_a_row >= GIVE_UP {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(open_error(error, name, guard).at("read").with_log()),
            }
        }
    }
}

pub(super) fn audio_end_ms(main: &Opened, packet: &Packet) -> u64 {
    let Some(audio) = &main.audio else { return 0 };
    let end = packet.pts().unwrap_or(0).saturating_add(packet.duration());
    let us = rescale(end, audio.time_base, Ratio::MICROS) - main.demuxer.start_us().unwrap_or(0);
    crate::media::ratio::to_millis(us, Ratio::MICROS)
}

/// Start of the video stream on its container's clock, in microseconds.
pub(super) fn video_start_us(opened: &Opened) -> i64 {
    opened
        .video
        .start
        .map(|start| rescale(start, opened.video.time_base, Ratio::MICROS))
        .or(opened.demuxer.start_us())
        .unwrap_or(0)
}

/// End of the video in the result, in microseconds.
fn end_us(main: &Opened) -> i64 {
    let length = main
        .probe
        .video
        .as_ref()
        .map_or(0, |video| video.duration_ms);
    let lead = video_start_us(main) - main.demuxer.start_us().unwrap_or(0);
    i64::try_from(length)
        .unwrap_or(i64::MAX / 1000)
        .saturating_mul(1000)
        .saturating_add(lead)
}

/// Opens the lane the plan asks for.
pub(crate) fn sound_lane(
    plan: &AudioPlan,
    main: &Opened,
    source: Option<&Opened>,
    sink: &mut Sink,
) -> Result<Option<SoundLane>, MediaError> {
    let from_source = takes_from_source(plan);
    let Some(opened) = (if from_source { source } else { Some(main) }) else {
        return Ok(None);
    };
    let Some(audio) = &opened.audio else {
        return Ok(None);
    };
    let main_start = main.demuxer.start_us().unwrap_or(0);
    let timing = if from_source {
        // Sound keeps its distance to its own video's first frame, and that
        // frame lands where the main video's first frame lands.
        let lands = video_start_us(main) - main_start;
        Timing {
            offset_us: video_start_us(opened) - lands,
            end_us: Some(end_us(main)),
        }
    } else {
        Timing {
            offset_us: main_start,
            end_us: None,
        }
    };
    match plan {
        AudioPlan::None { .. } => Ok(None),
        AudioPlan::Copy { .. } => SoundLane::copy(&opened.demuxer, audio, timing, sink).map(Some),
        AudioPlan::Encode {
            sample_rate,
            channels,
            bit_rate,
            ..
        } => {
            let settings = AacSettings {
                sample_rate: *sample_rate,
                channels: *channels,
                bit_rate: *bit_rate,
            };
            SoundLane::encode(&opened.demuxer, audio, settings, timing, sink).map(Some)
        }
    }
}
