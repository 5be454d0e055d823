//! An MP4 that starts fast, in one pass, through any seekable writer.
//!
//! libav's `faststart` reopens the file by name and copies it once more. The
//! muxer option `moov_size=N` reserves N bytes behind `ftyp` instead: one seek
//! past the end while the header is written, and the trailer seeks back to
//! fill it. Its trap: when N is too small it writes the index over the media
//! first and fails afterwards, leaving a damaged file that still probes well.
//! So from that seek on, writes go into a side buffer. If the index fits, the
//! reservation is patched; if not, the reservation becomes a `free` box and
//! the index goes to the end (chunk offsets are absolute, so it stays valid).
//!
//! Boxes that say where the file comes from stand between index and media, in the same room. They
//! do so wherever the index goes.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::output::WriteSeek;
use super::provenance::{Digests, Placed};

/// Bytes of an index without samples: about 700 a track (`tkhd`, `mdhd`,
/// `stsd` and the heads of eight tables) and 150 for the whole. Decoder
/// configurations come on top; the muxer knows their sizes.
const EMPTY_INDEX: u64 = 4 << 10;

/// Bytes to reserve for the index of a video with so many samples.
///
/// Measured 14–20 bytes a sample, 21 at worst; entry sizes bound it at 45
/// (video) and 32 (audio).
pub(crate) fn reservation(video_samples: u64, audio_samples: u64) -> u64 {
    // The muxer's option is an int and the free box a 32-bit size.
    const MOST: u64 = 1 << 30;
    EMPTY_INDEX
        .saturating_add(video_samples.saturating_mul(48))
        .saturating_add(audio_samples.saturating_mul(32))
        .min(MOST)
}

/// The smallest box.
const HEAD: u64 = 8;

/// Bytes to reserve for boxes beside the index: what is left over is a box too.
pub(crate) fn room_for(boxes: &[u8]) -> u64 {
    match boxes.len() as u64 {
        0 => 0,
        length => length.saturating_add(HEAD),
    }
}

/// Fills `room` bytes: the boxes, and one that is free. `None` where they do not fit.
fn laid_out(parts: &[&[u8]], room: u64) -> Option<Vec<u8>> {
    let room = usize::try_from(room).ok()?;
    let mut head = parts.concat();
    let rest = room.checked_sub(head.len())?;
    if rest > 0 {
        let size = u32::try_from(rest).ok().filter(|_| rest as u64 >= HEAD)?;
        head.extend(size.to_be_bytes());
        head.extend(b"free");
    }
    head.resize(room, 0);
    Some(head)
}

/// The boxes of a stretch of a file that begins at `at`, but for those that are free.
fn placed(mut stretch: &[u8], mut at: u64) -> Vec<Placed<'_>> {
    let mut boxes = Vec::new();
    while let Some((size, _)) = stretch.split_first_chunk::<4>() {
        let size = (u32::from_be_bytes(*size) as usize).clamp(8, stretch.len().max(8));
        let (first, rest) = stretch.split_at(size.min(stretch.len()));
        if first.get(4..8) != Some(b"free") {
            boxes.push((at, first));
        }
        at += first.len() as u64;
        stretch = rest;
    }
    boxes
}

struct Inner {
    writer: Box<dyn WriteSeek>,
    position: u64,
    end: u64,
    limit: u64,
    over_limit: bool,
    /// What stands before the media besides the index.
    boxes: Vec<u8>,
    /// Signs for the file.
    digests: Option<Digests>,
    /// Start and end of the reservation, known from the first seek past the end.
    reserved: Option<(u64, u64)>,
    /// The captured index, once the trailer sought back.
    index: Option<Vec<u8>>,
    /// Whether writes currently go into `index`.
    capturing: bool,
}

/// The writer the muxer sees.
pub(crate) struct HeadWriter(Arc<Mutex<Inner>>);

/// Completes the file after the muxer's trailer.
pub(crate) struct HeadHandle(Arc<Mutex<Inner>>);

/// Wraps a writer; `limit` bounds the file's size in bytes. The `boxes`, whole ones, stand before the
/// media: the muxer has to reserve [`room_for`] them. What signs for the file has its manifest before
/// the index, and needs its own room.
pub(crate) fn head_writer(
    writer: Box<dyn WriteSeek>,
    limit: u64,
    boxes: Vec<u8>,
    digests: Option<Digests>,
) -> (HeadWriter, HeadHandle) {
    let inner = Arc::new(Mutex::new(Inner {
        writer,
        position: 0,
        end: 0,
        limit,
        over_limit: false,
        boxes,
        digests,
        reserved: None,
        index: None,
        capturing: false,
    }));
    (HeadWriter(Arc::clone(&inner)), HeadHandle(inner))
}

impl Write for HeadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = bytes.len() as u64;
        if inner.capturing {
            let start = inner.reserved.map_or(0, |(start, _)| start);
            let offset = (inner.position - start) as usize;
            if let Some(index) = &mut inner.index {
                if index.len() < offset + bytes.len() {
                    index.resize(offset + bytes.len(), 0);
                }
                index[offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            inner.position += length;
            return Ok(bytes.len());
        }
        if inner.position.saturating_add(length) > inner.limit {
            inner.over_limit = true;
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the output grew too large",
            ));
        }
        let position = inner.position;
        if let (Some((_, end)), Some(digests)) = (inner.reserved, &mut inner.digests)
            && position >= end
        {
            digests.saw(position - end, bytes)?;
        }
        inner.writer.write_all(bytes)?;
        inner.position += length;
        inner.end = inner.end.max(inner.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .writer
            .flush()
    }
}

impl Seek for HeadWriter {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => inner.position.checked_add_signed(offset),
            SeekFrom::End(offset) => inner.end.checked_add_signed(offset),
        }
        .ok_or(io::ErrorKind::InvalidInput)?;
        if inner.reserved.is_none() && position > inner.end {
            inner.reserved = Some((inner.end, position));
        }
        let start = inner.reserved.map(|(start, _)| start);
        if inner.capturing {
            // Box sizes are patched by seeking back within the index.
            let length = inner.index.as_ref().map_or(0, Vec::len) as u64;
            inner.capturing =
                start.is_some_and(|start| (start..=start + length).contains(&position));
        } else if start == Some(position) && inner.index.is_none() {
            inner.index = Some(Vec::new());
            inner.capturing = true;
        }
        inner.position = position;
        if !inner.capturing {
            inner.writer.seek(SeekFrom::Start(position))?;
        }
        Ok(position)
    }
}

impl HeadHandle {
    /// Whether a write was refused because the file would grow too large.
    pub(crate) fn over_limit(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .over_limit
    }

    /// Puts the captured index in its place. Returns whether it stands before
    /// the media. `trailer_ok` is what the muxer said about its trailer.
    pub(crate) fn complete(self, trailer_ok: bool) -> io::Result<bool> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let boxes = std::mem::take(&mut inner.boxes);
        let Some((start, end)) = inner.reserved else {
            return if trailer_ok && boxes.is_empty() && inner.digests.is_none() {
                Ok(false)
            } else {
                Err(io::Error::other("no index was written"))
            };
        };
        let index = inner.index.take().unwrap_or_default();
        let moov = index
            .first_chunk::<8>()
            .filter(|head| head[4..8] == *b"moov")
            .map(|head| u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize)
            .filter(|length| (8..=index.len()).contains(length))
            .ok_or_else(|| io::Error::other("the index is incomplete"))?;
        let room = end - start;
        let moov = &index[..moov];
        let closed = inner.digests.take().map(Digests::close).transpose()?;
        let signed = closed.as_ref().map_or(0, |closed| closed.length() as usize);
        let manifest = vec![0; signed];
        let head = laid_out(&[&manifest, moov, &boxes], room).filter(|_| trailer_ok);
        let fits = head.is_some();
        let mut head = head
            .or_else(|| laid_out(&[&manifest, &boxes], room))
            .ok_or_else(|| io::Error::other("no room was reserved"))?;
        if let Some(closed) = closed {
            let mut bound = placed(&head[signed..], start + signed as u64);
            if !fits {
                bound.push((inner.end, moov));
            }
            let manifest = closed.sign(&bound, end)?;
            let place = head.get_mut(..manifest.len());
            let place = place.filter(|_| manifest.len() == signed);
            place
                .ok_or_else(|| io::Error::other("the manifest has another length"))?
                .copy_from_slice(&manifest);
        }
        inner.writer.seek(SeekFrom::Start(start))?;
        inner.writer.write_all(&head)?;
        if !fits {
            let last = inner.end;
            inner.writer.seek(SeekFrom::Start(last))?;
            inner.writer.write_all(moov)?;
        }
        inner.writer.flush()?;
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_grow_with_samples_and_stay_bounded() {
        assert_eq!(reservation(0, 0), 4096);
        assert_eq!(reservation(100, 100), 4096 + 8_000);
        assert_eq!(reservation(u64::MAX, 1), 1 << 30);
    }

    #[test]
    fn what_is_left_over_is_a_box_or_does_not_fit() {
        let boxes = b"\0\0\0\x0cuuid....";
        assert_eq!(laid_out(&[boxes], 12).unwrap(), boxes);
        for room in 13..20 {
            assert_eq!(laid_out(&[boxes], room), None, "{room}");
        }
        assert_eq!(laid_out(&[boxes], 11), None);
        let room = room_for(boxes);
        let filled = laid_out(&[boxes], room).unwrap();
        assert_eq!(&filled[12..], b"\0\0\0\x08free");
        assert_eq!(room_for(&[]), 0);
    }
}
