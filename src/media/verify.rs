//! Does a file hold what it claims and what was expected?
//!
//! The container is read anew to its end; the first and last groups of
//! pictures are decoded (all of them on request).

mod expectation;

pub use expectation::{AudioExpectation, DecodeDepth, Expectation};

pub(crate) use expectation::Truncation;
use expectation::compare;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::av::{Decoder, DecoderOptions, Frame, Packet, Received, decoder_name};
use super::error::{MediaCode, MediaError};
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::probe::{Opened, Probe, frame_rate, open, open_error};
use super::ratio::{Ratio, rescale, to_millis};

/// What verification found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// The headers.
    pub probe: Probe,
    /// Video packets read.
    pub frames: u64,
    /// Length of the video by its packets, in milliseconds.
    pub duration_ms: u64,
    /// Length of the sound by its packets, in milliseconds.
    pub audio_duration_ms: Option<u64>,
    /// Frames decoded.
    pub decoded_frames: u64,
}

/// Reads a file to its end and compares it with what is expected.
///
/// # Errors
/// Those of [`super::probe()`], and `truncated`, `wrong_duration`, `wrong_size`,
/// `wrong_codec`, `audio_missing`, `audio_unexpected`, `frames_missing`,
/// `not_decodable`.
pub fn verify(
    input: &dyn Input,
    expect: &Expectation,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Verified, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        verify_guarded(input, expect, limits, &guard)
    })
}

pub(crate) fn verify_guarded(
    input: &dyn Input,
    expect: &Expectation,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Verified, MediaError> {
    let mut opened = open(input, limits, guard)?;
    let verified = read_through(&mut opened, input, expect.depth, limits, guard)
        .map_err(|error| error.at("verify").with_log())?;
    compare(&verified, expect).map_err(|error| error.at("verify"))?;
    Ok(verified)
}

/// A group of pictures longer than this is decoded in part only.
const MOST_FRAMES: u64 = 1200;

struct Ends {
    decoder: Decoder,
    frame: Frame,
    decoded: u64,
    bad: u64,
}

impl Ends {
    fn open(input: &Opened, limits: &Limits) -> Result<Self, MediaError> {
        let stream = &input.video;
        let broken = |error: super::av::AvError| {
            MediaError::new(
                MediaCode::NotDecodable,
                format!("the video cannot be decoded: {error}"),
            )
        };
        let name = decoder_name(&stream.codec).unwrap_or_default();
        let options = DecoderOptions {
            threads: 0,
            max_pixels: limits.max_pixels,
            strict: true,
        };
        let params = input.demuxer.params(stream.index).map_err(broken)?;
        Ok(Self {
            decoder: Decoder::open(name, Some(&params), stream.time_base, options)
                .map_err(broken)?,
            frame: Frame::new().map_err(broken)?,
            decoded: 0,
            bad: 0,
        })
    }

    fn send(&mut self, packet: Option<&Packet>) {
        if self.decoder.send(packet).is_err() {
            self.bad += 1;
        }
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Item) => {
                    self.decoded += 1;
                    self.bad += u64::from(self.frame.is_damaged());
                }
                Ok(_) => return,
                Err(_) => {
                    self.bad += 1;
                    return;
                }
            }
        }
    }
}

/// What the packets said.
#[derive(Default)]
struct Read {
    frames: u64,
    first: Option<i64>,
    last: i64,
    /// Longest distance between two frames in file order, in the stream's time base.
    longest: i64,
    last_key: Option<i64>,
    audio_packets: u64,
    audio_end_us: i64,
    /// Set when reading stopped with an error.
    broken: Option<MediaError>,
}

fn read_through(
    opened: &mut Opened,
    input: &dyn Input,
    depth: DecodeDepth,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Verified, MediaError> {
    let video = opened.video.clone();
    let audio = opened.audio.clone();
    let mut ends = Ends::open(opened, limits)?;
    let mut wanted = vec![video.index];
    wanted.extend(audio.as_ref().map(|audio| audio.index));
    opened.demuxer.keep_only(&wanted);
    let nominal = rescale(1, frame_rate(&video).inverse(), video.time_base).max(1);
    let start_us = opened.demuxer.start_us().unwrap_or(0);
    let mut read = Read {
        last: i64::MIN,
        ..Read::default()
    };
    let mut packet = Packet::new().map_err(super::render::memory)?;
    let mut keys = 0u64;
    loop {
        guard.check()?;
        match opened.demuxer.read(&mut packet) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                guard.check()?;
                read.broken = Some(open_error(error, &input.describe(), guard));
                break;
            }
        }
        if packet.stream() == video.index {
            read.frames += 1;
            if read.frames > limits.max_frames {
                return Err(MediaError::new(
                    MediaCode::TooManyFrames,
                    "the video has too many frames",
                ));
            }
            let pts = packet.pts().or(packet.dts()).unwrap_or(0);
            if read.first.is_some() {
                read.longest = read.longest.max(pts.saturating_sub(read.last));
            }
            read.first = Some(read.first.map_or(pts, |first| first.min(pts)));
            read.last = read.last.max(pts);
            if packet.is_key() {
                keys += 1;
                read.last_key = Some(pts);
            }
            // The second key frame ends the first group.
            if depth == DecodeDepth::Full || (keys <= 1 && ends.decoded < MOST_FRAMES) {
                ends.send(Some(&packet));
            }
        } else if let Some(audio) = audio
            .as_ref()
            .filter(|audio| audio.index == packet.stream())
        {
            read.audio_packets += 1;
            let end = packet.pts().unwrap_or(0).saturating_add(packet.duration());
            read.audio_end_us = read
                .audio_end_us
                .max(rescale(end, audio.time_base, Ratio::MICROS) - start_us);
        }
    }
    ends.send(None);
    if depth == DecodeDepth::Ends && keys > 1 {
        decode_last_group(opened, &mut ends, read.last_key, guard)?;
    }
    conclude(opened, &read, &ends, nominal, depth)
}

fn decode_last_group(
    opened: &mut Opened,
    ends: &mut Ends,
    key: Option<i64>,
    guard: &Arc<Guard>,
) -> Result<(), MediaError> {
    let Some(key) = key else { return Ok(()) };
    let index = opened.video.index;
    if opened.demuxer.seek(index, key).is_err() {
        // Some containers have no index; what was read forward has to do.
        return Ok(());
    }
    ends.decoder.flush();
    let mut packet = Packet::new().map_err(super::render::memory)?;
    let before = ends.decoded;
    while matches!(opened.demuxer.read(&mut packet), Ok(true)) {
        guard.check()?;
        if packet.stream() == index {
            ends.send(Some(&packet));
        }
        if ends.decoded - before > MOST_FRAMES {
            return Ok(());
        }
    }
    ends.send(None);
    if ends.decoded == before {
        return Err(MediaError::new(
            MediaCode::NotDecodable,
            "the last group of pictures does not decode",
        ));
    }
    Ok(())
}

fn conclude(
    opened: &Opened,
    read: &Read,
    ends: &Ends,
    nominal: i64,
    depth: DecodeDepth,
) -> Result<Verified, MediaError> {
    let has_audio = opened.audio.is_some();
    let base = opened.video.time_base;
    let span = read
        .first
        .map_or(0, |first| read.last.saturating_sub(first));
    // Only the container knows how long the last frame is shown: packet
    // durations are guesses of the parser.
    let duration = opened.video.duration.filter(|claimed| *claimed > span);
    let duration_ms = to_millis(duration.unwrap_or(span.saturating_add(nominal)), base);
    Truncation {
        claimed_ms: opened.probe.container.duration_ms,
        reached_ms: to_millis(span.saturating_add(nominal), base)
            .max(to_millis(read.audio_end_us, Ratio::MICROS)),
        claimed_frames: opened.video.frames,
        frames: read.frames,
        longest_ms: to_millis(read.longest, base),
    }
    .check()?;
    if let Some(error) = &read.broken {
        return Err(MediaError {
            code: MediaCode::Truncated,
            ..error.clone()
        });
    }
    if ends.decoded == 0 {
        return Err(MediaError::new(
            MediaCode::NotDecodable,
            "no frame of the video decodes",
        ));
    }
    if ends.bad > 0 {
        return Err(MediaError::new(
            MediaCode::NotDecodable,
            format!("{} damaged frames among {} decoded", ends.bad, ends.decoded),
        ));
    }
    let short = ends.decoded + 1 + read.frames / 100 < read.frames;
    if depth == DecodeDepth::Full && short {
        return Err(MediaError::new(
            MediaCode::FramesMissing,
            format!("{} of {} frames decode", ends.decoded, read.frames),
        ));
    }
    if has_audio && read.audio_packets == 0 {
        return Err(MediaError::new(
            MediaCode::AudioMissing,
            "the audio stream is empty",
        ));
    }
    Ok(Verified {
        probe: opened.probe.clone(),
        frames: read.frames,
        duration_ms,
        audio_duration_ms: has_audio.then(|| to_millis(read.audio_end_us, Ratio::MICROS)),
        decoded_frames: ends.decoded,
    })
}
