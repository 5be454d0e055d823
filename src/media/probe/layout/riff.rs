//! Chunks of AVI.

use super::facts::{Bytes, Ending, Layout};

/// Chunks at the top of the file and of its first list.
const TOP: usize = 64;

fn chunk(bytes: &mut Bytes<'_>, at: u64) -> Option<([u8; 4], u64)> {
    let [a, b, c, d, size @ ..]: [u8; 8] = bytes.at(at)?;
    Some(([a, b, c, d], u64::from(u32::from_le_bytes(size))))
}

/// The media have to lie within the file. The frames that the header counts prove
/// nothing: some count two for each, and recorders write empty ones.
pub(super) fn read(bytes: &mut Bytes<'_>) -> Option<Layout> {
    let mut layout = Layout::default();
    // "RIFF", its size, "AVI ", then its chunks.
    let mut at = 12;
    for _ in 0..TOP {
        let Some((name, size)) = chunk(bytes, at) else {
            break;
        };
        let end = at.checked_add(8)?.checked_add(size)?;
        if &name == b"LIST" && bytes.at::<4>(at + 8)? == *b"movi" {
            // A recorder that was switched off leaves no size, or the largest.
            if size > 4 && size < u64::from(u32::MAX) - 8 {
                layout.ending = match Ending::of(end, bytes.length) {
                    // A list without its index may be one that was never finished.
                    Ending::Whole if !followed_by_index(bytes, end) => Ending::Unknown,
                    ending => ending,
                };
            }
            break;
        }
        at = end + (size & 1);
    }
    Some(layout)
}

fn followed_by_index(bytes: &mut Bytes<'_>, end: u64) -> bool {
    let next = chunk(bytes, end + (end & 1));
    // OpenDML has its indexes among the media and goes on in further lists.
    next.is_some_and(|(name, _)| matches!(&name, b"idx1" | b"JUNK" | b"RIFF"))
}
