//! Reading the containers and feeding the lanes, in step.

use std::sync::Arc;

use super::counts::Counts;
use super::open::takes_from_source;
use super::setback::Setback;
use super::sink::{Draft, Finished, Sink};
use super::sound::SoundLane;
use super::timing::Timing;
use super::video::VideoLane;
use crate::media::av::{AacSettings, Frame, OpenError, Packet};
use crate::media::error::{MediaCode, MediaError, memory};
use crate::media::judge::Truncation;
use crate::media::limits::{Guard, Limits};
use crate::media::plan::AudioPlan;
use crate::media::probe::{Opened, memory_limit, open_error};
use crate::media::ratio::Time;

/// Half a second more of the source's sound than of the picture: the muxer
/// interleaves, and the encoder holds frames back anyway.
pub(crate) const AHEAD: Time = Time::from_millis(500);

/// So many bad packets are tolerated whatever their share is: in a clip of nine frames one is
/// more than a tenth, and players show the others.
const FEW_BAD: u64 = 2;

/// Why sound with an edit list is not copied: what was cut out would still be in the file, for
/// players that do not know such lists and for whoever looks.
pub(super) const CUT_OUT: &str = "what its edit list cuts out is left out";

/// Unreadable packets in a row after which the rest is given up.
const GIVE_UP: u32 = 64;

/// The container whose sound is put back, read one packet ahead.
pub(crate) struct SoundSource {
    pub(super) opened: Opened,
    ahead: Option<Packet>,
    ended: bool,
    /// Whether any sound came.
    came: bool,
}

impl SoundSource {
    pub(crate) fn new(mut opened: Opened) -> Result<Self, MediaError> {
        let wanted: Vec<usize> = opened.audio.iter().map(|audio| audio.index).collect();
        opened.demuxer.keep_only(&wanted);
        Ok(Self {
            opened,
            ahead: None,
            ended: false,
            came: false,
        })
    }

    /// Feeds packets up to a time of the source's own clock; `None` = all.
    pub(crate) fn feed(
        &mut self,
        until: Option<Time>,
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
            let at = Time::of(at, audio.time_base);
            if until.is_some_and(|until| at > until) {
                self.ahead = Some(packet);
                return Ok(());
            }
            self.came = true;
            lane.packet(&mut packet, sink)?;
        }
        Ok(())
    }

    /// Feeds the rest. Sound that was announced, laid out in the result, and did not come at all
    /// is no sound to put back.
    pub(super) fn feed_all(
        &mut self,
        lane: &mut SoundLane,
        sink: &mut Sink,
        guard: &Guard,
    ) -> Result<(), Setback> {
        self.feed(None, lane, sink, guard)?;
        if self.came {
            Ok(())
        } else {
            Err(Setback::NoSourceSound)
        }
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
    /// How far the source's sound runs ahead of the picture; negative is behind.
    /// See [`AHEAD`].
    pub ahead: Time,
    /// Name of the main input, for messages.
    pub name: String,
    /// Packets of sound that came.
    pub sounds: u64,
    /// The size that the plan was made for, where another may turn out to be shown longer.
    pub planned_size: Option<(u32, u32)>,
}

impl Pass {
    /// Reads the main container to its end. The lanes are not finished yet.
    pub(crate) fn read_all(
        &mut self,
        on_packet: &mut dyn FnMut(&VideoLane, &Sink),
    ) -> Result<(), Setback> {
        let video = self.main.video.index;
        let audio = self
            .main
            .audio
            .as_ref()
            .map(|audio| audio.index)
            .filter(|_| self.source.is_none());
        let mut wanted = self.main.awaited.clone();
        wanted.extend([Some(video), audio].into_iter().flatten());
        self.main.demuxer.keep_only(&wanted);
        let lead = self.lead();
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
                    let until = Time::of(at, base) + lead;
                    source.feed(Some(until), lane, &mut self.sink, &self.guard)?;
                }
                self.require_size()?;
                on_packet(&self.video, &self.sink);
            } else if Some(packet.stream()) == audio {
                self.sounds += 1;
                audio_reached_ms = audio_reached_ms.max(audio_end_ms(&self.main, &packet));
                if let Some(lane) = &mut self.sound {
                    lane.packet(&mut packet, &mut self.sink)?;
                }
            } else {
                self.main.refuse_late_sound(&packet)?;
            }
            if self
                .sound
                .as_ref()
                .is_some_and(SoundLane::holds_what_was_cut)
            {
                return Err(Setback::CannotCopySound(CUT_OUT));
            }
        }
        self.video.counts.bad_packets += u64::from(reader.bad);
        self.video.finish_decoding(&mut self.sink)?;
        self.require_size()?;
        Ok(self.judge(audio_reached_ms)?)
    }

    /// Sound that was announced, laid out in the result, and did not come.
    pub(crate) fn require_sound(&self) -> Result<(), Setback> {
        let Some(audio) = self.main.audio.as_ref().filter(|_| self.sound.is_some()) else {
            return Ok(());
        };
        if self.source.is_none() && self.sounds == 0 {
            return Err(Setback::NoSound(audio.index));
        }
        Ok(())
    }

    /// Not sooner than another size has been shown longer: what changes for its last minute only
    /// need not begin again.
    fn require_size(&self) -> Result<(), Setback> {
        match self.planned_size {
            Some(size) if self.video.sizes.overtake(size) => Err(Setback::AnotherSize(size)),
            _ => Ok(()),
        }
    }

    fn lead(&self) -> Time {
        let source = self.source.as_ref();
        let begins = source.map_or(Time::ZERO, |source| source.opened.video_begins());
        begins - self.main.begins() + self.ahead
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
            ending: self.main.ending,
            bytes: self.main.probe.container.bytes,
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
        let bad = counts.bad_packets.max(counts.bad_frames);
        let share = bad as f64 / counts.packets.max(1) as f64;
        // Who tolerates none means none.
        let few = bad <= FEW_BAD && self.limits.max_damage > 0.0;
        if !few && share > self.limits.max_damage {
            let place = counts.first_bad_ms.map_or_else(String::new, |ms| {
                format!(", the first at {:.2} s", ms as f64 / 1000.0)
            });
            return Err(stage(MediaError::new(
                MediaCode::DamagedMedia,
                format!(
                    "{bad} of {} packets of the video are damaged{place}",
                    counts.packets
                ),
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
    /// lane and the sound's counts, too.
    pub(crate) fn close(mut self) -> Result<(VideoLane, Counts, Finished), Setback> {
        if let Some(lane) = &mut self.sound {
            if let Some(source) = &mut self.source {
                source.feed_all(lane, &mut self.sink, &self.guard)?;
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

impl Opened {
    /// Sound that nothing could be found of while probing would be lost in silence.
    pub(super) fn refuse_late_sound(&self, packet: &Packet) -> Result<(), MediaError> {
        if packet.len() == 0 || !self.awaited.contains(&packet.stream()) {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::ProbeLimit,
            "its sound begins later than was looked for (limits.analyze_duration_ms and \
             limits.probe_size)",
        )
        .at("read")
        .on_stream(packet.stream()))
    }
}

pub(super) fn audio_end_ms(main: &Opened, packet: &Packet) -> u64 {
    let Some(audio) = &main.audio else { return 0 };
    let end = packet.pts().unwrap_or(0).saturating_add(packet.duration());
    (Time::of(end, audio.time_base) - main.begins()).millis()
}

/// End of the picture, as far as the file says, counted from `zero` of its clock.
pub(super) fn picture_ends(main: &Opened, zero: Time) -> Time {
    let length = main
        .probe
        .video
        .as_ref()
        .map_or(0, |video| video.duration_ms);
    let length = Time::from_millis(i64::try_from(length).unwrap_or(i64::MAX));
    main.video_begins() - zero + length
}

/// Opens the lane the plan asks for.
pub(crate) fn sound_lane(
    plan: &AudioPlan,
    main: &Opened,
    source: Option<&Opened>,
    limits: &Limits,
    draft: &mut Draft,
) -> Result<Option<SoundLane>, MediaError> {
    let from_source = takes_from_source(plan);
    let Some(opened) = (if from_source { source } else { Some(main) }) else {
        return Ok(None);
    };
    let Some(audio) = &opened.audio else {
        return Ok(None);
    };
    let begins = main.begins();
    let picture_ends = picture_ends(main, begins);
    let timing = if from_source {
        // Sound keeps its distance to its own video's first frame, and that
        // frame lands where the main video's first frame lands.
        let lands = main.video_begins() - begins;
        Timing {
            offset: opened.video_begins() - lands,
            end: Some(picture_ends),
            picture_ends,
        }
    } else {
        Timing {
            offset: begins,
            end: None,
            picture_ends,
        }
    };
    match plan {
        AudioPlan::None { .. } => Ok(None),
        AudioPlan::Copy { .. } => SoundLane::copy(&opened.demuxer, audio, timing, draft).map(Some),
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
            SoundLane::encode(&opened.demuxer, audio, settings, timing, limits, draft).map(Some)
        }
    }
}
