//! A libav return code and the call it came from, and why a container did not open.

use std::fmt;
use std::io;
use std::os::raw::{c_char, c_int};

use ffmpeg_next::ffi;

/// A negative return value of a libav call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AvError {
    pub code: c_int,
    pub call: &'static str,
}

impl AvError {
    pub(crate) fn new(code: c_int, call: &'static str) -> Self {
        Self { code, call }
    }

    /// Out of memory, or a constructor that returned null for another reason.
    pub(crate) fn memory(call: &'static str) -> Self {
        Self::new(super::ENOMEM, call)
    }

    /// Something libav handed us that cannot be right.
    pub(crate) fn invalid(call: &'static str) -> Self {
        Self::new(ffi::AVERROR_INVALIDDATA, call)
    }

    pub(crate) fn is_interrupted(self) -> bool {
        self.code == ffi::AVERROR_EXIT
    }

    pub(crate) fn is_memory(self) -> bool {
        self.code == super::ENOMEM
    }
}

impl fmt::Display for AvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0u8; 128];
        // SAFETY: the buffer is as long as stated; av_strerror always terminates it.
        unsafe {
            ffi::av_strerror(
                self.code,
                buffer.as_mut_ptr().cast::<c_char>(),
                buffer.len(),
            );
        }
        let end = buffer
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(buffer.len());
        write!(
            f,
            "{} ({})",
            String::from_utf8_lossy(&buffer[..end]),
            self.call
        )
    }
}

/// Turns a libav return value into a result.
pub(super) fn check(value: c_int, call: &'static str) -> Result<c_int, AvError> {
    if value < 0 {
        Err(AvError::new(value, call))
    } else {
        Ok(value)
    }
}

/// Why a container did not open.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(io::Error),
    /// Nothing libav knows.
    Unknown,
    /// Known, but not one we read.
    Refused(String),
    TooManyStreams,
    Libav(AvError),
}

impl From<AvError> for OpenError {
    fn from(error: AvError) -> Self {
        Self::Libav(error)
    }
}
