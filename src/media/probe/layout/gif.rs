//! Blocks of GIF89a.

use super::facts::{Bytes, Layout, MOST_STEPS};
use crate::media::av::GIF_BASE;
use crate::media::ratio::Time;

/// Read in pieces of this size: a GIF has no table of its pictures.
const PIECE: usize = 64 << 10;

/// A reader of single bytes, by pieces.
struct Cursor<'a, 'b> {
    bytes: &'a mut Bytes<'b>,
    piece: Vec<u8>,
    /// Where the piece begins in the file, and where we are in it.
    begins: u64,
    at: usize,
}

impl Cursor<'_, '_> {
    fn byte(&mut self) -> Option<u8> {
        if self.at >= self.piece.len() {
            self.begins += self.at as u64;
            self.at = 0;
            self.piece = self.bytes.some(self.begins, PIECE);
        }
        let byte = *self.piece.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// Blocks of up to 255 bytes, until an empty one.
    fn skip_blocks(&mut self) -> Option<()> {
        loop {
            match self.byte()? {
                0 => return Some(()),
                size => self.skip(size.into()),
            }
        }
    }

    fn skip_colors(&mut self, flags: u8) {
        if flags & 0x80 != 0 {
            self.skip(3 << ((flags & 7) + 1));
        }
    }
}

/// Counts pictures and the time they are shown, as [`crate::media::av`] reads them.
pub(super) fn read(bytes: &mut Bytes<'_>) -> Option<Layout> {
    // Half a gigabyte at most, by the number of steps; libav reads it all as well.
    const { assert!(MOST_STEPS * PIECE < 1 << 30) };
    let mut cursor = Cursor {
        bytes,
        piece: Vec::new(),
        begins: 0,
        at: 0,
    };
    // Signature, size of the screen.
    cursor.skip(10);
    let flags = cursor.byte()?;
    cursor.skip(2);
    cursor.skip_colors(flags);
    let (mut pictures, mut length, mut delay) = (0u64, 0i64, 0);
    // Ends at the trailer, at what makes no sense, and where the file breaks off.
    loop {
        match cursor.byte() {
            Some(b'!') => {
                let Some(kind) = cursor.byte() else { break };
                // A graphic control: its size, flags, the delay, a colour.
                if kind == 0xf9 && cursor.byte() == Some(4) {
                    cursor.skip(1);
                    let Some(low) = cursor.byte() else { break };
                    let Some(high) = cursor.byte() else { break };
                    delay = i64::from(u16::from_le_bytes([low, high]));
                    cursor.skip(1);
                }
                if cursor.skip_blocks().is_none() {
                    break;
                }
            }
            Some(b',') => {
                cursor.skip(8);
                let Some(flags) = cursor.byte() else { break };
                cursor.skip_colors(flags);
                cursor.skip(1);
                if cursor.skip_blocks().is_none() {
                    break;
                }
                pictures += 1;
                length = length.saturating_add(crate::media::av::shown_for(delay));
                delay = 0;
            }
            _ => break,
        }
    }
    Some(Layout {
        animation: Some((pictures, Time::of(length, GIF_BASE))),
        ..Layout::default()
    })
}
