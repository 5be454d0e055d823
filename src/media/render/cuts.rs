//! What an edit list cuts out takes no time.

use std::collections::BTreeSet;

use crate::media::av::Packet;

/// Far more than any codec reorders.
const REMEMBERED: usize = 512;

/// Closes the gaps that libav leaves where a later part of an edit list begins.
///
/// It counts a part's decoding times from the first packet that is shown. Where pictures are
/// stored in another order, some that are cut off stand behind that packet and are counted too;
/// all that follows is then late by their time, against the sound as well. So a gap that is
/// filled by pictures that were cut off is none.
#[derive(Default)]
pub(super) struct Cuts {
    /// When pictures of the present part that are not shown would be, in the stream's time base.
    cut_off: BTreeSet<i64>,
    /// The packet before was cut off.
    cutting: bool,
}

impl Cuts {
    pub(super) fn take(&mut self, packet: &Packet) {
        let cut_off = packet.is_cut_off();
        // A part begins with a key picture; what was cut off behind the part before is no gap.
        if packet.is_key() && (cut_off || self.cutting) {
            self.cut_off.clear();
        }
        self.cutting = cut_off;
        if let (true, Some(pts)) = (cut_off, packet.pts()) {
            self.cut_off.insert(pts);
            if self.cut_off.len() > REMEMBERED {
                self.cut_off.pop_first();
            }
        }
    }

    /// By how much a picture is late that begins at `begins`, after one that was shown from
    /// `last` to `end`. (Where a part ends within a picture, what follows may begin before `end`.)
    pub(super) fn late(&mut self, last: i64, end: i64, begins: i64) -> i64 {
        let filled = begins > end
            && self
                .cut_off
                .range(last.saturating_add(1)..begins.max(last.saturating_add(1)))
                .next()
                .is_some();
        // Pictures come in the order in which they are shown: what lies before is done with.
        self.cut_off = self.cut_off.split_off(&begins);
        if filled {
            begins.saturating_sub(end)
        } else {
            0
        }
    }
}
