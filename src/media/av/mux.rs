//! Writing MP4.

use std::ffi::{CStr, CString};
use std::io;
use std::os::raw::c_int;
use std::sync::Arc;

use ffmpeg_next::ffi;

use super::codec::CodecParams;
use super::dictionary::Dictionary;
use super::encode::Encoder;
use super::error::{AvError, check};
use super::io::Io;
use super::packet::Packet;
use super::{EINVAL, ratio, rational};
use crate::media::limits::Guard;
use crate::media::output::WriteSeek;
use crate::media::ratio::Ratio;

/// Owns an MP4 `AVFormatContext` and the I/O it writes to.
struct Context {
    pointer: *mut ffi::AVFormatContext,
    io: Io,
}

/// An MP4 without a header: streams are added.
pub(crate) struct NewMuxer(Context);

/// An MP4 with a header: packets are written. libav ends the process where they
/// come before the header, or a trailer is written twice.
pub(crate) struct Muxer(Context);

impl NewMuxer {
    pub(crate) fn new(writer: Box<dyn WriteSeek>, guard: Arc<Guard>) -> Result<Self, AvError> {
        let io = Io::writer(writer, guard)?;
        let mut context = std::ptr::null_mut();
        // SAFETY: on success the context is ours; `pb` outlives it (Drop order).
        unsafe {
            let code = ffi::avformat_alloc_output_context2(
                &mut context,
                std::ptr::null(),
                c"mp4".as_ptr(),
                std::ptr::null(),
            );
            check(code, "avformat_alloc_output_context2")?;
            (*context).pb = io.as_ptr();
            (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        }
        Ok(Self(Context {
            pointer: context,
            io,
        }))
    }

    fn add(&mut self, time_base: Ratio) -> Result<*mut ffi::AVStream, AvError> {
        // SAFETY: the context is ours and not started.
        unsafe {
            let stream = ffi::avformat_new_stream(self.0.pointer, std::ptr::null());
            if stream.is_null() {
                return Err(AvError::memory("avformat_new_stream"));
            }
            (*stream).time_base = rational(time_base);
            Ok(stream)
        }
    }

    /// An entry of the index's metadata, under its own name.
    pub(crate) fn set_metadata(&mut self, key: &CStr, value: &str) -> Result<(), AvError> {
        let value = CString::new(value).map_err(|_| AvError::new(EINVAL, "av_dict_set"))?;
        // SAFETY: the context is ours and not started; both strings outlive the call, which copies
        // them.
        let code = unsafe {
            let metadata = &mut (*self.0.pointer).metadata;
            ffi::av_dict_set(metadata, key.as_ptr(), value.as_ptr(), 0)
        };
        check(code, "av_dict_set").map(|_| ())
    }

    /// A stream fed by an encoder.
    pub(crate) fn add_encoded(
        &mut self,
        encoder: &Encoder,
        frame_rate: Option<Ratio>,
    ) -> Result<usize, AvError> {
        let stream = self.add(encoder.time_base())?;
        // SAFETY: stream and encoder are valid; parameters are copied.
        unsafe {
            check(
                ffi::avcodec_parameters_from_context((*stream).codecpar, encoder.as_ptr()),
                "avcodec_parameters_from_context",
            )?;
            if let Some(rate) = frame_rate.filter(|rate| rate.is_valid()) {
                (*stream).avg_frame_rate = rational(rate);
            }
            (*stream).sample_aspect_ratio = (*(*stream).codecpar).sample_aspect_ratio;
            Ok(usize::try_from((*stream).index).unwrap_or(0))
        }
    }

    /// A stream whose packets are copied.
    pub(crate) fn add_copied(
        &mut self,
        params: &CodecParams,
        codec: &str,
        time_base: Ratio,
        frame_rate: Option<Ratio>,
    ) -> Result<usize, AvError> {
        let stream = self.add(time_base)?;
        // SAFETY: stream and parameters are valid; they are copied.
        unsafe {
            check(
                ffi::avcodec_parameters_copy((*stream).codecpar, params.as_ptr()),
                "avcodec_parameters_copy",
            )?;
            // The source container's tag may mean something else in MP4; Apple
            // players want hvc1 for HEVC.
            (*(*stream).codecpar).codec_tag = if codec == "hevc" {
                u32::from_le_bytes(*b"hvc1")
            } else {
                0
            };
            if let Some(rate) = frame_rate.filter(|rate| rate.is_valid()) {
                (*stream).avg_frame_rate = rational(rate);
            }
            Ok(usize::try_from((*stream).index).unwrap_or(0))
        }
    }

    /// Writes the header, with `reserve` bytes and room for the decoder
    /// configurations kept free for the index.
    ///
    /// Streams may have another time base afterwards: ask [`Muxer::time_base`].
    /// With a failure comes the writer's own, if that is why.
    pub(crate) fn start(mut self, reserve: u64) -> Result<Muxer, (AvError, Option<io::Error>)> {
        match self.write_header(reserve) {
            Ok(()) => Ok(Muxer(self.0)),
            Err(error) => Err((error, self.0.io.take_failure())),
        }
    }

    fn write_header(&mut self, reserve: u64) -> Result<(), AvError> {
        let mut options = Dictionary::default();
        let room = reserve.saturating_add(self.configurations());
        options.set(c"moov_size", &room.to_string())?;
        // SAFETY: the context is ours.
        if unsafe { !(*self.0.pointer).metadata.is_null() } {
            // Else it writes the names that it knows, and no other.
            options.set(c"movflags", "use_metadata_tags")?;
        }
        // SAFETY: all streams have parameters; the dictionary outlives the call.
        let code = unsafe { ffi::avformat_write_header(self.0.pointer, options.as_mut()) };
        check(code, "avformat_write_header").map(|_| ())
    }

    /// Bytes of all streams' decoder configurations. Twice: one given with
    /// start codes grows when its lengths are written.
    fn configurations(&self) -> u64 {
        // SAFETY: the context is ours; its arrays have the stated lengths.
        unsafe {
            (0..(*self.0.pointer).nb_streams as usize)
                .map(|index| (*(**(*self.0.pointer).streams.add(index)).codecpar).extradata_size)
                .map(|size| u64::try_from(size).unwrap_or(0) * 2)
                .sum()
        }
    }
}

impl Muxer {
    pub(crate) fn time_base(&self, stream: usize) -> Ratio {
        // SAFETY: the index is checked against the context's own count.
        unsafe {
            if stream >= (*self.0.pointer).nb_streams as usize {
                return Ratio::new(1, 1);
            }
            ratio((**(*self.0.pointer).streams.add(stream)).time_base)
        }
    }

    /// Writes one packet, interleaved with the other streams; empties it.
    pub(crate) fn write(&mut self, packet: &mut Packet, stream: usize) -> Result<(), AvError> {
        let index = c_int::try_from(stream)
            .map_err(|_| AvError::new(EINVAL, "av_interleaved_write_frame"))?;
        // SAFETY: a started context and a packet of ours; the call takes over
        // the packet's reference and leaves it empty.
        let code = unsafe {
            (*packet.as_ptr()).stream_index = index;
            (*packet.as_ptr()).pos = -1;
            ffi::av_interleaved_write_frame(self.0.pointer, packet.as_ptr())
        };
        check(code, "av_interleaved_write_frame").map(|_| ())
    }

    /// Writes the trailer and flushes. The trailer's own error comes with it:
    /// libav reports a too small reservation only here.
    pub(crate) fn finish(mut self) -> (Result<(), AvError>, io::Result<()>) {
        // SAFETY: a started context, which is given up with this.
        let code = unsafe { ffi::av_write_trailer(self.0.pointer) };
        let flushed = self.0.io.flush();
        (check(code, "av_write_trailer").map(|_| ()), flushed)
    }

    /// The writer's own error, if that is why a call failed.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.0.io.take_failure()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once; this also deinitialises a muxer that was
        // started but never finished. `pb` is freed by `io` afterwards.
        unsafe { ffi::avformat_free_context(self.pointer) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Muxer, NewMuxer};
    use crate::media::av::typestate::lacks;

    #[test]
    fn packets_before_the_header_and_streams_after_it_are_told_by_the_compiler() {
        lacks!(NewMuxer: write, finish, time_base, take_failure);
        lacks!(Muxer: add_encoded, add_copied, set_metadata, start);
    }
}
