//! How long the picture of an MP4 is: by its media header, and by its sample table.
//!
//! Players go by the table; libav shows one of both. A table can have as many
//! entries as the file has frames, so it is read only where it is asked for.

use super::facts::{Bytes, u32_be};
use super::mp4::{Box, children};
use crate::media::input::ReadSeek;
use crate::media::ratio::{Ratio, Time};

/// More entries than the most frames a video may have by default.
const MOST_ENTRIES: usize = 1 << 19;

/// The two lengths of the first video track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureLength {
    /// What the headers claim: the media's or the track's, whichever is less. libav 8 counts a
    /// picture too many into the media's where pictures are shown out of order at the start.
    pub claimed: Time,
    /// The sum of the sample table.
    pub table: Time,
}

impl PictureLength {
    /// Reads an MP4 of `length` bytes; `None` where there is no such table.
    pub(crate) fn read(reader: &mut dyn ReadSeek, length: u64) -> Option<Self> {
        let mut bytes = Bytes {
            reader,
            length,
            steps: 0,
        };
        let all = Box {
            kind: *b"file",
            begins: 0,
            ends: length,
        };
        let (mut found, mut scale) = (None, None);
        children(&mut bytes, &all, &mut |bytes, top| {
            if &top.kind == b"moov" {
                children(bytes, top, &mut |bytes, part| match &part.kind {
                    b"mvhd" => scale = header(bytes, part.begins, 0).map(|(scale, _)| scale),
                    b"trak" if found.is_none() => found = of_picture(bytes, part, scale),
                    _ => {}
                });
            }
        });
        found
    }
}

/// `movie` is the ticks of a second of the movie's headers.
fn of_picture(bytes: &mut Bytes<'_>, track: &Box, movie: Option<u32>) -> Option<PictureLength> {
    let (mut is_picture, mut media, mut shown, mut ticks) = (false, None, None, None);
    inside(bytes, track, 0, &mut |bytes, found| match &found.kind {
        b"vmhd" => is_picture = true,
        b"mdhd" => media = header(bytes, found.begins, 0),
        // A track's number and a reserved field stand where the media's has its scale.
        b"tkhd" => shown = header(bytes, found.begins, 4).map(|(_, length)| length),
        b"stts" => ticks = sum(bytes, found),
        _ => {}
    });
    let (scale, claimed) = media.filter(|_| is_picture)?;
    let of = |ticks: u64, scale: u32| {
        let base = Ratio::new(1, i32::try_from(scale).ok()?);
        Some(Time::of(i64::try_from(ticks).unwrap_or(i64::MAX), base))
    };
    let claimed = of(claimed, scale)?;
    let shown = shown.zip(movie).and_then(|(ticks, scale)| of(ticks, scale));
    Some(PictureLength {
        claimed: shown.map_or(claimed, |shown| shown.min(claimed)),
        table: of(ticks?, scale)?,
    })
}

fn inside(
    bytes: &mut Bytes<'_>,
    outer: &Box,
    depth: usize,
    visit: &mut dyn FnMut(&mut Bytes<'_>, &Box),
) {
    children(bytes, outer, &mut |bytes, found| match &found.kind {
        b"mdia" | b"minf" | b"stbl" if depth < 3 => inside(bytes, found, depth + 1, visit),
        _ => visit(bytes, found),
    });
}

/// Ticks of a second, and the length in ticks, which comes so many bytes later than right behind.
fn header(bytes: &mut Bytes<'_>, at: u64, later: u64) -> Option<(u32, u64)> {
    let [version, ..] = bytes.at::<4>(at)?;
    if version == 1 {
        let scale = u32::from_be_bytes(bytes.at(at + 20)?);
        return Some((scale, u64::from_be_bytes(bytes.at(at + 24 + later)?)));
    }
    let scale = u32::from_be_bytes(bytes.at(at + 12)?);
    let length = u32::from_be_bytes(bytes.at(at + 16 + later)?);
    Some((scale, u64::from(length)))
}

/// Runs of samples, each with a count and the length of one.
fn sum(bytes: &mut Bytes<'_>, table: &Box) -> Option<u64> {
    let [_, _, _, _, count @ ..] = bytes.at::<8>(table.begins)?;
    let count = usize::try_from(u32::from_be_bytes(count)).ok()?;
    if count > MOST_ENTRIES {
        return None;
    }
    let entries = bytes.some(table.begins + 8, count * 8);
    let ticks = entries.chunks_exact(8).map(|run| {
        let [samples, length] = [u32_be(run, 0), u32_be(run, 4)].map(Option::unwrap_or_default);
        u64::from(samples).saturating_mul(u64::from(length))
    });
    Some(ticks.fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
        [&size[..], kind, content].concat()
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    fn track(handler: &[u8; 4], header: &[u8], table: &[u32]) -> Vec<u8> {
        let stbl = boxed(b"stbl", &boxed(b"stts", &numbers(table)));
        let minf = boxed(b"minf", &[boxed(handler, &[0; 4]), stbl].concat());
        let mdia = boxed(b"mdia", &[boxed(b"mdhd", header), minf].concat());
        boxed(b"trak", &mdia)
    }

    fn read(file: &[u8]) -> Option<PictureLength> {
        PictureLength::read(&mut Cursor::new(file), file.len() as u64)
    }

    #[test]
    fn the_header_and_the_table_of_the_picture_are_read() {
        let short = numbers(&[0, 0, 0, 1000, 5100, 0]);
        let sound = track(b"smhd", &short, &[0, 1, 7, 7]);
        let picture = track(b"vmhd", &short, &[0, 2, 19, 100, 1, 270]);
        let file = boxed(b"moov", &[sound.clone(), picture].concat());
        let length = read(&[boxed(b"ftyp", b"isom"), file].concat()).unwrap();
        assert_eq!(
            (length.claimed.millis(), length.table.millis()),
            (5100, 2170)
        );
        // Times of 64 bits.
        let long = numbers(&[1 << 24, 0, 0, 0, 0, 1000, 0, 5100, 0]);
        let file = boxed(b"moov", &track(b"vmhd", &long, &[0, 1, 51, 100]));
        let length = read(&file).unwrap();
        assert_eq!(
            (length.claimed.millis(), length.table.millis()),
            (5100, 5100)
        );
        assert_eq!(read(&boxed(b"moov", &sound)), None);
    }

    #[test]
    fn the_lesser_claim_of_track_and_media_counts() {
        let media = numbers(&[0, 0, 0, 1000, 1040, 0]);
        let movie = boxed(b"mvhd", &numbers(&[0, 0, 0, 600, 600, 0]));
        // 600 ticks of the movie are a second, and so are ten samples.
        let shown = boxed(b"tkhd", &numbers(&[0, 0, 0, 1, 0, 600, 0]));
        let stbl = boxed(b"stbl", &boxed(b"stts", &numbers(&[0, 1, 10, 100])));
        let minf = boxed(b"minf", &[boxed(b"vmhd", &[0; 4]), stbl].concat());
        let mdia = boxed(b"mdia", &[boxed(b"mdhd", &media), minf].concat());
        let trak = boxed(b"trak", &[shown, mdia].concat());
        let length = read(&boxed(b"moov", &[movie, trak].concat())).unwrap();
        assert_eq!(
            (length.claimed.millis(), length.table.millis()),
            (1000, 1000)
        );
    }

    #[test]
    fn nonsense_is_not_known_and_ends() {
        for byte in [0, 1, 0xff] {
            assert_eq!(read(&[byte; 4000]), None);
        }
        let header = numbers(&[0, 0, 0, 0, 5100, 0]);
        let file = boxed(b"moov", &track(b"vmhd", &header, &[0, u32::MAX, 1, 1]));
        assert_eq!(read(&file), None);
    }
}
