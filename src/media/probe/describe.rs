//! From libav's facts to our fields.

use super::info::{
    AudioInfo, ColorInfo, ContainerInfo, OtherStreams, Probe, UnusedAudio, VideoInfo,
};
use super::layout::Crop;
use crate::media::av::{self, Demuxer, Kind, StreamInfo};
use crate::media::color::{matrix_name, primaries_name, range_name, transfer_name};
use crate::media::provenance::ProvenanceInfo;
use crate::media::ratio::{Ratio, Time};

pub(super) fn is_mp4_family(format: &str) -> bool {
    format.split(',').any(|name| name == "mp4")
}

/// Everything a description is made of.
pub(super) struct Described<'a> {
    pub demuxer: &'a Demuxer,
    pub streams: &'a [StreamInfo],
    pub video: &'a StreamInfo,
    pub audio: Option<&'a StreamInfo>,
    pub audio_number: Option<u32>,
    pub unused_audio: Vec<UnusedAudio>,
    /// The index counts the pictures: what it says of time are lengths.
    pub counted: bool,
    pub crop: Option<Crop>,
    pub begins_with: Option<[u32; 2]>,
    pub bytes: u64,
    pub faststart: Option<bool>,
    pub provenance: Option<ProvenanceInfo>,
}

pub(super) fn describe(from: Described<'_>) -> Probe {
    let Described {
        demuxer,
        streams,
        video,
        audio,
        ..
    } = from;
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
    // Length is end minus start, and only picture and sound count.
    let begins = [Some(video), audio]
        .into_iter()
        .flatten()
        .filter_map(StreamInfo::begins);
    let begins = begins.min().or(demuxer.start()).unwrap_or_default();
    let ends = |stream: &StreamInfo| ends(demuxer, stream, begins, from.counted);
    let end = [Some(video), audio]
        .into_iter()
        .flatten()
        .filter_map(ends)
        .max();
    let duration_ms = end.map_or(0, |end| (end - begins).millis());
    let length = |stream: &StreamInfo| {
        ends(stream).map_or(duration_ms, |end| {
            (end - stream.begins().unwrap_or(begins)).millis()
        })
    };
    // libav's own is reckoned from what it takes for the length: where a header claims hours, that
    // is next to nothing, and the result would be held to it.
    let bit_rate = rate_of(from.bytes, duration_ms);
    let several = other.audio > 0;
    Probe {
        container: ContainerInfo {
            format: format_name(demuxer, streams),
            duration_ms,
            bytes: from.bytes,
            bit_rate,
            faststart: from.faststart,
        },
        video: Some(VideoInfo {
            begins_with: from.begins_with,
            ..describe_video(
                video,
                length(video),
                bit_rate,
                audio,
                from.crop,
                demuxer.burst_ms(video.index),
            )
        }),
        audio: audio.map(|audio| AudioInfo {
            codec: audio.codec.clone(),
            sample_rate: audio.sample_rate,
            channels: audio.channels,
            channel_layout: audio.channel_layout.clone(),
            track: from.audio_number.filter(|_| several),
            duration_ms: length(audio),
            bit_rate: audio.bit_rate,
        }),
        other,
        unused_audio: from.unused_audio,
        provenance: from.provenance,
    }
}

/// Bits a second; 0 where it is not known how long the file is.
pub(super) fn rate_of(bytes: u64, duration_ms: u64) -> u64 {
    let rate = (u128::from(bytes) * 8000).checked_div(u128::from(duration_ms));
    rate.map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
}

/// Where a stream ends on the container's clock, as far as the file says.
fn ends(demuxer: &Demuxer, stream: &StreamInfo, begins: Time, counted: bool) -> Option<Time> {
    let starts = stream.begins().unwrap_or(begins);
    let is_mp4 = is_mp4_family(demuxer.format());
    // ISO/IEC 14496-12: all bits set where the length cannot be known, as by a live server.
    if is_mp4 && stream.duration == Some(i64::from(u32::MAX)) {
        return None;
    }
    let length = stream
        .duration
        .map(|length| Time::of(length, stream.time_base));
    // Fragments and Matroska write where the last one ends on their clock, which may
    // begin anywhere; some write how much there is of it. What ends before it begins
    // is the latter.
    let end_or_length = |time: Time| if time > starts { time } else { starts + time };
    if demuxer.format().starts_with("matroska") {
        let written = demuxer.stream_metadata(stream.index, c"DURATION");
        let written = written.as_deref().and_then(clock_time);
        // The container's is that of all tracks, the subtitles' too.
        let claimed = written.into_iter().chain(demuxer.duration()).min();
        return claimed.map(end_or_length);
    }
    if is_mp4 && !counted {
        return length.or(demuxer.duration()).map(end_or_length);
    }
    length.map(|length| starts + length).or_else(|| {
        let start = demuxer.start().unwrap_or(begins);
        demuxer.duration().map(|length| start + length)
    })
}

/// `01:02:03.456789000` of Matroska's statistics.
fn clock_time(text: &str) -> Option<Time> {
    let mut parts = text.trim_end_matches('\0').splitn(3, ':');
    let (hours, minutes) = (
        parts.next()?.parse::<u32>().ok()?,
        parts.next()?.parse::<u32>().ok()?,
    );
    let (seconds, fraction) = parts.next()?.split_once('.')?;
    let seconds = seconds.parse::<u32>().ok()?;
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanoseconds = format!("{digits:0<9}").parse::<u32>().ok()?;
    let whole = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    let part = Time::of(i64::from(nanoseconds), Ratio::new(1, 1_000_000_000));
    Some(Time::of(whole, Ratio::new(1, 1)) + part)
}

fn describe_video(
    video: &StreamInfo,
    duration_ms: u64,
    total_rate: u64,
    audio: Option<&StreamInfo>,
    crop: Option<Crop>,
    burst_ms: Option<u64>,
) -> VideoInfo {
    let format = av::pixel_format(video.format);
    let (rotation, flipped) = video.display_matrix.map_or((0, false), orientation);
    let (shown_width, shown_height) = crop.map_or((video.width, video.height), |crop| {
        (crop.width, crop.height)
    });
    let (display_width, display_height) =
        display_size(shown_width, shown_height, video.sample_aspect, rotation);
    // Matroska and MPEG-TS say nothing per stream: what is left of the whole. Of a length that is
    // not known libav's rate of a stream is as wrong as that of the whole.
    let bit_rate = match video.bit_rate {
        said if said > 0 && total_rate > 0 => said,
        _ => total_rate.saturating_sub(audio.map_or(0, |audio| audio.bit_rate)),
    };
    VideoInfo {
        codec: video.codec.clone(),
        profile: video.profile.clone(),
        level: video.level,
        width: video.width,
        height: video.height,
        display_width,
        display_height,
        crop: crop.map(|crop| [crop.left, crop.top, crop.width, crop.height]),
        begins_with: None,
        rotation,
        flipped,
        fps: frame_rate(video).as_f64(),
        frames: Some(video.frames).filter(|frames| *frames > 0),
        duration_ms,
        bit_rate,
        burst_ms,
        pixel_format: format
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |f| f.name.clone()),
        bit_depth: format.as_ref().map_or(8, |format| format.depth),
        sample_aspect_ratio: format!("{}:{}", video.sample_aspect.num, video.sample_aspect.den),
        interlaced: video.interlaced == Some(true),
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

/// The rate that a frame's length is reckoned by where the frame does not say it itself: the
/// file's, or the most usual one where that says nothing either.
pub(crate) fn nominal_rate(video: &StreamInfo) -> Ratio {
    match frame_rate(video) {
        rate if rate.is_valid() => rate,
        _ => Ratio::new(25, 1),
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
    fn a_time_of_statistics_is_read_to_the_nanosecond() {
        let second = Ratio::new(1, 1_000_000_000);
        let time = clock_time("01:00:02.021000001").unwrap();
        assert_eq!(time.ticks(second), 3_602_021_000_001);
        assert_eq!(clock_time("00:00:00.5\0").unwrap().millis(), 500);
        for nonsense in ["", "1", "a:b:c.d", "00:00:00", "-1:00:00.0", "0:0:0.\u{e4}"] {
            assert_eq!(clock_time(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn display_size_squares_pixels_then_turns() {
        assert_eq!(display_size(720, 576, Ratio::new(16, 11), 0), (1047, 576));
        assert_eq!(display_size(1920, 1080, Ratio::new(1, 1), 90), (1080, 1920));
        assert_eq!(display_size(100, 100, Ratio::new(0, 1), 0), (100, 100));
    }
}
