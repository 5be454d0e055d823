//! What one connection is doing: whether a request is under way, and what is being waited for.
//!
//! hyper's own limit on the time for a request's head also ends a connection that is only kept
//! alive, and knows none for the first bytes, for HTTP/2 or for a client that does not read. These
//! are told apart here.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::ConnectionLimits;

#[derive(Debug)]
pub(super) struct Pulse {
    state: Mutex<State>,
    /// Another connection needs the place.
    pub(super) evicted: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers are not sent yet.
    in_flight: usize,
    /// Of those, answers of which a part is made that the client does not take.
    untaken: usize,
    /// When the client last took a part of an answer.
    taken_at: Instant,
    /// Since when nothing is in flight.
    quiet_since: Instant,
    /// When the first byte came since then.
    heard_at: Option<Instant>,
    /// Whether a request was ever answered.
    served: bool,
    /// HTTP/2 has words of its own between requests.
    is_h2: bool,
    /// Since when the client's side takes no bytes, although there are some for it.
    blocked_since: Option<Instant>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                in_flight: 0,
                untaken: 0,
                taken_at: now,
                quiet_since: now,
                heard_at: None,
                served: false,
                is_h2: false,
                blocked_since: None,
            }),
            evicted: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the connection is to be closed if nothing happens until then.
    pub(super) fn deadline(&self, limits: &ConnectionLimits) -> Option<Instant> {
        let state = self.state();
        // What is written lies in buffers of hyper and of the system after its answer has ended.
        if let Some(since) = state.blocked_since {
            return Some(since + limits.stall);
        }
        if state.in_flight > 0 {
            let stalled = state.untaken == state.in_flight;
            return stalled.then(|| state.taken_at + limits.stall);
        }
        Some(match state.heard_at {
            _ if !state.served => state.quiet_since + limits.header,
            Some(at) if !state.is_h2 => at + limits.header,
            _ => state.quiet_since + limits.idle,
        })
    }

    /// Since when nothing is under way; `None` while something is.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.in_flight == 0).then_some(state.quiet_since)
    }

    fn heard(&self) {
        let mut state = self.state();
        if state.in_flight == 0 && state.heard_at.is_none() {
            state.heard_at = Some(Instant::now());
        }
    }

    fn wrote<T>(&self, polled: &Poll<T>) {
        let mut state = self.state();
        if polled.is_ready() {
            state.blocked_since = None;
        } else if state.blocked_since.is_none() {
            state.blocked_since = Some(Instant::now());
        }
    }

    /// A request's head has come.
    pub(super) fn begin(self: &Arc<Self>, is_h2: bool) -> UnderWay {
        let mut state = self.state();
        state.in_flight += 1;
        state.heard_at = None;
        state.is_h2 = is_h2;
        UnderWay {
            pulse: Arc::clone(self),
            untaken: false,
            _place: None,
        }
    }
}

/// A request under way, until its answer is sent or nobody wants it any more.
#[derive(Debug)]
pub(super) struct UnderWay {
    pulse: Arc<Pulse>,
    untaken: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl UnderWay {
    /// Keeps the place for as long.
    pub(super) fn keep(&mut self, place: OwnedSemaphorePermit) {
        self._place = Some(place);
    }

    /// `untaken`: a part of the answer is made, and the client has to take it before the next is
    /// asked for.
    fn waits(&mut self, untaken: bool) {
        let mut state = self.pulse.state();
        state.taken_at = Instant::now();
        match (self.untaken, untaken) {
            (false, true) => state.untaken += 1,
            (true, false) => state.untaken -= 1,
            _ => {}
        }
        self.untaken = untaken;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.in_flight -= 1;
        if self.untaken {
            state.untaken -= 1;
        }
        if state.in_flight == 0 {
            state.quiet_since = Instant::now();
            state.heard_at = None;
            state.served = true;
        }
    }
}

/// An answer's body; it is asked for its next part only when the client has taken the last.
#[derive(Debug)]
pub(super) struct Followed<B> {
    body: B,
    under_way: UnderWay,
}

impl<B> Followed<B> {
    pub(super) fn new(body: B, mut under_way: UnderWay) -> Self {
        // Its head is the first part that the client has to take.
        under_way.waits(true);
        Self { body, under_way }
    }
}

impl<B: Body + Unpin> Body for Followed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.under_way.waits(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream on which is noticed what comes, and whether what is written goes.
#[derive(Debug)]
pub(super) struct Heard<I> {
    io: I,
    pulse: Arc<Pulse>,
}

impl<I> Heard<I> {
    pub(super) fn new(io: I, pulse: Arc<Pulse>) -> Self {
        Self { io, pulse }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Heard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.heard();
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Heard<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.pulse.wrote(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.pulse.wrote(&polled);
        polled
    }
}
