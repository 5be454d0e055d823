//! Functions of libav that take or give a C enum, with integers in its place.
//!
//! The bindings' enums are Rust enums: a number that comes from a file, or from a
//! library newer than its headers, must never become one.

use std::os::raw::{c_char, c_int, c_uint};

use ffmpeg_next::ffi;

// SAFETY: the C functions of the same names. An enum of C with a negative value
// is passed as an `int`, one without as an `unsigned int`.
unsafe extern "C" {
    /// Null for numbers that are no pixel format.
    pub(super) fn av_pix_fmt_desc_get(format: c_int) -> *const ffi::AVPixFmtDescriptor;
    /// Null for numbers that are no sample format.
    pub(super) fn av_get_sample_fmt_name(format: c_int) -> *const c_char;
    /// Negative for names that are no pixel format.
    pub(super) fn av_get_pix_fmt(name: *const c_char) -> c_int;
    /// Fails for numbers that are no sample format.
    pub(super) fn av_samples_set_silence(
        data: *const *mut u8,
        offset: c_int,
        samples: c_int,
        channels: c_int,
        format: c_int,
    ) -> c_int;
    /// Removes all entries of this kind.
    pub(super) fn av_frame_remove_side_data(frame: *mut ffi::AVFrame, kind: c_uint);
    /// Fails for numbers that are no pixel format.
    pub(super) fn av_image_get_buffer_size(
        format: c_int,
        width: c_int,
        height: c_int,
        align: c_int,
    ) -> c_int;
    /// Lays out a picture in a buffer of that size.
    pub(super) fn av_image_fill_arrays(
        data: *mut *mut u8,
        line_sizes: *mut c_int,
        buffer: *const u8,
        format: c_int,
        width: c_int,
        height: c_int,
        align: c_int,
    ) -> c_int;
}
