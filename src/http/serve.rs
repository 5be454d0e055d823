//! Takes connections and serves the routes on them, HTTP/1 and HTTP/2 without TLS.
//!
//! axum's own loop knows no limits. Here a stranger who says nothing, half a request or too much
//! costs a place for seconds and some KiB, and keeps nobody out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::Problem;
use super::connections::{Admitted, Connections, Refused};
use super::limits::ConnectionLimits;
use super::pulse::{Followed, Heard, Pulse};
use crate::job::Code;

/// Where connections come from.
pub trait Accept: Send + 'static {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // Events are small and must not wait for more.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// Whom a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A head is some KiB; what is read ahead of an upload is bounded by this too.
const BUFFER: usize = 64 * 1024;
/// hyper's own defaults, which may change; a proxy that has more to send opens more connections.
const STREAMS: u32 = 200;
const RESETS: usize = 20;
const OWN_RESETS: usize = 1024;
const HEADER_LIST: u32 = 16 * 1024;
/// What a client may send ahead, for one upload and for all of one connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Finds out about peers that are gone without a word.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Out of files, or of memory: neither comes back at once, and trying on and on mends nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// Lines in the log about one and the same trouble.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// For a refusal to travel, and how many travel at once.
const REFUSAL: Duration = Duration::from_secs(1);
const REFUSALS: usize = 32;
const REFUSED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";

/// Serves until `stop`; then takes no more, and ends when the open connections have their answers.
pub async fn serve<A: Accept>(
    mut listener: A,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let connections = Connections::new(limits);
    let serving = Serving {
        router,
        // HTTP/2 has many requests on a connection; each may open a file.
        requests: Arc::new(Semaphore::new(limits.most.min(Semaphore::MAX_PERMITS))),
        http: Arc::new(protocols()),
        limits,
        stop: stop.clone(),
    };
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let open = TaskTracker::new();
    let (mut troubles, mut refused) = (Told::default(), Told::default());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (io, peer) = match accepted {
            Ok(accepted) => accepted,
            // It went away before it was taken.
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                if let Some(times) = troubles.due() {
                    tracing::error!(%error, times, "connections cannot be taken");
                }
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        };
        match connections.admit(peer.ip()) {
            Ok(admitted) => {
                open.spawn(serving.clone().connection(io, peer, admitted));
            }
            Err(why) => {
                if let Some(times) = refused.due() {
                    let per_peer = why == Refused::OfPeer;
                    tracing::warn!(times, per_peer, "connections are refused: all are busy");
                }
                if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                    open.spawn(async move {
                        let _ = tokio::time::timeout(REFUSAL, refuse(io)).await;
                        drop(place);
                    });
                }
            }
        }
    }
    // Nobody waits in the system's queue for what does not come.
    drop(listener);
    open.close();
    open.wait().await;
}

fn protocols() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // The time for heads is kept by `Pulse`.
    http.http1().header_read_timeout(None).max_buf_size(BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(OWN_RESETS)
        .max_header_list_size(HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(BUFFER);
    http
}

fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Says no in HTTP/1's words, and waits for the other side to have read them.
async fn refuse(mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    io.write_all(REFUSED).await?;
    io.shutdown().await?;
    let mut rest = [0; 1024];
    while io.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Counts what is told once in a while.
#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

impl Told {
    /// How often it has happened since it was last told, if it is to be told again.
    fn due(&mut self) -> Option<u64> {
        self.untold += 1;
        if self.last.is_some_and(|last| last.elapsed() < TELL_EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}

#[derive(Debug, Clone)]
struct Serving {
    router: Router,
    requests: Arc<Semaphore>,
    http: Arc<Builder<TokioExecutor>>,
    limits: ConnectionLimits,
    stop: CancellationToken,
}

impl Serving {
    async fn connection<I>(self, io: I, peer: SocketAddr, admitted: Admitted)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = Arc::clone(&admitted.pulse);
        let requests = Requests {
            router: self.router,
            requests: self.requests,
            pulse: Arc::clone(&pulse),
            peer: Peer(peer),
        };
        let io = TokioIo::new(Heard::new(io, Arc::clone(&pulse)));
        let mut connection = pin!(self.http.serve_connection(io, requests));
        let mut stopped = pin!(self.stop.cancelled().fuse());
        let mut evicted = pin!(pulse.evicted.cancelled());
        let mut alarm = pin!(tokio::time::sleep(self.limits.header));
        std::future::poll_fn(|cx| {
            if stopped.as_mut().poll(cx).is_ready() {
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(served) = connection.as_mut().poll(cx) {
                if let Err(error) = served {
                    tracing::trace!(%error, "a connection broke off");
                }
                return Poll::Ready(());
            }
            if evicted.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            loop {
                let Some(deadline) = pulse.deadline(&self.limits) else {
                    return Poll::Pending;
                };
                if alarm.deadline() != deadline {
                    alarm.as_mut().reset(deadline);
                }
                if alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                // With HTTP/2 another task may have moved it meanwhile.
                if pulse.deadline(&self.limits) == Some(deadline) {
                    return Poll::Ready(());
                }
            }
        })
        .await;
        drop(admitted);
    }
}

/// The requests of one connection.
#[derive(Debug)]
struct Requests {
    router: Router,
    requests: Arc<Semaphore>,
    pulse: Arc<Pulse>,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<Followed<Body>>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut under_way = self.pulse.begin(request.version() == Version::HTTP_2);
        match Arc::clone(&self.requests).try_acquire_owned() {
            Ok(place) => under_way.keep(place),
            // Whether the process lives is not to be answered with "too busy".
            Err(_) if request.uri().path() == "/livez" => {}
            Err(_) => {
                let problem = Problem::new(Code::Overloaded)
                    .detail("As many requests are under way as the service takes.");
                let response = problem.render("none");
                let response = response.map(|body| Followed::new(body, under_way));
                return std::future::ready(Ok(response)).boxed();
            }
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        // The router is always ready.
        let answered = self.router.clone().call(request);
        async move {
            let response = answered.await?;
            Ok(response.map(|body| Followed::new(body, under_way)))
        }
        .boxed()
    }
}
