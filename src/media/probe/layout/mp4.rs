//! Boxes of MP4 and MOV (ISO/IEC 14496-12).

use crate::media::provenance::{MANIFEST_UUID, MOST_MANIFEST, MOST_XMP, XMP_UUID};

use super::facts::{Bytes, Crop, Layout, Manifest, Track, TrackKind, u16_be, u32_be};

/// Boxes at the top: fragmented files have thousands, the first few decide.
const TOP: usize = 64;
/// A sample description: a configuration of a decoder and some boxes beside it.
const DESCRIPTION: usize = 64 << 10;

pub(super) struct Box {
    pub(super) kind: [u8; 4],
    /// Where its content begins and ends; the end may lie behind that of the file.
    pub(super) begins: u64,
    pub(super) ends: u64,
}

fn next(bytes: &mut Bytes<'_>, at: u64) -> Option<Box> {
    let head: [u8; 8] = bytes.at(at)?;
    let [a, b, c, d, kind @ ..] = head;
    let (begins, size) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (at + 8, bytes.length.checked_sub(at)?),
        1 => (at + 16, u64::from_be_bytes(bytes.at(at + 8)?)),
        size => (at + 8, u64::from(size)),
    };
    let ends = at.checked_add(size)?;
    (ends >= begins).then_some(Box { kind, begins, ends })
}

pub(super) fn read(bytes: &mut Bytes<'_>) -> Option<Layout> {
    let mut layout = Layout::default();
    let (mut index, mut media) = (None, None);
    let mut at = 0;
    for _ in 0..TOP {
        let Some(found) = next(bytes, at) else { break };
        match &found.kind {
            b"moov" if index.is_none() => {
                index = Some(at);
                layout.index_missing = found.ends > bytes.length;
                tracks(bytes, &found, &mut layout.tracks);
                layout.xmp = layout.xmp.or_else(|| user_data(bytes, &found));
            }
            b"mdat" | b"moof" if media.is_none() => media = Some(at),
            b"uuid" => match bytes.at(found.begins) {
                Some(XMP_UUID) => {
                    let packet = content(bytes, &found, XMP_UUID.len() as u64);
                    layout.xmp = layout.xmp.or(packet);
                }
                Some(MANIFEST_UUID) if layout.manifest.is_none() => {
                    layout.manifest = Some(manifest(bytes, &found, at));
                }
                _ => {}
            },
            _ => {}
        }
        // Editors put their packet behind the media; behind fragments nobody looks for it.
        let decided = index.is_some() && media.is_some();
        if decided && (layout.xmp.is_some() || &found.kind == b"moof") {
            break;
        }
        at = found.ends;
        if at >= bytes.length {
            break;
        }
    }
    layout.index_first = index.zip(media).map(|(index, media)| index < media);
    layout.index_missing |= index.is_none();
    Some(layout)
}

/// Calls `visit` with every box inside another.
pub(super) fn children(
    bytes: &mut Bytes<'_>,
    outer: &Box,
    visit: &mut dyn FnMut(&mut Bytes<'_>, &Box),
) {
    let mut at = outer.begins;
    while at < outer.ends {
        let Some(found) = next(bytes, at) else { return };
        visit(bytes, &found);
        at = found.ends;
    }
}

/// A packet of XMP in a box, behind `skip` bytes of it.
fn content(bytes: &mut Bytes<'_>, found: &Box, skip: u64) -> Option<Vec<u8>> {
    let begins = found.begins.checked_add(skip)?;
    let size = usize::try_from(found.ends.checked_sub(begins)?).ok()?;
    Some(bytes.some(begins, size.min(MOST_XMP))).filter(|packet| !packet.is_empty())
}

/// The manifest in a box that begins there.
fn manifest(bytes: &mut Bytes<'_>, found: &Box, at: u64) -> Manifest {
    let begins = found.begins.saturating_add(MANIFEST_UUID.len() as u64);
    let size = usize::try_from(found.ends.saturating_sub(begins)).unwrap_or(usize::MAX);
    let content = match size <= MOST_MANIFEST {
        true => bytes.some(begins, size),
        false => Vec::new(),
    };
    Manifest {
        bytes: found.ends.saturating_sub(at),
        content,
    }
}

/// QuickTime's own place for a packet of XMP.
fn user_data(bytes: &mut Bytes<'_>, index: &Box) -> Option<Vec<u8>> {
    let mut packet = None;
    children(bytes, index, &mut |bytes, found| {
        if &found.kind == b"udta" {
            children(bytes, found, &mut |bytes, found| {
                if &found.kind == b"XMP_" {
                    packet = content(bytes, found, 0);
                }
            });
        }
    });
    packet
}

fn tracks(bytes: &mut Bytes<'_>, index: &Box, tracks: &mut Vec<Track>) {
    children(bytes, index, &mut |bytes, found| {
        if &found.kind == b"trak" {
            let mut handler = None;
            let mut track = Track {
                kind: TrackKind::Other,
                encrypted: false,
                crop: None,
            };
            inside(bytes, found, 0, &mut handler, &mut track);
            track.kind = match handler.as_ref() {
                Some(b"vide") => TrackKind::Video,
                Some(b"soun") => TrackKind::Audio,
                _ => TrackKind::Other,
            };
            tracks.push(track);
        }
    });
}

fn inside(
    bytes: &mut Bytes<'_>,
    outer: &Box,
    depth: usize,
    handler: &mut Option<[u8; 4]>,
    track: &mut Track,
) {
    children(bytes, outer, &mut |bytes, found| match &found.kind {
        b"mdia" | b"minf" | b"stbl" if depth < 3 => {
            inside(bytes, found, depth + 1, handler, track);
        }
        // Version and flags, the component's type, then what it handles. The first
        // is the media's; a second one tells about the data reference.
        b"hdlr" if handler.is_none() => *handler = bytes.at(found.begins + 8),
        b"stsd" => {
            let size = usize::try_from(found.ends - found.begins).unwrap_or(usize::MAX);
            let description = bytes.some(found.begins, size.min(DESCRIPTION));
            if let Some(entry) = description.get(8..) {
                describe(entry, track);
            }
        }
        _ => {}
    });
}

/// Reads the first sample entry.
fn describe(entry: &[u8], track: &mut Track) {
    track.encrypted = matches!(
        entry.get(4..8),
        // Common encryption, and that of Apple's shop.
        Some(b"encv" | b"enca" | b"drmi" | b"drms")
    );
    track.crop = clean_aperture(entry);
}

/// The box `clap` of a visual sample entry: a size, and how far its middle lies from
/// that of the picture, all as fractions.
fn clean_aperture(entry: &[u8]) -> Option<Crop> {
    let (width, height) = (u16_be(entry, 32)?, u16_be(entry, 34)?);
    let size = usize::try_from(u32_be(entry, 0)?).ok()?;
    let entry = entry.get(..size.min(entry.len()))?;
    let mut at = 86;
    loop {
        let size = usize::try_from(u32_be(entry, at)?).ok()?;
        if entry.get(at + 4..at + 8)? == b"clap" {
            break;
        }
        at = at.checked_add(size.max(8))?;
    }
    let fraction = |place: usize| {
        let num = u32_be(entry, at + 8 + place * 8)?.cast_signed();
        let den = u32_be(entry, at + 12 + place * 8)?;
        (den > 0).then(|| f64::from(num) / f64::from(den))
    };
    let (clean_width, clean_height) = (fraction(0)?, fraction(1)?);
    let middle = |whole: u16, clean: f64, off: f64| (f64::from(whole) - clean) / 2.0 + off;
    let (left, top) = (
        middle(width, clean_width, fraction(2)?),
        middle(height, clean_height, fraction(3)?),
    );
    if left < -0.5 || top < -0.5 || clean_width < 1.0 || clean_height < 1.0 {
        return None;
    }
    let crop = Crop {
        left: left.round() as u32,
        top: top.round() as u32,
        width: clean_width.round() as u32,
        height: clean_height.round() as u32,
        sample_aspect: None,
    };
    crop.checked((width.into(), height.into()))
}
