//! Options handed to libav.

use std::ffi::{CStr, CString};

use ffmpeg_next::ffi;

use super::error::{AvError, check};

/// Owns an `AVDictionary`.
#[derive(Debug)]
pub(super) struct Dictionary(*mut ffi::AVDictionary);

impl Default for Dictionary {
    fn default() -> Self {
        Self(std::ptr::null_mut())
    }
}

impl Dictionary {
    pub(super) fn set(&mut self, key: &CStr, value: &str) -> Result<(), AvError> {
        let value = CString::new(value).map_err(|_| AvError::new(super::EINVAL, "av_dict_set"))?;
        // SAFETY: both strings outlive the call, which copies them.
        let code = unsafe { ffi::av_dict_set(&mut self.0, key.as_ptr(), value.as_ptr(), 0) };
        check(code, "av_dict_set").map(|_| ())
    }

    pub(super) fn as_mut(&mut self) -> *mut *mut ffi::AVDictionary {
        &mut self.0
    }

    pub(super) fn take(&mut self) -> *mut ffi::AVDictionary {
        std::mem::replace(&mut self.0, std::ptr::null_mut())
    }
}

impl Drop for Dictionary {
    fn drop(&mut self) {
        // SAFETY: null or ours.
        unsafe { ffi::av_dict_free(&mut self.0) };
    }
}
