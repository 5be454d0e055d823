//! The samples of a frame of sound.

use ffmpeg_next::ffi;

use super::error::{AvError, check};
use super::frame::Frame;
use super::{plain, text};

/// The loudest sample of a frame as a share of full scale; `None` for sample
/// formats nobody uses for sound here.
pub(crate) fn peak(frame: &Frame) -> Option<f32> {
    let samples = frame.samples() as usize;
    // SAFETY: the frame is valid as long as the reference; enums are integers.
    let (format, channels) = unsafe {
        let pointer = frame.as_ptr();
        let channels = usize::try_from((*pointer).ch_layout.nb_channels).ok()?;
        (sample_format(frame.format())?, channels)
    };
    let (planes, per_plane) = if format.ends_with('p') {
        (channels, samples)
    } else {
        (1, samples.checked_mul(channels)?)
    };
    let mut peak = 0f32;
    for plane in 0..planes {
        // SAFETY: an audio frame has one plane per channel or one for all, in
        // `extended_data`, each of `per_plane` samples of its format.
        let loudest = unsafe {
            let data = *(*frame.as_ptr()).extended_data.add(plane);
            if data.is_null() {
                return None;
            }
            match format.trim_end_matches('p') {
                "u8" => loudest::<u8>(data, per_plane, |v| (f32::from(v) - 128.0) / 128.0),
                "s16" => loudest::<i16>(data, per_plane, |v| f32::from(v) / 32_768.0),
                "s32" => loudest::<i32>(data, per_plane, |v| v as f32 / 2_147_483_648.0),
                "flt" => loudest::<f32>(data, per_plane, |v| v),
                "dbl" => loudest::<f64>(data, per_plane, |v| v as f32),
                _ => return None,
            }
        };
        peak = peak.max(loudest);
    }
    Some(peak)
}

fn sample_format(id: i32) -> Option<String> {
    // SAFETY: takes any number; the name is static, or null for one that is none.
    Some(unsafe { text(plain::av_get_sample_fmt_name(id)) }).filter(|name| !name.is_empty())
}

/// # Safety
/// `data` holds `count` values of `T`.
unsafe fn loudest<T: Copy>(data: *const u8, count: usize, scaled: impl Fn(T) -> f32) -> f32 {
    (0..count)
        .map(|at| {
            // SAFETY: the caller's promise; nothing is assumed about alignment.
            let value = unsafe { data.cast::<T>().add(at).read_unaligned() };
            scaled(value).abs()
        })
        .fold(0.0, f32::max)
}

/// One channel of a frame of planar floats.
pub(crate) fn channel(frame: &Frame, index: usize) -> Option<&[f32]> {
    if sample_format(frame.format())? != "fltp" {
        return None;
    }
    // SAFETY: a planar frame has one plane of `nb_samples` floats per channel;
    // the buffers live as long as the reference to the frame.
    unsafe {
        let pointer = frame.as_ptr();
        let channels = usize::try_from((*pointer).ch_layout.nb_channels).ok()?;
        if index >= channels {
            return None;
        }
        let data = *(*pointer).extended_data.add(index);
        if data.is_null() || data.align_offset(align_of::<f32>()) != 0 {
            return None;
        }
        Some(std::slice::from_raw_parts(
            data.cast::<f32>(),
            frame.samples() as usize,
        ))
    }
}

/// A frame of planar floats in the default layout of its number of channels,
/// as [`super::Encoder::aac`] wants it. All channels are of one length.
pub(crate) fn sound(rate: u32, channels: &[&[f32]]) -> Result<Frame, AvError> {
    let frame = Frame::new()?;
    let samples = channels.first().map_or(0, |first| first.len());
    let wrong = AvError::invalid("av_frame_get_buffer");
    if samples == 0 || channels.iter().any(|channel| channel.len() != samples) {
        return Err(wrong);
    }
    let counted = i32::try_from(channels.len()).map_err(|_| wrong)?;
    // SAFETY: the frame is fresh and ours; get_buffer checks the numbers and
    // makes one plane per channel of at least `samples` floats.
    unsafe {
        let pointer = frame.as_ptr();
        (*pointer).format = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as i32;
        (*pointer).sample_rate = i32::try_from(rate).map_err(|_| wrong)?;
        (*pointer).nb_samples = i32::try_from(samples).map_err(|_| wrong)?;
        ffi::av_channel_layout_default(&mut (*pointer).ch_layout, counted);
        check(ffi::av_frame_get_buffer(pointer, 0), "av_frame_get_buffer")?;
        for (index, channel) in channels.iter().enumerate() {
            let data = (*(*pointer).extended_data.add(index)).cast::<f32>();
            std::ptr::copy_nonoverlapping(channel.as_ptr(), data, samples);
        }
    }
    Ok(frame)
}
