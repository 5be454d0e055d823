//! The three encoders we use: libx264, AAC and JPEG.

use std::ffi::{CStr, CString};
use std::os::raw::c_int;

use ffmpeg_next::ffi;

use super::decode::Received;
use super::error::{AvError, check};
use super::frame::{Frame, pixel_format_id};
use super::packet::Packet;
use super::{EINVAL, int_field, ratio, rational};
use crate::media::color::Color;
use crate::media::ratio::Ratio;

/// Settings for H.264, 8-bit 4:2:0, square pixels.
#[derive(Clone, Debug)]
pub(crate) struct X264Settings<'a> {
    pub width: u32,
    pub height: u32,
    pub time_base: Ratio,
    pub frame_rate: Ratio,
    pub color: Color,
    pub crf: f32,
    pub preset: &'a str,
    /// Peak bits per second.
    pub max_rate: Option<u64>,
    /// Size of the buffer that the peak is measured over, in milliseconds of it. All of it may
    /// be spent at once, at the start too.
    pub burst_ms: u64,
    pub threads: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AacSettings {
    pub sample_rate: u32,
    pub channels: u32,
    pub bit_rate: u64,
}

/// Owns an encoding `AVCodecContext`.
pub(crate) struct Encoder {
    context: *mut ffi::AVCodecContext,
}

impl Encoder {
    fn allocate(name: &CStr) -> Result<(Self, *const ffi::AVCodec), AvError> {
        // SAFETY: the codec is checked for null; the context is ours.
        unsafe {
            let codec = ffi::avcodec_find_encoder_by_name(name.as_ptr());
            if codec.is_null() {
                return Err(AvError::new(
                    ffi::AVERROR_ENCODER_NOT_FOUND,
                    "avcodec_find_encoder_by_name",
                ));
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(AvError::memory("avcodec_alloc_context3"));
            }
            Ok((Self { context }, codec))
        }
    }

    fn open(self, codec: *const ffi::AVCodec) -> Result<Self, AvError> {
        // SAFETY: context and codec belong together; settings are complete.
        let code = unsafe { ffi::avcodec_open2(self.context, codec, std::ptr::null_mut()) };
        check(code, "avcodec_open2").map(|_| self)
    }

    fn option(&mut self, key: &CStr, value: &str) -> Result<(), AvError> {
        let value = CString::new(value).map_err(|_| AvError::new(EINVAL, "av_opt_set"))?;
        // SAFETY: a context that is not open yet; strings are copied.
        let code =
            unsafe { ffi::av_opt_set((*self.context).priv_data, key.as_ptr(), value.as_ptr(), 0) };
        check(code, "av_opt_set").map(|_| ())
    }

    fn set_picture(
        &mut self,
        format: &str,
        width: u32,
        height: u32,
        time_base: Ratio,
        color: Color,
    ) -> Result<(), AvError> {
        let (Ok(width), Ok(height)) = (c_int::try_from(width), c_int::try_from(height)) else {
            return Err(AvError::new(EINVAL, "avcodec_open2"));
        };
        let format = pixel_format_id(format)?;
        // SAFETY: a context that is not open yet; enum fields get values libav knows.
        unsafe {
            (*self.context).width = width;
            (*self.context).height = height;
            int_field!(self.context, pix_fmt = format);
            (*self.context).time_base = rational(time_base);
            (*self.context).sample_aspect_ratio = rational(Ratio::new(1, 1));
            int_field!(self.context, color_primaries = color.primaries);
            int_field!(self.context, color_trc = color.transfer);
            int_field!(self.context, colorspace = color.matrix);
            int_field!(self.context, color_range = color.range);
        }
        Ok(())
    }

    /// An H.264 encoder for MP4 (global headers).
    pub(crate) fn x264(settings: &X264Settings<'_>) -> Result<Self, AvError> {
        let (mut encoder, codec) = Self::allocate(c"libx264")?;
        encoder.set_picture(
            "yuv420p",
            settings.width,
            settings.height,
            settings.time_base,
            settings.color,
        )?;
        encoder.option(c"preset", settings.preset)?;
        encoder.option(c"crf", &format!("{:.2}", settings.crf))?;
        encoder.option(c"profile", "high")?;
        // SAFETY: a context that is not open yet.
        unsafe {
            (*encoder.context).framerate = rational(settings.frame_rate);
            (*encoder.context).thread_count = c_int::try_from(settings.threads).unwrap_or(0);
            (*encoder.context).flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as c_int;
            if let Some(rate) = settings.max_rate {
                (*encoder.context).rc_max_rate = i64::try_from(rate).unwrap_or(i64::MAX);
                let buffer = rate.saturating_mul(settings.burst_ms) / 1000;
                let buffer = c_int::try_from(buffer).unwrap_or(c_int::MAX);
                (*encoder.context).rc_buffer_size = buffer;
                (*encoder.context).rc_initial_buffer_occupancy = buffer;
            }
        }
        encoder.open(codec)
    }

    /// An AAC encoder for MP4: planar float, mono, stereo or a standard layout.
    pub(crate) fn aac(settings: AacSettings) -> Result<Self, AvError> {
        let (encoder, codec) = Self::allocate(c"aac")?;
        let rate = c_int::try_from(settings.sample_rate).unwrap_or(0);
        // SAFETY: a context that is not open yet; the enum field gets a value libav knows.
        unsafe {
            let planar = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as c_int;
            int_field!(encoder.context, sample_fmt = planar);
            (*encoder.context).sample_rate = rate;
            (*encoder.context).time_base = rational(Ratio::new(1, rate));
            (*encoder.context).bit_rate = i64::try_from(settings.bit_rate).unwrap_or(0);
            (*encoder.context).flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as c_int;
            ffi::av_channel_layout_default(
                &mut (*encoder.context).ch_layout,
                c_int::try_from(settings.channels).unwrap_or(2),
            );
        }
        encoder.open(codec)
    }

    /// A JPEG encoder; quality is libav's scale, 2 (best) to 31.
    pub(crate) fn jpeg(
        width: u32,
        height: u32,
        color: Color,
        quality: u8,
    ) -> Result<Self, AvError> {
        let (mut encoder, codec) = Self::allocate(c"mjpeg")?;
        encoder.set_picture("yuvj420p", width, height, Ratio::new(1, 25), color)?;
        // SAFETY: a context that is not open yet. FF_QP2LAMBDA is 118.
        unsafe {
            (*encoder.context).flags |= ffi::AV_CODEC_FLAG_QSCALE as c_int;
            (*encoder.context).global_quality = c_int::from(quality) * 118;
            (*encoder.context).thread_count = 1;
        }
        encoder.open(codec)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVCodecContext {
        self.context
    }

    pub(crate) fn time_base(&self) -> Ratio {
        // SAFETY: an open context.
        ratio(unsafe { (*self.context).time_base })
    }

    /// Samples per frame the encoder wants; 0 when any number will do.
    pub(crate) fn frame_size(&self) -> u32 {
        // SAFETY: an open context.
        u32::try_from(unsafe { (*self.context).frame_size }).unwrap_or(0)
    }

    /// Gives it a frame, or the end. The caller drains after every call.
    pub(crate) fn send(&mut self, frame: Option<&Frame>) -> Result<(), AvError> {
        let pointer = frame.map_or(std::ptr::null_mut(), Frame::as_ptr);
        // SAFETY: an open context; the encoder takes its own reference.
        let code = unsafe { ffi::avcodec_send_frame(self.context, pointer) };
        if code == ffi::AVERROR_EOF && frame.is_none() {
            return Ok(());
        }
        check(code, "avcodec_send_frame").map(|_| ())
    }

    pub(crate) fn receive(&mut self, packet: &mut Packet) -> Result<Received, AvError> {
        // SAFETY: an open context and a valid packet, emptied by the call.
        let code = unsafe { ffi::avcodec_receive_packet(self.context, packet.as_ptr()) };
        Received::from_code(code, "avcodec_receive_packet")
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::avcodec_free_context(&mut self.context) };
    }
}
