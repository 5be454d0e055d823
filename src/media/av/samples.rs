//! How loud a decoded frame of sound is.

use ffmpeg_next::ffi;

use super::frame::Frame;
use super::text;

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
    if !(0..ffi::AVSampleFormat::AV_SAMPLE_FMT_NB as i32).contains(&id) {
        return None;
    }
    // SAFETY: the enum is contiguous from 0 to NB and `id` lies within; the
    // name is static.
    Some(unsafe {
        let format = std::mem::transmute::<i32, ffi::AVSampleFormat>(id);
        text(ffi::av_get_sample_fmt_name(format))
    })
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
