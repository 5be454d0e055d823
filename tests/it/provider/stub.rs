//! A server that answers as told, byte by byte, and counts what comes in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What one connection gets.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// These bytes, then the end.
    Bytes(String),
    /// The connection ends once the request was read.
    Drop,
    /// No answer for this long.
    Silence(Duration),
}

pub(super) fn reply(status: u16, headers: &str, body: &str) -> Reply {
    Reply::Bytes(format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

pub(super) fn json(status: u16, body: &str) -> Reply {
    reply(status, "content-type: application/json\r\n", body)
}

#[derive(Debug, Clone)]
pub(super) struct Stub {
    pub(super) base: Url,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// Answers request after request with `replies`, the last one for ever.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stub = Self {
            base: format!("http://{address}").parse().expect("address"),
            seen: Arc::clone(&seen),
        };
        tokio::spawn(async move {
            let mut next = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let reply = replies[next.min(replies.len() - 1)].clone();
                next += 1;
                tokio::spawn(serve(stream, reply, Arc::clone(&seen)));
            }
        });
        stub
    }

    /// The requests so far: head and body.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("records").clone()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(read) => request.extend_from_slice(&part[..read]),
        }
    }
    if request.is_empty() {
        return;
    }
    seen.lock()
        .expect("records")
        .push(String::from_utf8_lossy(&request).into_owned());
    match reply {
        Reply::Bytes(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Reply::Drop => {}
        Reply::Silence(time) => tokio::time::sleep(time).await,
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    body.len() >= length
}
