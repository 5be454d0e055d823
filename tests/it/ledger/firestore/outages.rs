//! What a lost connection, a lost answer and a silent server look like to the caller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filmlab::job::{Change, Status};
use filmlab::ledger::firestore::{FirestoreConfig, FirestoreLedger};
use filmlab::ledger::{Created, Ledger, LedgerError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::bench::{OWNER, TTL, at, grant, new_job};
use super::{config, connect};
use crate::support::emulator::Emulator;

/// Short where it is waited for, long enough for a busy machine where it is not.
const SHORT: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(2);

async fn through(
    host: &str,
    project: &str,
    limit: Duration,
) -> Result<FirestoreLedger, LedgerError> {
    let config = FirestoreConfig {
        emulator: Some(host.to_owned()),
        request_timeout: limit,
        ..FirestoreConfig::new(project)
    };
    FirestoreLedger::connect(config).await
}

fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(
        matches!(answer, Err(LedgerError::Unavailable(_))),
        "{answer:?}"
    );
}

fn is_unknown<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(matches!(answer, Err(LedgerError::Unknown(_))), "{answer:?}");
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let started = Instant::now();
    is_unavailable(&through(&host, "p", SHORT).await);
    assert!(started.elapsed() < SHORT + Duration::from_millis(400));
}

/// Reads are told as not answered; of a commit nobody knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_costs_no_more_than_the_limit() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let proxy = Proxy::to(&emulator.host).await;
    // On a busy machine even a connection may take longer than the short limit.
    let mut connected = through(&proxy.host, &emulator.project, SHORT).await;
    for _ in 0..5 {
        if connected.is_err() {
            connected = through(&proxy.host, &emulator.project, SHORT).await;
        }
    }
    let ledger = connected.unwrap();
    proxy.set(Line::Mute);
    let started = Instant::now();
    is_unavailable(&through(&proxy.host, &emulator.project, SHORT).await);
    let id = "j1".parse().unwrap();
    is_unavailable(&ledger.ping().await);
    is_unavailable(&ledger.read(&id).await);
    is_unavailable(&ledger.due(at(0), None, 10).await);
    is_unavailable(&ledger.claim(&id, "a", at(0), TTL).await);
    is_unknown(&ledger.create(new_job("j1")).await);
    assert!(started.elapsed() < SHORT * 9, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown_and_reading_again_tells() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let proxy = Proxy::to(&emulator.host).await;
    let ledger = through(&proxy.host, &emulator.project, LONG).await.unwrap();
    let owner = OWNER.parse().unwrap();
    assert!(ledger.grant(&owner, &grant("g1", 5)).await.unwrap());

    proxy.set(Line::Mute);
    is_unknown(&ledger.create(new_job("j1")).await);
    is_unknown(&ledger.grant(&owner, &grant("g2", 7)).await);
    proxy.set(Line::Cut);
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.set(Line::Open);

    let direct = connect(&emulator).await;
    assert!(direct.read(&"j1".parse().unwrap()).await.unwrap().is_some());
    let again = settled_down(async || ledger.create(new_job("j1")).await).await;
    assert!(matches!(again, Created::Existing(_)), "{again:?}");
    assert!(!ledger.grant(&owner, &grant("g2", 7)).await.unwrap());
    assert_eq!(ledger.account(&owner).await.unwrap().unwrap().credits, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_unavailable_and_comes_back() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let proxy = Proxy::to(&emulator.host).await;
    let ledger = through(&proxy.host, &emulator.project, LONG).await.unwrap();
    ledger.create(new_job("j1")).await.unwrap();
    let id = "j1".parse().unwrap();

    proxy.set(Line::Cut);
    // The first call may meet the connection as it dies.
    let _ = ledger.ping().await;
    let started = Instant::now();
    is_unavailable(&ledger.read(&id).await);
    is_unavailable(&ledger.create(new_job("j2")).await);
    assert!(started.elapsed() < LONG * 3, "{:?}", started.elapsed());

    proxy.set(Line::Open);
    let job = settled_down(async || ledger.read(&id).await).await;
    assert_eq!(job.unwrap().status, Status::Queued);
    let direct = connect(&emulator).await;
    let unsent = direct.read(&"j2".parse().unwrap()).await.unwrap();
    assert!(
        unsent.is_none(),
        "unavailable means that nothing was written"
    );
}

/// Writers on one document collide all the time; every write arrives, none is told wrongly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contention_is_waited_out() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let ledger = Arc::new(FirestoreLedger::connect(config(&emulator)).await.unwrap());
    let job = match ledger.create(new_job("j1")).await.unwrap() {
        Created::New(job) => job,
        other => panic!("{other:?}"),
    };
    let claimed = ledger.claim(&job.id, "a", at(1), TTL).await.unwrap();
    let filmlab::ledger::Claimed::Taken { claim, .. } = claimed else {
        panic!("{claimed:?}")
    };
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let (ledger, id, claim) = (Arc::clone(&ledger), job.id.clone(), claim.clone());
        writers.spawn(async move { ledger.record(&id, &claim, &Change::Polled, at(2)).await });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap().unwrap();
    }
    let job = ledger.read(&job.id).await.unwrap().unwrap();
    assert_eq!((job.provider.polls, job.revision), (16, 17));
}

/// Calls until the connection is back.
async fn settled_down<T>(call: impl AsyncFn() -> Result<T, LedgerError>) -> T {
    for _ in 0..50 {
        if let Ok(answer) = call().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came back");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    /// Requests pass, answers do not.
    Mute,
    /// Connections are closed and none is accepted.
    Cut,
}

/// A line to the emulator that can be disturbed.
struct Proxy {
    host: String,
    line: watch::Sender<Line>,
    _serving: JoinSet<()>,
}

impl Proxy {
    async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (line, watched) = watch::channel(Line::Open);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, target.to_owned(), watched));
        Self {
            host,
            line,
            _serving: serving,
        }
    }

    fn set(&self, line: Line) {
        self.line.send(line).unwrap();
    }
}

async fn serve(listener: TcpListener, target: String, line: watch::Receiver<Line>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut changed = line.clone();
    loop {
        if *changed.borrow_and_update() == Line::Cut {
            // Closed for good: a connection that is tried now is refused.
            listener = None;
            connections.abort_all();
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        tokio::select! {
            accepted = async { listener.as_ref().unwrap().accept().await }, if listener.is_some() => {
                let (client, _) = accepted.unwrap();
                let server = TcpStream::connect(&target).await.unwrap();
                connections.spawn(carry(client, server, line.clone()));
            }
            more = changed.changed() => if more.is_err() { return },
        }
    }
}

async fn carry(client: TcpStream, server: TcpStream, line: watch::Receiver<Line>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
            if *line.borrow() == Line::Open && to_client.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
}
