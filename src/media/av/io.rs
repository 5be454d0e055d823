//! `AVIOContext` over Rust readers and writers.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::raw::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ffmpeg_next::ffi;

use super::error::AvError;
use super::{EINVAL, EIO};
use crate::media::input::ReadSeek;
use crate::media::limits::Guard;
use crate::media::output::WriteSeek;

/// 64 KiB: one call per read-ahead block of a disk, and small beside a frame.
const BUFFER: usize = 64 << 10;

enum Stream {
    Reader(Box<dyn ReadSeek>),
    Writer(Box<dyn WriteSeek>),
}

struct State {
    stream: Stream,
    length: u64,
    guard: Arc<Guard>,
    failure: Option<io::Error>,
    /// Where readers write to: libav's own memory is not initialised, and at
    /// the end of the file it must stay as it is (see [`read`]).
    scratch: Vec<u8>,
}

/// Owns an `AVIOContext`, its buffer and the stream behind it.
pub(super) struct Io {
    context: *mut ffi::AVIOContext,
    state: *mut State,
}

impl Io {
    pub(super) fn reader(
        reader: Box<dyn ReadSeek>,
        length: u64,
        guard: Arc<Guard>,
    ) -> Result<Self, AvError> {
        Self::new(State {
            stream: Stream::Reader(reader),
            length,
            guard,
            failure: None,
            scratch: vec![0; BUFFER],
        })
    }

    pub(super) fn writer(writer: Box<dyn WriteSeek>, guard: Arc<Guard>) -> Result<Self, AvError> {
        Self::new(State {
            stream: Stream::Writer(writer),
            length: 0,
            guard,
            failure: None,
            scratch: Vec::new(),
        })
    }

    fn new(state: State) -> Result<Self, AvError> {
        let writes = matches!(state.stream, Stream::Writer(_));
        let state = Box::into_raw(Box::new(state));
        // FFmpeg 7 made the written bytes const: the type of the callback is
        // whatever the headers say, the ABI is one.
        #[allow(
            clippy::missing_transmute_annotations,
            reason = "the target type differs between FFmpeg versions"
        )]
        // SAFETY: `*mut u8` and `*const u8` arguments are passed alike.
        let write = unsafe { std::mem::transmute(write as *const c_void) };
        // SAFETY: the buffer comes from av_malloc as avio_alloc_context wants;
        // `state` stays valid until Drop, after the last callback.
        unsafe {
            let buffer = ffi::av_malloc(BUFFER);
            let context = if buffer.is_null() {
                std::ptr::null_mut()
            } else {
                ffi::avio_alloc_context(
                    buffer.cast(),
                    BUFFER as c_int,
                    c_int::from(writes),
                    state.cast::<c_void>(),
                    if writes { None } else { Some(read) },
                    if writes { Some(write) } else { None },
                    Some(seek),
                )
            };
            if context.is_null() {
                ffi::av_free(buffer);
                drop(Box::from_raw(state));
                return Err(AvError::memory("avio_alloc_context"));
            }
            Ok(Self { context, state })
        }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVIOContext {
        self.context
    }

    /// The first I/O error a callback met, if any.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        // SAFETY: `&mut self`, and no libav call is running on this context.
        unsafe { (*self.state).failure.take() }
    }

    /// Writes out libav's buffer and the writer's own.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        // SAFETY: the context is alive; `&mut self` keeps other users away.
        unsafe { ffi::avio_flush(self.context) };
        if let Some(error) = self.take_failure() {
            return Err(error);
        }
        // SAFETY: as above; no callback is running.
        if let Stream::Writer(writer) = unsafe { &mut (*self.state).stream } {
            writer.flush()?;
        }
        // SAFETY: as above.
        let code = unsafe { (*self.context).error };
        if code < 0 {
            return Err(io::Error::other(
                AvError::new(code, "avio_flush").to_string(),
            ));
        }
        Ok(())
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // SAFETY: both pointers are ours; libav may have replaced the buffer,
        // so it is freed through the context. No callback runs after this.
        unsafe {
            ffi::av_freep(std::ptr::addr_of_mut!((*self.context).buffer).cast());
            ffi::avio_context_free(&mut self.context);
            drop(Box::from_raw(self.state));
        }
    }
}

/// Runs a callback body; a panic becomes `EIO` and an error to look up later.
fn guarded<T: From<i32>>(opaque: *mut c_void, body: impl FnOnce(&mut State) -> T) -> T {
    // SAFETY: `opaque` is the State of an Io that is alive while libav runs,
    // and libav calls back on one thread at a time.
    let state = unsafe { &mut *opaque.cast::<State>() };
    match catch_unwind(AssertUnwindSafe(|| body(state))) {
        Ok(value) => value,
        Err(_) => {
            // SAFETY: as above; the closure's borrow ended with the unwind.
            let state = unsafe { &mut *opaque.cast::<State>() };
            state
                .failure
                .get_or_insert_with(|| io::Error::other("the stream panicked"));
            T::from(EIO)
        }
    }
}

/// A call that finds the end must not touch the buffer: libav keeps the file's
/// last bytes in it and seeks back into them without reading again.
unsafe extern "C" fn read(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    guarded(opaque, |state| {
        if state.guard.tripped() {
            return ffi::AVERROR_EXIT;
        }
        let Stream::Reader(reader) = &mut state.stream else {
            return EINVAL;
        };
        let Ok(length @ 1..) = usize::try_from(size) else {
            return EINVAL;
        };
        let most = length.min(state.scratch.len());
        let scratch = &mut state.scratch[..most];
        loop {
            match reader.read(scratch) {
                Ok(0) => return ffi::AVERROR_EOF,
                Ok(count) => {
                    let count = count.min(most);
                    // SAFETY: libav gives `size` writable bytes, `count` is no
                    // more, and the scratch memory is ours alone.
                    unsafe { std::ptr::copy_nonoverlapping(scratch.as_ptr(), buffer, count) };
                    return count as c_int;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    state.failure.get_or_insert(error);
                    return EIO;
                }
            }
        }
    })
}

unsafe extern "C" fn write(opaque: *mut c_void, buffer: *const u8, size: c_int) -> c_int {
    guarded(opaque, |state| {
        let Stream::Writer(writer) = &mut state.stream else {
            return EINVAL;
        };
        let Ok(length) = usize::try_from(size) else {
            return EINVAL;
        };
        // SAFETY: libav gives `size` readable bytes for the time of the call.
        let source = unsafe { std::slice::from_raw_parts(buffer, length) };
        match writer.write_all(source) {
            Ok(()) => size,
            Err(error) => {
                state.failure.get_or_insert(error);
                EIO
            }
        }
    })
}

unsafe extern "C" fn seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    guarded(opaque, |state| {
        let whence = whence & !ffi::AVSEEK_FORCE;
        if whence == ffi::AVSEEK_SIZE {
            return match &state.stream {
                Stream::Reader(_) => i64::try_from(state.length).unwrap_or(i64::MAX),
                Stream::Writer(_) => i64::from(EINVAL),
            };
        }
        let target = match (whence, u64::try_from(offset)) {
            (0, Ok(offset)) => SeekFrom::Start(offset),
            (1, _) => SeekFrom::Current(offset),
            (2, _) => SeekFrom::End(offset),
            _ => return i64::from(EINVAL),
        };
        let moved = match &mut state.stream {
            Stream::Reader(reader) => reader.seek(target),
            Stream::Writer(writer) => writer.seek(target),
        };
        match moved {
            Ok(position) => i64::try_from(position).unwrap_or(i64::from(EIO)),
            Err(error) => {
                state.failure.get_or_insert(error);
                i64::from(EIO)
            }
        }
    })
}
