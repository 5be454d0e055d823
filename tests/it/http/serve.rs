//! The accept loop: who is let in, for how long, and what happens when nothing more fits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use filmlab::http::{Accept, ConnectionLimits, serve};
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A network in memory, with limits that a test can wait for.
struct Net {
    connect: mpsc::UnboundedSender<io::Result<(DuplexStream, SocketAddr)>>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    accepts: Arc<AtomicU32>,
}

struct Listener {
    incoming: mpsc::UnboundedReceiver<io::Result<(DuplexStream, SocketAddr)>>,
    accepts: Arc<AtomicU32>,
}

impl Accept for Listener {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        self.accepts.fetch_add(1, Ordering::SeqCst);
        match self.incoming.recv().await {
            Some(incoming) => incoming,
            None => std::future::pending().await,
        }
    }
}

/// Longer than any limit here.
const LONG: Duration = Duration::from_millis(4_000);

/// `/` answers at once, `/slow` after a while, `/events` begins and then says nothing for a while,
/// `/large` has more than any buffer, `/take` reads its body.
fn routes() -> Router {
    let events = || async {
        let first = futures::stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"first"))]);
        let rest = futures::stream::once(async {
            tokio::time::sleep(LONG).await;
            Ok(Bytes::from_static(b"last"))
        });
        Body::from_stream(first.chain(rest))
    };
    let large = || async {
        let piece = Bytes::from(vec![7_u8; 64 * 1024]);
        Body::from_stream(futures::stream::repeat_with(move || {
            Ok::<_, io::Error>(piece.clone())
        }))
    };
    Router::new()
        .route("/", get(|| async { "here" }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(LONG).await;
                "late"
            }),
        )
        .route("/events", get(events))
        .route("/large", get(large))
        .route(
            "/take",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
}

impl Net {
    fn new(limits: ConnectionLimits) -> Self {
        let (connect, incoming) = mpsc::unbounded_channel();
        let (stop, accepts) = (CancellationToken::new(), Arc::default());
        let listener = Listener {
            incoming,
            accepts: Arc::clone(&accepts),
        };
        let serving = tokio::spawn(serve(listener, routes(), limits, stop.clone()));
        Self {
            connect,
            stop,
            serving,
            accepts,
        }
    }

    fn open_from(&self, peer: &str) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        self.connect.send(Ok((theirs, peer))).unwrap();
        ours
    }

    fn open(&self) -> DuplexStream {
        self.open_from("192.0.2.1")
    }

    async fn send(&self, text: &str) -> DuplexStream {
        let mut io = self.open();
        io.write_all(text.as_bytes()).await.unwrap();
        io
    }
}

fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n")
}

/// What comes until the other side closes, and how long that took.
async fn until_closed(io: &mut DuplexStream) -> (String, Duration) {
    let began = Instant::now();
    let mut got = Vec::new();
    // A reset is an end as well.
    let read = tokio::time::timeout(Duration::from_secs(20), io.read_to_end(&mut got));
    let _ = read.await.expect("an end");
    (String::from_utf8_lossy(&got).into_owned(), began.elapsed())
}

/// Reads until `end` has come.
async fn read_to(io: &mut DuplexStream, end: &str) -> String {
    let mut got = String::new();
    let mut piece = [0; 1024];
    while !got.contains(end) {
        let bytes = io.read(&mut piece).await.unwrap();
        assert!(bytes > 0, "closed after {got:?}");
        got.push_str(std::str::from_utf8(&piece[..bytes]).unwrap());
    }
    got
}

/// With a machine's pauses in mind: what has to be quicker has several times as long.
fn limits() -> ConnectionLimits {
    ConnectionLimits {
        header: Duration::from_millis(500),
        idle: Duration::from_millis(2_500),
        stall: Duration::from_millis(1_500),
        ..ConnectionLimits::new(100, None)
    }
}

/// About as long as it should be: never less, and not as long as the next longer limit.
#[track_caller]
fn assert_took(took: Duration, limit: Duration) {
    // Clocks may be a moment apart.
    let least = limit.saturating_sub(Duration::from_millis(20));
    assert!(
        (least..limit + Duration::from_millis(1_900)).contains(&took),
        "{took:?}"
    );
}

#[test]
fn the_usual_limits_close_a_half_sent_request_within_half_a_minute() {
    let usual = ConnectionLimits::new(100, None);
    assert!(usual.header <= Duration::from_secs(30));
    assert!(usual.idle > usual.header);
}

#[tokio::test]
async fn who_says_nothing_or_half_a_request_is_let_go_in_seconds() {
    let net = Net::new(limits());
    for begun in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: he",
        // Of HTTP/2: half its preface, and the whole of it without a request.
        "PRI * HTTP",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (_, took) = until_closed(&mut net.send(begun).await).await;
        assert_took(took, limits().header);
    }
    // A header line a second does not make it longer.
    let mut drip = net.send("GET / HTTP/1.1\r\n").await;
    let began = Instant::now();
    while drip.write_all(b"x: y\r\n").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_took(began.elapsed(), limits().header);
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_and_not_for_ever() {
    let net = Net::new(limits());
    let mut io = net.send(&ask("/")).await;
    read_to(&mut io, "here").await;
    tokio::time::sleep(limits().header * 2).await;
    io.write_all(ask("/").as_bytes()).await.unwrap();
    read_to(&mut io, "here").await;
    let (_, took) = until_closed(&mut io).await;
    assert_took(took, limits().idle);
    // Half a request after a whole one is half a request.
    let mut io = net.send(&ask("/")).await;
    read_to(&mut io, "here").await;
    tokio::time::sleep(limits().header).await;
    io.write_all(b"GET /").await.unwrap();
    let (_, took) = until_closed(&mut io).await;
    assert_took(took, limits().header);
}

#[tokio::test]
async fn what_is_under_way_takes_its_time() {
    let net = Net::new(limits());
    let mut slow = net.send(&ask("/slow")).await;
    let mut events = net.send(&ask("/events")).await;
    let mut upload = net
        .send("POST /take HTTP/1.1\r\nhost: here\r\ncontent-length: 400\r\n\r\n")
        .await;
    for _ in 0..4 {
        tokio::time::sleep(LONG / 4).await;
        upload.write_all(&[b'x'; 100]).await.unwrap();
    }
    read_to(&mut upload, "400").await;
    read_to(&mut slow, "late").await;
    let told = read_to(&mut events, "last").await;
    assert!(told.contains("first"), "{told}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let net = Net::new(limits());
    // An answer without an end, and many that fit into no buffer together.
    let endless = net.send(&ask("/large")).await;
    let asked = ask("/").repeat(2_000);
    let mut pipelined = net.open();
    let began = Instant::now();
    let many = async {
        // The service stops reading when its answers are not read.
        let _ = pipelined.write_all(asked.as_bytes()).await;
    };
    tokio::time::timeout(Duration::from_secs(20), many)
        .await
        .expect("an end");
    for mut io in [endless, pipelined] {
        // Nothing is read until it is over: only writing tells that the other side is gone.
        let gone = async {
            while io.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .expect("an end");
        assert_took(began.elapsed(), limits().stall);
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_kept() {
    let net = Net::new(limits());
    let mut io = net.send(&ask("/large")).await;
    let began = Instant::now();
    let mut piece = vec![0; 16 * 1024];
    while began.elapsed() < limits().stall * 3 {
        // Each pause is shorter than the limit, all together are longer.
        tokio::time::sleep(limits().stall / 3).await;
        assert!(io.read(&mut piece).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn idle_connections_keep_nobody_out_and_busy_ones_are_kept() {
    let net = Net::new(ConnectionLimits {
        most: 10,
        ..limits()
    });
    let mut busy = net.send(&ask("/events")).await;
    read_to(&mut busy, "first").await;
    let mut idle = Vec::new();
    for _ in 0..1_100 {
        idle.push(net.open());
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        let mut io = net.send(&ask("/")).await;
        read_to(&mut io, "here").await;
        idle.push(io);
    }
    // The first ones went at once, to make room.
    let (_, took) = until_closed(&mut idle[0]).await;
    assert!(took < limits().header, "{took:?}");
    read_to(&mut busy, "last").await;
}

#[tokio::test]
async fn where_all_are_busy_a_new_one_is_told_so() {
    let net = Net::new(ConnectionLimits::new(3, Some(2)));
    let mut busy = Vec::new();
    for peer in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
        let mut io = net.open_from(peer);
        io.write_all(ask("/events").as_bytes()).await.unwrap();
        read_to(&mut io, "first").await;
        busy.push(io);
        // One more of this peer, and of another, where there is no place for it.
        let full = busy.len() > 1;
        for peer in ["192.0.2.1", "192.0.2.3"] {
            if full && (peer == "192.0.2.1" || busy.len() == 3) {
                let (told, _) = until_closed(&mut net.open_from(peer)).await;
                assert!(told.starts_with("HTTP/1.1 503 "), "{peer}: {told}");
                assert!(told.contains("retry-after: 5"), "{told}");
            }
        }
    }
    drop(busy.pop());
    let mut io = net.send_from("192.0.2.3").await;
    read_to(&mut io, "here").await;
}

impl Net {
    async fn send_from(&self, peer: &str) -> DuplexStream {
        // What was dropped is noticed by its own task.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut io = self.open_from(peer);
        io.write_all(ask("/").as_bytes()).await.unwrap();
        io
    }
}

#[tokio::test]
async fn trouble_with_accepting_neither_ends_it_nor_spins() {
    let net = Net::new(limits());
    let mut before = net.send(&ask("/events")).await;
    read_to(&mut before, "first").await;
    let began = Instant::now();
    for _ in 0..5 {
        // EMFILE, and one that went away before it was taken.
        let trouble = io::Error::from_raw_os_error(24);
        net.connect.send(Err(trouble)).unwrap();
        let gone = io::ErrorKind::ConnectionAborted.into();
        net.connect.send(Err(gone)).unwrap();
    }
    let mut io = net.send(&ask("/")).await;
    read_to(&mut io, "here").await;
    // A tenth of a second for each, and no more questions than answers.
    assert!(began.elapsed() >= Duration::from_millis(480));
    assert_eq!(net.accepts.load(Ordering::SeqCst), 13);
    read_to(&mut before, "last").await;
}

#[tokio::test]
async fn a_stop_closes_what_is_idle_and_waits_for_what_is_not() {
    let net = Net::new(limits());
    let mut idle = net.send(&ask("/")).await;
    read_to(&mut idle, "here").await;
    let mut silent = net.open();
    let mut slow = net.send(&ask("/slow")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    net.stop.cancel();
    for io in [&mut idle, &mut silent] {
        assert!(until_closed(io).await.1 < Duration::from_millis(400));
    }
    assert!(!net.serving.is_finished());
    let (told, _) = until_closed(&mut slow).await;
    assert!(told.ends_with("late"), "{told}");
    net.serving.await.unwrap();
}

/// HTTP/2 without TLS, as Cloud Run can speak it.
#[tokio::test]
async fn both_versions_are_served() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, routes(), limits(), stop.clone()));
    for client in [
        reqwest::Client::builder().http1_only(),
        reqwest::Client::builder().http2_prior_knowledge(),
    ] {
        let client = client.build().unwrap();
        let asked = (0..20).map(|_| client.get(format!("http://{address}/")).send());
        for answer in futures::future::join_all(asked).await {
            assert_eq!(answer.unwrap().text().await.unwrap(), "here");
        }
        let large = vec![1; 3 << 20];
        let answer = client
            .post(format!("http://{address}/take"))
            .body(large[..1 << 20].to_vec())
            .send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.text().await.unwrap(), (1 << 20).to_string());
        drop(client);
    }
    stop.cancel();
    serving.await.unwrap();
}

/// More requests on one connection than there are places are refused one by one.
#[tokio::test]
async fn http2_multiplies_no_places() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = ConnectionLimits::new(4, None);
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, routes(), limits, stop.clone()));
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let client = client.build().unwrap();
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut events = client
            .get(format!("http://{address}/events"))
            .send()
            .await
            .unwrap();
        assert_eq!(events.chunk().await.unwrap().unwrap(), "first");
        open.push(events);
    }
    let refused = client
        .get(format!("http://{address}/"))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");
    // Whether the process lives is asked by those who would end it.
    let lives = client
        .get(format!("http://{address}/livez"))
        .send()
        .await
        .unwrap();
    assert_eq!(lives.status(), 404, "these routes have none");
    open.pop();
    let mut answer = refused;
    for _ in 0..200 {
        answer = client
            .get(format!("http://{address}/"))
            .send()
            .await
            .unwrap();
        if answer.status() == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(answer.status(), 200);
    stop.cancel();
}
