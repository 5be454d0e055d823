//! What a file is: container, video, audio, in stable fields.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::av::{self, Demuxer, Kind, OpenError, OpenOptions, StreamInfo};
use super::color::{matrix_name, primaries_name, range_name, transfer_name};
use super::error::{MediaCode, MediaError};
use super::input::{Input, ReadSeek};
use super::limits::{Cancel, Guard, Limits};
use super::picture;
use super::ratio::{Ratio, to_millis};

/// Everything we say about a file. The field names are stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The file as a whole.
    pub container: ContainerInfo,
    /// The video stream we work with.
    pub video: Option<VideoInfo>,
    /// The audio stream we work with.
    pub audio: Option<AudioInfo>,
    /// Streams we leave alone.
    pub other: OtherStreams,
}

/// The file as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// `mp4`, `mov`, `matroska`, `webm`, `avi`, `mpegts` or `gif`.
    pub format: String,
    /// Claimed length in milliseconds.
    pub duration_ms: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Bits per second, all streams.
    pub bit_rate: u64,
    /// For MP4 and MOV: whether playback can start before all is downloaded.
    pub faststart: Option<bool>,
}

/// The video stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// libav's codec name, such as `h264`.
    pub codec: String,
    /// Codec profile, such as `High`.
    pub profile: Option<String>,
    /// Coded width in pixels.
    pub width: u32,
    /// Coded height in pixels.
    pub height: u32,
    /// Width as shown: after squaring pixels and rotating.
    pub display_width: u32,
    /// Height as shown.
    pub display_height: u32,
    /// Clockwise degrees to turn for display: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Mirrored left to right before the rotation.
    pub flipped: bool,
    /// Average frames per second.
    pub fps: f64,
    /// Frames, where the container says so.
    pub frames: Option<u64>,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Bits per second; 0 if unknown.
    pub bit_rate: u64,
    /// libav's pixel format name.
    pub pixel_format: String,
    /// Bits per colour component.
    pub bit_depth: u32,
    /// Shape of one pixel, `1:1` when square.
    pub sample_aspect_ratio: String,
    /// Colour description by libav's names; `unknown` where nothing is said.
    pub color: ColorInfo,
}

/// Colour description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColorInfo {
    /// Such as `bt709`.
    pub primaries: String,
    /// Such as `bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG).
    pub transfer: String,
    /// Such as `bt709`.
    pub matrix: String,
    /// `tv` or `pc`.
    pub range: String,
}

/// The audio stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioInfo {
    /// libav's codec name, such as `aac`.
    pub codec: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Such as `stereo` or `5.1`.
    pub channel_layout: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Bits per second; 0 if unknown.
    pub bit_rate: u64,
}

/// Streams nobody asked for: they are never copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherStreams {
    /// Further video streams.
    pub video: u32,
    /// Further audio streams.
    pub audio: u32,
    /// Subtitle streams.
    pub subtitle: u32,
    /// Data, timecode, attachments.
    pub data: u32,
    /// Cover pictures.
    pub attached_pictures: u32,
}

impl Probe {
    /// The video, or `no_video_stream`.
    ///
    /// # Errors
    /// [`MediaCode::NoVideoStream`].
    pub fn require_video(&self) -> Result<&VideoInfo, MediaError> {
        self.video
            .as_ref()
            .ok_or_else(|| MediaError::new(MediaCode::NoVideoStream, "there is no video in the file"))
    }
}

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

/// Opens for reading and checks everything that can be checked by headers.
pub(crate) fn open(
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    av::init();
    av::log::clear();
    open_inner(input, limits, guard).map_err(|error| error.at("open").with_log())
}

fn open_inner(
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Opened, MediaError> {
    guard.check()?;
    let bytes = checked_length(input, limits.max_bytes)?;
    let mut reader = input.open().map_err(|error| unreadable(&input.describe(), &error))?;
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(16)
        .read_to_end(&mut head)
        .and_then(|_| reader.rewind())
        .map_err(|error| unreadable(&input.describe(), &error))?;
    if picture::sniff(&head).is_some() {
        return Err(MediaError::new(MediaCode::NotAVideo, "this is a still picture, not a video"));
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
        .then(|| input.open().ok().and_then(|reader| faststart(reader).ok()).flatten())
        .flatten();
    let probe = describe(&demuxer, &streams, &video, audio.as_ref(), bytes, faststart);
    check_limits(&probe, &video, limits)?;
    Ok(Opened { demuxer, probe, video, audio })
}

/// Size of the input, refusing empty and oversized ones.
pub(crate) fn checked_length(input: &dyn Input, most: u64) -> Result<u64, MediaError> {
    let bytes = input.len().map_err(|error| unreadable(&input.describe(), &error))?;
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
        OpenError::Libav(error) if error.is_memory() => {
            MediaError::new(MediaCode::Internal, format!("out of memory: {error}"))
        }
        OpenError::Libav(error) => MediaError::new(
            MediaCode::DamagedMedia,
            format!("the file cannot be read: {error}"),
        ),
    }
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
            (stream.default, u64::from(stream.width) * u64::from(stream.height), usize::MAX - stream.index)
        })
}

fn is_mp4_family(format: &str) -> bool {
    format.split(',').any(|name| name == "mp4")
}

fn describe(
    demuxer: &Demuxer,
    streams: &[StreamInfo],
    video: &StreamInfo,
    audio: Option<&StreamInfo>,
    bytes: u64,
    faststart: Option<bool>,
) -> Probe {
    let duration_ms = demuxer.duration_us().map_or(0, |us| to_millis(us, Ratio::MICROS));
    let mut other = OtherStreams::default();
    for stream in streams {
        if stream.index == video.index || audio.is_some_and(|audio| audio.index == stream.index) {
            continue;
        }
        match stream.kind {
            Kind::Video if stream.attached_picture => other.attached_pictures += 1,
            Kind::Video => other.video += 1,
            Kind::Audio => other.audio += 1,
            Kind::Subtitle => other.subtitle += 1,
            Kind::Data => other.data += 1,
        }
    }
    let length = |stream: &StreamInfo| {
        stream.duration.map_or(duration_ms, |duration| to_millis(duration, stream.time_base))
    };
    Probe {
        container: ContainerInfo {
            format: format_name(demuxer, streams),
            duration_ms,
            bytes,
            bit_rate: demuxer.bit_rate(),
            faststart,
        },
        video: Some(describe_video(video, length(video), demuxer.bit_rate(), audio)),
        audio: audio.map(|audio| AudioInfo {
            codec: audio.codec.clone(),
            sample_rate: audio.sample_rate,
            channels: audio.channels,
            channel_layout: audio.channel_layout.clone(),
            duration_ms: length(audio),
            bit_rate: audio.bit_rate,
        }),
        other,
    }
}

fn describe_video(
    video: &StreamInfo,
    duration_ms: u64,
    total_rate: u64,
    audio: Option<&StreamInfo>,
) -> VideoInfo {
    let format = av::pixel_format(video.format);
    let (rotation, flipped) = video.display_matrix.map_or((0, false), orientation);
    let (display_width, display_height) =
        display_size(video.width, video.height, video.sample_aspect, rotation);
    // Matroska and MPEG-TS say nothing per stream: what is left of the whole.
    let bit_rate = if video.bit_rate > 0 {
        video.bit_rate
    } else {
        total_rate.saturating_sub(audio.map_or(0, |audio| audio.bit_rate))
    };
    VideoInfo {
        codec: video.codec.clone(),
        profile: video.profile.clone(),
        width: video.width,
        height: video.height,
        display_width,
        display_height,
        rotation,
        flipped,
        fps: frame_rate(video).as_f64(),
        frames: Some(video.frames).filter(|frames| *frames > 0),
        duration_ms,
        bit_rate,
        pixel_format: format.as_ref().map_or_else(|| "unknown".to_owned(), |f| f.name.clone()),
        bit_depth: format.as_ref().map_or(8, |format| format.depth),
        sample_aspect_ratio: format!("{}:{}", video.sample_aspect.num, video.sample_aspect.den),
        color: ColorInfo {
            primaries: primaries_name(video.color.primaries).to_owned(),
            transfer: transfer_name(video.color.transfer).to_owned(),
            matrix: matrix_name(video.color.matrix).to_owned(),
            range: match format {
                Some(format) if format.is_full_range => "pc".to_owned(),
                _ => range_name(video.color.range).to_owned(),
            },
        },
    }
}

/// The average rate, or the base rate when there is none.
pub(crate) fn frame_rate(video: &StreamInfo) -> Ratio {
    if video.average_rate.is_valid() { video.average_rate } else { video.real_rate }
}

fn format_name(demuxer: &Demuxer, streams: &[StreamInfo]) -> String {
    let name = demuxer.format();
    if is_mp4_family(name) {
        let brand = demuxer.metadata("major_brand").unwrap_or_default();
        // QuickTime has "qt  " or, in old files, no brand at all.
        let mov = brand.trim() == "qt" || brand.is_empty();
        return if mov { "mov" } else { "mp4" }.to_owned();
    }
    if name.starts_with("matroska") {
        // libav reads both with one demuxer; WebM allows these codecs only.
        let webm = streams.iter().all(|stream| {
            matches!(stream.codec.as_str(), "vp8" | "vp9" | "av1" | "opus" | "vorbis" | "webvtt")
        });
        return if webm { "webm" } else { "matroska" }.to_owned();
    }
    name.split(',').next().unwrap_or(name).to_owned()
}

/// Clockwise rotation and mirroring from a display matrix.
///
/// The matrix maps (x, y) to (a·x + c·y, b·x + d·y), y pointing down. Its
/// second column gives the angle whether or not x was mirrored first.
pub(crate) fn orientation(matrix: [i32; 9]) -> (u16, bool) {
    let [a, b, c, d] = [matrix[0], matrix[1], matrix[3], matrix[4]].map(f64::from);
    if a == 0.0 && b == 0.0 && c == 0.0 && d == 0.0 {
        return (0, false);
    }
    let degrees = (-c).atan2(d).to_degrees();
    let quarter = (degrees / 90.0).round().rem_euclid(4.0) as u16;
    (quarter * 90, a * d - b * c < 0.0)
}

/// Size as shown: pixels squared by changing the width, then rotated.
pub(crate) fn display_size(width: u32, height: u32, aspect: Ratio, rotation: u16) -> (u32, u32) {
    let width = if aspect.is_valid() && aspect.num != aspect.den {
        // An aspect beyond 16:1 is a damaged header, not a picture.
        let factor = aspect.as_f64().clamp(1.0 / 16.0, 16.0);
        (f64::from(width) * factor).round().max(1.0) as u32
    } else {
        width
    };
    if matches!(rotation, 90 | 270) { (height, width) } else { (width, height) }
}

fn check_limits(probe: &Probe, video: &StreamInfo, limits: &Limits) -> Result<(), MediaError> {
    let refuse = |code, message: String| Err(MediaError::new(code, message).on_stream(video.index));
    if video.width == 0 || video.height == 0 {
        let spent = probe.container.bytes > limits.probe_size;
        let code = if spent { MediaCode::ProbeLimit } else { MediaCode::DamagedMedia };
        return refuse(code, "the size of the picture could not be found".to_owned());
    }
    let (width, height) = probe
        .video
        .as_ref()
        .map_or((0, 0), |v| (v.display_width.max(v.width), v.display_height.max(v.height)));
    let pixels = u64::from(video.width) * u64::from(video.height);
    if pixels > limits.max_pixels || u64::from(width) * u64::from(height) > limits.max_pixels * 16 {
        return refuse(
            MediaCode::TooManyPixels,
            format!("{}×{} is more than {} pixels", video.width, video.height, limits.max_pixels),
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
            format!("{duration_ms} ms long, {} ms are allowed", limits.max_duration_ms),
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

/// Whether the index of an MP4 stands before its media; `None` if neither is found.
fn faststart(mut reader: Box<dyn ReadSeek>) -> io::Result<Option<bool>> {
    // Fragmented files have thousands of boxes; the first few decide.
    for _ in 0..64 {
        let mut head = [0u8; 16];
        if reader.read_exact(&mut head[..8]).is_err() {
            return Ok(None);
        }
        match &head[4..8] {
            b"moov" => return Ok(Some(true)),
            b"mdat" | b"moof" => return Ok(Some(false)),
            _ => {}
        }
        let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let skip = match size {
            0 => return Ok(None),
            1 => {
                reader.read_exact(&mut head[8..16])?;
                let [.., a, b, c, d, e, f, g, h] = head;
                u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_sub(16)
            }
            size => size.checked_sub(8),
        };
        let Some(skip) = skip.and_then(|skip| i64::try_from(skip).ok()) else { return Ok(None) };
        reader.seek(SeekFrom::Current(skip))?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> [i32; 9] {
        [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]
    }

    #[test]
    fn orientation_of_all_eight_ways_to_hold_a_camera() {
        assert_eq!(orientation(matrix(1, 0, 0, 1)), (0, false));
        assert_eq!(orientation(matrix(0, 1, -1, 0)), (90, false));
        assert_eq!(orientation(matrix(-1, 0, 0, -1)), (180, false));
        assert_eq!(orientation(matrix(0, -1, 1, 0)), (270, false));
        assert_eq!(orientation(matrix(-1, 0, 0, 1)), (0, true));
        assert_eq!(orientation(matrix(1, 0, 0, -1)), (180, true));
        assert_eq!(orientation(matrix(0, 1, 1, 0)), (270, true));
        assert_eq!(orientation(matrix(0, -1, -1, 0)), (90, true));
        assert_eq!(orientation([0; 9]), (0, false));
    }

    #[test]
    fn display_size_squares_pixels_then_turns() {
        assert_eq!(display_size(720, 576, Ratio::new(16, 11), 0), (1047, 576));
        assert_eq!(display_size(1920, 1080, Ratio::new(1, 1), 90), (1080, 1920));
        assert_eq!(display_size(100, 100, Ratio::new(0, 1), 0), (100, 100));
    }
}
