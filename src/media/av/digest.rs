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

    pub(crate) fn finish(mut self) -> [u8; 16] {
        // libav's own end depends on how the bytes were shared out among calls, where they fill
        // the last block of 16 exactly. With one byte more it does not.
        self.add(&[0]);
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

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn a_sum_does_not_depend_on_how_the_bytes_are_shared_out() {
        let bytes: Vec<u8> = (0..80_u8).map(|n| n.wrapping_mul(37)).collect();
        let sum = |parts: &[&[u8]]| {
            let mut digest = Digest::new().unwrap();
            parts.iter().for_each(|part| digest.add(part));
            digest.finish()
        };
        for length in 0..bytes.len() {
            let (whole, _) = bytes.split_at(length);
            for first in 0..=length {
                let (one, two) = whole.split_at(first);
                for second in 0..=two.len() {
                    let (two, three) = two.split_at(second);
                    assert_eq!(sum(&[one, two, three]), sum(&[whole]), "{length} {first}");
                }
            }
            let (longer, _) = bytes.split_at(length + 1);
            assert_ne!(sum(&[whole]), sum(&[longer]));
        }
    }
}
