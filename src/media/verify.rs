//! Does a file hold what it claims and what was expected?
//!
//! The container is read anew to its end; the first and last groups of
//! pictures are decoded (all of them on request, or none). Of a picture that we encoded every
//! packet is held against what the encoder gave, and the beginning of either group
//! shows that decoders take it.

mod ends;
mod listen;

use ends::Ends;
use listen::Listener;

use std::sync::Arc;

use super::av::Packet;
use super::error::{MediaCode, MediaError};
use super::input::Input;
use super::judge::{
    DecodeDepth, Expectation, Truncation, Verified, Watch, compare, require_beginning,
    require_frames, require_table,
};
use super::limits::{Cancel, Guard, Limits};
use super::probe::{
    AudioTrack, Choice, Opened, PictureLength, UnusedAudio, nominal_rate, open_as, open_at,
    open_error, unreadable,
};
use super::ratio::{Time, to_millis};
use super::seal::{Seal, Sealed};

/// Reads a file to its end and compares it with what is expected.
///
/// # Errors
/// Those of [`super::probe()`], and `truncated`, `wrong_duration`, `wrong_size`,
/// `wrong_codec`, `audio_missing`, `audio_unexpected`, `audio_silent`,
/// `frames_missing`, `picture_black`, `picture_frozen`, `not_playable`,
/// `not_decodable`.
pub fn verify(
    input: &dyn Input,
    expect: &Expectation,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Verified, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        verify_guarded(input, expect, None, limits, &guard)
    })
}

/// As [`verify`]; `sealed` is what was encoded, of a file of ours.
pub(crate) fn verify_guarded(
    input: &dyn Input,
    expect: &Expectation,
    sealed: Option<Sealed>,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Verified, MediaError> {
    // Not "open": whoever wrote this file is to blame for what is wrong with it,
    // not the author of what it was made from.
    let mut opened = open_at("verify", input, limits, guard)?;
    let verified = read_through(&mut opened, input, expect, sealed, limits, guard)
        .map_err(|error| error.at("verify").with_log())?;
    compare(&verified, expect).map_err(|error| error.at("verify"))?;
    if expect.own {
        require_own(input, &verified).map_err(|error| error.at("verify"))?;
    }
    Ok(verified)
}

/// Whether players show all of what we wrote, from its beginning.
fn require_own(input: &dyn Input, verified: &Verified) -> Result<(), MediaError> {
    require_beginning(verified.begins_ms)?;
    let bytes = verified.probe.container.bytes;
    let name = input.describe();
    let mut reader = input.open().map_err(|error| unreadable(&name, &error))?;
    match PictureLength::read(reader.as_mut(), bytes) {
        Some(length) => require_table(length.claimed.millis(), length.table.millis()),
        None => Ok(()),
    }
}

/// Whether a file has sound with anything to hear on it. Decodes until it does.
///
/// # Errors
/// Those of [`super::probe()`].
pub fn is_audible(input: &dyn Input, limits: &Limits, cancel: &Cancel) -> Result<bool, MediaError> {
    is_track_audible(input, None, limits, cancel)
}

/// As [`is_audible`], of a certain track.
///
/// # Errors
/// Those of [`super::probe()`].
pub fn is_track_audible(
    input: &dyn Input,
    track: Option<&AudioTrack>,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<bool, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        let mut opened = open_as("verify", input, &Choice::of(track), limits, &guard)?;
        let Some(audio) = opened.audio.clone() else {
            return Ok(false);
        };
        opened.demuxer.keep_only(&[audio.index]);
        let mut listener = Listener::open(&opened.demuxer, &audio).map_err(super::error::memory)?;
        let mut packet = Packet::new().map_err(super::error::memory)?;
        // What cannot be read any more is not heard either.
        while !listener.heard && matches!(opened.demuxer.read(&mut packet), Ok(true)) {
            guard.check()?;
            if packet.stream() == audio.index {
                listener.take(Some(&packet));
            }
        }
        guard.check()?;
        listener.take(None);
        Ok(listener.heard)
    })
}

/// What the packets said.
#[derive(Default)]
struct Read {
    frames: u64,
    /// Those that no edit list cuts off.
    shown: u64,
    first: Option<i64>,
    last: i64,
    /// Longest distance between two frames in file order, in the stream's time base.
    longest: i64,
    /// Presentation and decoding time of the last key frame.
    last_key: Option<[i64; 2]>,
    audio_packets: u64,
    audio_end: Time,
    /// Set when reading stopped with an error.
    broken: Option<MediaError>,
}

impl Read {
    fn span(&self) -> i64 {
        self.first
            .map_or(0, |first| self.last.saturating_sub(first))
    }
}

fn read_through(
    opened: &mut Opened,
    input: &dyn Input,
    expect: &Expectation,
    sealed: Option<Sealed>,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Verified, MediaError> {
    let video = opened.video.clone();
    let audio = opened.audio.clone();
    let depth = expect.depth();
    let mut ends = Ends::open(opened, depth, sealed.is_some(), limits)?;
    let seal = sealed.map(|_| Seal::new()).transpose();
    let mut seal = seal.map_err(super::error::memory)?;
    ends.watch = expect.looks().then(Watch::default);
    let mut listener = audio
        .as_ref()
        .filter(|_| expect.audible || expect.listen)
        .map(|audio| Listener::open(&opened.demuxer, audio))
        .transpose()
        .map_err(super::error::memory)?;
    let mut wanted = vec![video.index];
    wanted.extend(audio.as_ref().map(|audio| audio.index));
    opened.demuxer.keep_only(&wanted);
    let nominal = nominal_rate(&video).frame(video.time_base);
    let begins = opened.begins();
    let mut read = Read {
        last: i64::MIN,
        ..Read::default()
    };
    let mut packet = Packet::new().map_err(super::error::memory)?;
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
            if !packet.is_cut_off() {
                read.shown += 1;
                if read.first.is_some() {
                    read.longest = read.longest.max(pts.saturating_sub(read.last));
                }
                read.first = Some(read.first.map_or(pts, |first| first.min(pts)));
                read.last = read.last.max(pts);
            }
            if packet.is_key() {
                read.last_key = Some([pts, packet.dts().unwrap_or(pts)]);
            }
            if let Some(seal) = &mut seal {
                seal.stored(packet.bytes());
            }
            ends.take(&packet);
        } else if let Some(audio) = audio
            .as_ref()
            .filter(|audio| audio.index == packet.stream())
        {
            read.audio_packets += 1;
            if let Some(listener) = &mut listener {
                listener.take(Some(&packet));
            }
            let end = packet.pts().unwrap_or(0).saturating_add(packet.duration());
            let end = Time::of(end, audio.time_base) - begins;
            read.audio_end = read.audio_end.max(end);
        }
    }
    ends.send(None);
    // First: what is missing explains what does not decode.
    require_whole(opened, &read, nominal)?;
    if let Some((seal, sealed)) = seal.zip(sealed) {
        seal.finish().require(sealed)?;
    }
    if depth == DecodeDepth::Ends && ends.keys > 1 {
        decode_last_group(opened, &mut ends, read.last_key, guard)?;
    }
    let audible = listener.map(|mut listener| {
        listener.take(None);
        listener.heard
    });
    Ok(Verified {
        audible,
        ..conclude(opened, &read, &ends, nominal, expect)?
    })
}

fn decode_last_group(
    opened: &mut Opened,
    ends: &mut Ends,
    key: Option<[i64; 2]>,
    guard: &Arc<Guard>,
) -> Result<(), MediaError> {
    // Matroska seeks by presentation times. A transport stream goes by decoding
    // times and may land behind the key frame that is shown at the same one.
    for at in key.into_iter().flatten() {
        if decode_group_at(opened, ends, at, guard)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Decodes from the key frame at or before `at` to the end; `false` when the
/// container has no index or shows no key frame there: then what was read
/// forward has to do.
fn decode_group_at(
    opened: &mut Opened,
    ends: &mut Ends,
    at: i64,
    guard: &Arc<Guard>,
) -> Result<bool, MediaError> {
    let index = opened.video.index;
    if opened.demuxer.seek(index, at).is_err() {
        return Ok(false);
    }
    ends.restart();
    let mut packet = Packet::new().map_err(super::error::memory)?;
    let mut begun = false;
    while matches!(opened.demuxer.read(&mut packet), Ok(true)) {
        guard.check()?;
        if packet.stream() == index {
            // Transport streams have no index: a seek lands anywhere before.
            begun |= packet.is_key();
            if begun {
                ends.send(Some(&packet));
            }
        }
        if ends.since().1 {
            return Ok(true);
        }
    }
    if !begun {
        return Ok(false);
    }
    ends.send(None);
    if ends.since().0 == 0 {
        return Err(MediaError::new(
            MediaCode::NotDecodable,
            "the last group of pictures does not decode",
        ));
    }
    Ok(true)
}

/// Neither cut off nor unreadable from some point on.
fn require_whole(opened: &Opened, read: &Read, nominal: i64) -> Result<(), MediaError> {
    let base = opened.video.time_base;
    Truncation {
        claimed_ms: opened.probe.container.duration_ms,
        reached_ms: to_millis(read.span().saturating_add(nominal), base)
            .max(read.audio_end.millis()),
        claimed_frames: opened.video.frames,
        frames: read.frames,
        longest_ms: to_millis(read.longest, base),
        ending: opened.ending,
        bytes: opened.probe.container.bytes,
    }
    .check()?;
    match &read.broken {
        // Unreadable by its content; a store that fails is another matter.
        Some(error) if error.code == MediaCode::DamagedMedia => Err(MediaError {
            code: MediaCode::Truncated,
            ..error.clone()
        }),
        Some(error) => Err(error.clone()),
        None => Ok(()),
    }
}

fn conclude(
    opened: &Opened,
    read: &Read,
    ends: &Ends,
    nominal: i64,
    expect: &Expectation,
) -> Result<Verified, MediaError> {
    let has_audio = opened.audio.is_some() && read.audio_packets > 0;
    let base = opened.video.time_base;
    let span = read.span();
    // Only the container knows how long the last frame is shown: packet
    // durations are guesses of the parser.
    let duration = opened.video.duration.filter(|claimed| *claimed > span);
    let duration_ms = to_millis(duration.unwrap_or(span.saturating_add(nominal)), base);
    if let Some([(w, h), (width, height)]) = ends.change {
        return Err(MediaError::new(
            MediaCode::WrongSize,
            format!("the picture changes from {w}×{h} to {width}×{height} in mid-stream"),
        ));
    }
    if ends.decoded == 0 && expect.depth() != DecodeDepth::Packets {
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
    if expect.depth() == DecodeDepth::Full {
        require_frames(ends.decoded, read.shown)?;
    }
    let looked = ends
        .watch
        .as_ref()
        .map(|watch| watch.longest_ms(base, nominal));
    let mut probe = opened.probe.clone();
    // Sound that is announced and never comes is no sound.
    if let Some(silent) = probe.audio.take_if(|_| !has_audio) {
        probe.unused_audio.push(UnusedAudio {
            track: silent.track.unwrap_or(1),
            codec: silent.codec,
            language: None,
            reason: "nothing comes on it".to_owned(),
        });
    }
    Ok(Verified {
        probe,
        begins_ms: Time::of(read.first.unwrap_or(0), base).millis(),
        frames: read.shown,
        duration_ms,
        audio_duration_ms: has_audio.then(|| read.audio_end.millis()),
        audible: None,
        decoded_frames: ends.decoded,
        black_ms: looked.map(|(black, _)| black),
        frozen_ms: looked.map(|(_, frozen)| frozen),
    })
}
