//! The parent's files as the child has them: every read and write is a request.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::protocol::{
    self, Frame, Kind, MAX_DATA, Order, Outcome, Reply, Request, STAGED, SignerTask, violation,
};
use crate::media::{Event, Input, Output, ReadSeek, Signer, WriteSeek};

/// Bytes asked for at once, and kept for the next read: as much as the pipe holds. What is read
/// here and there costs little more, since the parent keeps blocks.
const AHEAD: usize = 64 << 10;

/// Standard input and output, for one request at a time.
#[derive(Debug, Default)]
pub(super) struct Wire(Mutex<()>);

struct FromParent;
struct ToParent;

impl Read for FromParent {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), bytes)?)
    }
}

impl Write for ToParent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    pub(super) fn hello(&self) -> io::Result<()> {
        let _turn = self.turn();
        protocol::write(&mut ToParent, Kind::Hello, &[])
    }

    pub(super) fn order(&self) -> io::Result<Order> {
        let _turn = self.turn();
        let frame = protocol::read(&mut FromParent)?;
        match frame.kind {
            Kind::Order => frame.json(),
            _ => Err(violation("no order")),
        }
    }

    pub(super) fn event(&self, event: &Event) -> io::Result<()> {
        let _turn = self.turn();
        protocol::write_json(&mut ToParent, Kind::Event, event)
    }

    /// Sends a picture of that kind, in parts.
    pub(super) fn picture(&self, kind: Kind, jpeg: &[u8]) -> io::Result<()> {
        let _turn = self.turn();
        jpeg.chunks(MAX_DATA)
            .try_for_each(|part| protocol::write(&mut ToParent, kind, &[part]))
    }

    pub(super) fn done(&self, outcome: &Outcome) -> io::Result<()> {
        let _turn = self.turn();
        protocol::write_json(&mut ToParent, Kind::Done, outcome)
    }

    fn ask(&self, request: &Request) -> io::Result<Frame> {
        let _turn = self.turn();
        protocol::write_json(&mut ToParent, Kind::Request, request)?;
        protocol::read(&mut FromParent)
    }

    fn number(&self, request: &Request) -> io::Result<u64> {
        match replied(&self.ask(request)?)? {
            Reply::Number(number) => Ok(number),
            _ => Err(violation("no number")),
        }
    }

    fn demand(&self, request: &Request) -> io::Result<()> {
        replied(&self.ask(request)?).map(drop)
    }

    fn read(&self, reader: u32, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let most = most.min(MAX_DATA) as u32;
        let frame = self.ask(&Request::Read { reader, at, most })?;
        if frame.kind == Kind::Data {
            return Ok(frame.body);
        }
        replied(&frame)?;
        Err(violation("no data"))
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let _turn = self.turn();
        protocol::write(&mut ToParent, Kind::Write, &[&at.to_le_bytes(), bytes])?;
        replied(&protocol::read(&mut FromParent)?).map(drop)
    }

    fn sign(&self, kind: Kind, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let _turn = self.turn();
        protocol::write(&mut ToParent, kind, &[bytes])?;
        let frame = protocol::read(&mut FromParent)?;
        if frame.kind == Kind::Data {
            return Ok(frame.body);
        }
        replied(&frame)?;
        Err(violation("no signature"))
    }

    fn close(&self, reader: u32) {
        let _turn = self.turn();
        // Not answered; a broken pipe shows at the next request.
        let _ = protocol::write_json(&mut ToParent, Kind::Request, &Request::Close { reader });
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replied(frame: &Frame) -> io::Result<Reply> {
    if frame.kind != Kind::Reply {
        return Err(violation("no reply"));
    }
    match frame.json()? {
        Reply::Fault(fault) => Err(fault.into()),
        reply => Ok(reply),
    }
}

/// Who signs for the result, with a key that is not here.
#[derive(Debug)]
pub(super) struct RemoteSigner {
    wire: Arc<Wire>,
    task: SignerTask,
}

impl RemoteSigner {
    pub(super) fn new(wire: &Arc<Wire>, task: SignerTask) -> Self {
        Self {
            wire: Arc::clone(wire),
            task,
        }
    }
}

impl Signer for RemoteSigner {
    fn chain(&self) -> &[Vec<u8>] {
        &self.task.certificates
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.wire.sign(Kind::Sign, bytes)
    }

    fn stamp_room(&self) -> usize {
        self.task.stamp_room
    }

    fn stamp(&self, digest: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let token = self.wire.sign(Kind::Stamp, digest)?;
        Ok(Some(token).filter(|token| !token.is_empty()))
    }
}

/// One of the order's inputs, or what has been written.
#[derive(Debug)]
pub(super) struct RemoteInput {
    wire: Arc<Wire>,
    number: u32,
    name: String,
}

impl RemoteInput {
    pub(super) fn new(wire: &Arc<Wire>, number: u32, name: String) -> Self {
        Self {
            wire: Arc::clone(wire),
            number,
            name,
        }
    }
}

impl Input for RemoteInput {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        let input = self.number;
        let reader = self.wire.number(&Request::Open { input })?;
        Ok(Box::new(RemoteReader {
            wire: Arc::clone(&self.wire),
            input,
            reader: u32::try_from(reader).map_err(violation)?,
            position: 0,
            ahead: Vec::new(),
            ahead_at: 0,
        }))
    }

    fn len(&self) -> io::Result<u64> {
        let input = self.number;
        self.wire.number(&Request::Len { input })
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

struct RemoteReader {
    wire: Arc<Wire>,
    input: u32,
    reader: u32,
    position: u64,
    /// Read already, from `ahead_at` on.
    ahead: Vec<u8>,
    ahead_at: u64,
}

impl Read for RemoteReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let within = self.position.checked_sub(self.ahead_at);
        let within = within.filter(|within| *within < self.ahead.len() as u64);
        let from = match within {
            Some(within) => within as usize,
            None => {
                let most = bytes.len().max(AHEAD);
                self.ahead = self.wire.read(self.reader, self.position, most)?;
                self.ahead_at = self.position;
                0
            }
        };
        let there = &self.ahead[from..];
        let count = there.len().min(bytes.len());
        bytes[..count].copy_from_slice(&there[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for RemoteReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => {
                let input = self.input;
                let length = self.wire.number(&Request::Len { input })?;
                length.checked_add_signed(by)
            }
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Drop for RemoteReader {
    fn drop(&mut self) {
        self.wire.close(self.reader);
    }
}

/// The order's output.
#[derive(Debug)]
pub(super) struct RemoteOutput {
    wire: Arc<Wire>,
    name: String,
}

impl RemoteOutput {
    pub(super) fn new(wire: &Arc<Wire>, name: String) -> Self {
        Self {
            wire: Arc::clone(wire),
            name,
        }
    }
}

impl Output for RemoteOutput {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        self.wire.demand(&Request::Create)?;
        Ok(Box::new(RemoteWriter {
            wire: Arc::clone(&self.wire),
            position: 0,
            end: 0,
        }))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.wire.demand(&Request::Finish)
    }

    fn staged(&self) -> Arc<dyn Input> {
        Arc::new(RemoteInput::new(&self.wire, STAGED, self.name.clone()))
    }

    fn commit(&mut self) -> io::Result<()> {
        self.wire.demand(&Request::Commit)
    }

    fn discard(&mut self) {
        // The parent discards what it is not told to publish.
        let _ = self.wire.demand(&Request::Discard);
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

struct RemoteWriter {
    wire: Arc<Wire>,
    position: u64,
    end: u64,
}

impl Write for RemoteWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(MAX_DATA)];
        self.wire.write(self.position, part)?;
        self.position += part.len() as u64;
        self.end = self.end.max(self.position);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.demand(&Request::Flush)
    }
}

impl Seek for RemoteWriter {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
