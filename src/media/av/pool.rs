//! Buffers for pictures that are written over.

use std::os::raw::c_int;

use ffmpeg_next::ffi;

use super::error::{AvError, check};
use super::frame::Frame;
use super::{EINVAL, plain};

/// What the widest vector instructions want of addresses and lengths of rows, in bytes.
const ALIGN: c_int = 64;
/// Rows below the last one that fast code may touch, as libav leaves them.
const ROWS: u32 = 32;
/// Bytes behind the last row, for the same reason.
const BEHIND: usize = 4 * ALIGN as usize;

/// Keeps the buffers of pictures that were made writable, for the next ones.
///
/// A picture that its decoder still refers to has to be copied before it is drawn on.
/// `av_frame_make_writable` takes a fresh buffer each time: of a size that the allocator maps,
/// zeroes and gives back, page by page, 353 faults for a frame of 720p.
///
/// Memory is bounded by the pictures that are alive at one time: a buffer comes back when the last
/// reference to it goes, and a further one is made only while none is free. Buffers of a size that
/// no picture has any more are freed.
pub(crate) struct FramePool {
    /// Null until the first picture.
    pool: *mut ffi::AVBufferPool,
    /// Pixel format, width and height that its buffers are for.
    shape: (c_int, u32, u32),
}

impl FramePool {
    pub(crate) fn new() -> Self {
        Self {
            pool: std::ptr::null_mut(),
            shape: (0, 0, 0),
        }
    }

    /// Makes the bytes of a picture its own, for writing: those that something else refers to are
    /// copied.
    pub(crate) fn own(&mut self, frame: &mut Frame) -> Result<(), AvError> {
        // SAFETY: a valid frame; null buffers are allowed and are not writable.
        if unsafe { ffi::av_frame_is_writable(frame.as_ptr()) } > 0 {
            return Ok(());
        }
        let mut copy = self.like(frame)?;
        // SAFETY: both frames are valid, and the copy has buffers of the same format and size.
        unsafe {
            check(
                ffi::av_frame_copy(copy.as_ptr(), frame.as_ptr()),
                "av_frame_copy",
            )?;
            check(
                ffi::av_frame_copy_props(copy.as_ptr(), frame.as_ptr()),
                "av_frame_copy_props",
            )?;
        }
        std::mem::swap(frame, &mut copy);
        Ok(())
    }

    /// A picture of the same format and size. Its bytes are those of an earlier one, or zeroes.
    fn like(&mut self, model: &Frame) -> Result<Frame, AvError> {
        let shape = (model.format(), model.width(), model.height());
        let wrong = AvError::new(EINVAL, "av_image_fill_arrays");
        let (Ok(width), Ok(height), Ok(rows)) = (
            c_int::try_from(shape.1),
            c_int::try_from(shape.2),
            c_int::try_from(shape.2.next_multiple_of(ROWS)),
        ) else {
            return Err(wrong);
        };
        // SAFETY: takes numbers and checks them.
        let size = unsafe { plain::av_image_get_buffer_size(shape.0, width, rows, ALIGN) };
        let size = check(size, "av_image_get_buffer_size")?;
        let size = usize::try_from(size).map_err(|_| wrong)? + BEHIND;
        if self.pool.is_null() || self.shape != shape {
            self.release();
            // SAFETY: the function given allocates zeroed bytes, which may become a safe slice.
            self.pool = unsafe { ffi::av_buffer_pool_init(size, Some(ffi::av_buffer_allocz)) };
            if self.pool.is_null() {
                return Err(AvError::memory("av_buffer_pool_init"));
            }
            self.shape = shape;
        }
        let frame = Frame::new()?;
        let pointer = frame.as_ptr();
        // SAFETY: a fresh frame gets a buffer of the pool, which is as long as the layout of
        // `rows` rows needs; its height is no more than that. A buffer outlives its pool.
        unsafe {
            let buffer = ffi::av_buffer_pool_get(self.pool);
            if buffer.is_null() {
                return Err(AvError::memory("av_buffer_pool_get"));
            }
            (*pointer).buf[0] = buffer;
            (*pointer).format = shape.0;
            (*pointer).width = width;
            (*pointer).height = height;
            check(
                plain::av_image_fill_arrays(
                    (*pointer).data.as_mut_ptr(),
                    (*pointer).linesize.as_mut_ptr(),
                    (*buffer).data,
                    shape.0,
                    width,
                    rows,
                    ALIGN,
                ),
                "av_image_fill_arrays",
            )?;
            (*pointer).extended_data = (*pointer).data.as_mut_ptr();
        }
        Ok(frame)
    }

    fn release(&mut self) {
        // SAFETY: ours, or null, which is left alone. Buffers that are still out free the pool
        // when they come back.
        unsafe { ffi::av_buffer_pool_uninit(&mut self.pool) };
    }
}

impl Drop for FramePool {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(frame: &Frame, plane: usize) -> *const u8 {
        frame.plane(plane).unwrap().0.as_ptr()
    }

    fn painted(width: u32, height: u32) -> Frame {
        let mut frame = Frame::video("yuv420p", width, height).unwrap();
        for plane in 0..3 {
            let (bytes, stride) = frame.plane_mut(plane).unwrap();
            for (y, row) in bytes.chunks_mut(stride).enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = (x * 3 + y * 7 + plane * 50) as u8;
                }
            }
        }
        frame.set_pts(42);
        frame
    }

    fn rows(frame: &Frame, plane: usize) -> Vec<Vec<u8>> {
        let width = frame.width() as usize;
        let width = if plane == 0 { width } else { width.div_ceil(2) };
        let (bytes, stride) = frame.plane(plane).unwrap();
        bytes
            .chunks(stride)
            .map(|row| row[..width].to_vec())
            .collect()
    }

    #[test]
    fn what_is_shared_is_copied_and_what_is_not_stays() {
        let mut pool = FramePool::new();
        // Odd sizes, and one that no row length fits.
        for (width, height) in [(64, 32), (33, 17), (1278, 718)] {
            let mut frame = painted(width, height);
            let before = at(&frame, 0);
            pool.own(&mut frame).unwrap();
            assert_eq!(at(&frame, 0), before, "nobody else has it");
            let other = frame.share().unwrap();
            pool.own(&mut frame).unwrap();
            assert_ne!(at(&frame, 0), at(&other, 0));
            assert_eq!(frame.pts(), Some(42));
            for plane in 0..3 {
                assert_eq!(rows(&frame, plane), rows(&other, plane), "{width}×{height}");
                let own = at(&frame, plane);
                frame.plane_mut(plane).unwrap().0.fill(9);
                assert_eq!(at(&frame, plane), own, "written where it is");
            }
            assert_eq!(rows(&other, 2), rows(&painted(width, height), 2));
        }
    }

    #[test]
    fn as_many_buffers_are_kept_as_pictures_live_at_once() {
        let mut pool = FramePool::new();
        let original = painted(320, 180);
        let mut places = std::collections::BTreeSet::new();
        let mut alive = std::collections::VecDeque::new();
        for _ in 0..200 {
            let mut frame = original.share().unwrap();
            pool.own(&mut frame).unwrap();
            places.insert(at(&frame, 0));
            alive.push_back(frame);
            if alive.len() > 3 {
                alive.pop_front();
            }
        }
        assert_eq!(places.len(), 4);
        // A picture outlives the pool it is from.
        drop(pool);
        assert_eq!(rows(&alive[0], 1), rows(&original, 1));
    }
}
