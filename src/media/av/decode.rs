//! Decoding, by decoders from a fixed list only.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::raw::c_int;

use ffmpeg_next::ffi;

use super::amr;
use super::codec::CodecParams;
use super::error::{AvError, check};
use super::frame::Frame;
use super::packet::Packet;
use super::{EAGAIN, rational};
use crate::media::ratio::Ratio;

#[derive(Clone, Copy, Debug)]
pub(crate) struct DecoderOptions {
    /// 0 = as many as there are cores.
    pub threads: usize,
    pub max_pixels: u64,
    /// Report damage that would otherwise be concealed in silence.
    pub strict: bool,
}

impl DecoderOptions {
    /// Before libavcodec 61 a frame that comes out later than it was decoded was copied before its
    /// damage was known, where frames have threads: H.264 with B-frames seemed whole.
    fn threads(self) -> usize {
        const TELLS: u32 = 61 << 16;
        // SAFETY: it takes nothing and answers a constant.
        let told = unsafe { ffi::avcodec_version() } >= TELLS;
        if self.strict && !told {
            1
        } else {
            self.threads
        }
    }
}

/// What came out of a decoder, a graph or an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Item,
    /// Needs more input first.
    Again,
    End,
}

impl Received {
    pub(super) fn from_code(code: c_int, call: &'static str) -> Result<Self, AvError> {
        match code {
            EAGAIN => Ok(Self::Again),
            ffi::AVERROR_EOF => Ok(Self::End),
            code => check(code, call).map(|_| Self::Item),
        }
    }
}

/// Owns a decoding `AVCodecContext`.
pub(crate) struct Decoder {
    context: *mut ffi::AVCodecContext,
    /// Of AMR, whose packets hold several frames.
    splits: Option<&'static [(usize, bool); 16]>,
    /// The other frames of the packet that it was given.
    waiting: VecDeque<Packet>,
}

impl Decoder {
    /// Opens `name` (see [`super::decoder_name`]); `params` is `None` for pictures.
    pub(crate) fn open(
        name: &str,
        params: Option<&CodecParams>,
        time_base: Ratio,
        options: DecoderOptions,
    ) -> Result<Self, AvError> {
        let missing = AvError::new(
            ffi::AVERROR_DECODER_NOT_FOUND,
            "avcodec_find_decoder_by_name",
        );
        let c_name = CString::new(name).map_err(|_| missing)?;
        // SAFETY: the codec is checked for null; the context is ours from here
        // on and freed by Drop also when a later step fails.
        unsafe {
            let codec = ffi::avcodec_find_decoder_by_name(c_name.as_ptr());
            if codec.is_null() {
                return Err(missing);
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(AvError::memory("avcodec_alloc_context3"));
            }
            let decoder = Self {
                context,
                splits: amr::of_decoder(name),
                waiting: VecDeque::new(),
            };
            if let Some(params) = params {
                check(
                    ffi::avcodec_parameters_to_context(context, params.as_ptr()),
                    "avcodec_parameters_to_context",
                )?;
            }
            (*context).pkt_timebase = rational(time_base);
            (*context).thread_count = c_int::try_from(options.threads()).unwrap_or(0);
            (*context).thread_type = (ffi::FF_THREAD_FRAME | ffi::FF_THREAD_SLICE) as c_int;
            (*context).max_pixels = i64::try_from(options.max_pixels).unwrap_or(i64::MAX);
            if options.strict {
                (*context).err_recognition |=
                    (ffi::AV_EF_CRCCHECK | ffi::AV_EF_BITSTREAM | ffi::AV_EF_BUFFER) as c_int;
            }
            check(
                ffi::avcodec_open2(context, codec, std::ptr::null_mut()),
                "avcodec_open2",
            )?;
            Ok(decoder)
        }
    }

    /// Gives it a packet, or the end of the stream.
    ///
    /// The caller drains with [`Decoder::receive`] after every call, so the
    /// decoder never has to refuse input.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) -> Result<(), AvError> {
        self.waiting.clear();
        if let (Some(table), Some(packet)) = (self.splits, packet) {
            let frames = amr::frames(table, packet.bytes());
            if !frames.is_empty() {
                return self.send_frames(packet, &frames);
            }
        }
        self.give(packet)
    }

    /// Gives it the first of several frames; [`Decoder::receive`] goes on with the others. One
    /// that is silence is left out, and the next one's time says so.
    fn send_frames(&mut self, packet: &Packet, frames: &[Option<&[u8]>]) -> Result<(), AvError> {
        let count = i64::try_from(frames.len()).unwrap_or(1);
        let step = packet.duration() / count;
        for (number, frame) in (0..).zip(frames) {
            let Some(bytes) = frame else { continue };
            let mut part = Packet::from_bytes(bytes)?;
            if let Some(pts) = packet.pts().filter(|_| number == 0 || step > 0) {
                part.set_pts(pts.saturating_add(step * number));
            }
            part.set_duration(step);
            self.waiting.push_back(part);
        }
        match self.waiting.pop_front() {
            Some(first) => self.give(Some(&first)),
            None => Ok(()),
        }
    }

    fn give(&mut self, packet: Option<&Packet>) -> Result<(), AvError> {
        let pointer = packet.map_or(std::ptr::null_mut(), Packet::as_ptr);
        // SAFETY: an open context; the packet is only read and referenced.
        let code = unsafe { ffi::avcodec_send_packet(self.context, pointer) };
        // Ending twice is fine.
        if code == ffi::AVERROR_EOF && packet.is_none() {
            return Ok(());
        }
        check(code, "avcodec_send_packet").map(|_| ())
    }

    pub(crate) fn receive(&mut self, frame: &mut Frame) -> Result<Received, AvError> {
        loop {
            // SAFETY: an open context and a valid frame, which the call empties first.
            let code = unsafe { ffi::avcodec_receive_frame(self.context, frame.as_ptr()) };
            match Received::from_code(code, "avcodec_receive_frame")? {
                Received::Again => match self.waiting.pop_front() {
                    Some(next) => self.give(Some(&next))?,
                    None => return Ok(Received::Again),
                },
                received => return Ok(received),
            }
        }
    }

    /// Forgets everything buffered; used after a seek.
    pub(crate) fn flush(&mut self) {
        self.waiting.clear();
        // SAFETY: an open context.
        unsafe { ffi::avcodec_flush_buffers(self.context) };
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::avcodec_free_context(&mut self.context) };
    }
}
