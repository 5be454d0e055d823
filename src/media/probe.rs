//! What a file is: container, video, audio, in stable fields.

mod describe;
mod info;
mod layout;
mod look;
mod measure;
mod pace;
mod refusals;
mod sniff;
mod tracks;

pub(crate) use describe::{display_size, frame_rate, nominal_rate};
pub use info::{AudioInfo, ColorInfo, ContainerInfo, OtherStreams, Probe, UnusedAudio, VideoInfo};
pub(crate) use layout::{Crop, Ending, PictureLength};
pub(crate) use refusals::{checked_length, memory_limit, open_error, unreadable};
pub use tracks::AudioTrack;
pub(crate) use tracks::{Choice, HIGHEST_SAMPLE_RATE};

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use self::describe::{Described, describe, is_mp4_family};
use self::layout::{Layout, TrackKind};
use self::look::Look;
use self::measure::{Measured, Until};
use self::pace::Pace;
use self::refusals::{check_limits, refuse_foreign_dynamic_range};
use super::av::{self, Demuxer, Kind, OpenOptions, StreamInfo};
use super::error::{MediaCode, MediaError};
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::provenance::{Brought, ProvenanceInfo, SharedBrought, read_xmp};
use super::ratio::{Ratio, Time};

/// Reads a container's headers and says what is in it.
///
/// Reads at most twice `limits.probe_size` bytes beyond the index, and decodes no more than libav
/// needs to learn the streams' parameters and a look at the key frames needs to learn whether
/// another size is shown longer than the first. A file that does not say how long it is, as
/// browsers record them, is read to its end.
///
/// # Errors
/// `empty_file`, `input_unreadable`, `not_a_video`, `unsupported_format`,
/// `unsupported_codec`, `damaged_media`, `no_video_stream`, the limits' codes,
/// `cancelled`, `deadline_exceeded`.
pub fn probe(input: &dyn Input, limits: &Limits, cancel: &Cancel) -> Result<Probe, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        Ok(described(input, &Choice::default(), limits, &guard)?.probe)
    })
}

/// As [`probe()`], with a certain track of sound, which must be there.
///
/// # Errors
/// Those of [`probe()`].
pub fn probe_track(
    input: &dyn Input,
    track: Option<&AudioTrack>,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Probe, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        Ok(described(input, &Choice::of(track), limits, &guard)?.probe)
    })
}

/// As [`probe()`]; where the file has a manifest, all of it is read and held against that, and
/// whoever signed it against the certificate `own`.
///
/// # Errors
/// Those of [`probe()`].
pub fn probe_whole(
    input: &dyn Input,
    own: Option<&[u8]>,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Probe, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        let mut opened = described(input, &Choice::default(), limits, &guard)?;
        hold_manifest(input, &mut opened, own, &guard)?;
        Ok(opened.probe)
    })
}

/// Holds the manifest that a file brings against all of the file.
fn hold_manifest(
    input: &dyn Input,
    opened: &mut Opened,
    own: Option<&[u8]>,
    guard: &Guard,
) -> Result<(), MediaError> {
    let (Some(brought), Some(said)) = (&opened.manifest, &mut opened.probe.provenance) else {
        return Ok(());
    };
    let mut brought = brought.lock().unwrap_or_else(PoisonError::into_inner);
    let length = opened.probe.container.bytes;
    let held = input
        .open()
        .and_then(|mut reader| brought.hold(reader.as_mut(), length, own, guard));
    said.manifest = Some(brought.info.clone());
    held.or_else(|error| {
        guard.check()?;
        Err(unreadable(&input.describe(), &error).at("open"))
    })
}

/// The description of a file: what its headers say, and what only its packets tell.
fn described(
    input: &dyn Input,
    choice: &Choice,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    let mut opened = open_as("open", input, choice, limits, guard)?;
    let claimed_ms = opened.probe.container.duration_ms;
    let mut look = Look::of(&opened.demuxer, &opened.video, limits);
    let until = match opened.length_is_doubtful() {
        true => Until::LongerThan(limits.max_duration_ms),
        false if look.is_none() => return Ok(opened),
        false => Until::Bytes(limits.probe_size),
    };
    let measured = read_through(&mut opened, until, look.as_mut(), input, guard)?;
    let length_is_wrong = opened.length_is_wrong();
    let claimed = Time::from_millis(i64::try_from(claimed_ms).unwrap_or(i64::MAX));
    let longest = look.and_then(|look| look.longest(claimed.ticks(opened.video.time_base)));
    let first = (opened.video.width, opened.video.height);
    if let Some(size) = longest.filter(|size| *size != first) {
        let choice = Choice {
            size: Some(size),
            ..choice.clone()
        };
        opened = open_as("open", input, &choice, limits, guard)?;
    }
    if length_is_wrong {
        write_length(&measured, &mut opened, limits)?;
    }
    Ok(opened)
}

/// As [`open_as()`], for a file that is worked on from its beginning to its end. Where it does not say
/// how long it is, or its clock may begin again, its length is measured first, which reads it once more.
pub(crate) fn open_measured(
    input: &dyn Input,
    choice: &Choice,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    let mut opened = open_as("open", input, choice, limits, guard)?;
    if !opened.length_is_doubtful() {
        return Ok(opened);
    }
    let until = Until::LongerThan(limits.max_duration_ms);
    let measured = read_through(&mut opened, until, None, input, guard)?;
    let length_is_wrong = opened.length_is_wrong();
    opened = open_as("open", input, choice, limits, guard)?;
    if length_is_wrong {
        write_length(&measured, &mut opened, limits)?;
    }
    Ok(opened)
}

fn read_through(
    opened: &mut Opened,
    until: Until,
    look: Option<&mut Look>,
    input: &dyn Input,
    guard: &Guard,
) -> Result<Measured, MediaError> {
    let Opened {
        demuxer,
        video,
        audio,
        ..
    } = opened;
    measure::measure(demuxer, video, audio.as_ref(), until, look, guard).map_err(|error| {
        open_error(error, &input.describe(), guard)
            .at("open")
            .with_log()
    })
}

fn write_length(
    measured: &Measured,
    opened: &mut Opened,
    limits: &Limits,
) -> Result<(), MediaError> {
    measured.write(&mut opened.probe);
    check_limits(&opened.probe, &opened.video, limits).map_err(|error| error.at("open").with_log())
}

/// An open container with the streams we work with.
pub(crate) struct Opened {
    pub demuxer: Demuxer,
    pub probe: Probe,
    pub video: StreamInfo,
    pub audio: Option<StreamInfo>,
    /// The part of the coded picture that is shown.
    pub crop: Option<Crop>,
    /// Whether the file ends where it says.
    pub ending: Ending,
    /// Streams of sound that were announced and not found while probing.
    pub awaited: Vec<usize>,
    /// The manifest that it brings.
    pub manifest: Option<SharedBrought>,
    /// Whether no damage of its picture is mended.
    pub strict: bool,
}

impl Opened {
    /// Where the file begins on its own clock: with its picture or its sound, what
    /// comes first. Exact, unlike libav's, which is in microseconds.
    pub(crate) fn begins(&self) -> Time {
        let audio = self.audio.as_ref().and_then(StreamInfo::begins);
        let streams = self.video.begins().into_iter().chain(audio);
        streams.min().or(self.demuxer.start()).unwrap_or_default()
    }

    /// Whether only its packets tell how long it is: it does not say so, or its clock may begin again.
    fn length_is_doubtful(&self) -> bool {
        self.probe.container.duration_ms == 0 || self.demuxer.may_restart()
    }

    /// Whether the packets read so far show that its length is not what it says.
    fn length_is_wrong(&self) -> bool {
        self.probe.container.duration_ms == 0 || self.demuxer.has_restarted()
    }

    /// Where its picture begins, on the same clock.
    pub(crate) fn video_begins(&self) -> Time {
        self.video.begins().unwrap_or_else(|| self.begins())
    }
}

/// Opens for reading and checks everything that can be checked by headers.
pub(crate) fn open(
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    open_as("open", input, &Choice::default(), limits, guard)
}

/// As [`open()`], for a stage whose failures mean something else to callers.
pub(crate) fn open_at(
    stage: &str,
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    open_as(stage, input, &Choice::default(), limits, guard)
}

/// As [`open()`], with something known about the tracks.
pub(crate) fn open_as(
    stage: &str,
    input: &dyn Input,
    choice: &Choice,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    av::init();
    av::log::clear();
    open_inner(input, choice, limits, guard).map_err(|error| error.at(stage).with_log())
}

#[allow(
    clippy::too_many_lines,
    reason = "checks in the order in which they can be made"
)]
fn open_inner(
    input: &dyn Input,
    choice: &Choice,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    guard.check()?;
    let bytes = checked_length(input, limits.max_bytes)?;
    let unread = |error: io::Error| unreadable(&input.describe(), &error);
    let mut reader = input.open().map_err(unread)?;
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(sniff::HEAD)
        .read_to_end(&mut head)
        .and_then(|_| reader.rewind())
        .map_err(unread)?;
    if let Some(refusal) = sniff::refusal(&head) {
        return Err(refusal);
    }
    let options = OpenOptions {
        probe_size: limits.probe_size,
        analyze_ms: limits.analyze_duration_ms,
        max_streams: limits.max_streams,
        max_pixels: limits.max_pixels,
    };
    let layout_as = |format: &str| {
        let reader = input.open().ok();
        reader.map(|mut reader| Layout::read(format, reader.as_mut(), bytes))
    };
    let looks_like_mp4 = head.get(4..8) == Some(b"ftyp");
    let first = looks_like_mp4.then(|| layout_as("mp4")).flatten();
    let manifest = first.as_ref().and_then(|layout| layout.manifest.as_ref());
    let mut manifest = manifest.map(|found| Brought::read(&found.content, found.bytes));
    if let Some(brought) = manifest.as_mut().filter(|_| choice.follow) {
        reader = brought.follow(reader, bytes, guard).map_err(unread)?;
    }
    let mut demuxer = match Demuxer::open(reader, bytes, options, Arc::clone(guard)) {
        Ok(demuxer) => demuxer,
        Err(error) => {
            return Err(open_error(error, &input.describe(), guard).unless_cut(first.as_ref()));
        }
    };
    let layout = first.filter(|_| is_mp4_family(demuxer.format()));
    let layout = layout.or_else(|| layout_as(demuxer.format()));
    let layout = layout.unwrap_or_default();
    let streams = demuxer.streams();
    // A cut index leaves tracks that never say what they are.
    if streams.iter().all(|stream| stream.kind == Kind::Data) {
        // Text with a few bytes in the right places passes for a stream of nothing.
        let code = match streams.is_empty() {
            true => MediaCode::DamagedMedia,
            false => MediaCode::Truncated,
        };
        return Err(MediaError::new(code, "the file breaks off in its headers"));
    }
    let mut video = tracks::video(&streams)
        .ok_or_else(|| MediaError::new(MediaCode::NoVideoStream, "there is no video in the file"))?
        .clone();
    let track_of = |stream: &StreamInfo, kind: Kind, of: TrackKind| {
        let same = streams
            .iter()
            .filter(|other| other.kind == kind && !other.attached_picture);
        let nth = same.take_while(|other| other.index != stream.index).count();
        layout.track(of, nth)
    };
    let encrypted = |stream: &StreamInfo| {
        let track = match stream.kind {
            Kind::Video => track_of(stream, Kind::Video, TrackKind::Video),
            _ => track_of(stream, Kind::Audio, TrackKind::Audio),
        };
        track.is_some_and(|track| track.encrypted)
    };
    if let Some(error) = tracks::unusable(&video, &encrypted) {
        return Err(error.about("the video: "));
    }
    refuse_foreign_dynamic_range(&video)?;
    let is_mp4 = is_mp4_family(demuxer.format());
    // Where the index counts the pictures, a track that it counts nothing of is empty.
    let counted = is_mp4 && video.frames > 0;
    let empty = |stream: &StreamInfo| counted && stream.frames == 0;
    let sound = tracks::sound(&demuxer, &streams, &encrypted, &empty, choice)?;
    let first_size = [video.width, video.height];
    if let Some((width, height)) = choice.size {
        (video.width, video.height) = (width, height);
    }
    let begins_with = Some(first_size).filter(|first| *first != [video.width, video.height]);
    let crop = track_of(&video, Kind::Video, TrackKind::Video)
        .and_then(|track| track.crop)
        // The container's numbers are about the size it begins with.
        .filter(|_| begins_with.is_none())
        .filter(|crop| crop.left + crop.width <= video.width)
        .filter(|crop| crop.top + crop.height <= video.height);
    if let Some(aspect) = crop.and_then(|crop| crop.sample_aspect) {
        video.sample_aspect = aspect;
    }
    if let Some((pictures, length)) = layout.animation {
        video.frames = pictures;
        video.duration = Some(length.ticks(video.time_base)).filter(|length| *length > 0);
        let seconds = Time::ZERO.max(length).millis() as f64 / 1000.0;
        video.average_rate = Ratio::approximate(pictures as f64 / seconds.max(0.01));
    } else if !counted || frame_rate(&video).as_f64() > limits.max_fps {
        let pace = Pace::measure(&mut demuxer, &video, limits)
            .map_err(|error| open_error(error, &input.describe(), guard))?;
        if pace.nothing {
            return Err(MediaError::new(
                MediaCode::Truncated,
                "there is a header, and no video behind it: the recording was not finished, or \
                 the file breaks off",
            ));
        }
        pace.check(limits)
            .map_err(|error| error.on_stream(video.index))?;
        if let Some(rate) = pace.rate(&video) {
            video.average_rate = rate;
        }
        // In an open group some pictures are shown before the key frame that comes first. libav
        // takes the key frame's time for the beginning; sound would come early by the difference.
        // An MP4 is left alone: its edit list may hide what comes before.
        if !is_mp4 && let (Some(start), Some(first)) = (video.start, pace.first()) {
            video.start = Some(start.min(first.ticks(video.time_base)));
        }
        // What a header counts that is no table of the pictures is no proof.
        if !counted {
            video.frames = 0;
        }
    }
    let manifest = manifest.or_else(|| {
        let found = layout.manifest.as_ref()?;
        Some(Brought::read(&found.content, found.bytes))
    });
    let probe = describe(Described {
        demuxer: &demuxer,
        streams: &streams,
        video: &video,
        audio: sound.taken.as_ref(),
        audio_number: sound.number,
        unused_audio: sound.unused,
        counted,
        crop,
        begins_with,
        bytes,
        faststart: layout.index_first,
        provenance: provenance(&demuxer, &layout, manifest.as_ref()),
    });
    check_limits(&probe, &video, limits)?;
    Ok(Opened {
        demuxer,
        probe,
        video,
        audio: sound.taken,
        crop,
        ending: layout.ending,
        awaited: sound.awaited,
        manifest: manifest.map(|brought| Arc::new(Mutex::new(brought))),
        strict: false,
    })
}

/// What the file says of how it was made.
fn provenance(
    demuxer: &Demuxer,
    layout: &Layout,
    manifest: Option<&Brought>,
) -> Option<ProvenanceInfo> {
    let said = layout.xmp.as_deref().map(read_xmp).unwrap_or_default();
    // It goes to terminals, and into results.
    let plain = |text: &String| !text.chars().any(char::is_control);
    ProvenanceInfo {
        manifest: manifest.map(|brought| brought.info.clone()),
        aigc: demuxer.metadata("AIGC").filter(plain),
        ..said
    }
    .if_any()
}
