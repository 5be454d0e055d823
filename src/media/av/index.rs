//! What a container's own index says of its packets, before any is read.

use ffmpeg_next::ffi;

use super::demux::Demuxer;
use super::ratio;

impl Demuxer {
    /// How far a stream's bytes run ahead of an even spread over its length, in milliseconds of
    /// its average rate: little where the rate is constant, seconds where a screen recording
    /// changes its picture at once. `None` where the index does not name each packet with its
    /// size: Matroska's and MPEG-TS's do not.
    pub(crate) fn burst_ms(&self, stream: usize) -> Option<u64> {
        if stream >= self.stream_count() {
            return None;
        }
        // SAFETY: the index is in range; the stream lives as long as self.
        let (pointer, frames, base) = unsafe {
            let pointer = *(*self.context()).streams.add(stream);
            (pointer, (*pointer).nb_frames, ratio((*pointer).time_base))
        };
        // SAFETY: a valid stream.
        let count = unsafe { ffi::avformat_index_get_entries_count(pointer) };
        // Fewer are an index of key frames only.
        if count < 2 || i64::from(count) < frames || frames < 2 {
            return None;
        }
        let entry = |at: i32| {
            // SAFETY: a valid stream; the call checks the number, and the entry lives as long
            // as nothing is read, which `&self` forbids.
            unsafe {
                let entry = ffi::avformat_index_get_entry(pointer, at);
                (!entry.is_null()).then(|| ((*entry).timestamp, i64::from((*entry).size())))
            }
        };
        let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 * base.as_f64();
        let (first, last) = (entry(0)?.0, entry(count - 1)?.0);
        let bytes: i64 = (0..count).filter_map(entry).map(|(_, size)| size).sum();
        let length = seconds(first, last);
        if bytes <= 0 || length <= 0.0 {
            return None;
        }
        let rate = bytes as f64 / length;
        let (mut ahead, mut most, mut before) = (0.0_f64, 0.0_f64, first);
        for (at, size) in (0..count).filter_map(entry) {
            ahead = (ahead - rate * seconds(before, at)).max(0.0) + size as f64;
            most = most.max(ahead);
            before = at;
        }
        Some((most / rate * 1000.0) as u64)
    }
}
