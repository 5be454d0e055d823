//! The length of what does not say it: recorders in browsers and live servers write a header before
//! anybody knows how long they will run.

use super::info::Probe;
use crate::media::av::{Demuxer, OpenError, Packet, StreamInfo};
use crate::media::limits::Guard;
use crate::media::ratio::Time;

/// From when to when a stream is shown or heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    begins: Time,
    ends: Time,
}

impl Span {
    fn with(self, other: Self) -> Self {
        Self {
            begins: self.begins.min(other.begins),
            ends: self.ends.max(other.ends),
        }
    }

    fn millis(self) -> u64 {
        (self.ends - self.begins).millis()
    }

    /// `None` where the packet has no time; `step` is for one that does not say how long it lasts.
    fn of(packet: &Packet, stream: &StreamInfo, step: Time) -> Option<Self> {
        let begins = Time::of(packet.pts().or(packet.dts())?, stream.time_base);
        let lasts = match packet.duration() {
            ticks if ticks > 0 => Time::of(ticks, stream.time_base),
            _ => step,
        };
        Some(Self {
            begins,
            ends: begins + lasts,
        })
    }
}

fn both(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.with(other)),
        (one, other) => one.or(other),
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    video: Option<Span>,
    audio: Option<Span>,
}

impl Measured {
    /// Of picture and sound together.
    pub(super) fn millis(&self) -> u64 {
        both(self.video, self.audio).map_or(0, Span::millis)
    }

    pub(super) fn write(&self, probe: &mut Probe) {
        let container = &mut probe.container;
        container.duration_ms = self.millis();
        let bits = u128::from(container.bytes) * 8000;
        if let Some(rate) = bits.checked_div(u128::from(container.duration_ms)) {
            container.bit_rate = u64::try_from(rate).unwrap_or(u64::MAX);
        }
        if let (Some(info), Some(span)) = (probe.video.as_mut(), self.video) {
            info.duration_ms = span.millis();
        }
        if let (Some(info), Some(span)) = (probe.audio.as_mut(), self.audio) {
            info.duration_ms = span.millis();
        }
    }
}

/// Reads the packets of picture and sound to their end, or until they last longer than
/// `longest_ms`, and none of their contents. A picture that does not say how long it is shown is
/// shown for one `step`.
pub(super) fn measure(
    demuxer: &mut Demuxer,
    video: &StreamInfo,
    audio: Option<&StreamInfo>,
    step: Time,
    longest_ms: u64,
    guard: &Guard,
) -> Result<Measured, OpenError> {
    let mut measured = Measured::default();
    let mut packet = Packet::new()?;
    while measured.millis() <= longest_ms {
        match demuxer.read(&mut packet) {
            Ok(true) => {}
            Ok(false) => break,
            // How far it goes is its length: what is broken is for whoever decodes it.
            Err(OpenError::Libav(_)) if !guard.tripped() => break,
            Err(error) => return Err(error),
        }
        if packet.stream() == video.index {
            measured.video = both(measured.video, Span::of(&packet, video, step));
        } else if let Some(audio) = audio.filter(|audio| audio.index == packet.stream()) {
            measured.audio = both(measured.audio, Span::of(&packet, audio, Time::ZERO));
        }
    }
    Ok(measured)
}
