//! What is read back of a result is what was encoded, whatever the store did to it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use filmlab::media::{
    BytesInput, Cancel, FileInput, Input, MediaCode, Output, Probe, Report, WriteSeek, render,
};

use super::support::*;

/// A store that does something to what it keeps.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    change: fn(&mut Vec<u8>, f64),
    at: f64,
}

impl Output for Store {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        Ok(Box::new(File::create(&self.path)?))
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut bytes = std::fs::read(&self.path)?;
        (self.change)(&mut bytes, self.at);
        std::fs::write(&self.path, bytes)
    }

    fn staged(&self) -> Arc<dyn Input> {
        Arc::new(BytesInput::new("kept", std::fs::read(&self.path).unwrap()))
    }

    fn commit(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&mut self) {}

    fn describe(&self) -> String {
        "store".to_owned()
    }
}

fn kept(change: fn(&mut Vec<u8>, f64), at: f64) -> Result<Report, MediaCode> {
    let mut output = Store {
        path: fresh("kept.mp4"),
        change,
        at,
    };
    let mut work = encoding(&silent());
    work.threads = 2;
    render(&work, &mut output, &Cancel::new(), &mut |_| {}).map_err(|error| {
        eprintln!("{error} {:?}", error.context);
        assert_eq!(error.context.stage.as_deref(), Some("verify"));
        error.code
    })
}

/// Where the media lies in a file that starts fast.
fn media(bytes: &[u8]) -> std::ops::Range<usize> {
    let begins = bytes.windows(4).rposition(|four| four == b"mdat").unwrap();
    begins + 4..bytes.len()
}

fn flip(bytes: &mut [u8], at: f64) {
    let media = media(bytes);
    let at = media.start + (media.len() as f64 * at) as usize;
    bytes[at.min(media.end - 1)] ^= 1;
}

#[test]
fn a_bit_that_changed_anywhere_is_found() {
    let whole = kept(|_, _| {}, 0.0).unwrap();
    assert_eq!(whole.frames, 100);
    // The one group of a hundred frames, and most of them would decode with some noise.
    for at in [0.02, 0.31, 0.5, 0.77, 0.93, 1.0] {
        assert_eq!(
            kept(|bytes, at| flip(bytes, at), at),
            Err(MediaCode::NotDecodable),
            "{at}"
        );
    }
}

#[test]
fn what_is_missing_is_told_from_what_has_changed() {
    let cut = |bytes: &mut Vec<u8>, at: f64| bytes.truncate((bytes.len() as f64 * at) as usize);
    // One frame of a hundred is less than what a file may be short of.
    for (at, code) in [
        (0.5, MediaCode::Truncated),
        (0.99, MediaCode::FramesMissing),
    ] {
        assert_eq!(kept(cut, at), Err(code), "{at}");
    }
}

#[test]
fn results_with_frames_in_another_order_and_joined_ones_are_held_against_what_was_encoded() {
    // B-frames of a slow preset, a rate that was thinned out, and two parts with a seam.
    let mut slow = encoding(&plain());
    slow.profile.video.preset = filmlab::media::Preset::Slow;
    slow.profile.video.max_fps = Some(12.0);
    let mut joined = encoding(&plain());
    joined.before = Some(input(&silent()));
    for (work, frames) in [(slow, 48), (joined, 200)] {
        let out = fresh("out.mp4");
        assert_eq!(run(&work, &out).unwrap().frames, frames);
        let read: Probe = filmlab::media::probe(
            &FileInput::new(&out),
            &filmlab::media::Limits::default(),
            &Cancel::new(),
        )
        .unwrap();
        assert_eq!(read.video.unwrap().frames, Some(frames));
    }
}
