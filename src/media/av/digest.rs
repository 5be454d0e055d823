//! A sum over bytes that tells whether they are the same again.

use ffmpeg_next::ffi;

use super::error::AvError;

/// 128 bits of MurmurHash3: a few bytes a cycle, and no two files that chance could bring about
/// have the same. Against somebody who wants them to it is no protection.
pub(crate) struct Digest {
    context: *mut ffi::AVMurMur3,
}

impl Digest {
    pub(crate) fn new() -> Result<Self, AvError> {
        // SAFETY: alloc takes nothing and is checked for null; init takes what it made.
        unsafe {
            let context = ffi::av_murmur3_alloc();
            if context.is_null() {
                return Err(AvError::memory("av_murmur3_alloc"));
            }
            ffi::av_murmur3_init(context);
            Ok(Self { context })
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        // SAFETY: ours and initialised; the bytes are read during the call only.
        unsafe { ffi::av_murmur3_update(self.context, bytes.as_ptr(), bytes.len()) };
    }

    pub(crate) fn finish(self) -> [u8; 16] {
        let mut sum = [0; 16];
        // SAFETY: ours; the call writes 16 bytes.
        unsafe { ffi::av_murmur3_final(self.context, sum.as_mut_ptr()) };
        sum
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        // SAFETY: ours, made by av_malloc, dropped once.
        unsafe { ffi::av_free(self.context.cast()) };
    }
}
