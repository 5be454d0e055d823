//! Media work that never comes back, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use filmlab::job::Status;
use filmlab::sandbox::SandboxConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::lab::Lab;

/// Ends with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whoever opens `file` waits in the kernel, as on a hung network mount, until this is dropped:
/// another process has a write lease on it, and does not give it back when asked (for 45 s, by
/// `/proc/sys/fs/lease-break-time`). 1024 is `F_SETLEASE`, 1 is `F_WRLCK`.
fn hang(file: &Path) -> Ended {
    let script = r#"
        $SIG{IO} = "IGNORE"; $| = 1;
        open(F, "+<", $ARGV[0]) or die $!;
        fcntl(F, 1024, 1) or die $!;
        print "held\n"; <STDIN>;
    "#;
    let mut holder = Command::new("perl")
        .args(["-e", script])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("perl, which Debian's base has");
    let mut said = String::new();
    let out = holder.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n", "no lease on {}", file.display());
    Ended(holder)
}

/// A web server that answers only once it may; gives an address of the clip, what counts
/// requests, and what lets them through.
async fn slow_web(clip: &Path) -> (String, Arc<AtomicU32>, Arc<AtomicBool>) {
    let (asked, open) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (count, gate) = (Arc::clone(&asked), Arc::clone(&open));
    let bytes = bytes::Bytes::from(std::fs::read(clip).unwrap());
    let answer = get(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let (bytes, gate) = (bytes.clone(), Arc::clone(&gate));
        async move {
            if !gate.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            (StatusCode::OK, bytes)
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/clip.mp4", listener.local_addr().unwrap());
    let router = Router::new().route("/clip.mp4", answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, asked, open)
}

/// Tries until there is something; panics after half a minute.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not happen");
}

async fn create(lab: &Lab, base: &str, video: &str, image: &str) -> String {
    let body = json!({"kind": "character_replace", "source": {"video": video, "image": image}});
    let address = format!("{base}/v1/jobs");
    let answer = lab.http.post(address).json(&body).send().await.unwrap();
    let status = answer.status();
    let job: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn upload(lab: &Lab, base: &str, file: &Path) -> String {
    let name = file.file_name().unwrap().to_string_lossy();
    let address = format!("{base}/v1/sources?name={name}");
    let bytes = std::fs::read(file).unwrap();
    let answer = lab.http.post(address).body(bytes).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let source: Value = answer.json().await.unwrap();
    source["source"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_that_never_returns_ends_the_process_and_costs_no_neighbour_an_attempt() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let Some(logo) = crate::support::require::fixture("logo.png") else {
        return;
    };
    let Some(character) = crate::support::require::fixture("character.png") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let brand = dir.path().join("logo.png");
    std::fs::copy(logo, &brand).unwrap();
    lab.set("WATERMARK__IMAGE", brand.to_str().unwrap());
    lab.set("CREDITS__MODE", "off");
    lab.set("SERVER__ALLOW_LOOPBACK", "true");
    lab.set("WORKER__BUDGET", "8s");
    lab.set("WORKER__WATCHDOG", "1s");
    let (web, asked, open) = slow_web(&lab.clip).await;

    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let log = dir.path().join("log");
    let program = lab
        .program(address)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let program = Mutex::new(Ended(program));
    let base = format!("http://{address}");
    eventually("listening", async || {
        lab.http.get(format!("{base}/livez")).send().await.ok()
    })
    .await;
    let video = upload(&lab, &base, &lab.clip).await;
    let image = upload(&lab, &base, &character).await;
    let hung = hang(&brand);
    let stuck = create(&lab, &base, &video, &image).await;
    let began = Instant::now();
    // The neighbour has its own budget: it must have much of it left when the other's is over.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let neighbour = create(&lab, &base, &web, &image).await;
    eventually("the neighbour's visit", async || {
        (asked.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    let status = eventually("the end of the process", async || {
        program.lock().unwrap().0.try_wait().unwrap()
    })
    .await;
    let told = std::fs::read_to_string(&log).unwrap();
    assert_eq!(status.code(), Some(70), "{told}");
    let took = began.elapsed();
    // Budget, patience, and at most ten seconds to give everything back.
    assert!(took >= Duration::from_secs(9), "{took:?}\n{told}");
    assert!(took < Duration::from_secs(19), "{took:?}\n{told}");
    assert!(told.contains("media work does not stop"), "{told}");
    assert!(told.contains("media_stuck"), "{told}");
    assert!(told.contains(&stuck), "{told}");

    drop(hung);
    open.store(true, Ordering::SeqCst);
    lab.set("WORKER__BUDGET", "60s");
    let service = lab.start().await;
    let job = lab.ended(&service, &neighbour).await;
    assert_eq!(
        (job.status, job.attempt),
        (Status::Completed, 1),
        "{job:#?}"
    );
    let job = lab.ended(&service, &stuck).await;
    assert_eq!(
        (job.status, job.attempt),
        (Status::Completed, 2),
        "{job:#?}"
    );
    service.stop().await;
}
