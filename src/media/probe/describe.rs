//! From libav's facts to our fields.

use std::io::{self, SeekFrom};

use super::info::{AudioInfo, ColorInfo, ContainerInfo, OtherStreams, Probe, VideoInfo};
use crate::media::av::{self, Demuxer, Kind, StreamInfo};
use crate::media::color::{matrix_name, primaries_name, range_name, transfer_name};
use crate::media::input::ReadSeek;
use crate::media::ratio::{Ratio, Time, to_millis};

pub(super) fn is_mp4_family(format: &str) -> bool {
    format.split(',').any(|name| name == "mp4")
}

pub(super) fn describe(
    demuxer: &Demuxer,
    streams: &[StreamInfo],
    video: &StreamInfo,
    audio: Option<&StreamInfo>,
    bytes: u64,
    faststart: Option<bool>,
) -> Probe {
    let duration_ms = demuxer.duration().map_or(0, Time::millis);
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
        stream.duration.map_or(duration_ms, |duration| {
            to_millis(duration, stream.time_base)
        })
    };
    Probe {
        container: ContainerInfo {
            format: format_name(demuxer, streams),
            duration_ms,
            bytes,
            bit_rate: demuxer.bit_rate(),
            faststart,
        },
        video: Some(describe_video(
            video,
            length(video),
            demuxer.bit_rate(),
            audio,
        )),
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
        level: video.level,
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
        pixel_format: format
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |f| f.name.clone()),
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
    if video.average_rate.is_valid() {
        video.average_rate
    } else {
        video.real_rate
    }
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
            matches!(
                stream.codec.as_str(),
                "vp8" | "vp9" | "av1" | "opus" | "vorbis" | "webvtt"
            )
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
    if matches!(rotation, 90 | 270) {
        (height, width)
    } else {
        (width, height)
    }
}

/// Whether the index of an MP4 stands before its media; `None` if neither is found.
pub(super) fn faststart(mut reader: Box<dyn ReadSeek>) -> io::Result<Option<bool>> {
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
        let Some(skip) = skip.and_then(|skip| i64::try_from(skip).ok()) else {
            return Ok(None);
        };
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
