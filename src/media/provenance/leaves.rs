//! Digests of the media, taken while they are written.
//!
//! Leaves grow with the file, so that their number stays small whatever its length: eight of each
//! size, from 256 KiB on, and each size is twice the one before.

use aws_lc_rs::digest::{Context, SHA256};

const FIRST: u64 = 256 << 10;
const OF_A_SIZE: u32 = 8;

/// Where the manifest's exclusion of the media begins, from the beginning of their box. Of a box
/// with a long head these are the media; of one with a short head they begin 8 bytes before.
const SHORT: usize = 8;

/// Size and digest of one piece.
pub(super) type Leaf = (u64, [u8; 32]);

/// Digests of all that came so far.
pub(crate) struct Leaves {
    done: Vec<Leaf>,
    open: Context,
    length: u64,
    /// The first leaf without the first 8 bytes of the media, since only at the end it is known how
    /// long the box's head is.
    short: Context,
    short_first: Option<Leaf>,
    skipped: usize,
}

impl Default for Leaves {
    fn default() -> Self {
        Self {
            done: Vec::new(),
            open: Context::new(&SHA256),
            length: 0,
            short: Context::new(&SHA256),
            short_first: None,
            skipped: 0,
        }
    }
}

fn size_of(number: usize) -> u64 {
    let doublings = u32::try_from(number).unwrap_or(u32::MAX) / OF_A_SIZE;
    // Nothing is as long as the largest of these.
    FIRST << doublings.min(40)
}

/// Leaves of so many bytes.
pub(super) fn count(bytes: u64) -> usize {
    let (mut number, mut rest) = (0, bytes);
    while rest > 0 {
        rest = rest.saturating_sub(size_of(number));
        number += 1;
    }
    number
}

fn digest(context: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&context.finish().as_ref()[..32]);
    bytes
}

impl Leaves {
    /// The next bytes of the media.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = size_of(self.done.len()) - self.length;
            let now = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let (these, rest) = bytes.split_at(now);
            if self.done.is_empty() {
                let skip = (SHORT - self.skipped).min(these.len());
                self.skipped += skip;
                self.short.update(&these[skip..]);
            }
            self.open.update(these);
            self.length += now as u64;
            if self.length == size_of(self.done.len()) {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        let open = std::mem::replace(&mut self.open, Context::new(&SHA256));
        let length = std::mem::take(&mut self.length);
        if self.done.is_empty() {
            let short = std::mem::replace(&mut self.short, Context::new(&SHA256));
            self.short_first = Some((length - self.skipped as u64, digest(short)));
        }
        self.done.push((length, digest(open)));
    }

    /// All leaves, of a box whose head is long or not. There is none where there are no media.
    pub(super) fn finish(mut self, long: bool) -> Vec<Leaf> {
        if self.length > 0 {
            self.close();
        }
        if !long && let (Some(first), Some(short)) = (self.done.first_mut(), self.short_first) {
            *first = short;
        }
        self.done.retain(|(length, _)| *length > 0);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_the_same_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..700_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect();
        let whole = |chunk: usize, long: bool| {
            let mut leaves = Leaves::default();
            bytes.chunks(chunk).for_each(|chunk| leaves.add(chunk));
            leaves.finish(long)
        };
        for long in [false, true] {
            let expected = whole(bytes.len(), long);
            for chunk in [1, 3, 7, 8, 4096, 262_144, 300_000] {
                assert_eq!(whole(chunk, long), expected, "{chunk} {long}");
            }
            let skip = if long { 0 } else { 8 };
            let length: u64 = expected.iter().map(|(length, _)| length).sum();
            assert_eq!(length, 700_000 - skip);
            let first = aws_lc_rs::digest::digest(&SHA256, &bytes[skip as usize..262_144]);
            assert_eq!(expected[0].1, first.as_ref());
        }
        assert_eq!(Leaves::default().finish(false), []);
    }

    #[test]
    fn the_number_of_leaves_grows_slowly() {
        assert_eq!(
            (count(0), count(1), count(FIRST), count(FIRST + 1)),
            (0, 1, 1, 2)
        );
        // Ten minutes at 5 Mbit/s, and the most that a setting may allow.
        assert_eq!((count(375 << 20), count(1 << 40)), (60, 153));
    }
}
