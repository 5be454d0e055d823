//! A thin, owned layer over libav*: the only `unsafe` and the only
//! `ffmpeg_next` of the crate.
//!
//! Safe layers made by others have holes (contexts that outlive their graph,
//! frames emptied through shared references, panics that cross C frames, bytes
//! of a file taken for UTF-8), so this one speaks to the C interface and keeps
//! five promises:
//!
//! - every object owns what it points to, and nothing borrows past its owner;
//! - nothing of `ffmpeg_next` appears in a signature outside this module;
//! - what may be done with an object only at a time is a type of its own: a muxer and a graph
//!   before and after their start, where frames go in and where they come out;
//! - a panic in a callback ends as an I/O error, never in a C frame;
//! - bytes are bytes: text of a file or of libav becomes `String` by way of
//!   [`text`], which replaces what is no UTF-8.
//!
//! C enums are read and passed as plain integers ([`plain`]): a value newer than
//! the headers would be undefined behaviour as a Rust enum.
//!
//! Objects stay on the thread that made them.
#![allow(unsafe_code)]

mod amr;
mod clock;
mod codec;
mod components;
mod decode;
mod demux;
mod dictionary;
mod digest;
mod encode;
mod error;
mod filter;
mod frame;
mod index;
mod io;
pub(crate) mod log;
mod mux;
mod packet;
mod plain;
mod pool;
mod recognise;
mod samples;
mod stream;
#[cfg(test)]
mod typestate;

pub(crate) use codec::{CodecParams, decoder_name};
pub(crate) use components::missing;
pub(crate) use decode::{Decoder, DecoderOptions, Received};
pub(crate) use demux::{Ahead, Demuxer, GIF_BASE, OpenOptions, shown_for};
pub(crate) use digest::Digest;
pub(crate) use encode::{AacSettings, Encoder, X264Settings};
pub(crate) use error::{AvError, OpenError};
pub(crate) use filter::{Entry, Exit, Graph, NewGraph, Node, VideoSource};
pub(crate) use frame::{Frame, pixel_format};
pub(crate) use mux::{Muxer, NewMuxer};
pub(crate) use packet::Packet;
pub(crate) use pool::FramePool;
pub(crate) use samples::{channel, peak, sound};
pub(crate) use stream::{Kind, StreamInfo};

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uint};
use std::sync::OnceLock;

use ffmpeg_next::ffi;

use super::ratio::Ratio;

/// Reads or writes a C enum field as the integer it is.
macro_rules! int_field {
    ($object:expr, $field:ident) => {
        std::ptr::addr_of!((*$object).$field)
            .cast::<std::os::raw::c_int>()
            .read()
    };
    ($object:expr, $field:ident = $value:expr) => {
        std::ptr::addr_of_mut!((*$object).$field)
            .cast::<std::os::raw::c_int>()
            .write($value)
    };
}
pub(crate) use int_field;

/// Sets up logging once; racing callers wait for the first.
///
/// FFmpeg ≥ 4 registers codecs and formats by itself, and `avformat_network_init`
/// is left out on purpose: nothing here may open a connection.
pub(crate) fn init() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        log::install();
        set_max_allocation(DEFAULT_MAX_ALLOCATION);
        keep_large_allocations_apart();
    });
}

/// Gives large buffers back to the system as soon as they are free. Left to itself glibc raises
/// its threshold to the largest one it has seen freed, 32 MiB at most, and keeps them all in its
/// arenas: there, blocks of 1 MiB and parts of 5 MiB that come and go between libav's own left
/// holes that made memory grow with the length of a video (by 12 % from 7 to 70 s; 1 % with
/// this). Frames come from libav's pools and from [`FramePool`], so that what pays are large packets:
/// a few page faults each.
fn keep_large_allocations_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const THRESHOLD: libc::c_int = 256 << 10;
        // SAFETY: sets one number of the allocator, which takes its own lock.
        if unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD) } == 0 {
            tracing::debug!("the allocator keeps its own threshold");
        }
    }
}

/// Closes every descriptor but the three standard ones, whoever left them open. Only for a process
/// that has opened none itself.
pub(crate) fn close_inherited() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const FIRST: libc::c_uint = 3;
        // SAFETY: takes numbers alone. The caller says that no object of this process owns a
        // descriptor from 3 on.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
        if closed != 0 {
            tracing::debug!("the kernel cannot close what was left open");
        }
    }
}

/// A packed picture of the largest size taken by default, at 8 bytes a pixel
/// (16-bit RGBA), and some.
pub(crate) const DEFAULT_MAX_ALLOCATION: u64 = 320 << 20;

/// Refuses larger single allocations of libav, in the whole process: a header
/// that claims gigabytes fails before any of them is touched.
pub(crate) fn limit_allocations(bytes: u64) {
    init();
    set_max_allocation(bytes);
}

fn set_max_allocation(bytes: u64) {
    // SAFETY: sets one atomic number of libavutil.
    unsafe { ffi::av_max_alloc(usize::try_from(bytes).unwrap_or(usize::MAX)) };
}

/// Versions and abilities of the libraries this process runs with.
pub(crate) struct Build {
    pub avformat: String,
    pub avcodec: String,
    pub avfilter: String,
    pub release: String,
    pub license: String,
}

pub(crate) fn build() -> Build {
    // SAFETY: these take no arguments and return integers and static strings.
    unsafe {
        Build {
            avformat: version(ffi::avformat_version()),
            avcodec: version(ffi::avcodec_version()),
            avfilter: version(ffi::avfilter_version()),
            release: text(ffi::av_version_info()),
            license: text(ffi::avcodec_license()),
        }
    }
}

/// Whether an encoder of this name is linked in.
pub(crate) fn has_encoder(name: &CStr) -> bool {
    // SAFETY: `name` is a C string; the lookup only reads static tables.
    unsafe { !ffi::avcodec_find_encoder_by_name(name.as_ptr()).is_null() }
}

/// Whether a filter of this name is linked in.
pub(crate) fn has_filter(name: &CStr) -> bool {
    // SAFETY: `name` is a C string; the lookup only reads static tables.
    unsafe { !ffi::avfilter_get_by_name(name.as_ptr()).is_null() }
}

fn version(packed: c_uint) -> String {
    format!(
        "{}.{}.{}",
        packed >> 16,
        (packed >> 8) & 0xff,
        packed & 0xff
    )
}

/// Copies a C string; null becomes empty, other encodings become replacement characters.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that stays valid for the call.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: not null; the rest is the caller's promise.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}

fn ratio(value: ffi::AVRational) -> Ratio {
    Ratio::new(value.num, value.den)
}

fn rational(value: Ratio) -> ffi::AVRational {
    ffi::AVRational {
        num: value.num,
        den: value.den,
    }
}

/// libav's "no timestamp" as an option.
fn timestamp(value: i64) -> Option<i64> {
    (value != ffi::AV_NOPTS_VALUE).then_some(value)
}

const EAGAIN: c_int = -(ffi::EAGAIN as c_int);
const EINVAL: c_int = -(ffi::EINVAL as c_int);
const EIO: c_int = -(ffi::EIO as c_int);
const ENOMEM: c_int = -12;
