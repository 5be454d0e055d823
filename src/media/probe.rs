//! What a file is: container, video, audio, in stable fields.

mod describe;
mod info;

pub(crate) use describe::{display_size, frame_rate};
pub use info::{AudioInfo, ColorInfo, ContainerInfo, OtherStreams, Probe, VideoInfo};

use std::io::{self, Read};
use std::sync::Arc;

use self::describe::{describe, faststart, is_mp4_family};
use super::av::{self, Demuxer, Kind, OpenError, OpenOptions, StreamInfo};
use super::error::{MediaCode, MediaError};
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::picture;
use super::ratio::Time;

/// Reads a container's headers and says what is in it.
///
/// Reads at most `limits.probe_size` bytes beyond the index, decodes no more
/// than libav needs to learn the streams' parameters.
///
/// # Errors
/// `empty_file`, `input_unreadable`, `not_a_video`, `unsupported_format`,
/// `unsupported_codec`, `damaged_media`, `no_video_stream`, the limits' codes,
/// `cancelled`, `deadline_exceeded`.
pub fn probe(input: &dyn Input, limits: &Limits, cancel: &Cancel) -> Result<Probe, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        open(input, limits, &guard).map(|opened| opened.probe)
    })
}

/// An open container with the streams we work with.
pub(crate) struct Opened {
    pub demuxer: Demuxer,
    pub probe: Probe,
    pub video: StreamInfo,
    pub audio: Option<StreamInfo>,
}

impl Opened {
    /// Where the file begins on its own clock: with its picture or its sound, what
    /// comes first. Exact, unlike libav's, which is in microseconds.
    pub(crate) fn begins(&self) -> Time {
        let audio = self.audio.as_ref().and_then(StreamInfo::begins);
        let streams = self.video.begins().into_iter().chain(audio);
        streams.min().or(self.demuxer.start()).unwrap_or_default()
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
    open_at("open", input, limits, guard)
}

/// As [`open()`], for a stage whose failures mean something else to callers.
pub(crate) fn open_at(
    stage: &str,
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    av::init();
    av::log::clear();
    open_inner(input, limits, guard).map_err(|error| error.at(stage).with_log())
}

fn open_inner(
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    guard.check()?;
    let bytes = checked_length(input, limits.max_bytes)?;
    let mut reader = input
        .open()
        .map_err(|error| unreadable(&input.describe(), &error))?;
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(16)
        .read_to_end(&mut head)
        .and_then(|_| reader.rewind())
        .map_err(|error| unreadable(&input.describe(), &error))?;
    if picture::sniff(&head).is_some() {
        return Err(MediaError::new(
            MediaCode::NotAVideo,
            "this is a still picture, not a video",
        ));
    }
    let options = OpenOptions {
        probe_size: limits.probe_size,
        analyze_ms: limits.analyze_duration_ms,
        max_streams: limits.max_streams,
        max_pixels: limits.max_pixels,
    };
    let demuxer = Demuxer::open(reader, bytes, options, Arc::clone(guard))
        .map_err(|error| open_error(error, &input.describe(), guard))?;
    let streams = demuxer.streams();
    // A cut index leaves tracks that never say what they are.
    if streams.iter().all(|stream| stream.kind == Kind::Data) {
        return Err(MediaError::new(
            MediaCode::DamagedMedia,
            "the file breaks off in its headers",
        ));
    }
    let video = choose_video(&streams)
        .ok_or_else(|| MediaError::new(MediaCode::NoVideoStream, "there is no video in the file"))?
        .clone();
    let audio = choose(&streams, Kind::Audio).cloned();
    for stream in [Some(&video), audio.as_ref()].into_iter().flatten() {
        if av::decoder_name(&stream.codec).is_none() {
            return Err(MediaError::new(
                MediaCode::UnsupportedCodec,
                format!("the codec {} is not supported", stream.codec),
            )
            .on_stream(stream.index));
        }
    }
    let faststart = is_mp4_family(demuxer.format())
        .then(|| {
            input
                .open()
                .ok()
                .and_then(|reader| faststart(reader).ok())
                .flatten()
        })
        .flatten();
    let probe = describe(&demuxer, &streams, &video, audio.as_ref(), bytes, faststart);
    check_limits(&probe, &video, limits)?;
    Ok(Opened {
        demuxer,
        probe,
        video,
        audio,
    })
}

/// Size of the input, refusing empty and oversized ones.
pub(crate) fn checked_length(input: &dyn Input, most: u64) -> Result<u64, MediaError> {
    let bytes = input
        .len()
        .map_err(|error| unreadable(&input.describe(), &error))?;
    if bytes == 0 {
        return Err(MediaError::new(MediaCode::EmptyFile, "the file is empty"));
    }
    if bytes > most {
        return Err(MediaError::new(
            MediaCode::InputTooLarge,
            format!("the file has {bytes} bytes, {most} are allowed"),
        ));
    }
    Ok(bytes)
}

pub(crate) fn unreadable(name: &str, error: &io::Error) -> MediaError {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    MediaError::new(MediaCode::InputUnreadable, format!("{name} {what}"))
}

/// Translates a failure to open or read a container.
pub(crate) fn open_error(error: OpenError, name: &str, guard: &Guard) -> MediaError {
    if let Err(stopped) = guard.check() {
        return stopped;
    }
    match error {
        OpenError::Io(error) => unreadable(name, &error),
        OpenError::Unknown => MediaError::new(
            MediaCode::UnsupportedFormat,
            "the file is not in a video format we know",
        ),
        OpenError::Refused(name) => MediaError::new(
            MediaCode::UnsupportedFormat,
            format!("the format {name} is not supported"),
        ),
        OpenError::TooManyStreams => {
            MediaError::new(MediaCode::TooManyStreams, "the file has too many streams")
        }
        OpenError::Libav(error) if error.is_interrupted() => {
            MediaError::new(MediaCode::Cancelled, "the work was stopped")
        }
        OpenError::Libav(error) if error.is_memory() => memory_limit(),
        OpenError::Libav(error) => MediaError::new(
            MediaCode::DamagedMedia,
            format!("the file cannot be read: {error}"),
        ),
    }
}

/// libav says the same of a machine that has none left, which as good as never comes to that.
pub(crate) fn memory_limit() -> MediaError {
    MediaError::new(
        MediaCode::MemoryLimit,
        "the file asks for more memory than one piece of it may take",
    )
}

fn choose(streams: &[StreamInfo], kind: Kind) -> Option<&StreamInfo> {
    let mut candidates = streams.iter().filter(|stream| stream.kind == kind);
    let first = candidates.clone().next();
    candidates.find(|stream| stream.default).or(first)
}

/// The default stream first, then the largest; cover pictures never.
fn choose_video(streams: &[StreamInfo]) -> Option<&StreamInfo> {
    streams
        .iter()
        .filter(|stream| stream.kind == Kind::Video && !stream.attached_picture)
        .max_by_key(|stream| {
            (
                stream.default,
                u64::from(stream.width) * u64::from(stream.height),
                usize::MAX - stream.index,
            )
        })
}

fn check_limits(probe: &Probe, video: &StreamInfo, limits: &Limits) -> Result<(), MediaError> {
    let refuse = |code, message: String| Err(MediaError::new(code, message).on_stream(video.index));
    if video.width == 0 || video.height == 0 {
        let spent = probe.container.bytes > limits.probe_size
            || probe.container.duration_ms > limits.analyze_duration_ms;
        let code = if spent {
            MediaCode::ProbeLimit
        } else {
            MediaCode::DamagedMedia
        };
        return refuse(
            code,
            "the size of the picture could not be found".to_owned(),
        );
    }
    let (width, height) = probe.video.as_ref().map_or((0, 0), |v| {
        (v.display_width.max(v.width), v.display_height.max(v.height))
    });
    let pixels = u64::from(video.width) * u64::from(video.height);
    if pixels > limits.max_pixels || u64::from(width) * u64::from(height) > limits.max_pixels * 16 {
        return refuse(
            MediaCode::TooManyPixels,
            format!(
                "{}×{} is more than {} pixels",
                video.width, video.height, limits.max_pixels
            ),
        );
    }
    let fps = frame_rate(video).as_f64();
    if fps > limits.max_fps {
        return refuse(
            MediaCode::FrameRateTooHigh,
            format!("{fps:.2} frames per second, {} are allowed", limits.max_fps),
        );
    }
    let duration_ms = probe
        .container
        .duration_ms
        .max(probe.video.as_ref().map_or(0, |video| video.duration_ms));
    if duration_ms > limits.max_duration_ms {
        return refuse(
            MediaCode::TooLong,
            format!(
                "{duration_ms} ms long, {} ms are allowed",
                limits.max_duration_ms
            ),
        );
    }
    if video.frames > limits.max_frames {
        return refuse(
            MediaCode::TooManyFrames,
            format!("{} frames, {} are allowed", video.frames, limits.max_frames),
        );
    }
    Ok(())
}
