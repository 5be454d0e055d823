//! Reading containers from untrusted bytes.
//!
//! Custom I/O removes FFmpeg's default protocol whitelist: playlist bytes fed
//! through a stream made real HTTP requests. So the format is chosen from a fixed
//! list (see `recognise`), the name of the file is never shown to libav, and every
//! attempt to open something nested is refused.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::raw::{c_char, c_int, c_void};
use std::sync::Arc;

use ffmpeg_next::ffi;

use super::clock::{Clock, may_restart};
use super::codec::{CodecParams, whitelist};
use super::dictionary::{Dictionary, dictionary_text};
use super::error::{AvError, OpenError, check};
use super::io::Io;
use super::packet::Packet;
use super::recognise::{FORMATS, Recognised, identify};
use super::{int_field, log, timestamp};
use crate::media::input::ReadSeek;
use crate::media::limits::Guard;
use crate::media::ratio::{Ratio, Time};

/// Time base of a GIF.
pub(crate) const GIF_BASE: Ratio = Ratio::new(1, 100);

/// How long a picture of a GIF is shown that asks for `delay`, in hundredths of a
/// second: as browsers do it, which take less than two for a mistake.
pub(crate) fn shown_for(delay: i64) -> i64 {
    if delay < 2 { 10 } else { delay }
}

/// Most that is read ahead: a few seconds of an ordinary video.
const AHEAD_BYTES: usize = 16 << 20;
const AHEAD_PACKETS: usize = 8192;

/// What may be spent on opening a container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenOptions {
    pub probe_size: u64,
    pub analyze_ms: u64,
    pub max_streams: u32,
    pub max_pixels: u64,
}

/// An open container, owning its `AVFormatContext`. It closes first (`Drop`), then
/// the I/O it reads from, then the guard its callback looks at.
pub(crate) struct Demuxer {
    context: *mut ffi::AVFormatContext,
    io: Io,
    guard: Arc<Guard>,
    format: String,
    /// Packets that were looked at and are yet to be read, and why there were no more.
    ahead: VecDeque<Packet>,
    ahead_error: Option<OpenError>,
    /// Streams to read; empty is all.
    kept: Vec<usize>,
    /// Of a GIF: when the next picture is shown.
    gif_clock: Option<i64>,
    /// Of a container whose clock may begin again.
    clock: Option<Clock>,
}

/// What was seen by looking ahead.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// When the pictures of the stream in question are shown, in order.
    pub shown: Vec<Time>,
    /// The file was seen to its end.
    pub all: bool,
}

impl Demuxer {
    /// Opens and reads the stream parameters.
    pub(crate) fn open(
        mut reader: Box<dyn ReadSeek>,
        length: u64,
        options: OpenOptions,
        guard: Arc<Guard>,
    ) -> Result<Self, OpenError> {
        let Recognised { demuxer, name } = identify(reader.as_mut())?;
        let mut io = Io::reader(reader, length, Arc::clone(&guard))?;
        let mut dictionary = Dictionary::default();
        dictionary.set(c"format_whitelist", FORMATS)?;
        dictionary.set(c"codec_whitelist", &whitelist())?;
        dictionary.set(c"protocol_whitelist", "")?;
        dictionary.set(c"probesize", &options.probe_size.max(32).to_string())?;
        dictionary.set(
            c"analyzeduration",
            &options.analyze_ms.saturating_mul(1000).to_string(),
        )?;
        // One more than allowed, so that "exactly too many" can be counted below.
        dictionary.set(
            c"max_streams",
            &options.max_streams.saturating_add(1).to_string(),
        )?;
        // SAFETY: a fresh context gets our I/O, an interrupt callback whose
        // opaque outlives it (field order), and a refusing io_open. On failure
        // avformat_open_input frees the context itself; on success it is ours.
        let context = unsafe {
            let mut context = ffi::avformat_alloc_context();
            if context.is_null() {
                return Err(AvError::memory("avformat_alloc_context").into());
            }
            (*context).pb = io.as_ptr();
            (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
            (*context).interrupt_callback = ffi::AVIOInterruptCB {
                callback: Some(interrupt),
                opaque: Arc::as_ptr(&guard).cast_mut().cast::<c_void>(),
            };
            (*context).io_open = Some(refuse_nested);
            let opened = check(
                ffi::avformat_open_input(&mut context, c"".as_ptr(), demuxer, dictionary.as_mut()),
                "avformat_open_input",
            );
            if let Err(error) = opened {
                if log::mentions("max_streams") {
                    return Err(OpenError::TooManyStreams);
                }
                return Err(io
                    .take_failure()
                    .map_or(OpenError::Libav(error), OpenError::Io));
            }
            context
        };
        let mut demuxer = Self {
            context,
            io,
            guard,
            gif_clock: (name == "gif").then_some(0),
            clock: may_restart(&name).then(Clock::default),
            format: name,
            ahead: VecDeque::new(),
            ahead_error: None,
            kept: Vec::new(),
        };
        if demuxer.stream_count() > options.max_streams as usize {
            return Err(OpenError::TooManyStreams);
        }
        demuxer.find_stream_info(options)?;
        if demuxer.stream_count() > options.max_streams as usize {
            return Err(OpenError::TooManyStreams);
        }
        Ok(demuxer)
    }

    fn find_stream_info(&mut self, options: OpenOptions) -> Result<(), OpenError> {
        let count = self.stream_count();
        let mut dictionaries: Vec<Dictionary> = Vec::with_capacity(count);
        for _ in 0..count {
            let mut dictionary = Dictionary::default();
            dictionary.set(c"max_pixels", &options.max_pixels.to_string())?;
            // Probing needs one frame; more threads only cost memory.
            dictionary.set(c"threads", "1")?;
            dictionaries.push(dictionary);
        }
        let mut pointers: Vec<*mut ffi::AVDictionary> =
            dictionaries.iter_mut().map(Dictionary::take).collect();
        // SAFETY: one dictionary per stream, as the call wants; it may replace
        // them, so they are taken back afterwards.
        let result = unsafe {
            let result = ffi::avformat_find_stream_info(
                self.context(),
                if pointers.is_empty() {
                    std::ptr::null_mut()
                } else {
                    pointers.as_mut_ptr()
                },
            );
            for pointer in &mut pointers {
                ffi::av_dict_free(pointer);
            }
            result
        };
        check(result, "avformat_find_stream_info")
            .map(|_| ())
            .map_err(|error| {
                self.io
                    .take_failure()
                    .map_or(OpenError::Libav(error), OpenError::Io)
            })
    }

    pub(super) fn context(&self) -> *mut ffi::AVFormatContext {
        // Every use below stays within the lifetime of self, on one thread.
        self.context
    }

    pub(super) fn stream_count(&self) -> usize {
        // SAFETY: see `context`.
        unsafe { (*self.context()).nb_streams as usize }
    }

    /// libav's name of the container.
    pub(crate) fn format(&self) -> &str {
        &self.format
    }

    /// Start of the earliest stream, as libav rounds it.
    pub(crate) fn start(&self) -> Option<Time> {
        // SAFETY: see `context`.
        let start = timestamp(unsafe { (*self.context()).start_time });
        start.map(|start| Time::of(start, Ratio::MICROS))
    }

    /// What the container claims as its length.
    pub(crate) fn duration(&self) -> Option<Time> {
        // SAFETY: see `context`.
        let duration = timestamp(unsafe { (*self.context()).duration });
        duration
            .filter(|duration| *duration > 0)
            .map(|duration| Time::of(duration, Ratio::MICROS))
    }

    /// A value of the container's metadata; what is no UTF-8 in it is replaced.
    pub(crate) fn metadata(&self, key: &str) -> Option<String> {
        let key = CString::new(key).ok()?;
        // SAFETY: see `context`; the dictionary lives as long as it, may be null,
        // and the value is copied.
        unsafe { dictionary_text((*self.context()).metadata, &key) }
    }

    /// A copy of a stream's codec parameters.
    pub(crate) fn params(&self, index: usize) -> Result<CodecParams, AvError> {
        if index >= self.stream_count() {
            return Err(AvError::new(super::EINVAL, "params"));
        }
        // SAFETY: the index is in range; the parameters live as long as self.
        unsafe { CodecParams::copy((**(*self.context()).streams.add(index)).codecpar) }
    }

    /// Tells the demuxer to drop every stream that is not in `wanted`.
    pub(crate) fn keep_only(&mut self, wanted: &[usize]) {
        self.kept = wanted.to_vec();
        for index in 0..self.stream_count() {
            // AVDISCARD_ALL is 48, AVDISCARD_DEFAULT 0.
            let value = if wanted.contains(&index) { 0 } else { 48 };
            // SAFETY: the index is in range; both values belong to the enum.
            unsafe {
                let stream = *(*self.context()).streams.add(index);
                int_field!(stream, discard = value);
            }
        }
    }

    /// Reads the next packet; `false` at the end.
    ///
    /// # Errors
    /// libav's, or the reader's own I/O error if that was the cause.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, OpenError> {
        while let Some(seen) = self.ahead.pop_front() {
            if self.kept.is_empty() || self.kept.contains(&seen.stream()) {
                *packet = seen;
                return Ok(true);
            }
        }
        if let Some(error) = self.ahead_error.take() {
            return Err(error);
        }
        self.read_next(packet)
    }

    fn read_next(&mut self, packet: &mut Packet) -> Result<bool, OpenError> {
        packet.clear();
        if self.guard.tripped() {
            return Err(AvError::new(ffi::AVERROR_EXIT, "av_read_frame").into());
        }
        // SAFETY: context and packet are valid and exclusively ours.
        let code = unsafe { ffi::av_read_frame(self.context(), packet.as_ptr()) };
        if let Some(failure) = self.io.take_failure() {
            return Err(OpenError::Io(failure));
        }
        if code == ffi::AVERROR_EOF {
            return Ok(false);
        }
        check(code, "av_read_frame")?;
        // Releases of libav differ in what they make of a delay of a hundredth.
        if let Some(clock) = &mut self.gif_clock {
            let shown = shown_for(packet.duration());
            packet.set_pts(*clock);
            packet.set_dts(*clock);
            packet.set_duration(shown);
            *clock = clock.saturating_add(shown);
        }
        if let Some(clock) = &mut self.clock {
            clock.place(packet);
        }
        Ok(true)
    }

    /// Whether its clock may begin again within the file, so that only its packets tell how long
    /// it is.
    pub(crate) fn may_restart(&self) -> bool {
        self.clock.is_some()
    }

    /// Whether its clock began again in what was read so far.
    pub(crate) fn has_restarted(&self) -> bool {
        self.clock
            .as_ref()
            .is_some_and(|clock| clock.restarts() > 0)
    }

    /// Looks at the packets to come, which are read afterwards as if nothing had been
    /// seen, until `span` of one stream or `pictures` of it have been seen, or what
    /// may be held is reached.
    pub(crate) fn look_ahead(
        &mut self,
        stream: usize,
        base: Ratio,
        span: Time,
        pictures: usize,
    ) -> Result<Ahead, OpenError> {
        let mut seen = Ahead::default();
        let mut bytes = 0usize;
        let mut first = None;
        while self.ahead.len() < AHEAD_PACKETS && bytes < AHEAD_BYTES {
            let mut packet = Packet::new()?;
            match self.read_next(&mut packet) {
                Ok(true) => {}
                Ok(false) => {
                    seen.all = true;
                    break;
                }
                Err(error) => {
                    self.ahead_error = Some(error);
                    break;
                }
            }
            bytes = bytes.saturating_add(packet.len());
            let at = (packet.stream() == stream && packet.len() > 0)
                .then(|| packet.pts().or(packet.dts()))
                .flatten();
            self.ahead.push_back(packet);
            if let Some(at) = at {
                let at = Time::of(at, base);
                seen.shown.push(at);
                if at - *first.get_or_insert(at) > span || seen.shown.len() >= pictures {
                    break;
                }
            }
        }
        seen.shown.sort();
        Ok(seen)
    }

    /// Seeks to the key frame at or before `at` (in the stream's time base).
    pub(crate) fn seek(&mut self, stream: usize, at: i64) -> Result<(), OpenError> {
        if self.gif_clock.is_some() {
            return Err(AvError::invalid("av_seek_frame").into());
        }
        self.ahead.clear();
        self.ahead_error = None;
        self.clock = self.clock.take().map(|_| Clock::default());
        let index = c_int::try_from(stream).unwrap_or(0);
        // SAFETY: the context is valid and exclusively ours.
        let code = unsafe {
            ffi::av_seek_frame(
                self.context(),
                index,
                at,
                ffi::AVSEEK_FLAG_BACKWARD as c_int,
            )
        };
        check(code, "av_seek_frame")
            .map(|_| ())
            .map_err(OpenError::from)
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        // SAFETY: ours, closed once; our own I/O stays open for `io` to free.
        unsafe { ffi::avformat_close_input(&mut self.context) };
    }
}

unsafe extern "C" fn interrupt(opaque: *mut c_void) -> c_int {
    // SAFETY: `opaque` is the Guard of a Demuxer that is alive while libav
    // runs; Guard is Sync, so any thread may look.
    let guard = unsafe { &*opaque.cast::<Guard>() };
    c_int::from(guard.tripped())
}

unsafe extern "C" fn refuse_nested(
    _: *mut ffi::AVFormatContext,
    _: *mut *mut ffi::AVIOContext,
    _: *const c_char,
    _: c_int,
    _: *mut *mut ffi::AVDictionary,
) -> c_int {
    -(ffi::EPERM as c_int)
}
