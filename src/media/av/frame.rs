//! One decoded frame, picture or sound.

use std::ffi::CString;

use ffmpeg_next::ffi;

use super::error::{AvError, check};
use super::{EINVAL, int_field, plain, ratio, rational, text, timestamp};
use crate::media::color::Color;
use crate::media::ratio::Ratio;

/// Facts about a pixel format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PixelFormat {
    pub id: i32,
    pub name: String,
    pub depth: u32,
    pub is_rgb: bool,
    pub has_alpha: bool,
    /// The old `yuvj…` formats mean full range by their name alone.
    pub is_full_range: bool,
}

/// Looks a pixel format up by number; `None` for "none" and unknown numbers.
pub(crate) fn pixel_format(id: i32) -> Option<PixelFormat> {
    // SAFETY: the lookup takes any number and reads static tables; its answer is
    // checked for null.
    unsafe {
        let description = plain::av_pix_fmt_desc_get(id);
        if description.is_null() {
            return None;
        }
        let name = text((*description).name);
        Some(PixelFormat {
            id,
            is_full_range: name.starts_with("yuvj"),
            name,
            depth: u32::try_from((*description).comp[0].depth).unwrap_or(0),
            is_rgb: (*description).flags & u64::from(ffi::AV_PIX_FMT_FLAG_RGB as u32) != 0,
            has_alpha: (*description).flags & u64::from(ffi::AV_PIX_FMT_FLAG_ALPHA as u32) != 0,
        })
    }
}

/// The number of a pixel format by its name.
pub(super) fn pixel_format_id(name: &str) -> Result<i32, AvError> {
    let name = CString::new(name).map_err(|_| AvError::new(EINVAL, "av_get_pix_fmt"))?;
    // SAFETY: a C string in, a number out.
    let id = unsafe { plain::av_get_pix_fmt(name.as_ptr()) };
    check(id, "av_get_pix_fmt")
}

/// Owns an `AVFrame` and the references to its buffers.
pub(crate) struct Frame {
    pointer: *mut ffi::AVFrame,
}

impl Frame {
    pub(crate) fn new() -> Result<Self, AvError> {
        // SAFETY: no arguments; null means out of memory.
        let pointer = unsafe { ffi::av_frame_alloc() };
        if pointer.is_null() {
            Err(AvError::memory("av_frame_alloc"))
        } else {
            Ok(Self { pointer })
        }
    }

    /// A picture with buffers of its own, contents undefined until written.
    pub(crate) fn video(format: &str, width: u32, height: u32) -> Result<Self, AvError> {
        let frame = Self::new()?;
        let id = pixel_format_id(format)?;
        let (Ok(width), Ok(height)) = (i32::try_from(width), i32::try_from(height)) else {
            return Err(AvError::new(EINVAL, "av_frame_get_buffer"));
        };
        // SAFETY: the frame is fresh and ours; get_buffer checks the numbers.
        unsafe {
            (*frame.pointer).format = id;
            (*frame.pointer).width = width;
            (*frame.pointer).height = height;
            check(
                ffi::av_frame_get_buffer(frame.pointer, 0),
                "av_frame_get_buffer",
            )?;
            // Undefined bytes must not become a safe slice.
            for plane in 0..4 {
                let buffer = (*frame.pointer).buf[plane];
                if !buffer.is_null() {
                    std::ptr::write_bytes((*buffer).data, 0, (*buffer).size);
                }
            }
        }
        Ok(frame)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVFrame {
        self.pointer
    }

    /// Silence of the shape of this frame.
    pub(crate) fn silence(&self, samples: u32) -> Result<Self, AvError> {
        let frame = Self::new()?;
        let samples = i32::try_from(samples).unwrap_or(i32::MAX);
        let format = self.format();
        // SAFETY: both frames are valid; the fresh one gets shape and buffers
        // before its samples are written, as many as it has.
        unsafe {
            (*frame.pointer).format = format;
            (*frame.pointer).sample_rate = self.sample_rate();
            (*frame.pointer).nb_samples = samples;
            let layout = &(*self.pointer).ch_layout;
            check(
                ffi::av_channel_layout_copy(&mut (*frame.pointer).ch_layout, layout),
                "av_channel_layout_copy",
            )?;
            check(
                ffi::av_frame_get_buffer(frame.pointer, 0),
                "av_frame_get_buffer",
            )?;
            check(
                plain::av_samples_set_silence(
                    (*frame.pointer).extended_data,
                    0,
                    samples,
                    layout.nb_channels,
                    format,
                ),
                "av_samples_set_silence",
            )?;
        }
        Ok(frame)
    }

    /// Another reference to the same buffers.
    pub(crate) fn share(&self) -> Result<Self, AvError> {
        let copy = Self::new()?;
        // SAFETY: both frames are valid and `copy` is empty.
        let code = unsafe { ffi::av_frame_ref(copy.pointer, self.pointer) };
        check(code, "av_frame_ref")?;
        Ok(copy)
    }

    pub(crate) fn width(&self) -> u32 {
        // SAFETY: the pointer is valid as long as self; likewise below.
        u32::try_from(unsafe { (*self.pointer).width }).unwrap_or(0)
    }

    pub(crate) fn height(&self) -> u32 {
        // SAFETY: see `width`.
        u32::try_from(unsafe { (*self.pointer).height }).unwrap_or(0)
    }

    pub(crate) fn format(&self) -> i32 {
        // SAFETY: see `width`.
        unsafe { (*self.pointer).format }
    }

    pub(crate) fn pixel_format(&self) -> Option<PixelFormat> {
        pixel_format(self.format())
    }

    pub(crate) fn samples(&self) -> u32 {
        // SAFETY: see `width`.
        u32::try_from(unsafe { (*self.pointer).nb_samples }).unwrap_or(0)
    }

    pub(crate) fn sample_rate(&self) -> i32 {
        // SAFETY: see `width`.
        unsafe { (*self.pointer).sample_rate }
    }

    pub(crate) fn channels(&self) -> i32 {
        // SAFETY: see `width`.
        unsafe { (*self.pointer).ch_layout.nb_channels }
    }

    pub(crate) fn sample_aspect(&self) -> Ratio {
        // SAFETY: see `width`.
        ratio(unsafe { (*self.pointer).sample_aspect_ratio })
    }

    pub(crate) fn set_sample_aspect(&mut self, value: Ratio) {
        // SAFETY: see `width`; `&mut self` is exclusive.
        unsafe { (*self.pointer).sample_aspect_ratio = rational(value) };
    }

    pub(crate) fn pts(&self) -> Option<i64> {
        // SAFETY: see `width`.
        timestamp(unsafe { (*self.pointer).pts })
    }

    pub(crate) fn set_pts(&mut self, pts: i64) {
        // SAFETY: see `set_sample_aspect`.
        unsafe { (*self.pointer).pts = pts };
    }

    /// The decoder's best guess at the presentation time.
    pub(crate) fn best_effort(&self) -> Option<i64> {
        // SAFETY: see `width`.
        timestamp(unsafe { (*self.pointer).best_effort_timestamp })
    }

    /// Whether its lines are of two moments, as its decoder says.
    pub(crate) fn is_interlaced(&self) -> bool {
        #[cfg(interlaced_flag)]
        // SAFETY: see `width`.
        unsafe {
            (*self.pointer).flags & ffi::AV_FRAME_FLAG_INTERLACED != 0
        }
        #[cfg(not(interlaced_flag))]
        // SAFETY: see `width`.
        unsafe {
            (*self.pointer).interlaced_frame != 0
        }
    }

    /// Whether the decoder had to conceal errors in it.
    pub(crate) fn is_damaged(&self) -> bool {
        // SAFETY: see `width`.
        unsafe {
            (*self.pointer).decode_error_flags != 0
                || (*self.pointer).flags & ffi::AV_FRAME_FLAG_CORRUPT != 0
        }
    }

    pub(crate) fn color(&self) -> Color {
        // SAFETY: see `width`; enums are read as integers.
        unsafe {
            Color {
                primaries: int_field!(self.pointer, color_primaries),
                transfer: int_field!(self.pointer, color_trc),
                matrix: int_field!(self.pointer, colorspace),
                range: int_field!(self.pointer, color_range),
            }
        }
    }

    pub(crate) fn set_color(&mut self, color: Color) {
        // SAFETY: see `set_sample_aspect`; every value stems from libav or H.273.
        unsafe {
            int_field!(self.pointer, color_primaries = color.primaries);
            int_field!(self.pointer, color_trc = color.transfer);
            int_field!(self.pointer, colorspace = color.matrix);
            int_field!(self.pointer, color_range = color.range);
        }
    }

    /// Lets the encoder choose the picture type, and drops the decoder's side
    /// data (HDR metadata, display matrix, user data) that no longer applies.
    pub(crate) fn forget_origin(&mut self) {
        // SAFETY: see `set_sample_aspect`; 0 is AV_PICTURE_TYPE_NONE.
        unsafe {
            int_field!(self.pointer, pict_type = 0);
            // Each call removes all entries of one type, so this many rounds do.
            for _ in 0..(*self.pointer).nb_side_data {
                if (*self.pointer).nb_side_data > 0 {
                    let first = *(*self.pointer).side_data;
                    // A kind has no negative number.
                    let kind = int_field!(first, type_).unsigned_abs();
                    plain::av_frame_remove_side_data(self.pointer, kind);
                }
            }
        }
    }

    /// Makes the first plane of another picture of the same size and format the transparency of
    /// this one. Both share its bytes then.
    pub(crate) fn add_alpha(&mut self, alpha: &Self) -> Result<(), AvError> {
        let wrong = AvError::new(EINVAL, "add_alpha");
        let alike = (self.format(), self.width(), self.height())
            == (alpha.format(), alpha.width(), alpha.height());
        let name = self.pixel_format().filter(|_| alike).ok_or(wrong)?.name;
        // yuv420p10le has yuva420p10le for a brother; what is no such format has none.
        let planes = name.strip_prefix("yuv").ok_or(wrong)?;
        let format = pixel_format_id(&format!("yuva{planes}"))?;
        // SAFETY: both frames are valid. The plane's buffer gets a reference of this frame's own
        // in a place that is free, so that the bytes live as long as it does; its format has a
        // fourth plane of the first one's size from then on.
        unsafe {
            let owner = ffi::av_frame_get_plane_buffer(alpha.pointer, 0);
            let free = (0..(*self.pointer).buf.len()).find(|at| {
                let buffers = &(*self.pointer).buf;
                buffers[*at].is_null()
            });
            let (false, Some(free)) = (owner.is_null(), free) else {
                return Err(wrong);
            };
            let reference = ffi::av_buffer_ref(owner);
            if reference.is_null() {
                return Err(AvError::memory("av_buffer_ref"));
            }
            (*self.pointer).buf[free] = reference;
            (*self.pointer).data[3] = (*alpha.pointer).data[0];
            (*self.pointer).linesize[3] = (*alpha.pointer).linesize[0];
            (*self.pointer).format = format;
        }
        Ok(())
    }

    /// Rows of one plane of an 8-bit planar or packed picture.
    ///
    /// Returns the bytes and the distance between rows. `None` when the plane
    /// does not exist or lies upside down (negative stride).
    pub(crate) fn plane(&self, index: usize) -> Option<(&[u8], usize)> {
        let (pointer, length, stride) = self.extent(index)?;
        // SAFETY: `extent` computed the length from the frame's own stride and
        // height; the buffer lives as long as `&self`.
        let bytes = unsafe { std::slice::from_raw_parts(pointer, length) };
        Some((bytes, stride))
    }

    /// As [`Frame::plane`], for writing; copies the buffer first if it is shared.
    pub(crate) fn plane_mut(&mut self, index: usize) -> Result<(&mut [u8], usize), AvError> {
        // SAFETY: the frame is valid; afterwards its buffers are ours alone.
        let code = unsafe { ffi::av_frame_make_writable(self.pointer) };
        check(code, "av_frame_make_writable")?;
        let (pointer, length, stride) = self.extent(index).ok_or(AvError::new(EINVAL, "plane"))?;
        // SAFETY: as for `plane`, and unshared since make_writable.
        let bytes = unsafe { std::slice::from_raw_parts_mut(pointer, length) };
        Ok((bytes, stride))
    }

    fn extent(&self, index: usize) -> Option<(*mut u8, usize, usize)> {
        let format = self.pixel_format()?;
        let (columns, rows) = match format.name.as_str() {
            "yuv420p" | "yuvj420p" | "yuva420p" if index == 1 || index == 2 => {
                (self.width().div_ceil(2), self.height().div_ceil(2))
            }
            "yuv420p" | "yuvj420p" | "gray" if index == 0 => (self.width(), self.height()),
            "yuva420p" if index == 0 || index == 3 => (self.width(), self.height()),
            "rgba" if index == 0 => (self.width().checked_mul(4)?, self.height()),
            _ => return None,
        };
        // SAFETY: the pointer is valid as long as self.
        let (pointer, stride) =
            unsafe { ((*self.pointer).data[index], (*self.pointer).linesize[index]) };
        let stride = usize::try_from(stride).ok()?;
        if pointer.is_null() || rows == 0 || stride < columns as usize {
            return None;
        }
        let length = stride
            .checked_mul(rows as usize - 1)?
            .checked_add(columns as usize)?;
        Some((pointer, length, stride))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::av_frame_free(&mut self.pointer) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DEFAULT_MAX_ALLOCATION, limit_allocations};
    use super::*;

    #[test]
    fn nothing_larger_than_the_limit_is_allocated() {
        limit_allocations(16 << 20);
        let large = Frame::video("rgba", 4096, 4096);
        assert!(large.is_err_and(AvError::is_memory));
        assert!(Frame::video("rgba", 1024, 1024).is_ok());
        limit_allocations(DEFAULT_MAX_ALLOCATION);
        assert!(Frame::video("rgba", 4096, 4096).is_ok());
        assert!(Frame::video("rgba", 16_000, 16_000).is_err());
    }
}
