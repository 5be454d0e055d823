//! Elements of Matroska and WebM (RFC 8794, RFC 9559).

use super::facts::{Bytes, Crop, Ending, Layout, Track, TrackKind};
use crate::media::ratio::Ratio;

const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const CLUSTER: u32 = 0x1f43_b675;
const TRACK_ENTRY: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const VIDEO: u32 = 0xe0;
const PIXEL_WIDTH: u32 = 0xb0;
const PIXEL_HEIGHT: u32 = 0xba;
const CROP_BOTTOM: u32 = 0x54aa;
const CROP_TOP: u32 = 0x54bb;
const CROP_LEFT: u32 = 0x54cc;
const CROP_RIGHT: u32 = 0x54dd;
const DISPLAY_WIDTH: u32 = 0x54b0;
const DISPLAY_HEIGHT: u32 = 0x54ba;
const DISPLAY_UNIT: u32 = 0x54b2;
const ENCODINGS: u32 = 0x6d80;
const ENCODING: u32 = 0x6240;
const ENCRYPTION: u32 = 0x5035;

/// Elements at the top of a segment before its first cluster.
const TOP: usize = 64;
/// Tracks with their decoders' configurations.
const MOST_TRACKS: usize = 1 << 20;

/// Identifier, length of its content (`None` is "not known"), and where that begins.
struct Element {
    id: u32,
    size: Option<u64>,
    begins: usize,
}

/// Reads the head of an element from bytes that begin with it.
fn head(bytes: &[u8]) -> Option<Element> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() as usize + 1;
    if width > 4 {
        return None;
    }
    let id = bytes
        .get(..width)?
        .iter()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let marker = *bytes.get(width)?;
    let length = marker.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let begins = width + length;
    let size = bytes
        .get(width..begins)?
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let mask = (1u64 << (7 * length)) - 1;
    let size = size & mask;
    Some(Element {
        id,
        size: (size != mask).then_some(size),
        begins,
    })
}

pub(super) fn read(bytes: &mut Bytes<'_>) -> Option<Layout> {
    let mut layout = Layout::default();
    let begins = head(&bytes.some(0, 12))?;
    let mut at = (begins.begins as u64).checked_add(begins.size?)?;
    let segment = head(&bytes.some(at, 12)).filter(|found| found.id == SEGMENT)?;
    at += segment.begins as u64;
    if let Some(size) = segment.size {
        layout.ending = Ending::of(at.checked_add(size)?, bytes.length);
    }
    for _ in 0..TOP {
        let Some(found) = head(&bytes.some(at, 12)) else {
            break;
        };
        let content = at + found.begins as u64;
        let Some(size) = found.size.filter(|_| found.id != CLUSTER) else {
            break;
        };
        if found.id == TRACKS {
            let size = usize::try_from(size).unwrap_or(usize::MAX).min(MOST_TRACKS);
            let tracks = bytes.some(content, size);
            let entries = elements(&tracks).filter(|(id, _)| *id == TRACK_ENTRY);
            layout.tracks = entries.map(|(_, entry)| track(entry)).collect();
            break;
        }
        let Some(after) = content.checked_add(size) else {
            break;
        };
        at = after;
    }
    Some(layout)
}

/// The elements in a piece that is in memory; ends where they make no sense.
fn elements(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let found = head(rest)?;
        let content = rest.get(found.begins..)?;
        let size = usize::try_from(found.size?).ok()?.min(content.len());
        let (content, after) = content.split_at(size);
        rest = after;
        Some((found.id, content))
    })
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn track(entry: &[u8]) -> Track {
    let mut track = Track {
        kind: TrackKind::Other,
        encrypted: false,
        crop: None,
    };
    for (id, content) in elements(entry) {
        match id {
            TRACK_TYPE => {
                track.kind = match number(content) {
                    1 => TrackKind::Video,
                    2 => TrackKind::Audio,
                    _ => TrackKind::Other,
                };
            }
            VIDEO => track.crop = crop(content),
            ENCODINGS => {
                let encodings = elements(content).filter(|(id, _)| *id == ENCODING);
                track.encrypted = encodings
                    .flat_map(|(_, encoding)| elements(encoding))
                    .any(|(id, _)| id == ENCRYPTION);
            }
            _ => {}
        }
    }
    track
}

fn crop(video: &[u8]) -> Option<Crop> {
    let value = |wanted: u32| {
        let found = elements(video).find(|(id, _)| *id == wanted);
        found.and_then(|(_, content)| u32::try_from(number(content)).ok())
    };
    let (width, height) = (value(PIXEL_WIDTH)?, value(PIXEL_HEIGHT)?);
    let side = |name| value(name).unwrap_or(0);
    let inner = |whole: u32, one: u32, other: u32| whole.checked_sub(one)?.checked_sub(other);
    let crop = Crop {
        left: side(CROP_LEFT),
        top: side(CROP_TOP),
        width: inner(width, side(CROP_LEFT), side(CROP_RIGHT))?,
        height: inner(height, side(CROP_TOP), side(CROP_BOTTOM))?,
        sample_aspect: None,
    };
    let crop = crop.checked((width, height))?;
    // Pixels, centimetres, inches or a ratio; 4 is "not known".
    let shown = value(DISPLAY_WIDTH).zip(value(DISPLAY_HEIGHT));
    let shown = shown.filter(|_| side(DISPLAY_UNIT) < 4);
    Some(Crop {
        sample_aspect: shown.and_then(|(shown_width, shown_height)| {
            let num = u64::from(crop.height) * u64::from(shown_width);
            let den = u64::from(crop.width) * u64::from(shown_height);
            Ratio::reduced(num, den)
        }),
        ..crop
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_an_unknown_size_is_none() {
        let found = head(&[0x1a, 0x45, 0xdf, 0xa3, 0x9f]).unwrap();
        assert_eq!(
            (found.id, found.size, found.begins),
            (0x1a45_dfa3, Some(31), 5)
        );
        let open = head(&[0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255]).unwrap();
        assert_eq!((open.id, open.size), (SEGMENT, None));
        assert!(head(&[0]).is_none());
        assert!(head(&[0xae]).is_none());
        assert!(head(&[]).is_none());
    }

    #[test]
    fn a_crop_brings_the_shape_of_what_is_left() {
        // 320 × 180, 40 rows less above and below, shown as 320 × 100.
        let video = [
            0xb0, 0x82, 1, 64, 0xba, 0x81, 180, 0x54, 0xbb, 0x81, 40, 0x54, 0xaa, 0x81, 40, 0x54,
            0xb0, 0x82, 1, 64, 0x54, 0xba, 0x81, 100,
        ];
        let found = crop(&video).unwrap();
        assert_eq!(
            (found.left, found.top, found.width, found.height),
            (0, 40, 320, 100)
        );
        assert_eq!(found.sample_aspect, Some(Ratio::new(1, 1)));
    }
}
