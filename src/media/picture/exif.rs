//! How a camera was held, as a picture's EXIF block says.

use std::io::Cursor;

use exif::{In, Reader, Tag};

/// EXIF's orientation, 1 to 8; 1 is upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct Orientation(u16);

impl Default for Orientation {
    fn default() -> Self {
        Self(1)
    }
}

impl Orientation {
    /// Reads it from a JPEG, PNG or WebP; anything odd counts as upright, as browsers have it.
    pub(in crate::media) fn of(picture: &[u8]) -> Self {
        // One broken entry does not hide the others.
        Reader::new()
            .continue_on_error(true)
            .read_from_container(&mut Cursor::new(picture))
            .or_else(|error| error.distill_partial_result(|_| {}))
            .ok()
            .and_then(|exif| {
                let value = &exif.get_field(Tag::Orientation, In::PRIMARY)?.value;
                value.get_uint(0)
            })
            .and_then(|value| u16::try_from(value).ok())
            .filter(|value| (1..=8).contains(value))
            .map(Self)
            .unwrap_or_default()
    }

    pub(in crate::media) fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Turns RGBA pixels upright; returns the new width and height with them.
    pub(in crate::media) fn apply(
        self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
    ) -> (u32, u32, Vec<u8>) {
        if self.0 == 1 {
            return (width, height, rgba);
        }
        let (w, h) = (width as usize, height as usize);
        let (new_width, new_height) = if self.swaps_sides() { (h, w) } else { (w, h) };
        let mut turned = Vec::with_capacity(rgba.len());
        for y in 0..new_height {
            for x in 0..new_width {
                // Where the pixel shown at (x, y) is stored.
                let (from_x, from_y) = match self.0 {
                    2 => (w - 1 - x, y),
                    3 => (w - 1 - x, h - 1 - y),
                    4 => (x, h - 1 - y),
                    5 => (y, x),
                    6 => (y, h - 1 - x),
                    7 => (w - 1 - y, h - 1 - x),
                    _ => (w - 1 - y, x),
                };
                let at = (from_y * w + from_x) * 4;
                turned.extend_from_slice(rgba.get(at..at + 4).unwrap_or(&[0; 4]));
            }
        }
        (new_width as u32, new_height as u32, turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF block of one entry, the orientation, in either order of bytes.
    fn tiff(orientation: u8, little: bool) -> Vec<u8> {
        let (mark, entry): (&[u8], Vec<u8>) = if little {
            let entry = [1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
            (b"II\x2a\0\x08\0\0\0", entry.to_vec())
        } else {
            let entry = [0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
            (b"MM\0\x2a\0\0\0\x08", entry.to_vec())
        };
        // No directory follows.
        [mark, &entry, &[0; 4]].concat()
    }

    /// A JPEG's head, as cameras write it.
    fn jpeg(tiff: &[u8]) -> Vec<u8> {
        let length = (2 + 6 + tiff.len()) as u8;
        let head: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xe1, 0, length];
        [head, b"Exif\0\0", tiff, &[0xff, 0xd9]].concat()
    }

    /// A PNG with the chunk that its third edition has for it. Its check sum is not looked at.
    fn png(tiff: &[u8]) -> Vec<u8> {
        let length = (tiff.len() as u32).to_be_bytes();
        let chunk = [&length, b"eXIf".as_slice(), tiff, &[0; 4]].concat();
        [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk].concat()
    }

    fn webp(tiff: &[u8]) -> Vec<u8> {
        let length = (tiff.len() as u32).to_le_bytes();
        let chunk = [b"WEBPEXIF".as_slice(), &length, tiff].concat();
        let length = (chunk.len() as u32).to_le_bytes();
        [b"RIFF".as_slice(), &length, &chunk].concat()
    }

    #[test]
    fn the_tag_is_found_in_each_format_and_order_of_bytes_and_nonsense_is_upright() {
        for container in [jpeg, png, webp] {
            for value in 1..=8 {
                for little in [true, false] {
                    let found = Orientation::of(&container(&tiff(value, little)));
                    assert_eq!(found, Orientation(u16::from(value)));
                }
            }
            let whole = container(&tiff(6, true));
            for cut in 0..whole.len() {
                Orientation::of(&whole[..cut]);
            }
            assert_eq!(Orientation::of(&container(&tiff(9, true))), Orientation(1));
        }
        assert_eq!(Orientation::of(&[255; 40]), Orientation(1));
    }

    #[test]
    fn pixels_land_where_a_viewer_shows_them() {
        // 3×2, numbered by rows: 0 1 2 / 3 4 5.
        let stored: Vec<u8> = (0..6).flat_map(|n| [n; 4]).collect();
        let shown = |orientation: u16| {
            let (w, h, rgba) = Orientation(orientation).apply(3, 2, stored.clone());
            let order: Vec<u8> = rgba.chunks(4).map(|pixel| pixel[0]).collect();
            (w, h, order)
        };
        assert_eq!(shown(1), (3, 2, vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(shown(2), (3, 2, vec![2, 1, 0, 5, 4, 3]));
        assert_eq!(shown(3), (3, 2, vec![5, 4, 3, 2, 1, 0]));
        assert_eq!(shown(4), (3, 2, vec![3, 4, 5, 0, 1, 2]));
        assert_eq!(shown(5), (2, 3, vec![0, 3, 1, 4, 2, 5]));
        // Most phones held upright: a quarter turn clockwise.
        assert_eq!(shown(6), (2, 3, vec![3, 0, 4, 1, 5, 2]));
        assert_eq!(shown(7), (2, 3, vec![5, 2, 4, 1, 3, 0]));
        assert_eq!(shown(8), (2, 3, vec![2, 5, 1, 4, 0, 3]));
    }
}
