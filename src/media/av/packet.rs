//! One encoded packet.

use ffmpeg_next::ffi;

use super::error::AvError;
use super::timestamp;
use crate::media::ratio::{Ratio, rescale};

/// Owns an `AVPacket` and the reference to its bytes.
pub(crate) struct Packet {
    pointer: *mut ffi::AVPacket,
}

impl Packet {
    pub(crate) fn new() -> Result<Self, AvError> {
        // SAFETY: no arguments; null means out of memory.
        let pointer = unsafe { ffi::av_packet_alloc() };
        if pointer.is_null() {
            Err(AvError::memory("av_packet_alloc"))
        } else {
            Ok(Self { pointer })
        }
    }

    /// A packet with a copy of `bytes`, padded as decoders want it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, AvError> {
        let packet = Self::new()?;
        let size = i32::try_from(bytes.len()).map_err(|_| AvError::memory("av_new_packet"))?;
        // SAFETY: av_new_packet allocates `size` bytes and padding; the copy
        // stays within them.
        unsafe {
            super::error::check(ffi::av_new_packet(packet.pointer, size), "av_new_packet")?;
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (*packet.pointer).data, bytes.len());
        }
        Ok(packet)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVPacket {
        self.pointer
    }

    pub(crate) fn stream(&self) -> usize {
        // SAFETY: the pointer is valid as long as self; likewise below.
        usize::try_from(unsafe { (*self.pointer).stream_index }).unwrap_or(usize::MAX)
    }

    pub(crate) fn pts(&self) -> Option<i64> {
        // SAFETY: see `stream`.
        timestamp(unsafe { (*self.pointer).pts })
    }

    pub(crate) fn dts(&self) -> Option<i64> {
        // SAFETY: see `stream`.
        timestamp(unsafe { (*self.pointer).dts })
    }

    pub(crate) fn duration(&self) -> i64 {
        // SAFETY: see `stream`.
        unsafe { (*self.pointer).duration }
    }

    pub(crate) fn set_duration(&mut self, duration: i64) {
        // SAFETY: see `stream`; `&mut self` is exclusive.
        unsafe { (*self.pointer).duration = duration };
    }

    pub(crate) fn set_dts(&mut self, dts: i64) {
        // SAFETY: see `set_duration`.
        unsafe { (*self.pointer).dts = dts };
    }

    pub(crate) fn set_pts(&mut self, pts: i64) {
        // SAFETY: see `set_duration`.
        unsafe { (*self.pointer).pts = pts };
    }

    pub(crate) fn is_key(&self) -> bool {
        // SAFETY: see `stream`.
        unsafe { (*self.pointer).flags & ffi::AV_PKT_FLAG_KEY != 0 }
    }

    /// Needed for decoding and not shown: an edit list cuts it off.
    pub(crate) fn is_cut_off(&self) -> bool {
        // SAFETY: see `stream`.
        unsafe { (*self.pointer).flags & ffi::AV_PKT_FLAG_DISCARD != 0 }
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        // SAFETY: see `stream`.
        unsafe { (*self.pointer).flags & ffi::AV_PKT_FLAG_CORRUPT != 0 }
    }

    pub(crate) fn len(&self) -> usize {
        // SAFETY: see `stream`.
        usize::try_from(unsafe { (*self.pointer).size }).unwrap_or(0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `data` has `size` bytes that live as long as the packet's
        // reference, which `&self` keeps from being dropped.
        unsafe {
            if (*self.pointer).data.is_null() {
                return &[];
            }
            std::slice::from_raw_parts((*self.pointer).data, self.len())
        }
    }

    /// A decoder configuration that begins with this packet.
    pub(crate) fn new_configuration(&self) -> Option<&[u8]> {
        let mut size = 0;
        // SAFETY: the packet is valid; side data lives as long as its
        // reference, and the call says how many bytes there are.
        unsafe {
            let data = ffi::av_packet_get_side_data(
                self.pointer,
                ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA,
                &mut size,
            );
            (!data.is_null()).then(|| std::slice::from_raw_parts(data, size))
        }
    }

    /// The coded picture that Matroska keeps beside this one: its transparency.
    pub(crate) fn beside(&self) -> Option<&[u8]> {
        let mut size = 0;
        // SAFETY: as for `new_configuration`.
        let bytes = unsafe {
            let data = ffi::av_packet_get_side_data(
                self.pointer,
                ffi::AVPacketSideDataType::AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL,
                &mut size,
            );
            if data.is_null() {
                return None;
            }
            std::slice::from_raw_parts(data, size)
        };
        // Its kind in eight bytes: the first is the codec's own.
        let (kind, coded) = bytes.split_first_chunk::<8>()?;
        (u64::from_be_bytes(*kind) == 1 && !coded.is_empty()).then_some(coded)
    }

    /// Moves both timestamps by `-offset`.
    pub(crate) fn subtract(&mut self, offset: i64) {
        if let Some(pts) = self.pts() {
            self.set_pts(pts.saturating_sub(offset));
        }
        if let Some(dts) = self.dts() {
            self.set_dts(dts.saturating_sub(offset));
        }
    }

    /// Converts timestamps and duration to another time base.
    pub(crate) fn rescale(&mut self, from: Ratio, to: Ratio) {
        if let Some(pts) = self.pts() {
            self.set_pts(rescale(pts, from, to));
        }
        if let Some(dts) = self.dts() {
            self.set_dts(rescale(dts, from, to));
        }
        let duration = self.duration();
        if duration > 0 {
            self.set_duration(rescale(duration, from, to));
        }
    }

    /// Moves its contents into a packet of their own; this one is empty then.
    pub(crate) fn take(&mut self) -> Result<Self, AvError> {
        let taken = Self::new()?;
        // SAFETY: both packets are valid and distinct; the target is empty.
        unsafe { ffi::av_packet_move_ref(taken.pointer, self.pointer) };
        Ok(taken)
    }

    /// Empties it for the next read.
    pub(crate) fn clear(&mut self) {
        // SAFETY: the pointer is valid; `&mut self` means no slice of it lives.
        unsafe { ffi::av_packet_unref(self.pointer) };
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::av_packet_free(&mut self.pointer) };
    }
}
