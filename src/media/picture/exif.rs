//! How a camera was held, as a JPEG's EXIF block says.

/// EXIF's orientation, 1 to 8; 1 is upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct Orientation(u16);

impl Default for Orientation {
    fn default() -> Self {
        Self(1)
    }
}

impl Orientation {
    /// Reads it from a JPEG; anything odd counts as upright.
    pub(in crate::media) fn of_jpeg(bytes: &[u8]) -> Self {
        exif_block(bytes)
            .and_then(orientation_tag)
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

/// The TIFF structure within the APP1 segment.
fn exif_block(jpeg: &[u8]) -> Option<&[u8]> {
    let mut rest = jpeg.get(2..)?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else {
            return None;
        };
        // The picture itself begins: no more headers.
        if marker == 0xda {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = rest.get(4..2 + length)?;
        if marker == 0xe1
            && let Some(tiff) = segment.strip_prefix(b"Exif\0\0")
        {
            return Some(tiff);
        }
        rest = rest.get(2 + length..)?;
    }
}

/// Tag 0x0112 of the first directory.
fn orientation_tag(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = *tiff.get(at..)?.first_chunk::<2>()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let start = *tiff.get(4..)?.first_chunk::<4>()?;
    let start = if little {
        u32::from_le_bytes(start)
    } else {
        u32::from_be_bytes(start)
    };
    let start = usize::try_from(start).ok()?;
    let count = usize::from(short(start)?);
    // Entries of 12 bytes: tag, type, count, value.
    (0..count)
        .map(|index| start.saturating_add(2 + index * 12))
        .find(|at| short(*at) == Some(0x0112))
        .and_then(|at| short(at + 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG's head with an orientation, as cameras write it.
    fn jpeg(orientation: u8, little: bool) -> Vec<u8> {
        let tiff: Vec<u8> = if little {
            vec![
                b'I',
                b'I',
                42,
                0,
                8,
                0,
                0,
                0,
                1,
                0,
                0x12,
                1,
                3,
                0,
                1,
                0,
                0,
                0,
                orientation,
                0,
                0,
                0,
            ]
        } else {
            vec![
                b'M',
                b'M',
                0,
                42,
                0,
                0,
                0,
                8,
                0,
                1,
                1,
                0x12,
                0,
                3,
                0,
                0,
                0,
                1,
                0,
                orientation,
                0,
                0,
            ]
        };
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xe1, 0];
        bytes.push((2 + 6 + tiff.len()) as u8);
        bytes.extend_from_slice(b"Exif\0\0");
        bytes.extend(tiff);
        bytes
    }

    #[test]
    fn the_tag_is_found_in_both_byte_orders_and_nonsense_is_upright() {
        for value in 1..=8 {
            for little in [true, false] {
                let found = Orientation::of_jpeg(&jpeg(value, little));
                assert_eq!(found, Orientation(u16::from(value)));
            }
        }
        for cut in 0..40 {
            let whole = jpeg(6, true);
            Orientation::of_jpeg(&whole[..cut.min(whole.len())]);
        }
        assert_eq!(Orientation::of_jpeg(&jpeg(9, true)), Orientation(1));
        assert_eq!(Orientation::of_jpeg(&[255; 40]), Orientation(1));
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
