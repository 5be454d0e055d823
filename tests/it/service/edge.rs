//! Strangers at the door of a service that works.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use filmlab::job::Status;
use filmlab::sandbox::SandboxConfig;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::lab::{Lab, Running};

/// More than the service takes connections, none of which says a word.
async fn strangers(service: &Running) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..1_100 {
        open.push(TcpStream::connect(service.address).await.unwrap());
    }
    open
}

#[tokio::test]
async fn idle_connections_are_noticed_by_no_job() {
    let slow = SandboxConfig {
        min_time: Duration::from_millis(1500),
        ..SandboxConfig::default()
    };
    let Some(lab) = Lab::new(slow).await else {
        return;
    };
    let service = lab.start().await;
    let running = lab.create(&service).await;
    lab.until(&service, &running, |job| {
        job.provider.prediction_id.is_some()
    })
    .await;
    let open = strangers(&service).await;
    let created = lab.create(&service).await;
    for id in [running, created] {
        let job = lab.ended(&service, &id).await;
        assert_eq!(
            (job.status, job.attempt),
            (Status::Completed, 1),
            "{job:#?}"
        );
    }
    drop(open);
    service.stop().await;
}

#[tokio::test]
async fn a_backlog_has_an_end_that_is_told() {
    let slow = SandboxConfig {
        min_time: Duration::from_secs(60),
        ..SandboxConfig::default()
    };
    let Some(mut lab) = Lab::new(slow).await else {
        return;
    };
    lab.set("WORKER__MAX_WAITING", "1");
    let service = lab.start().await;
    lab.create(&service).await;
    let body = json!({"kind": "upscale", "source": {"video": "https://example.com/a.mp4"}});
    let address = format!("http://{}/v1/jobs", service.address);
    let answer = lab.http.post(address).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "60");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "overloaded");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("worker.max_waiting"),
        "{problem}"
    );
    service.stop().await;
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// KiB, by a line of the system's own about the process.
fn memory(program: &Ended, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.0.id())).unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line));
    let found = found.unwrap().trim_start_matches(':').trim();
    found.trim_end_matches(" kB").trim().parse().unwrap()
}

/// Sends what it can of a callback of a megabyte that nobody asked for.
async fn half_a_callback(address: SocketAddr, piece: &[u8]) -> Option<TcpStream> {
    let mut io = TcpStream::connect(address).await.ok()?;
    let head = "POST /webhooks/wavespeed/x/1-1?t=aaaa HTTP/1.1\r\nhost: lab.example\r\n\
                content-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
    io.write_all(head.as_bytes()).await.ok()?;
    // Refused and closed it fails, which is as good.
    let _ = tokio::time::timeout(Duration::from_secs(2), io.write_all(piece)).await;
    Some(io)
}

#[tokio::test]
async fn half_bodies_of_strangers_take_little_memory() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let mut program = lab.program(address);
    program.stdout(Stdio::null()).stderr(Stdio::null());
    let program = Ended(program.spawn().unwrap());
    let lives = async || {
        let asked = lab.http.get(format!("http://{address}/livez")).send().await;
        asked.is_ok_and(|answer| answer.status() == 200)
    };
    for _ in 0..600 {
        if lives().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = memory(&program, "VmRSS");
    let piece = vec![b'x'; (1 << 20) - 1];
    let sent = (0..1_500).map(|_| half_a_callback(address, &piece));
    let open = futures::future::join_all(sent).await;
    assert!(lives().await);
    let peak = memory(&program, "VmHWM");
    let more = peak.saturating_sub(before) / 1024;
    println!("{more} MiB more for 1,500 half bodies");
    assert!(more <= 100, "{more} MiB more");
    drop(open);
}
