//! Holding a file against its manifest while it is read for something else.
//!
//! Digests want the bytes in the order of the file, and whoever reads it reads most of them in that
//! order: a sound that stands a little ahead, an index at the end. So what comes next is taken as it
//! passes, a short gap is read in between, where stores have it at hand still, and what is left when the
//! work is done is read then.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Algorithm, Context};

use crate::media::input::ReadSeek;
use crate::media::limits::Guard;

/// What became of a manifest's hard binding: whether the file is the one that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HardBinding {
    Match,
    Mismatch,
    /// In words.
    NotFollowed(&'static str),
}

/// Longest gap that is read in between: a quarter of what is kept of an object that is read.
const REACH: u64 = 4 << 20;

const PIECE: usize = 64 << 10;

/// What a digest is taken of.
#[derive(Debug)]
pub(super) enum Step {
    /// A box begins here: its place is a part of the digest.
    Said(u64),
    /// Bytes of the file, from and to.
    Read(u64, u64),
    /// The digest so far has to be this; another one begins.
    Is(Vec<u8>),
}

/// Digests that are taken one after the other, along the file.
pub(super) struct Track {
    algorithm: &'static Algorithm,
    /// The next one last.
    steps: Vec<Step>,
    digest: Context,
    is_another: bool,
}

impl Track {
    pub(super) fn new(algorithm: &'static Algorithm) -> Self {
        Self {
            algorithm,
            steps: Vec::new(),
            digest: Context::new(algorithm),
            is_another: false,
        }
    }

    pub(super) fn then(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The bytes that come next, from and to; none: all were seen.
    fn next(&mut self) -> Option<(u64, u64)> {
        loop {
            match self.steps.last()? {
                Step::Read(from, to) if from < to => return Some((*from, *to)),
                Step::Read(..) => {}
                Step::Said(at) => self.digest.update(&at.to_be_bytes()),
                Step::Is(wanted) => {
                    let fresh = Context::new(self.algorithm);
                    let found = std::mem::replace(&mut self.digest, fresh).finish();
                    self.is_another |= found.as_ref() != wanted.as_slice();
                }
            }
            self.steps.pop();
        }
    }

    /// Bytes of the file that were read there.
    fn saw(&mut self, at: u64, bytes: &[u8]) {
        let end = at.saturating_add(bytes.len() as u64);
        while let Some((from, to)) = self.next() {
            let to = to.min(end);
            if from < at || from >= to {
                return;
            }
            let within = |place: u64| usize::try_from(place - at).unwrap_or(usize::MAX);
            let Some(part) = bytes.get(within(from)..within(to)) else {
                return;
            };
            self.digest.update(part);
            if let Some(Step::Read(from, _)) = self.steps.last_mut() {
                *from = to;
            }
        }
    }
}

/// What is left to be seen of a file.
pub(super) struct Holding {
    /// Of all, and of its media where these have digests of their own.
    tracks: Vec<Track>,
}

impl Holding {
    pub(super) fn new(head: Track, media: Option<Track>) -> Self {
        let mut tracks = vec![head];
        tracks.extend(media);
        for track in &mut tracks {
            track.steps.reverse();
        }
        Self { tracks }
    }

    fn saw(&mut self, at: u64, bytes: &[u8]) {
        for track in &mut self.tracks {
            track.saw(at, bytes);
        }
    }

    /// Where a short gap begins that keeps what stands at `at` from being taken.
    fn gap(&mut self, at: u64) -> Option<u64> {
        let nexts = self.tracks.iter_mut().filter_map(Track::next);
        let begins = nexts.map(|(from, _)| from);
        begins.filter(|from| *from < at && at - from <= REACH).min()
    }

    /// Reads what nobody has read so far.
    ///
    /// # Errors
    /// What keeps it from being read; what was read is not read again by another try.
    pub(super) fn finish(
        &mut self,
        reader: &mut dyn ReadSeek,
        guard: &Guard,
    ) -> io::Result<HardBinding> {
        let mut piece = vec![0; PIECE];
        for track in &mut self.tracks {
            let mut place = None;
            while let Some((from, to)) = track.next() {
                // Nothing makes it whole again.
                if track.is_another {
                    return Ok(HardBinding::Mismatch);
                }
                if guard.tripped() {
                    return Err(io::Error::other("the work was stopped"));
                }
                if place != Some(from) {
                    reader.seek(SeekFrom::Start(from))?;
                }
                let most = usize::try_from(to - from).unwrap_or(PIECE).min(PIECE);
                reader.read_exact(&mut piece[..most])?;
                track.saw(from, &piece[..most]);
                place = Some(from + most as u64);
            }
        }
        match self.tracks.iter().any(|track| track.is_another) {
            true => Ok(HardBinding::Mismatch),
            false => Ok(HardBinding::Match),
        }
    }
}

/// One that a reader tells what it reads.
pub(super) type Shared = Arc<Mutex<Holding>>;

/// A reader that tells what it reads.
pub(super) struct Telling {
    reader: Box<dyn ReadSeek>,
    at: u64,
    holding: Shared,
}

impl Telling {
    pub(super) fn new(reader: Box<dyn ReadSeek>, holding: Shared) -> Self {
        Self {
            reader,
            at: 0,
            holding,
        }
    }

    /// Tells of what stands between, and goes back to where it was.
    fn fill(&mut self, holding: &mut Holding, from: u64, to: u64, back: u64) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(from))?;
        let mut at = from;
        let mut piece = vec![0; PIECE];
        while at < to {
            let most = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
            let read = self.reader.read(&mut piece[..most])?;
            if read == 0 {
                break;
            }
            holding.saw(at, &piece[..read]);
            at += read as u64;
        }
        self.reader.seek(SeekFrom::Start(back))?;
        Ok(())
    }
}

impl Read for Telling {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(bytes)?;
        let (at, end) = (self.at, self.at + read as u64);
        self.at = end;
        let holding = Arc::clone(&self.holding);
        let mut holding = holding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = holding.gap(at) {
            self.fill(&mut holding, from, at, end)?;
        }
        holding.saw(at, &bytes[..read]);
        Ok(read)
    }
}

impl Seek for Telling {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.at = self.reader.seek(target)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use aws_lc_rs::digest::{SHA256, digest};

    use super::*;
    use crate::media::limits::{Cancel, Limits};

    const SIZE: u64 = 12 << 20;

    /// Counts what is read of it.
    struct Counting(Cursor<Vec<u8>>, Arc<Mutex<u64>>);

    impl Read for Counting {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(bytes)?;
            *self.1.lock().unwrap() += read as u64;
            Ok(read)
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
            self.0.seek(target)
        }
    }

    fn file() -> Vec<u8> {
        (0..SIZE).map(|at| (at % 251) as u8).collect()
    }

    /// All of a file in leaves of 1 MiB, with one said place before.
    fn holding(bytes: &[u8]) -> Holding {
        let mut head = Track::new(&SHA256);
        head.then(Step::Said(7));
        head.then(Step::Read(0, 16));
        head.then(Step::Is(
            digest(&SHA256, &[&7_u64.to_be_bytes()[..], &bytes[..16]].concat())
                .as_ref()
                .to_vec(),
        ));
        let mut media = Track::new(&SHA256);
        let mut at = 16;
        while at < SIZE {
            let end = SIZE.min(at + (1 << 20));
            media.then(Step::Read(at, end));
            let leaf = digest(&SHA256, &bytes[at as usize..end as usize]);
            media.then(Step::Is(leaf.as_ref().to_vec()));
            at = end;
        }
        Holding::new(head, Some(media))
    }

    /// Reads parts of a file, and what is left; returns what was found and how much was read.
    fn held(given: &[u8], parts: &[(u64, u64)]) -> (HardBinding, u64) {
        let counted = Arc::new(Mutex::new(0));
        let reader = || Counting(Cursor::new(given.to_vec()), Arc::clone(&counted));
        let shared = Arc::new(Mutex::new(holding(&file())));
        let mut telling = Telling::new(Box::new(reader()), Arc::clone(&shared));
        for (from, to) in parts {
            telling.seek(SeekFrom::Start(*from)).unwrap();
            let mut bytes = vec![0; (to - from) as usize];
            telling.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, given[*from as usize..*to as usize]);
        }
        let guard = Guard::new(&Cancel::new(), &Limits::default());
        let held = shared.lock().unwrap().finish(&mut reader(), &guard);
        let read = *counted.lock().unwrap();
        (held.unwrap(), read)
    }

    #[test]
    fn what_is_read_anyway_is_read_once() {
        let mib = 1 << 20;
        for (parts, most) in [
            // In order; all at the end; with an index read first; with gaps; forth and back.
            (vec![(0, SIZE)], SIZE),
            (vec![], SIZE),
            (vec![(SIZE - mib, SIZE), (0, SIZE - mib)], SIZE + mib),
            (vec![(0, mib), (mib + 9, SIZE)], SIZE),
            (
                vec![
                    (0, mib),
                    (3 * mib, 4 * mib),
                    (mib, 3 * mib),
                    (4 * mib, SIZE),
                ],
                SIZE + 2 * mib,
            ),
            // Two of them far from each other.
            (
                vec![
                    (0, mib),
                    (9 * mib, 10 * mib),
                    (mib, 9 * mib),
                    (10 * mib, SIZE),
                ],
                SIZE + mib,
            ),
        ] {
            let (held, read) = held(&file(), &parts);
            assert_eq!(held, HardBinding::Match, "{parts:?}");
            assert!(read <= most, "{parts:?}: {read} of {SIZE}");
        }
    }

    #[test]
    fn a_changed_byte_is_found_whoever_reads_it() {
        for place in [0, 15, 16, 17, 5 << 20, SIZE - 1] {
            let mut bytes = file();
            bytes[place as usize] ^= 1;
            for parts in [vec![], vec![(0, SIZE)], vec![(0, 6 << 20)]] {
                assert_eq!(held(&bytes, &parts).0, HardBinding::Mismatch, "{place}");
            }
        }
    }
}
