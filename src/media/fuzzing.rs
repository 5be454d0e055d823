//! What `tests/fuzz` runs on bytes that nobody meant. In no build of the service.
//!
//! Each of these holds more than that nothing crashes: a refusal has a code that is about the
//! input, and what comes out is what was put in.
#![allow(
    clippy::panic,
    clippy::expect_used,
    missing_docs,
    reason = "a panic is what a fuzz target reports"
)]

use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::head::head_writer;
use super::picture::exif::Orientation;
use super::{
    BytesInput, Cancel, Event, Force, Input, Limits, MediaCode, MediaError, Output, Placement,
    PosterTo, Preset, Profile, Render, Watermark, WriteSeek,
};

/// Small, so that a run is short: what takes long is no news here, and limits have their tests.
fn limits() -> Limits {
    Limits {
        max_pixels: 512 * 512,
        probe_size: 1 << 20,
        max_frames: 60,
        max_duration_ms: 60_000,
        max_output_bytes: 16 << 20,
        deadline_ms: Some(10_000),
        threads: 1,
        ..Limits::default()
    }
}

/// A fault of ours is none of the input's.
fn is_told(error: &MediaError) {
    assert_ne!(error.code, MediaCode::Internal, "{error:?}");
    assert!(!error.message.is_empty());
}

/// Probing, and counting where the headers do not.
pub fn probe(bytes: &[u8]) {
    let (input, limits, cancel) = (BytesInput::new("input", bytes), limits(), Cancel::new());
    match super::probe(&input, &limits, &cancel) {
        Ok(_) => {
            if let Err(error) = super::count_frames(&input, &limits, &cancel) {
                is_told(&error);
            }
        }
        Err(error) => is_told(&error),
    }
}

/// A picture as a character's and as a mark's.
pub fn picture(bytes: &[u8]) {
    let (input, limits, cancel) = (BytesInput::new("picture", bytes), limits(), Cancel::new());
    let probed = super::probe_picture(&input, &limits, &cancel);
    let guard = super::limits::Guard::new(&cancel, &limits);
    let loaded = super::picture::load(&input, &limits, &guard);
    match (probed, loaded) {
        (Ok(probed), Ok(image)) => {
            assert_eq!((probed.width, probed.height), (image.width, image.height));
            let pixels = image.width as usize * image.height as usize;
            assert_eq!(image.rgba.len(), pixels * 4);
        }
        (probed, loaded) => {
            for error in [probed.err(), loaded.err()].into_iter().flatten() {
                is_told(&error);
            }
        }
    }
}

/// The orientation of a picture, and one turned by it.
pub fn exif(bytes: &[u8]) {
    let orientation = Orientation::of(bytes);
    let (width, height) = match bytes {
        // The last two, so that they disturb nothing.
        [.., w, h] => (u32::from(*w % 9), u32::from(*h % 9)),
        _ => (3, 2),
    };
    let pixels: Vec<u8> = (0..width * height).flat_map(u32::to_be_bytes).collect();
    let (wide, high, turned) = orientation.apply(width, height, pixels.clone());
    let sides = match orientation.swaps_sides() {
        true => (height, width),
        false => (width, height),
    };
    assert_eq!((wide, high), sides);
    // Every pixel is there, once: they are numbered.
    let mut seen = [false; 64];
    for pixel in turned.as_chunks::<4>().0 {
        let number = u32::from_be_bytes(*pixel) as usize;
        assert!(
            !std::mem::replace(&mut seen[number], true),
            "{number} twice"
        );
    }
    assert_eq!(turned.len(), pixels.len());
}

/// A file in memory that its writer gives up and others read.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Memory {
    fn length(&self) -> usize {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.get_ref().len()
    }

    fn bytes(&self) -> Vec<u8> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.get_ref().clone()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(target)
    }
}

impl Output for Memory {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        *self = Self::default();
        Ok(Box::new(self.clone()))
    }

    fn staged(&self) -> Arc<dyn Input> {
        Arc::new(BytesInput::new("result", self.bytes()))
    }

    fn commit(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&mut self) {
        *self = Self::default();
    }

    fn describe(&self) -> String {
        "result".to_owned()
    }
}

/// The whole pass: first byte chooses copy or encode, a mark, and what sound is put back.
pub fn pass(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else {
        return;
    };
    let input: Arc<dyn Input> = Arc::new(BytesInput::new("input", bytes));
    let mut profile = Profile::builtin("web").expect("it is built in");
    profile.video.preset = Preset::Ultrafast;
    let watermarks = match how & 2 {
        0 => Vec::new(),
        _ => vec![Watermark {
            image: Arc::new(BytesInput::new("mark", MARK)),
            placement: Placement::default(),
        }],
    };
    let render = Render {
        main: Arc::clone(&input),
        before: (how & 4 != 0).then(|| Arc::clone(&input)),
        audio_track: None,
        source_track: None,
        audio_source: (how & 8 != 0).then_some(input),
        profile,
        strict: false,
        main_is_silent: how & 8 != 0,
        watermarks,
        force: Force {
            video: how & 1 != 0,
            ..Force::default()
        },
        poster: (how & 16 != 0).then_some(PosterTo::Report),
        storyboard: how & 16 != 0,
        checks: Default::default(),
        limits: limits(),
        threads: 1,
        provenance: None,
        audible: false,
        signer: None,
        index_room: (how & 32 != 0).then_some(512),
    };
    let mut output = Memory::default();
    let cancel = Cancel::new();
    match super::render(&render, &mut output, &cancel, &mut |_: Event| {}) {
        Ok(report) => {
            let bytes = output.bytes();
            assert_eq!(report.bytes, bytes.len() as u64);
            assert!(report.frames > 0);
            // What was published is a video for everybody.
            let limits = Limits {
                max_frames: 10_000,
                max_duration_ms: 600_000,
                ..limits()
            };
            super::probe(&BytesInput::new("result", bytes), &limits, &Cancel::new())
                .expect("the result opens");
        }
        Err(error) => is_told(&error),
    }
}

/// A PNG of one red pixel.
const MARK: &[u8] = &[
    0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 12, b'I', b'D', b'A', b'T', 0x78, 0x9c,
    0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0xc9, 0xfe, 0x92, 0xef, 0, 0, 0, 0, b'I', b'E', b'N',
    b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Numbers of a length, taken off the front of bytes.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    fn long(&mut self) -> Option<usize> {
        Some(self.next()? << 8 | self.next()?)
    }
}

/// The writer of the head: as a muxer uses it, and in any other order.
pub fn head(bytes: &[u8]) {
    match bytes.split_first() {
        Some((first, rest)) if first & 1 == 0 => as_a_muxer(&mut Numbers(rest)),
        Some((_, rest)) => in_any_order(&mut Numbers(rest)),
        None => {}
    }
}

fn as_a_muxer(numbers: &mut Numbers<'_>) {
    let _ = write_as_a_muxer(numbers);
}

/// Room, index and media of these lengths: what comes out is a file of whole boxes, with the
/// index before the media where it fits.
fn write_as_a_muxer(numbers: &mut Numbers<'_>) -> Option<()> {
    let room = 8 + numbers.long()? % 2048;
    let index = 8 + numbers.long()? % 2048;
    let padding = numbers.next()? % 2 * 8;
    let trailer_ok = numbers.next()? % 4 != 0;
    let file = Memory::default();
    let (mut writer, handle) = head_writer(Box::new(file.clone()), u64::MAX, Vec::new(), None);
    writer.write_all(b"\0\0\0\x10ftypisom\0\0\0\0").ok()?;
    writer.seek(SeekFrom::Current(room as i64)).ok()?;
    let start = 16 + room;
    writer.write_all(b"\0\0\0\0mdat").ok()?;
    let mut media = Vec::new();
    while let Some(chunk) = numbers.next() {
        writer.write_all(&BYTES[..chunk]).ok()?;
        media.extend_from_slice(&BYTES[..chunk]);
    }
    // The size of the media is known now, then the index is written where room was left.
    let end = start + 8 + media.len();
    writer.seek(SeekFrom::Start(start as u64)).ok()?;
    writer
        .write_all(&((8 + media.len()) as u32).to_be_bytes())
        .ok()?;
    writer.seek(SeekFrom::Start(end as u64)).ok()?;
    writer.seek(SeekFrom::Start(16)).ok()?;
    writer.write_all(b"\0\0\0\0moov").ok()?;
    writer.write_all(&vec![b'i'; index - 8]).ok()?;
    writer.seek(SeekFrom::Start(16)).ok()?;
    writer.write_all(&(index as u32).to_be_bytes()).ok()?;
    let left = room as i64 - index as i64;
    if left >= 8 && padding > 0 {
        writer.seek(SeekFrom::Start(16 + index as u64)).ok()?;
        writer.write_all(&(left as u32).to_be_bytes()).ok()?;
        writer.write_all(b"free").ok()?;
    }
    let first = handle
        .complete(trailer_ok)
        .expect("a whole index is completed");
    let whole = file.bytes();
    // A muxer leaves no gap; without a box over the rest there is one here.
    let fits = index <= room || (left >= 8 && padding > 0);
    assert_eq!(first, trailer_ok && fits, "{room} {index}");
    let held = whole.get(start + 8..end).expect("the media are there");
    assert_eq!(held, media);
    let place = if first { 16 } else { end };
    let found = whole.get(place..place + index).expect("the index is there");
    assert_eq!(
        found.get(..4),
        Some((index as u32).to_be_bytes().as_slice())
    );
    assert_eq!(found.get(4..8), Some(b"moov".as_slice()));
    assert!(found.iter().skip(8).all(|byte| *byte == b'i'));
    if !first {
        assert_eq!(whole.get(20..24), Some(b"free".as_slice()));
        assert_eq!(
            whole.get(16..20),
            Some((room as u32).to_be_bytes().as_slice())
        );
        assert_eq!(whole.len(), end + index);
    }
    Some(())
}

/// What is written in any order.
const BYTES: [u8; 1024] = [7; 1024];

/// Nothing but that it ends, within its limit of bytes.
fn in_any_order(numbers: &mut Numbers<'_>) {
    const LIMIT: u64 = 1 << 12;
    let file = Memory::default();
    let (mut writer, handle) = head_writer(Box::new(file.clone()), LIMIT, Vec::new(), None);
    let mut ended = false;
    while let (Some(what), Some(number)) = (numbers.next(), numbers.long()) {
        // Errors are answers here.
        let _ = match what % 6 {
            0 => writer.write(&BYTES[..number % BYTES.len()]).map(|_| 0),
            1 => writer.seek(SeekFrom::Start(number as u64 % (2 * LIMIT))),
            2 => writer.seek(SeekFrom::Current(number as i64 % 4096 - 2048)),
            3 => writer.seek(SeekFrom::End(number as i64 % 4096 - 2048)),
            4 => writer.write(b"\0\0\0\x08moov").map(|_| 0),
            _ => {
                ended = number % 2 == 0;
                break;
            }
        };
    }
    let over = handle.over_limit();
    let _ = handle.complete(ended);
    // The index stands before or behind what the limit bounds.
    let length = file.length();
    assert!(length <= 4 * LIMIT as usize, "{length} {over}");
}
