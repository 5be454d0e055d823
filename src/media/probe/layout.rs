//! What a container says in places that libav does not show, or shows in one
//! release and not in another: read here, so that every build decides alike.
//!
//! A few hundred bytes of headers, by seeks from one to the next. Nothing here fails:
//! what cannot be read is not known, and libav has the last word on the file.

mod facts;
mod gif;
mod matroska;
mod mp4;
mod riff;
mod table;

use crate::media::input::ReadSeek;
use facts::Bytes;
pub(crate) use facts::{Crop, Ending, Layout, TrackKind};
pub(crate) use table::PictureLength;

impl Layout {
    /// Reads the headers of a container that libav calls `format`.
    pub(crate) fn read(format: &str, reader: &mut dyn ReadSeek, length: u64) -> Self {
        let is = |name: &str| format.split(',').any(|part| part == name);
        let mut bytes = Bytes {
            reader,
            length,
            steps: 0,
        };
        let found = if is("mp4") {
            mp4::read(&mut bytes)
        } else if is("matroska") {
            matroska::read(&mut bytes)
        } else if is("avi") {
            riff::read(&mut bytes)
        } else if is("gif") {
            gif::read(&mut bytes)
        } else {
            None
        };
        found.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn nonsense_is_not_known_and_ends() {
        for format in ["mov,mp4", "matroska,webm", "avi", "gif", "mpegts"] {
            for byte in [0, 1, 0xff, 0x1a, b'G'] {
                let mut reader = io::Cursor::new(vec![byte; 5000]);
                let layout = Layout::read(format, &mut reader, 5000);
                assert!(layout.tracks.is_empty(), "{format} {byte}");
            }
        }
    }
}
