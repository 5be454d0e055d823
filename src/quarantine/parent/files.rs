//! The files of a child's order, as the child reaches them: those, and no others.

use std::collections::HashMap;
use std::io::{self, Read as _, SeekFrom, Write as _};
use std::sync::Arc;

use crate::media::{Input, MediaCode, MediaError, Output, ReadSeek, Signer, WriteSeek};
use crate::quarantine::protocol::{
    Kind, MAX_DATA, MAX_POSTER, MAX_READERS, MAX_SIGNATURES, MAX_STORYBOARD, Reply, Request,
    STAGED, violation,
};

/// An index that did not fit where it was to go stands behind the media.
const INDEX: u64 = 1 << 30;

/// What of this process's a child reaches.
pub(super) struct Files {
    inputs: Vec<Arc<dyn Input>>,
    output: Option<Box<dyn Output>>,
    /// Where the output may end.
    most: u64,
    readers: HashMap<u32, At<Box<dyn ReadSeek>>>,
    next_reader: u32,
    writer: Option<At<Box<dyn WriteSeek>>>,
    to_be_published: bool,
    poster: Vec<u8>,
    signer: Option<Arc<dyn Signer>>,
    /// Signatures it may still have.
    signatures: u32,
    storyboard: Vec<u8>,
}

/// A stream and where it stands, as far as that is known.
struct At<T> {
    stream: T,
    position: Option<u64>,
}

impl<T: io::Seek> At<T> {
    fn new(stream: T) -> Self {
        Self {
            stream,
            position: Some(0),
        }
    }

    /// The stream, at this place; `then` says how far it went from there.
    fn at(
        &mut self,
        position: u64,
        then: impl FnOnce(&mut T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.position.take() != Some(position) {
            self.stream.seek(SeekFrom::Start(position))?;
        }
        let moved = then(&mut self.stream)?;
        self.position = position.checked_add(moved as u64);
        Ok(moved)
    }
}

/// What is sent back.
pub(super) enum Response {
    Reply(Reply),
    Data(Vec<u8>),
    Nothing,
}

impl Files {
    pub(super) fn new(
        inputs: Vec<Arc<dyn Input>>,
        output: Option<Box<dyn Output>>,
        signer: Option<Arc<dyn Signer>>,
        most: u64,
    ) -> Self {
        Self {
            inputs,
            output,
            most: most.saturating_add(INDEX),
            readers: HashMap::new(),
            next_reader: 0,
            writer: None,
            to_be_published: false,
            poster: Vec::new(),
            signer,
            signatures: MAX_SIGNATURES,
            storyboard: Vec::new(),
        }
    }

    /// Takes back what was written.
    pub(super) fn give_up(&mut self) {
        self.writer = None;
        if let Some(mut output) = self.output.take() {
            output.discard();
        }
    }

    /// Publishes what was written, as the child asked for.
    pub(super) fn publish(&mut self) -> io::Result<Result<Arc<dyn Input>, MediaError>> {
        self.writer = None;
        let Some(mut output) = self.output.take().filter(|_| self.to_be_published) else {
            return Err(violation("nothing was made"));
        };
        Ok(match output.commit() {
            Ok(()) => Ok(output.staged()),
            Err(error) => {
                output.discard();
                Err(MediaError::new(
                    MediaCode::OutputUnwritable,
                    format!("the result cannot be published: {error}"),
                ))
            }
        })
    }

    /// What came of a picture of that kind.
    pub(super) fn picture(&mut self, kind: Kind) -> Option<Vec<u8>> {
        let picture = match kind {
            Kind::Storyboard => &mut self.storyboard,
            _ => &mut self.poster,
        };
        Some(std::mem::take(picture)).filter(|picture| !picture.is_empty())
    }

    fn input(&self, number: u32) -> io::Result<Arc<dyn Input>> {
        if number == STAGED {
            let output = self.output.as_ref();
            return output
                .map(|output| output.staged())
                .ok_or_else(|| violation("there is no output"));
        }
        let input = self.inputs.get(number as usize);
        input
            .cloned()
            .ok_or_else(|| violation("there is no such input"))
    }

    fn output(&mut self) -> io::Result<&mut Box<dyn Output>> {
        let output = self.output.as_mut();
        output.ok_or_else(|| violation("there is no output"))
    }

    /// Does what is asked. An error is the child's, and the end of it; one of ours is told.
    pub(super) fn answer(&mut self, request: Request) -> io::Result<Response> {
        Ok(match request {
            Request::Open { input } => {
                if self.readers.len() >= MAX_READERS {
                    return Err(violation("too many readers"));
                }
                let opened = self.input(input)?.open();
                Response::Reply(match opened {
                    Ok(reader) => {
                        let number = self.next_reader;
                        self.next_reader = number.wrapping_add(1);
                        self.readers.insert(number, At::new(reader));
                        Reply::Number(number.into())
                    }
                    Err(error) => Reply::Fault((&error).into()),
                })
            }
            Request::Read { reader, at, most } => {
                let reader = self.readers.get_mut(&reader);
                let reader = reader.ok_or_else(|| violation("there is no such reader"))?;
                let mut data = vec![0; (most as usize).min(MAX_DATA)];
                match reader.at(at, |stream| stream.read(&mut data)) {
                    Ok(read) => {
                        data.truncate(read);
                        Response::Data(data)
                    }
                    Err(error) => Response::Reply(Reply::Fault((&error).into())),
                }
            }
            Request::Close { reader } => {
                self.readers.remove(&reader);
                Response::Nothing
            }
            Request::Len { input } => Response::Reply(match self.input(input)?.len() {
                Ok(length) => Reply::Number(length),
                Err(error) => Reply::Fault((&error).into()),
            }),
            Request::Create => {
                self.writer = None;
                let created = self.output()?.create();
                Response::Reply(match created {
                    Ok(writer) => {
                        self.writer = Some(At::new(writer));
                        Reply::Done
                    }
                    Err(error) => Reply::Fault((&error).into()),
                })
            }
            Request::Flush => {
                let flushed = match &mut self.writer {
                    Some(writer) => writer.stream.flush(),
                    None => return Err(violation("nothing was created")),
                };
                replied(flushed)
            }
            Request::Finish => {
                // Whoever gives it is to see that it is closed.
                self.writer = None;
                replied(self.output()?.finish())
            }
            Request::Commit => {
                self.output()?;
                self.to_be_published = true;
                Response::Reply(Reply::Done)
            }
            Request::Discard => {
                self.writer = None;
                self.to_be_published = false;
                self.output()?.discard();
                Response::Reply(Reply::Done)
            }
        })
    }

    /// Signs what the frame holds, or has its time stamped.
    pub(super) fn sign(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<Response> {
        let Some(signer) = &self.signer else {
            return Err(violation("nobody signs for it"));
        };
        let left = self.signatures.checked_sub(1);
        self.signatures = left.ok_or_else(|| violation("it signs more than it may"))?;
        let signed = match kind {
            Kind::Stamp => signer.stamp(bytes).map(Option::unwrap_or_default),
            _ => signer.sign(bytes),
        };
        Ok(match signed {
            Ok(signature) => Response::Data(signature),
            Err(error) => Response::Reply(Reply::Fault((&error).into())),
        })
    }

    /// Writes what the frame holds, where it says.
    pub(super) fn write(&mut self, body: &[u8]) -> io::Result<Response> {
        let Some((at, bytes)) = body.split_first_chunk::<8>() else {
            return Err(violation("a place of less than 8 bytes"));
        };
        let at = u64::from_le_bytes(*at);
        let end = at.checked_add(bytes.len() as u64);
        if bytes.len() > MAX_DATA || end.is_none_or(|end| end > self.most) {
            return Err(violation("more is written than may be"));
        }
        let Some(writer) = &mut self.writer else {
            return Err(violation("nothing was created"));
        };
        let written = writer.at(at, |stream| {
            stream.write_all(bytes)?;
            Ok(bytes.len())
        });
        Ok(replied(written.map(drop)))
    }

    pub(super) fn take_picture(&mut self, kind: Kind, part: &[u8]) -> io::Result<()> {
        let (picture, most) = match kind {
            Kind::Storyboard => (&mut self.storyboard, MAX_STORYBOARD),
            _ => (&mut self.poster, MAX_POSTER),
        };
        if picture.len() + part.len() > most {
            return Err(violation("a picture larger than any"));
        }
        picture.extend_from_slice(part);
        Ok(())
    }
}

fn replied(result: io::Result<()>) -> Response {
    Response::Reply(match result {
        Ok(()) => Reply::Done,
        Err(error) => Reply::Fault((&error).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{BytesInput, FileOutput};

    fn files(most: u64) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let input: Arc<dyn Input> = Arc::new(BytesInput::new("ten", (0..10).collect::<Vec<u8>>()));
        let output = Box::new(FileOutput::new(dir.path().join("out")));
        let mut files = Files::new(vec![input], Some(output), None, 0);
        files.most = most;
        (dir, files)
    }

    fn number(response: &Response) -> u64 {
        match response {
            Response::Reply(Reply::Number(number)) => *number,
            _ => panic!("no number"),
        }
    }

    fn data(response: Response) -> Vec<u8> {
        match response {
            Response::Data(data) => data,
            _ => panic!("no data"),
        }
    }

    fn at(position: u64, bytes: &[u8]) -> Vec<u8> {
        [&position.to_le_bytes(), bytes].concat()
    }

    #[test]
    fn inputs_are_read_where_asked_by_readers_of_their_own() {
        let (_dir, mut files) = files(100);
        assert_eq!(
            number(&files.answer(Request::Len { input: 0 }).unwrap()),
            10
        );
        let open = |files: &mut Files| number(&files.answer(Request::Open { input: 0 }).unwrap());
        let (a, b) = (open(&mut files) as u32, open(&mut files) as u32);
        for (reader, at, most, expected) in [
            (a, 0, 4, vec![0, 1, 2, 3]),
            (b, 8, 9, vec![8, 9]),
            (a, 4, 2, vec![4, 5]),
            (a, 10, 5, vec![]),
            (b, 0, 1, vec![0]),
        ] {
            let read = Request::Read { reader, at, most };
            assert_eq!(data(files.answer(read).unwrap()), expected);
        }
    }

    #[test]
    fn a_child_gets_nothing_but_what_its_order_names() {
        let (dir, mut files) = files(100);
        let refused = |files: &mut Files, request| match files.answer(request) {
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
            Ok(_) => panic!("answered"),
        };
        refused(&mut files, Request::Open { input: 1 });
        refused(&mut files, Request::Len { input: 7 });
        let read = Request::Read {
            reader: 0,
            at: 0,
            most: 1,
        };
        refused(&mut files, read);
        refused(&mut files, Request::Flush);
        // Before a staging area is there, and beyond its bound.
        assert!(files.write(&at(0, b"x")).is_err());
        assert!(files.answer(Request::Create).is_ok());
        assert!(files.write(&at(96, b"1234")).is_ok());
        for wrong in [at(97, b"1234"), at(u64::MAX, b"x"), b"1234567".to_vec()] {
            assert!(files.write(&wrong).is_err());
        }
        assert!(files.write(&at(0, &vec![0; MAX_DATA + 1])).is_err());
        let part = vec![0; MAX_DATA];
        for (kind, most) in [
            (Kind::Poster, MAX_POSTER),
            (Kind::Storyboard, MAX_STORYBOARD),
        ] {
            let parts = (0..=most / MAX_DATA).map(|_| files.take_picture(kind, &part).is_ok());
            assert_eq!(parts.filter(|taken| *taken).count(), most / MAX_DATA);
        }
        for _ in 0..MAX_READERS {
            assert!(files.answer(Request::Open { input: 0 }).is_ok());
        }
        refused(&mut files, Request::Open { input: 0 });
        files.give_up();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        refused(&mut files, Request::Create);
    }

    #[test]
    fn what_was_written_is_there_once_it_is_published_and_not_before() {
        let (dir, mut files) = files(100);
        files.answer(Request::Create).unwrap();
        files.write(&at(2, b"cd")).unwrap();
        files.write(&at(0, b"ab")).unwrap();
        files.answer(Request::Finish).unwrap();
        let staged = Request::Open { input: STAGED };
        let reader = number(&files.answer(staged).unwrap()) as u32;
        let read = Request::Read {
            reader,
            at: 0,
            most: 9,
        };
        assert_eq!(data(files.answer(read).unwrap()), b"abcd");
        let target = dir.path().join("out");
        files.answer(Request::Commit).unwrap();
        assert!(!target.exists());
        files.publish().unwrap().unwrap();
        assert_eq!(std::fs::read(target).unwrap(), b"abcd");
        // And nothing that nobody asked for.
        let (dir, mut files) = self::files(100);
        files.answer(Request::Create).unwrap();
        assert!(files.publish().is_err());
        assert!(!dir.path().join("out").exists());
    }
}
