//! Does a file hold what it claims and what was expected?
//!
//! The container is read anew to its end; the first and last groups of
//! pictures are decoded (all of them on request).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::av::{Decoder, DecoderOptions, Frame, Packet, Received, decoder_name};
use super::error::{MediaCode, MediaError};
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::probe::{Opened, Probe, frame_rate, open, open_error};
use super::ratio::{Ratio, rescale, to_millis};

/// How much is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecodeDepth {
    /// The first and the last group of pictures.
    #[default]
    Ends,
    /// Every frame.
    Full,
}

/// What is expected of the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioExpectation {
    /// There must be sound.
    Required,
    /// There must be none.
    Absent,
    /// Either will do.
    #[default]
    Any,
}

/// What a file must be. `Default` expects only that it is whole and decodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expectation {
    /// Length of the video and tolerance, both in milliseconds.
    pub duration_ms: Option<(u64, u64)>,
    /// Shortest accepted length in milliseconds.
    pub min_duration_ms: Option<u64>,
    /// Frames and tolerance.
    pub frames: Option<(u64, u64)>,
    /// Width as shown.
    pub width: Option<u32>,
    /// Height as shown.
    pub height: Option<u32>,
    /// Sound.
    pub audio: AudioExpectation,
    /// Codec of the video by libav's name.
    pub video_codec: Option<String>,
    /// Codec of the sound by libav's name, if there is sound.
    pub audio_codec: Option<String>,
    /// How much is decoded.
    pub depth: DecodeDepth,
}

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
/// Those of [`super::probe`], and `truncated`, `wrong_duration`, `wrong_size`,
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
    end: i64,
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
        end: i64::MIN,
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
            let length = if packet.duration() > 0 {
                packet.duration()
            } else {
                nominal
            };
            read.first = Some(read.first.map_or(pts, |first| first.min(pts)));
            read.end = read.end.max(pts.saturating_add(length));
            if packet.is_key() {
                keys += 1;
                read.last_key = Some(packet.dts().unwrap_or(pts));
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
    conclude(opened, &read, &ends, audio.is_some(), depth)
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
    has_audio: bool,
    depth: DecodeDepth,
) -> Result<Verified, MediaError> {
    let base = opened.video.time_base;
    let duration_ms = read
        .first
        .map_or(0, |first| to_millis(read.end.saturating_sub(first), base));
    let claimed = opened.probe.container.duration_ms;
    let reached = duration_ms.max(to_millis(read.audio_end_us, Ratio::MICROS));
    // Half a second or two percent: containers round, and sound may be longer.
    let missing = claimed.saturating_sub(reached);
    let known_frames = opened.video.frames;
    if missing > 500.max(claimed / 50) || known_frames > read.frames + known_frames / 50 {
        return Err(MediaError::new(
            MediaCode::Truncated,
            format!(
                "the file claims {claimed} ms and {known_frames} frames, but holds {reached} ms and {}",
                read.frames
            ),
        ));
    }
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

fn compare(found: &Verified, expect: &Expectation) -> Result<(), MediaError> {
    let fail = |code, message: String| Err(MediaError::new(code, message));
    let video = found.probe.require_video()?;
    if let Some((wanted, tolerance)) = expect.duration_ms {
        if found.duration_ms.abs_diff(wanted) > tolerance {
            return fail(
                MediaCode::WrongDuration,
                format!(
                    "{} ms long, expected {wanted} ± {tolerance}",
                    found.duration_ms
                ),
            );
        }
    }
    if let Some(least) = expect
        .min_duration_ms
        .filter(|least| found.duration_ms < *least)
    {
        return fail(
            MediaCode::WrongDuration,
            format!("{} ms long, expected at least {least}", found.duration_ms),
        );
    }
    if let Some((wanted, tolerance)) = expect.frames {
        if found.frames.abs_diff(wanted) > tolerance {
            return fail(
                MediaCode::FramesMissing,
                format!("{} frames, expected {wanted} ± {tolerance}", found.frames),
            );
        }
    }
    let size = (video.display_width, video.display_height);
    if expect.width.is_some_and(|width| width != size.0)
        || expect.height.is_some_and(|height| height != size.1)
    {
        return fail(
            MediaCode::WrongSize,
            format!(
                "{}×{}, expected {:?}×{:?}",
                size.0, size.1, expect.width, expect.height
            ),
        );
    }
    match (expect.audio, &found.probe.audio) {
        (AudioExpectation::Required, None) => {
            return fail(MediaCode::AudioMissing, "there is no sound".to_owned());
        }
        (AudioExpectation::Absent, Some(_)) => {
            return fail(MediaCode::AudioUnexpected, "there is sound".to_owned());
        }
        _ => {}
    }
    let wrong = |expected: &Option<String>, found: &str| {
        expected
            .as_ref()
            .filter(|expected| *expected != found)
            .cloned()
    };
    if let Some(expected) = wrong(&expect.video_codec, &video.codec) {
        return fail(
            MediaCode::WrongCodec,
            format!("{}, expected {expected}", video.codec),
        );
    }
    if let Some(audio) = &found.probe.audio {
        if let Some(expected) = wrong(&expect.audio_codec, &audio.codec) {
            return fail(
                MediaCode::WrongCodec,
                format!("{}, expected {expected}", audio.codec),
            );
        }
    }
    Ok(())
}
