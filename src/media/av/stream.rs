//! Plain facts about the streams of an open container.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int};

use ffmpeg_next::ffi;

use super::codec::describe;
use super::demux::Demuxer;
use super::dictionary::dictionary_text;
use super::{int_field, ratio, timestamp};
use crate::media::color::Color;
use crate::media::ratio::{Ratio, Time};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
    Subtitle,
    Data,
}

/// Plain facts about one stream, copied out of libav.
#[derive(Clone, Debug)]
pub(crate) struct StreamInfo {
    pub index: usize,
    pub kind: Kind,
    pub attached_picture: bool,
    pub default: bool,
    pub codec: String,
    pub profile: Option<String>,
    /// As the codec counts it: 41 is level 4.1 of H.264.
    pub level: Option<u32>,
    pub time_base: Ratio,
    pub start: Option<i64>,
    pub duration: Option<i64>,
    pub frames: u64,
    pub average_rate: Ratio,
    pub real_rate: Ratio,
    pub bit_rate: u64,
    pub width: u32,
    pub height: u32,
    /// Number and meaning of the pixel or sample format; negative if unknown.
    pub format: i32,
    pub sample_aspect: Ratio,
    /// Whether codec or container say that lines are of two moments; `None` if neither does.
    pub interlaced: Option<bool>,
    pub color: Color,
    pub display_matrix: Option<[i32; 9]>,
    /// Dolby Vision: its profile, and the number of what its base layer is compatible
    /// with, 0 for nothing.
    pub dolby_vision: Option<(u8, u8)>,
    /// The container's own name of the codec, four letters; may be empty.
    pub tag: String,
    pub sample_rate: u32,
    pub channels: u32,
    pub channel_layout: String,
}

impl StreamInfo {
    /// Where it begins on the container's clock.
    pub(crate) fn begins(&self) -> Option<Time> {
        self.start.map(|start| Time::of(start, self.time_base))
    }
}

impl Demuxer {
    /// Streams of the first program, or all when there are no programs.
    ///
    /// A transport stream may carry several programs; only one is taken.
    pub(crate) fn streams(&self) -> Vec<StreamInfo> {
        let wanted = self.first_program();
        (0..self.stream_count())
            .filter(|index| wanted.is_empty() || wanted.contains(index))
            .map(|index| self.describe_stream(index))
            .collect()
    }

    fn first_program(&self) -> Vec<usize> {
        // SAFETY: see `context`; the arrays have the stated lengths.
        unsafe {
            let context = self.context();
            for index in 0..(*context).nb_programs as usize {
                let program = *(*context).programs.add(index);
                let streams: Vec<usize> = (0..(*program).nb_stream_indexes as usize)
                    .map(|at| *(*program).stream_index.add(at) as usize)
                    .collect();
                let video = i32::from(ffi::AVMediaType::AVMEDIA_TYPE_VIDEO as i8);
                let has_video = streams.iter().any(|at| {
                    *at < self.stream_count()
                        && int_field!((**(*context).streams.add(*at)).codecpar, codec_type) == video
                });
                if has_video {
                    return streams;
                }
            }
        }
        Vec::new()
    }

    fn describe_stream(&self, index: usize) -> StreamInfo {
        let display_matrix = self.display_matrix(index);
        // SAFETY: `index` is below nb_streams; streams and parameters live as
        // long as the context. Enums are read as integers.
        unsafe {
            let stream = *(*self.context()).streams.add(index);
            let par = (*stream).codecpar;
            let (codec, profile) = describe(int_field!(par, codec_id), (*par).profile);
            let kind = match int_field!(par, codec_type) {
                0 => Kind::Video,
                1 => Kind::Audio,
                3 => Kind::Subtitle,
                _ => Kind::Data,
            };
            let disposition = (*stream).disposition;
            StreamInfo {
                index,
                kind,
                attached_picture: disposition & ffi::AV_DISPOSITION_ATTACHED_PIC as c_int != 0,
                default: disposition & ffi::AV_DISPOSITION_DEFAULT as c_int != 0,
                codec,
                profile,
                level: u32::try_from((*par).level).ok().filter(|level| *level > 0),
                time_base: ratio((*stream).time_base),
                start: timestamp((*stream).start_time),
                duration: timestamp((*stream).duration).filter(|duration| *duration > 0),
                frames: u64::try_from((*stream).nb_frames).unwrap_or(0),
                average_rate: ratio((*stream).avg_frame_rate),
                real_rate: ratio((*stream).r_frame_rate),
                bit_rate: u64::try_from((*par).bit_rate).unwrap_or(0),
                width: u32::try_from((*par).width).unwrap_or(0),
                height: u32::try_from((*par).height).unwrap_or(0),
                format: (*par).format,
                sample_aspect: aspect(stream, par),
                // AVFieldOrder: 0 is unknown, 1 progressive, the others orders of fields.
                interlaced: match int_field!(par, field_order) {
                    1 => Some(false),
                    2..=5 => Some(true),
                    _ => None,
                },
                color: Color {
                    primaries: int_field!(par, color_primaries),
                    transfer: int_field!(par, color_trc),
                    matrix: int_field!(par, color_space),
                    range: int_field!(par, color_range),
                },
                display_matrix,
                dolby_vision: self.dolby_vision(index),
                tag: tag_name((*par).codec_tag),
                sample_rate: u32::try_from((*par).sample_rate).unwrap_or(0),
                channels: u32::try_from((*par).ch_layout.nb_channels).unwrap_or(0),
                channel_layout: layout_name(std::ptr::addr_of!((*par).ch_layout)),
            }
        }
    }

    fn dolby_vision(&self, index: usize) -> Option<(u8, u8)> {
        let bytes = self.side_data(index, ffi::AVPacketSideDataType::AV_PKT_DATA_DOVI_CONF)?;
        // Major and minor version, profile, level, three flags, compatibility.
        Some((*bytes.get(2)?, *bytes.get(7)?))
    }

    /// A value of a stream's metadata; what is no UTF-8 in it is replaced.
    pub(crate) fn stream_metadata(&self, index: usize, key: &CStr) -> Option<String> {
        if index >= self.stream_count() {
            return None;
        }
        // SAFETY: the index is in range; the dictionary lives as long as the context,
        // may be null, and the value is copied.
        unsafe {
            let stream = *(*self.context()).streams.add(index);
            dictionary_text((*stream).metadata, key)
        }
    }

    /// Bytes that the container keeps beside a stream.
    fn side_data(&self, index: usize, kind: ffi::AVPacketSideDataType) -> Option<&[u8]> {
        if index >= self.stream_count() {
            return None;
        }
        // SAFETY: the index is in range; the entries have the stated number and
        // sizes and live as long as the context. Their kinds are read as integers.
        unsafe {
            let stream = *(*self.context()).streams.add(index);
            #[cfg(not(ffmpeg_8))]
            let (entries, count) = ((*stream).side_data, (*stream).nb_side_data);
            #[cfg(ffmpeg_8)]
            let (entries, count) = (
                (*(*stream).codecpar).coded_side_data,
                (*(*stream).codecpar).nb_coded_side_data,
            );
            if entries.is_null() {
                return None;
            }
            (0..usize::try_from(count).unwrap_or(0))
                .map(|at| entries.add(at))
                .find(|entry| {
                    int_field!(*entry, type_) == kind as c_int && !(**entry).data.is_null()
                })
                .map(|entry| std::slice::from_raw_parts((*entry).data, (*entry).size))
        }
    }

    fn display_matrix(&self, index: usize) -> Option<[i32; 9]> {
        let bytes = self.side_data(index, ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX)?;
        let mut matrix = [0i32; 9];
        for (value, chunk) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = i32::from_ne_bytes(chunk.try_into().ok()?);
        }
        (bytes.len() >= 36).then_some(matrix)
    }
}

/// Four printable letters, or nothing.
fn tag_name(tag: u32) -> String {
    let bytes = tag.to_le_bytes();
    if bytes
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    } else {
        String::new()
    }
}

/// The container's aspect wins over the codec's: that is what players show.
///
/// Closer to square than 0.5 % is square: encoders write such shapes to make up
/// for a rounded size, nobody sees them, and honouring them would mean to scale
/// every frame by a pixel or two.
///
/// # Safety
/// Both pointers are valid.
unsafe fn aspect(stream: *const ffi::AVStream, par: *const ffi::AVCodecParameters) -> Ratio {
    // SAFETY: the caller's promise.
    let (container, codec) = unsafe {
        (
            ratio((*stream).sample_aspect_ratio),
            ratio((*par).sample_aspect_ratio),
        )
    };
    let aspect = match (container.is_valid(), codec.is_valid()) {
        (true, _) => container,
        (false, true) => codec,
        _ => return Ratio::new(1, 1),
    };
    if (aspect.as_f64() - 1.0).abs() < 0.005 {
        Ratio::new(1, 1)
    } else {
        aspect
    }
}

/// # Safety
/// A valid layout.
unsafe fn layout_name(layout: *const ffi::AVChannelLayout) -> String {
    let mut buffer = [0u8; 128];
    // SAFETY: the caller's promise, and a buffer of the stated length, terminated by the call.
    let code = unsafe {
        ffi::av_channel_layout_describe(layout, buffer.as_mut_ptr().cast::<c_char>(), buffer.len())
    };
    if code <= 0 {
        return String::new();
    }
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}
