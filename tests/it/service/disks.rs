//! Disks that fill up, and data folders that go away under a running service.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use filmlab::sandbox::SandboxConfig;
use serde_json::{Value, json};

use super::lab::Lab;
use crate::support::require;

/// Ends with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a service listens, by its log.
async fn address(log: &Path) -> String {
    for _ in 0..600 {
        let lines = std::fs::read_to_string(log).unwrap();
        let said = lines.lines().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            Some(line.get("address")?.as_str()?.to_owned())
        });
        if let Some(address) = said {
            return address;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", std::fs::read_to_string(log).unwrap());
}

/// What `filmlab ready` says, and how it ends.
async fn asked(lab: &Lab, base: &str) -> (i32, String) {
    let asks = lab.command(&["ready", "--server", base]);
    let answer = tokio::process::Command::from(asks).output().await.unwrap();
    let told = String::from_utf8([answer.stdout, answer.stderr].concat());
    (answer.status.code().unwrap(), told.unwrap())
}

#[tokio::test]
async fn a_command_tells_whether_a_service_is_ready() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let running = lab.start().await;
    let base = format!("http://{}", running.address);
    assert_eq!(asked(&lab, &base).await, (0, "ready\n".to_owned()));
    running.stop().await;
    let (status, told) = asked(&lab, &base).await;
    assert!(status == 69 && told.contains("cannot be reached"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_is_gone_stops_the_service_before_it_loses_a_job() {
    for whole in [true, false] {
        let Some(lab) = Lab::new(SandboxConfig::default()).await else {
            return;
        };
        let running = lab.start().await;
        let id = lab.create(&running).await;
        lab.ended(&running, &id).await;
        let base = format!("http://{}", running.address);
        let data = lab.object("..").canonicalize().unwrap();
        if whole {
            std::fs::remove_dir_all(&data).unwrap();
        } else {
            // A disk that was unmounted shows an empty folder.
            std::fs::rename(data.join("objects"), data.join("away")).unwrap();
            std::fs::create_dir(data.join("objects")).unwrap();
        }
        let (status, told) = asked(&lab, &base).await;
        assert_eq!(status, 69, "{told}");
        let part = if whole { "ledger" } else { "storage" };
        let told_part = format!("{part} unavailable");
        assert!(
            told.contains("not ready: ") && told.contains(&told_part),
            "{told}"
        );
        if whole {
            let job = json!({"kind": "upscale", "params": {"target": "1080p"},
                "source": {"video": "https://example.com/a.mp4"}});
            let create = lab.http.post(format!("{base}/v1/jobs")).json(&job);
            let answer = create.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 503);
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "ledger_unavailable");
        } else {
            let upload = lab
                .http
                .post(format!("{base}/v1/sources?name=a.mp4"))
                .body("abc");
            assert_eq!(upload.send().await.unwrap().status().as_u16(), 503);
        }
        let ready = lab.http.get(format!("{base}/readyz")).send().await;
        assert_eq!(ready.unwrap().status().as_u16(), 503);
        let failure = running.ended().await.unwrap_err();
        assert_eq!(failure.code.as_str(), "data_gone");
        assert_eq!(failure.party.exit_code(), 70);
        assert!(!data.join("filmlab.sqlite").exists() || !whole);
    }
}

/// A disk of 24 MiB, in a view of the file system that ends with the service.
fn on_small_disk(data: &Path, program: &mut Vec<String>) -> Option<Command> {
    let script = r#"mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@""#;
    let tried = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(data)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    let can = tried.is_ok_and(|status| status.success()).then_some(());
    require::require("mount", can, "no file system can be mounted here")?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(data)
        .args(program.drain(..));
    Some(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_is_said_to_be_ours() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let log = elsewhere.path().join("log");
    let binary = env!("CARGO_BIN_EXE_filmlab").to_owned();
    let mut program = vec![
        binary,
        "serve".into(),
        "--listen".into(),
        "127.0.0.1:0".into(),
    ];
    let Some(mut command) = on_small_disk(folder.path(), &mut program) else {
        return;
    };
    let service = command
        .env_clear()
        .env("PATH", require::variable("PATH"))
        .env("FILMLAB_DATA__DIR", folder.path())
        .env("FILMLAB_PROVIDER__API_KEY", "sandbox")
        .env("FILMLAB_PROVIDER__BASE_URL", "http://127.0.0.1:9/")
        .env("FILMLAB_LOG__FORMAT", "json")
        .stderr(std::fs::File::create(&log).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _service = Ended(service);
    let base = format!("http://{}", address(&log).await);
    let http = reqwest::Client::new();
    let mut answers = Vec::new();
    let began = Instant::now();
    while !answers.contains(&503) {
        let upload = http
            .post(format!("{base}/v1/sources?name=a.mp4"))
            .body(vec![7_u8; 5 << 20]);
        let answer = upload.send().await.unwrap();
        answers.push(answer.status().as_u16());
        if answer.status().as_u16() == 503 {
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "storage_unavailable");
            assert!(
                problem["detail"].as_str().unwrap().contains("no room"),
                "{problem}"
            );
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{answers:?}");
    }
    answers.pop();
    assert!(answers.len() > 1 && answers.iter().all(|status| *status == 201));
    // Nothing of the one that did not fit stays: small things may fit again.
    let rest = http
        .post(format!("{base}/v1/sources?name=a.mp4"))
        .body(vec![7_u8; 24 << 20]);
    assert_eq!(rest.send().await.unwrap().status().as_u16(), 503);
    let live = http.get(format!("{base}/livez")).send().await.unwrap();
    assert_eq!(live.status().as_u16(), 200);
}
