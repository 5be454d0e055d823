//! What packets tell and headers do not: the length where nobody knew it when the header was
//! written, as in recorders of browsers and live servers, and the size that is shown longest.

use super::describe::{nominal_rate, rate_of};
use super::info::Probe;
use super::look::Look;
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
    fn millis(&self) -> u64 {
        both(self.video, self.audio).map_or(0, Span::millis)
    }

    pub(super) fn write(&self, probe: &mut Probe) {
        let container = &mut probe.container;
        container.duration_ms = self.millis();
        container.bit_rate = rate_of(container.bytes, container.duration_ms);
        let sound = probe.audio.as_ref().map_or(0, |info| info.bit_rate);
        if let (Some(info), Some(span)) = (probe.video.as_mut(), self.video) {
            info.duration_ms = span.millis();
            if info.bit_rate == 0 {
                info.bit_rate = container.bit_rate.saturating_sub(sound);
            }
        }
        if let (Some(info), Some(span)) = (probe.audio.as_mut(), self.audio) {
            info.duration_ms = span.millis();
        }
    }
}

/// How far is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// To the end, or until it lasts longer than so many milliseconds.
    LongerThan(u64),
    /// So many bytes of packets.
    Bytes(u64),
}

/// What a packet costs besides its bytes: a file of nothing but empty ones ends too.
const PACKET: u64 = 32;

/// Reads the packets of picture and sound, and of their contents no more than `look` does. A
/// picture that does not say how long it is shown is shown for one frame of the usual rate.
pub(super) fn measure(
    demuxer: &mut Demuxer,
    video: &StreamInfo,
    audio: Option<&StreamInfo>,
    until: Until,
    mut look: Option<&mut Look>,
    guard: &Guard,
) -> Result<Measured, OpenError> {
    let step = Time::of(1, nominal_rate(video).inverse());
    let mut measured = Measured::default();
    let mut packet = Packet::new()?;
    let mut bytes = 0u64;
    while match until {
        Until::LongerThan(longest_ms) => measured.millis() <= longest_ms,
        Until::Bytes(most) => bytes <= most && look.as_ref().is_some_and(|look| look.goes_on()),
    } {
        match demuxer.read(&mut packet) {
            Ok(true) => {}
            Ok(false) => break,
            // How far it goes is its length: what is broken is for whoever decodes it.
            Err(OpenError::Libav(_)) if !guard.tripped() => break,
            Err(error) => return Err(error),
        }
        let length = u64::try_from(packet.len()).unwrap_or(u64::MAX);
        bytes = bytes.saturating_add(length.saturating_add(PACKET));
        if packet.stream() == video.index {
            if let Some(look) = look.as_deref_mut() {
                look.take(&packet)?;
            }
            measured.video = both(measured.video, Span::of(&packet, video, step));
        } else if let Some(audio) = audio.filter(|audio| audio.index == packet.stream()) {
            measured.audio = both(measured.audio, Span::of(&packet, audio, Time::ZERO));
        }
    }
    Ok(measured)
}
