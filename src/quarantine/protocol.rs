//! What parent and child say to each other: frames of a kind, a length and a body.
//!
//! The child asks and waits for the answer; events, parts of pictures and the end are not
//! answered. All lengths are bounded, since a child may be anything by then.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use crate::media::{
    AudioTrack, Checks, ErrorContext, Expectation, Limits, MediaCode, MediaError, PictureProbe,
    Placement, Probe, Profile, Provenance, Report, Verified,
};

/// Media bytes in one frame: what fills the pipe a few times over.
pub(super) const MAX_DATA: usize = 256 << 10;
/// A frame's body. Reports and orders are some kilobytes.
const MAX_BODY: usize = 1 << 20;
/// A poster, in parts of [`MAX_DATA`].
pub(super) const MAX_POSTER: usize = 32 << 20;
/// Signatures and time stamps for one child: one of each for each way that its work is tried.
pub(super) const MAX_SIGNATURES: u32 = 16;
/// A storyboard's sprite, likewise: 1280 pixels on a side at most.
pub(super) const MAX_STORYBOARD: usize = 8 << 20;
/// Readers of one child at once: a join has three, and opens them anew to look again.
pub(super) const MAX_READERS: usize = 32;

/// The number that stands for what the child has written so far.
pub(super) const STAGED: u32 = u32::MAX;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the parent: the child is up.
    Hello,
    /// To the child: [`Order`].
    Order,
    /// To the parent: [`Request`].
    Request,
    /// To the parent: where, in 8 bytes, and what to write there.
    Write,
    /// To the child: [`Reply`].
    Reply,
    /// To the child: what was read.
    Data,
    /// To the parent: an event of the work.
    Event,
    /// To the parent: a part of the poster.
    Poster,
    /// To the parent: a part of the storyboard's sprite.
    Storyboard,
    /// To the parent: [`Outcome`].
    Done,
    /// To the parent: bytes to be signed; answered with [`Kind::Data`].
    Sign,
    /// To the parent: a digest that wants a time stamp; answered the same, with nothing where there is
    /// to be none.
    Stamp,
}

const KINDS: [Kind; 12] = [
    Kind::Hello,
    Kind::Order,
    Kind::Request,
    Kind::Write,
    Kind::Reply,
    Kind::Data,
    Kind::Event,
    Kind::Poster,
    Kind::Storyboard,
    Kind::Done,
    Kind::Sign,
    Kind::Stamp,
];

/// A frame as read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
}

impl Frame {
    pub(super) fn json<T: DeserializeOwned>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.body).map_err(violation)
    }
}

/// What breaks the rules of this page.
pub(super) fn violation(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads a frame; an end of file anywhere is an error.
pub(super) fn read(from: &mut impl Read) -> io::Result<Frame> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let kind = *KINDS
        .get(usize::from(kind))
        .ok_or_else(|| violation("a frame of no kind"))?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_BODY {
        return Err(violation("a frame longer than any"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Frame { kind, body })
}

/// Writes a frame whose body is the parts, one after the other.
pub(super) fn write(to: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > MAX_BODY {
        return Err(violation("a frame longer than any"));
    }
    let mut frame = Vec::with_capacity(5 + length);
    frame.push(kind as u8);
    frame.extend((length as u32).to_le_bytes());
    for part in parts {
        frame.extend_from_slice(part);
    }
    to.write_all(&frame)
}

pub(super) fn write_json(to: &mut impl Write, kind: Kind, body: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(body).map_err(violation)?;
    write(to, kind, &[&body])
}

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) task: Task,
    pub(super) limits: Limits,
    /// Of the limits, which do not say.
    pub(super) threads: usize,
    pub(super) bounds: Bounds,
    pub(super) max_allocation: u64,
    /// The inputs' names, by their numbers.
    pub(super) inputs: Vec<String>,
    /// The output's name.
    pub(super) output: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    Probe(Option<AudioTrack>),
    Picture,
    Audible(Option<AudioTrack>),
    Verify(Box<Expectation>),
    Render(Box<RenderTask>),
}

/// Who signs for a result, without the key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignerTask {
    pub(super) certificates: Vec<Vec<u8>>,
    /// Bytes of the longest time stamp.
    pub(super) stamp_room: usize,
}

/// A render without its inputs: those are the main one, the one before, the one for the sound,
/// as far as there are any, and the marks'.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RenderTask {
    pub(super) before: bool,
    pub(super) audio_source: bool,
    pub(super) profile: Profile,
    pub(super) strict: bool,
    pub(super) main_is_silent: bool,
    pub(super) audio_track: Option<AudioTrack>,
    pub(super) source_track: Option<AudioTrack>,
    pub(super) watermarks: Vec<Placement>,
    /// Whether a poster is made.
    pub(super) poster: bool,
    pub(super) storyboard: bool,
    pub(super) force_video: bool,
    pub(super) force_audio: bool,
    pub(super) checks: Checks,
    pub(super) audible: bool,
    pub(super) threads: usize,
    #[serde(default)]
    pub(super) provenance: Option<Provenance>,
    /// Who signs for the result; the key stays with the parent.
    #[serde(default)]
    pub(super) signer: Option<SignerTask>,
    pub(super) index_room: Option<u64>,
}

/// What the child wants.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Request {
    /// A reader of an input: its number.
    Open {
        input: u32,
    },
    /// Bytes, at most so many; none at the end.
    Read {
        reader: u32,
        at: u64,
        most: u32,
    },
    /// Done with a reader; not answered.
    Close {
        reader: u32,
    },
    /// The bytes of an input: a number.
    Len {
        input: u32,
    },
    /// An empty staging area.
    Create,
    Flush,
    Finish,
    /// To be published, once the outcome is known.
    Commit,
    Discard,
}

/// What the parent answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Number(u64),
    Fault(Fault),
}

/// An I/O error on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fault {
    kind: u8,
    message: String,
}

/// Kinds that the media core tells apart, or may.
const FAULTS: [io::ErrorKind; 9] = [
    io::ErrorKind::Other,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::IsADirectory,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::TimedOut,
    io::ErrorKind::StorageFull,
    io::ErrorKind::FileTooLarge,
    io::ErrorKind::UnexpectedEof,
];

impl From<&io::Error> for Fault {
    fn from(error: &io::Error) -> Self {
        let kind = FAULTS.iter().position(|kind| *kind == error.kind());
        Self {
            kind: kind.unwrap_or_default() as u8,
            message: error.to_string(),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = FAULTS.get(usize::from(fault.kind));
        Self::new(*kind.unwrap_or(&io::ErrorKind::Other), fault.message)
    }
}

/// How the work ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) result: Result<Found, Failed>,
    /// Microseconds of processor time.
    pub(super) cpu_us: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Found {
    Probe(Box<Probe>),
    Picture(PictureProbe),
    Audible(bool),
    Verified(Box<Verified>),
    /// Poster and storyboard went before.
    Rendered(Box<Report>),
}

/// A media error on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) code: MediaCode,
    pub(super) message: String,
    pub(super) context: ErrorContext,
}

impl From<MediaError> for Failed {
    fn from(error: MediaError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            context: *error.context,
        }
    }
}

impl From<Failed> for MediaError {
    fn from(failed: Failed) -> Self {
        Self {
            code: failed.code,
            message: failed.message,
            context: Box::new(failed.context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_as_they_went() {
        let mut pipe = Vec::new();
        for kind in KINDS {
            write(&mut pipe, kind, &[b"ab", b"c"]).unwrap();
        }
        let mut pipe = pipe.as_slice();
        for kind in KINDS {
            let frame = read(&mut pipe).unwrap();
            assert_eq!((frame.kind, frame.body), (kind, b"abc".to_vec()));
        }
        assert_eq!(
            read(&mut pipe).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn what_is_no_frame_is_refused_before_it_is_read() {
        for bytes in [
            [KINDS.len() as u8, 0, 0, 0, 0].as_slice(),
            &[255, 0, 0, 0, 0],
            &[0, 255, 255, 255, 255],
            &[0, 1, 0, 16, 0],
        ] {
            let error = read(&mut &bytes[..]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        let cut: &[u8] = &[0, 9, 0, 0, 0, 1];
        assert_eq!(
            read(&mut &*cut).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        let long = vec![0; MAX_BODY + 1];
        assert!(write(&mut Vec::new(), Kind::Write, &[&long]).is_err());
    }

    #[test]
    fn faults_keep_their_kind_and_their_words() {
        for kind in FAULTS {
            let there = io::Error::new(kind, "words");
            let text = serde_json::to_string(&Fault::from(&there)).unwrap();
            let back: Fault = serde_json::from_str(&text).unwrap();
            let back = io::Error::from(back);
            assert_eq!((back.kind(), back.to_string()), (kind, "words".to_owned()));
        }
        let other = io::Error::from(Fault {
            kind: 99,
            message: String::new(),
        });
        assert_eq!(other.kind(), io::ErrorKind::Other);
    }
}
