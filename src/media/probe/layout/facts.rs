//! What a layout says, and the pieces of a file that it is read from.

use std::io::{self, SeekFrom};

use crate::media::input::ReadSeek;
use crate::media::ratio::{Ratio, Time};

/// Boxes, elements or chunks looked at: real headers have a few dozen.
pub(super) const MOST_STEPS: usize = 4096;

/// Whether a file ends where it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It does not say.
    #[default]
    Unknown,
    /// All bytes that it speaks of are there.
    Whole,
    /// It should be so many bytes long.
    Cut { bytes: u64 },
}

impl Ending {
    /// The end of something against the length of the file. A fiftieth may be
    /// missing, as of frames: what is lost is not worth a refusal.
    pub(super) fn of(end: u64, length: u64) -> Self {
        if end.saturating_sub(length) > end / 50 {
            Self::Cut { bytes: end }
        } else {
            Self::Whole
        }
    }
}

/// The part of a coded picture that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crop {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    /// The shape of a pixel, where the container gives it by the size shown.
    pub sample_aspect: Option<Ratio>,
}

impl Crop {
    /// With even edges, as chroma of half the size needs them; `None` where nothing
    /// is cut off or the numbers make no picture within the coded one.
    pub(super) fn checked(self, (width, height): (u32, u32)) -> Option<Self> {
        let (left, top) = (self.left & !1, self.top & !1);
        let fits = |from: u32, size: u32, whole: u32| {
            size > 0 && from.checked_add(size).is_some_and(|end| end <= whole)
        };
        let inside = fits(left, self.width, width) && fits(top, self.height, height);
        let all = (left, top, self.width, self.height) == (0, 0, width, height);
        (inside && !all).then_some(Self { left, top, ..self })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackKind {
    Video,
    Audio,
    Other,
}

/// One track in the order of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    pub kind: TrackKind,
    /// Its media are encrypted.
    pub encrypted: bool,
    pub crop: Option<Crop>,
}

/// The box of a C2PA manifest.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Its size.
    pub bytes: u64,
    /// What stands in it behind its name; nothing where that is too long.
    pub content: Vec<u8>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Of MP4: whether the index stands before the media; `None` if either is missing.
    pub index_first: Option<bool>,
    /// Of MP4: its index is not found, or not whole.
    pub index_missing: bool,
    pub ending: Ending,
    pub tracks: Vec<Track>,
    /// Of MP4: the packet of XMP, where there is one.
    pub xmp: Option<Vec<u8>>,
    /// Of MP4: its C2PA manifest, where there is one.
    pub manifest: Option<Manifest>,
    /// Of GIF: how many pictures there are and how long they are shown.
    pub animation: Option<(u64, Time)>,
}

impl Layout {
    /// The track that libav made the `nth` stream of its kind of.
    pub(crate) fn track(&self, kind: TrackKind, nth: usize) -> Option<&Track> {
        self.tracks
            .iter()
            .filter(|track| track.kind == kind)
            .nth(nth)
    }
}

/// A file that is read by pieces; every look counts against [`MOST_STEPS`].
pub(super) struct Bytes<'a> {
    pub(super) reader: &'a mut dyn ReadSeek,
    pub(super) length: u64,
    pub(super) steps: usize,
}

impl Bytes<'_> {
    /// Exactly `count` bytes at a place; `None` where they are not.
    pub(super) fn at<const N: usize>(&mut self, place: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(place, &mut bytes).then_some(bytes)
    }

    /// `count` bytes, or what there is of them.
    pub(super) fn some(&mut self, place: u64, count: usize) -> Vec<u8> {
        let rest = usize::try_from(self.length.saturating_sub(place)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count.min(rest)];
        if !self.fill(place, &mut bytes) {
            bytes.clear();
        }
        bytes
    }

    pub(super) fn fill(&mut self, place: u64, bytes: &mut [u8]) -> bool {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return false;
        }
        let read = |reader: &mut dyn ReadSeek, bytes: &mut [u8]| -> io::Result<()> {
            reader.seek(SeekFrom::Start(place))?;
            reader.read_exact(bytes)
        };
        read(self.reader, bytes).is_ok()
    }
}

pub(super) fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        bytes.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_even_inside_and_less_than_all() {
        let crop = |left, top, width, height| Crop {
            left,
            top,
            width,
            height,
            sample_aspect: None,
        };
        assert_eq!(crop(0, 0, 640, 360).checked((640, 360)), None);
        assert_eq!(
            crop(1, 3, 100, 100).checked((640, 360)),
            Some(crop(0, 2, 100, 100))
        );
        assert_eq!(crop(600, 0, 41, 360).checked((640, 360)), None);
        assert_eq!(crop(u32::MAX, 0, u32::MAX, 1).checked((640, 360)), None);
        assert_eq!(crop(0, 0, 0, 1).checked((640, 360)), None);
    }

    #[test]
    fn a_fiftieth_may_be_missing() {
        assert_eq!(Ending::of(1000, 1000), Ending::Whole);
        assert_eq!(Ending::of(1000, 5000), Ending::Whole);
        assert_eq!(Ending::of(1000, 981), Ending::Whole);
        assert_eq!(Ending::of(1000, 979), Ending::Cut { bytes: 1000 });
        assert_eq!(Ending::of(u64::MAX, 1), Ending::Cut { bytes: u64::MAX });
    }
}
