//! Options handed to libav.

use std::ffi::{CStr, CString};

use ffmpeg_next::ffi;

use super::error::{AvError, check};
use super::text;

/// A value of a dictionary of libav's; what is no UTF-8 in it is replaced.
///
/// # Safety
/// `dictionary` is null or valid for the call.
pub(super) unsafe fn dictionary_text(
    dictionary: *const ffi::AVDictionary,
    key: &CStr,
) -> Option<String> {
    // SAFETY: the caller's promise; the lookup takes null for an empty dictionary,
    // and an entry's value is a C string that lives as long as it.
    unsafe {
        let entry = ffi::av_dict_get(dictionary, key.as_ptr(), std::ptr::null(), 0);
        (!entry.is_null()).then(|| text((*entry).value))
    }
}

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
